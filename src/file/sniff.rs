//! What a file is, by its content first and its name second.

use super::FileError;
use serde::de::IgnoredAny;
use std::io::{self, BufRead, Read};
use std::path::Path;

/// The byte order mark that some spreadsheets write.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// How far we look ahead.
const AHEAD: u64 = 64 * 1024;

/// The formats we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One job message a line; or one job message over the whole file.
    Ndjson,
    /// One resource a row, one tag a column.
    Csv,
    /// What `aws resourcegroupstaggingapi get-resources` prints.
    AwsResources,
}

impl Format {
    /// What the source of its jobs starts with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::AwsResources => "aws",
        }
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) format: Format,
    /// One JSON object spans the whole file.
    pub(super) whole: bool,
}

/// Reads the beginning of the input; it is to be read again in front of the rest.
pub(super) fn peek(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.by_ref().take(AHEAD).read_to_end(&mut start)?;
    Ok(start)
}

/// Finds the format.
pub(super) fn sniff(start: &[u8], path: &Path, forced: Option<Format>) -> Result<Found, FileError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let text = start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start();
    let json = text.starts_with(b"{");
    let format = match forced {
        Some(format) => format,
        None if text.is_empty() && matches!(&*extension, "ndjson" | "jsonl") => Format::Ndjson,
        None if text.is_empty() => return Err(FileError::Empty { path: path.into() }),
        None if json && is_resource_list(text) => Format::AwsResources,
        None if json => Format::Ndjson,
        None if text.starts_with(b"[") => {
            let why = "a JSON list; write one job a line (jq -c '.[]' does it)".into();
            return Err(FileError::Format { path: path.into(), why });
        }
        None if matches!(&*extension, "ndjson" | "jsonl" | "json") => Format::Ndjson,
        None if extension == "csv" || has_id_column(text) => Format::Csv,
        None => {
            let why = "not a format we know: jobs as NDJSON, a CSV with a header that has an id column, or the JSON of \
                aws resourcegroupstaggingapi get-resources; --format overrules what we see";
            return Err(FileError::Format { path: path.into(), why: why.into() });
        }
    };
    Ok(Found { format, whole: format == Format::Ndjson && json && spans_lines(text) })
}

/// The first key is one that the AWS CLI prints.
fn is_resource_list(text: &[u8]) -> bool {
    let inside = text.strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    ["\"ResourceTagMappingList\"", "\"PaginationToken\"", "\"ResponseMetadata\"", "\"NextToken\""]
        .iter()
        .any(|key| inside.starts_with(key.as_bytes()))
}

/// The first line leaves its object open and no later line begins one: a job that was printed for people.
fn spans_lines(text: &[u8]) -> bool {
    let mut lines = text.split(|b| *b == b'\n');
    let first = lines.next().unwrap_or_default();
    let open = serde_json::from_slice::<IgnoredAny>(first).is_err_and(|error| error.is_eof());
    open && first.len() < text.len() && !lines.any(|line| line.starts_with(b"{"))
}

fn has_id_column(text: &[u8]) -> bool {
    let header = text.split(|b| *b == b'\n').next().unwrap_or_default();
    header.split(|b| *b == b',').any(|cell| cell.trim_ascii() == b"id" || cell.trim_ascii() == b"\"id\"")
}
