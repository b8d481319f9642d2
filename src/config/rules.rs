//! Rules as the config has them: read field by field, then checked by the room that carries them out.

use super::events::{Events, source};
use super::lane::LaneConfig;
use super::read::{Complaint, Notes, Section};
use super::tree::{Place, Shape, Tree};
use crate::event::{EventName, Ids, LaneSpec, Options, RuleSpec, Rules, Source};
use crate::provider;
use std::sync::Arc;

const FIELDS: [&str; 9] = ["name", "source", "event", "ids", "when", "lane", "set", "unset", "update"];

/// Reads all rules. Nothing comes back while something is wrong with one of them.
pub(super) fn read(
    outer: &Section<'_>,
    events: &Events,
    lanes: &[LaneConfig],
    notes: &mut Notes,
) -> Option<Arc<Rules>> {
    let before = notes.errors.len();
    let trees = outer.list("rules", notes).unwrap_or_default();
    let mut placed = Vec::new();
    for (n, tree) in trees.iter().enumerate() {
        let path = format!("rules[{n}]");
        if let Some(spec) = rule(tree, &path, n, notes) {
            if let LaneSpec::Named(name) = &spec.lane
                && !name.contains('{')
                && !lanes.iter().any(|lane| lane.name.as_str() == name)
            {
                let hint = crate::job::suggest::hint(name, lanes.iter().map(|lane| lane.name.as_str()));
                notes.error(place(tree, "lane"), &format!("{path}.lane"), format!("there is no such lane{hint}"));
            }
            warn_of_overwriting(tree, &path, &spec, lanes, notes);
            placed.push((tree, path, spec));
        }
    }
    let options = Options { grace: events.grace, regions: events.regions.clone() };
    match Rules::compile(placed.iter().map(|(_, _, spec)| spec.clone()).collect(), options) {
        Ok(rules) => (notes.errors.len() == before).then(|| Arc::new(rules)),
        Err(all) => {
            for bad in all {
                let Some((tree, path, _)) = placed.get(bad.rule) else { continue };
                let field = format!("{path}.{}", bad.field);
                // What could not be read looks as if it were not there.
                let is_told = |told: &Complaint| {
                    told.field.strip_prefix(&field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                };
                if !notes.errors.iter().any(is_told) {
                    notes.error(place(tree, &bad.field), &field, bad.text);
                }
            }
            None
        }
    }
}

/// A rule that says `update: false` for a lane whose API overwrites all the same.
fn warn_of_overwriting(tree: &Tree, path: &str, spec: &RuleSpec, lanes: &[LaneConfig], notes: &mut Notes) {
    let says_so = matches!(&tree.shape, Shape::Map(fields) if fields.iter().any(|(key, _)| key == "update"));
    let LaneSpec::Named(name) = &spec.lane else { return };
    let lane = lanes.iter().find(|lane| lane.name.as_str() == name);
    if let Some(lane) = lane.filter(|lane| says_so && !spec.update && !lane.provider.limits.can_keep()) {
        let provider = lane.provider.name;
        let text = format!("{provider} cannot tell whether a tag is there, so lane {name} overwrites it all the same");
        notes.warn(place(tree, "update"), &format!("{path}.update"), text);
    }
}

/// The place of a field such as `set.owner`, or of the rule.
fn place<'t>(tree: &'t Tree, field: &str) -> &'t Place {
    let mut found = tree;
    for step in field.splitn(2, '.') {
        let Shape::Map(fields) = &found.shape else { break };
        match fields.iter().find(|(key, _)| key == step) {
            Some((_, below)) => found = below,
            None => break,
        }
    }
    &found.place
}

