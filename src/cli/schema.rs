//! `tagmill schema`: the JSON Schema of what users write and read.

use crate::config::raw;
use crate::job::schema;
use anyhow::Context as _;
use std::io::Write as _;
use std::process::ExitCode;

/// Print the JSON Schema of a document.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which document.
    #[arg(value_enum)]
    document: Document,
}

/// The documents that have a schema.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Document {
    /// The config file.
    Config,
    /// A job message.
    Job,
    /// A dead letter.
    DeadLetter,
    /// The summary of a finished job.
    Receipt,
}

/// Prints the schema to stdout.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments alike")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut text = serde_json::to_vec_pretty(&of(args.document))?;
    text.push(b'\n');
    std::io::stdout().lock().write_all(&text).context("writing to stdout")?;
    Ok(ExitCode::SUCCESS)
}

fn of(document: Document) -> serde_json::Value {
    match document {
        Document::Config => raw::schema(),
        Document::Job => schema::job(),
        Document::DeadLetter => schema::dead_letter(),
        Document::Receipt => schema::receipt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_a_schema() {
        for document in [Document::Config, Document::Job, Document::DeadLetter, Document::Receipt] {
            let schema = of(document);
            assert!(jsonschema::draft202012::meta::is_valid(&schema), "{document:?}");
            assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{document:?}");
        }
    }
}
