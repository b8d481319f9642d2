//! The runbook against the alerts.

use crate::{files::text, rules::NAMES};

/// The commands of tagmill in a part (`Diagnosis`, `Mitigation`) of an alert's section.
pub fn commands(alert: &str, part: &str) -> Vec<String> {
    let page = text("docs/RUNBOOK.md");
    let section = page.split("\n## ").find(|section| section.lines().next() == Some(alert)).unwrap_or_default();
    let after = section.split_once(&format!("**{part}.**")).map_or("", |(_, after)| after);
    let own = after.split("\n**").next().unwrap_or_default();
    own.lines().filter(|line| line.starts_with("tagmill ")).map(str::to_owned).collect()
}

#[test]
fn every_alert_has_a_section_and_every_section_an_alert() {
    let page = text("docs/RUNBOOK.md");
    let mut sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## Tagmill")).collect();
    sections.sort_unstable();
    assert_eq!(sections, NAMES.map(|name| name.strip_prefix("Tagmill").unwrap()));
}

#[test]
fn every_section_says_what_it_means_what_it_costs_how_to_look_and_what_to_do() {
    let page = text("docs/RUNBOOK.md");
    for section in page.split("\n## ").filter(|section| section.starts_with("Tagmill")) {
        let heads: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("**")?.split_once("**").map(|(head, _)| head))
            .collect();
        let name = section.lines().next().unwrap_or_default();
        assert_eq!(heads, ["Meaning.", "Impact.", "Diagnosis.", "Mitigation."], "{name}");
        let commands = ["tagmill ", "curl "].iter().any(|start| section.lines().any(|line| line.starts_with(start)));
        assert!(commands, "{name}: no command to begin with");
    }
}
