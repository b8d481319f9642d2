//! `tagmill providers`: every tagging API there is, with its limits, from the code that holds to them.

use super::report::{self, Cell, Output};
use crate::provider::{ALL, Entry, Silence, Write};
use anyhow::Context as _;
use serde::Serialize;
use std::{io::Write as _, process::ExitCode};

/// Show the tagging APIs with their limits and default rates.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// The table of docs/PROVIDERS.md, in Markdown
    #[arg(long, conflicts_with = "output")]
    markdown: bool,
}

/// The heads of the table.
pub const HEADS: [&str; 13] = [
    "provider",
    "API",
    "resources a call",
    "tags a call",
    "keys a call (unset)",
    "tags a resource",
    "key / value characters",
    "write",
    "`overwrite: false`",
    "failures inside a success",
    "signature",
    "calls a second by default",
    "why that rate",
];

/// A provider as data.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    api: &'static str,
    resources_per_call: usize,
    tags_per_call: usize,
    keys_per_call: usize,
    tags_per_resource: usize,
    key_chars: usize,
    value_chars: usize,
    write: &'static str,
    overwrite_false: &'static str,
    partial_failures: &'static str,
    auth: &'static str,
    default_rate: f64,
    rate_source: &'static str,
}

impl Row {
    fn of(entry: &Entry) -> Self {
        let limits = entry.limits;
        Self {
            name: entry.name,
            api: entry.about.api,
            resources_per_call: limits.resources_per_call,
            tags_per_call: limits.tags_per_call,
            keys_per_call: limits.keys_per_call,
            tags_per_resource: limits.tags_per_resource,
            key_chars: limits.key_chars,
            value_chars: limits.value_chars,
            write: match limits.write {
                Write::Merge => "merge",
                Write::Replace => "replace",
            },
            overwrite_false: if limits.can_keep() { "honoured" } else { "not possible" },
            partial_failures: match limits.silence {
                Silence::Success => "listed",
                Silence::AllOrNothing => "none",
            },
            auth: entry.about.auth,
            default_rate: entry.default_rate,
            rate_source: entry.about.rate_source,
        }
    }

    /// Its cells, in the order of [`HEADS`].
    fn cells(&self) -> [String; 13] {
        [
            self.name.to_owned(),
            self.api.to_owned(),
            self.resources_per_call.to_string(),
            self.tags_per_call.to_string(),
            self.keys_per_call.to_string(),
            self.tags_per_resource.to_string(),
            format!("{} / {}", self.key_chars, self.value_chars),
            self.write.to_owned(),
            self.overwrite_false.to_owned(),
            self.partial_failures.to_owned(),
            self.auth.to_owned(),
            self.default_rate.to_string(),
            self.rate_source.to_owned(),
        ]
    }
}

/// The table as it stands in docs/PROVIDERS.md.
pub fn markdown() -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADS.map(str::to_owned)) + &format!("|{}\n", "---|".repeat(HEADS.len()));
    for entry in ALL {
        let mut cells = Row::of(entry).cells();
        cells[0] = format!("`{}`", entry.name);
        text.push_str(&line(&cells));
    }
    text
}

/// Prints the table.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments alike")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let rows: Vec<Row> = ALL.iter().map(Row::of).collect();
    if args.markdown {
        std::io::stdout().lock().write_all(markdown().as_bytes()).context("writing to stdout")?;
        return Ok(ExitCode::SUCCESS);
    }
    match args.output {
        Output::Json => report::print_json(&rows).context("writing to stdout")?,
        Output::Ndjson => rows.iter().try_for_each(report::print_json).context("writing to stdout")?,
        Output::Table => {
            let mut table = report::Table::new(&HEADS);
            for row in &rows {
                let number = |text: &String| text.parse::<f64>().is_ok();
                let cell = |text: String| if number(&text) { Cell::right(text) } else { Cell::text(&text) };
                table.row(row.cells().into_iter().map(cell).collect());
            }
            table.print().context("writing to stdout")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
