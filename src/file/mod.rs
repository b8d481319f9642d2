//! Job files to jobs, row by row: NDJSON, wide CSV, and the resource list of the AWS CLI.
//!
//! A file of a million rows takes no more memory than one of ten. A row that cannot be read is told as such and the
//! rest goes on; only what makes the whole file unreadable is an error.

mod csv;
mod digest;
mod error;
mod lines;
mod list;
mod ndjson;
mod options;
mod sniff;
mod split;
#[cfg(test)]
mod tests;

pub use digest::{digest, id_prefix};
pub use error::FileError;
pub use options::{LaneInfo, Options, set_argument};
pub use sniff::Format;

use crate::job::Job;
use lines::Lines;
use options::Context;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read as _};
use std::path::Path;

/// Longest job message, in bytes: what RabbitMQ takes by default.
pub const LONGEST_JOB: usize = 16 * 1024 * 1024;

/// One row of a file: a job of its own, or the reason why not.
#[derive(Clone, PartialEq)]
pub enum Row {
    /// A job. From a CSV or a resource list it has one resource.
    Job {
        /// The line it starts at.
        line: u64,
        /// The job.
        job: Job,
    },
    /// A row that is no job. It counts as one accepted and one dead item.
    Bad {
        /// The line it starts at.
        line: u64,
        /// `invalid` or `unknown_lane`.
        code: &'static str,
        /// What is wrong, without tag values.
        message: String,
        /// The row as it stands in the file; of one that is too long, its beginning.
        bytes: Vec<u8>,
    },
}

/// Debug output never shows a tag value, and the bytes of a bad row are full of them.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { line, job } => write!(f, "{line}: {job:?}"),
            Self::Bad { line, code, message, bytes } => {
                write!(f, "{line}: {code}: {message} ({} bytes)", bytes.len())
            }
        }
    }
}

type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The rows of one file in their order.
pub struct Rows<R> {
    format: Format,
    context: Context,
    reader: Reader<Peeked<R>>,
    ended: bool,
}

enum Reader<R> {
    Ndjson(ndjson::Ndjson<R>),
    Csv(csv::Csv<R>),
    List(list::List<R>),
}

/// Opens a job file. `format` overrules what its content and name say.
pub fn open(path: &Path, options: Options, format: Option<Format>) -> Result<Rows<BufReader<File>>, FileError> {
    let file = File::open(path)
        .and_then(|file| {
            // Opening a folder works on Linux; reading it does not.
            if file.metadata()?.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
        })
        .map_err(|source| FileError::Open { path: path.into(), source })?;
    read(BufReader::with_capacity(1 << 17, file), path, options, format)
}

/// Reads jobs from anything; `path` names it in messages and its extension helps where the content is ambiguous.
pub fn read<R: BufRead>(
    mut input: R,
    path: &Path,
    options: Options,
    format: Option<Format>,
) -> Result<Rows<R>, FileError> {
    let start = sniff::peek(&mut input).map_err(|source| FileError::Read { path: path.into(), line: 1, source })?;
    let found = sniff::sniff(&start, path, format)?;
    let context = Context::new(path, options, found.format);
    let start = start.get(if start.starts_with(sniff::BOM) { sniff::BOM.len() } else { 0 }..).unwrap_or_default();
    let input = Cursor::new(start.to_vec()).chain(input);
    let reader = match found.format {
        Format::Ndjson => Reader::Ndjson(ndjson::Ndjson::new(Lines::new(input), found.whole)),
        Format::Csv => Reader::Csv(csv::Csv::new(Lines::new(input), &context)?),
        Format::AwsResources => Reader::List(list::List::new(input, &context)?),
    };
    Ok(Rows { format: found.format, context, reader, ended: false })
}

impl<R> Rows<R> {
    /// What the file was taken for.
    pub fn format(&self) -> Format {
        self.format
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = match &mut self.reader {
            Reader::Ndjson(reader) => reader.next(&mut self.context),
            Reader::Csv(reader) => reader.next(&mut self.context),
            Reader::List(reader) => reader.next(&mut self.context),
        };
        // Nothing sensible follows an error of the file itself.
        self.ended = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}