fn rule(tree: &Tree, path: &str, n: usize, notes: &mut Notes) -> Option<RuleSpec> {
    let section = Section::open(tree, path, &FIELDS, notes)?;
    for name in ["source"].into_iter().filter(|name| !section.has(name)) {
        section.error(name, notes, "is missing");
    }
    let name = section.parsed("name", notes, |text| {
        let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(text.to_owned()) } else { Err("a name has at most 64 characters of a-z A-Z 0-9 . _ -".into()) }
    });
    let sources: Vec<Source> = words(&section, "source", notes, source);
    let events = words(&section, "event", notes, EventName::parse);
    let set = set(&section, notes);
    let unset = words(&section, "unset", notes, |text| Ok(text.to_owned()));
    Some(RuleSpec {
        // A rule without a name is called by its number.
        name: name.unwrap_or_else(|| format!("rule-{}", n + 1)),
        sources,
        events,
        ids: ids(&section, notes),
        when: section.text("when", notes).map(str::to_owned),
        lane: lane(&section, notes),
        set,
        unset,
        update: section.flag("update", notes).unwrap_or(false),
    })
}

/// One text, or a list of texts.
fn words<T>(section: &Section<'_>, name: &str, notes: &mut Notes, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let Some(tree) = section.get(name) else { return Vec::new() };
    let all = match &tree.shape {
        Shape::List(all) => all.iter().collect(),
        _ => vec![tree],
    };
    let mut found = Vec::new();
    for tree in all {
        let word = match &tree.shape {
            Shape::Text(text) if text.trim().is_empty() => Err("is empty".to_owned()),
            Shape::Text(text) => read(text),
            _ => Err(format!("expected text, found {}", tree.kind())),
        };
        match word {
            Ok(word) => found.push(word),
            Err(why) => notes.error(&tree.place, &section.at(name), why),
        }
    }
    found
}

fn set(section: &Section<'_>, notes: &mut Notes) -> Vec<(String, String)> {
    let Some(tree) = section.get("set") else { return Vec::new() };
    let Shape::Map(fields) = &tree.shape else {
        section.error("set", notes, format!("expected a section: tags and their values, found {}", tree.kind()));
        return Vec::new();
    };
    let mut set = Vec::new();
    for (key, tree) in fields {
        if let Shape::Text(text) = &tree.shape {
            set.push((key.clone(), text.clone()));
        } else {
            let text = format!("expected text, found {}; put it in quotes", tree.kind());
            notes.error(&tree.place, &section.at(&format!("set.{key}")), text);
        }
    }
    set
}

fn ids(section: &Section<'_>, notes: &mut Notes) -> Option<Ids> {
    if let Shape::Text(path) = &section.get("ids")?.shape {
        return Some(Ids { path: path.clone(), ..Ids::default() });
    }
    let ids = section.section("ids", &["path", "id", "type"], notes)?;
    if !ids.has("path") {
        ids.error("path", notes, "is missing");
    }
    let text = |name: &str, notes: &mut Notes| ids.text(name, notes).map(str::to_owned);
    Some(Ids { path: text("path", notes)?, id: text("id", notes), kind: text("type", notes) })
}

fn lane(section: &Section<'_>, notes: &mut Notes) -> LaneSpec {
    let find = |provider, account, region| LaneSpec::Find { provider, account, region };
    match section.get("lane").map(|tree| &tree.shape) {
        None => find(None, None, None),
        Some(Shape::Text(text)) => LaneSpec::Named(text.trim().to_owned()),
        Some(_) => {
            let Some(lane) = section.section("lane", &["provider", "account", "region"], notes) else {
                return find(None, None, None);
            };
            let provider = lane.parsed("provider", notes, |text| {
                let names = || provider::ALL.iter().map(|entry| entry.name);
                if names().any(|name| name == text) {
                    return Ok(text.to_owned());
                }
                Err(format!("there is no provider {text}{}", crate::job::suggest::hint(text, names())))
            });
            let text = |name: &str, notes: &mut Notes| lane.text(name, notes).map(str::to_owned);
            find(provider, text("account", notes), text("region", notes))
        }
    }
}
