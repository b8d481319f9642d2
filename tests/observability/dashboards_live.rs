//! The dashboards as somebody would see them, from the answers to their queries.

use crate::{
    files::{array, dashboards, panels, shortened, word},
    prometheus::Prometheus,
};
use std::fmt::Write as _;

/// What each panel shows, and the complaints: a panel that shows nothing and should, or what is no number.
pub fn look(prometheus: &Prometheus, may_be_empty: &[&str]) -> (String, Vec<String>) {
    let (mut shown, mut wrong) = (String::new(), Vec::new());
    for (name, board) in dashboards() {
        writeln!(shown, "==== {} ({name})", word(&board["title"])).unwrap();
        for panel in panels(&board) {
            let place = format!("{name}: {}", word(&panel["title"]));
            writeln!(shown, "\n{} [{}]", word(&panel["title"]), word(&panel["fieldConfig"]["defaults"]["unit"]))
                .unwrap();
            for target in array(&panel["targets"]) {
                let found = prometheus.query(&shortened(word(&target["expr"])));
                if found.is_empty() && !may_be_empty.contains(&word(&panel["title"])) {
                    wrong.push(format!("{place}: nothing from {}", word(&target["expr"])));
                }
                for (labels, value) in found {
                    let legend = labels
                        .as_object()
                        .unwrap()
                        .iter()
                        .fold(word(&target["legendFormat"]).to_owned(), |text, (key, value)| {
                            text.replace(&format!("{{{{{key}}}}}"), word(value))
                        });
                    writeln!(shown, "    {legend:<40} {value}").unwrap();
                    if !value.is_finite() {
                        wrong.push(format!("{place}: {legend} is {value}"));
                    }
                    if legend.contains("{{") {
                        wrong.push(format!("{place}: the legend {legend} names a label that is not there"));
                    }
                }
            }
        }
        shown.push('\n');
    }
    (shown, wrong)
}
