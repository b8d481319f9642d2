//! `tagmill rules list`: the table of creations, from the code that goes by it.

use crate::{
    cli::report::{self, Cell, Output, Table},
    event::known::{Known, TABLE},
};
use anyhow::Context as _;
use serde::Serialize;
use std::{io::Write as _, process::ExitCode};

const HEADS: [&str; 5] = ["source", "event", "what", "ids", "providers"];

#[derive(Serialize)]
struct Row {
    source: &'static str,
    event: String,
    what: &'static str,
    ids: &'static str,
    /// The best one first: the first that has a lane is taken.
    providers: Vec<Form>,
}

#[derive(Serialize)]
struct Form {
    provider: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    id: &'static str,
}

impl Row {
    fn of(row: &Known) -> Self {
        let form = |form: &crate::event::known::Form| Form { provider: form.provider, kind: form.kind, id: form.id };
        Self {
            source: row.source.as_str(),
            event: format!("{}:{}", row.service, row.event),
            what: row.kind,
            ids: row.ids,
            providers: row.forms.iter().map(form).collect(),
        }
    }

    fn cells(&self) -> [String; 5] {
        let names: Vec<String> = self
            .providers
            .iter()
            .map(|form| match form.kind {
                Some(kind) => format!("{} ({kind})", form.provider),
                None => form.provider.to_owned(),
            })
            .collect();
        [self.source.to_owned(), self.event.clone(), self.what.to_owned(), self.ids.to_owned(), names.join(", ")]
    }
}

fn rows() -> Vec<Row> {
    TABLE.iter().map(Row::of).collect()
}

/// The table as it stands in docs/EVENTS.md.
pub fn markdown() -> String {
    let line = |cells: [String; 5]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(HEADS.map(str::to_owned)) + &format!("|{}\n", "---|".repeat(HEADS.len()));
    for row in rows() {
        let [source, event, what, ids, providers] = row.cells();
        text.push_str(&line([source, format!("`{event}`"), what, format!("`{ids}`"), providers]));
    }
    text
}

pub(super) fn run(output: Output, in_markdown: bool) -> anyhow::Result<ExitCode> {
    let print = || {
        if in_markdown {
            return std::io::stdout().lock().write_all(markdown().as_bytes());
        }
        match output {
            Output::Json => report::print_json(&rows()),
            Output::Ndjson => rows().iter().try_for_each(report::print_json),
            Output::Table => {
                let mut table = Table::new(&HEADS);
                for row in rows() {
                    table.row(row.cells().iter().map(|cell| Cell::text(cell)).collect());
                }
                table.print()
            }
        }
    };
    print().context("writing to stdout")?;
    Ok(ExitCode::SUCCESS)
}
