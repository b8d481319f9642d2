//! Wide CSV: one resource a row, one tag a column.

use super::lines::{Line, Lines, trimmed};
use super::options::{Context, Fault};
use super::split::{Broken, Cells};
use super::{FileError, Row};
use crate::job::parse::fill;
use crate::job::{Extras, Job, Resource, rules, suggest};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::BufRead;
use std::sync::Arc;

/// Longest row, in bytes; also how far we look for the end of a quoted cell.
const LONGEST_ROW: usize = 256 * 1024;
/// Values that are shared between rows. Tags repeat; names do not, and would only fill the table.
const SHARED: usize = 4096;

/// Sets the tag to an empty value; a blank cell would leave it alone.
const EMPTY: &str = "<empty>";
/// Removes the tag.
const REMOVE: &str = "<remove>";

const NAMES: [&str; 5] = ["id", "type", "region", "project", "lane"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Fixed(&'static str),
    Tag(Arc<str>),
}

pub(super) struct Csv<R> {
    lines: Lines<R>,
    columns: Vec<Column>,
    record: Vec<u8>,
    cells: Cells,
    shared: HashMap<Box<str>, Arc<str>>,
}

impl<R: BufRead> Csv<R> {
    /// Reads the header.
    pub(super) fn new(lines: Lines<R>, context: &Context) -> Result<Self, FileError> {
        let mut csv =
            Self { lines, columns: Vec::new(), record: Vec::new(), cells: Cells::default(), shared: HashMap::new() };
        let wrong = |why: String| FileError::Header { path: context.path.clone(), why };
        loop {
            match csv.record(context)? {
                None => return Err(FileError::Empty { path: context.path.clone() }),
                Some((_, Ok(()))) if csv.is_blank() => {}
                Some((_, Ok(()))) => break,
                Some((_, Err(why))) => return Err(wrong(why.to_owned())),
            }
        }
        csv.columns = columns(&csv.cells).map_err(wrong)?;
        let tags = csv.columns.iter().any(|column| matches!(column, Column::Tag(_)));
        if !tags && context.options.set.is_empty() && context.options.unset.is_empty() {
            let why = "the header has no tag column; add one (env, or tag:env) or give --set key=value";
            return Err(FileError::NoTags { path: context.path.clone(), why });
        }
        Ok(csv)
    }

    pub(super) fn next(&mut self, context: &mut Context) -> Result<Option<Row>, FileError> {
        loop {
            let Some((line, split)) = self.record(context)? else { return Ok(None) };
            if split.is_ok() && self.is_blank() {
                continue;
            }
            context.row += 1;
            let row = match split {
                Ok(()) => self.job(context),
                Err(why) => Err(("invalid", why.to_owned())),
            };
            let bytes = trimmed(&self.record);
            return Ok(Some(match row {
                Ok(job) => Row::Job { line, job },
                Err(fault) => Row::bad(line, fault, bytes),
            }));
        }
    }

    /// Reads one record and takes it apart: the line it starts at, and what is wrong with it.
    #[allow(clippy::type_complexity, reason = "one caller, three outcomes")]
    fn record(&mut self, context: &Context) -> Result<Option<(u64, Result<(), &'static str>)>, FileError> {
        self.record.clear();
        let mut start = None;
        // Where the first line ends: behind it we go on when the record turns out to be broken.
        let mut first = 0;
        loop {
            let before = self.record.len();
            let kind = self.lines.next(&mut self.record, LONGEST_ROW).map_err(|source| FileError::Read {
                path: context.path.clone(),
                line: self.lines.number(),
                source,
            })?;
            let line = *start.get_or_insert(self.lines.number());
            let broken = match kind {
                Line::End if before == 0 => return Ok(None),
                Line::End => Broken::Open,
                Line::TooLong if before == 0 => return Ok(Some((line, Err("the row is longer than 256 KB")))),
                _ if self.record.len() > LONGEST_ROW => Broken::Open,
                // Only a quote can end a quoted cell.
                _ if before > 0 && !self.record.get(before..).unwrap_or_default().contains(&b'"') => continue,
                _ => match self.cells.split(trimmed(&self.record)) {
                    Ok(()) => return Ok(Some((line, Ok(())))),
                    Err(Broken::Open) => {
                        first = if before == 0 { self.record.len() } else { first };
                        continue;
                    }
                    Err(Broken::Junk) => Broken::Junk,
                },
            };
            if before > 0 {
                let mut rest = self.record.split_off(first);
                // A line that was cut stays too long, so that its beginning is never taken for all of it.
                if kind == Line::TooLong {
                    rest.push(b'\n');
                }
                self.lines.put_back(&rest, self.lines.number() - line);
            }
            return Ok(Some((
                line,
                Err(match broken {
                    Broken::Open => "a quoted cell is never closed",
                    Broken::Junk => "text stands behind a closing quote",
                }),
            )));
        }
    }

    /// Nothing but commas: what spreadsheets leave below a table.
    fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim_ascii().is_empty())
    }

    fn job(&mut self, context: &Context) -> Result<Job, Fault> {
        let Self { columns, cells, shared, .. } = self;
        if cells.len() != columns.len() {
            let text = format!("the row has {} cells, the header has {}", cells.len(), columns.len());
            return Err(("invalid", text));
        }
        let mut wrong: Vec<String> = Vec::new();
        let (mut id, mut kind, mut project, mut region, mut lane) = (None, None, None, None, None);
        let mut set = BTreeMap::new();
        let mut unset = BTreeSet::new();
        for (column, cell) in columns.iter().zip(cells.iter()) {
            let Ok(cell) = std::str::from_utf8(cell) else {
                wrong.push(format!("{}: the cell is not UTF-8", column.name()));
                continue;
            };
            let filled = cell.trim();
            if filled.is_empty() {
                continue;
            }
            let rule = match column {
                Column::Fixed("id") => {
                    id = Some(filled);
                    rules::id(filled)
                }
                Column::Fixed("type") => {
                    kind = Some(filled);
                    rules::word("the type", filled, rules::WORD_CHARS)
                }
                Column::Fixed("project") => {
                    project = Some(filled);
                    rules::word("the project", filled, rules::WORD_CHARS)
                }
                Column::Fixed("region") => {
                    region = Some(filled);
                    Ok(())
                }
                Column::Fixed(_) => {
                    lane = Some(filled);
                    Ok(())
                }
                Column::Tag(key) if cell == REMOVE => {
                    unset.insert(Arc::clone(key));
                    Ok(())
                }
                Column::Tag(key) => {
                    let value = if cell == EMPTY { "" } else { cell };
                    set.insert(Arc::clone(key), share(shared, value));
                    rules::value(value)
                }
            };
            if let Err(why) = rule {
                wrong.push(format!("{}: {why}", column.name()));
            }
        }
        if id.is_none() && !wrong.iter().any(|text| text.starts_with("id:")) {
            wrong.push("id: the cell is blank".into());
        }
        fill(&mut set, &mut unset, Some(&context.options.set), Some(&context.options.unset));
        if set.is_empty() && unset.is_empty() && wrong.is_empty() {
            wrong.push("nothing to do: every tag cell is blank".into());
        }
        let lane = context.lane(lane, region).map_err(|(code, text)| {
            wrong.push(text);
            code
        });
        match (lane, id) {
            (Ok(lane), Some(id)) if wrong.is_empty() => Ok(Job {
                id: context.id()?,
                lane,
                resources: vec![Resource {
                    id: id.into(),
                    kind: kind.map(|kind| share(shared, kind)),
                    project: project.map(|project| share(shared, project)),
                }],
                set,
                unset,
                extras: Extras { source: Some(Arc::clone(&context.source)), ..Extras::none() },
            }),
            // A row that is wrong in itself is invalid, whatever its lane.
            (Err(code), _) if wrong.len() == 1 => Err((code, wrong.join("; "))),
            _ => Err(("invalid", wrong.join("; "))),
        }
    }
}

impl Column {
    fn name(&self) -> String {
        match self {
            Self::Fixed(name) => (*name).to_owned(),
            Self::Tag(key) => format!("tag:{key}"),
        }
    }
}

fn share(shared: &mut HashMap<Box<str>, Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = shared.get(text) {
        return Arc::clone(known);
    }
    let new: Arc<str> = text.into();
    if shared.len() < SHARED {
        shared.insert(text.into(), Arc::clone(&new));
    }
    new
}

fn columns(cells: &Cells) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::with_capacity(cells.len());
    for (index, cell) in cells.iter().enumerate() {
        let cell = std::str::from_utf8(cell).map_err(|_| format!("column {} is not UTF-8", index + 1))?.trim();
        let column = match (NAMES.into_iter().find(|name| *name == cell), cell.strip_prefix("tag:")) {
            (Some(name), _) => Column::Fixed(name),
            (None, tag) => {
                let key = tag.unwrap_or(cell);
                rules::key(key).map_err(|why| format!("column {}: {why}", index + 1))?;
                Column::Tag(key.into())
            }
        };
        if columns.contains(&column) {
            return Err(format!("column {} is there twice", column.name()));
        }
        columns.push(column);
    }
    if columns.contains(&Column::Fixed("id")) {
        return Ok(columns);
    }
    let mut names = columns.iter().filter_map(|column| match column {
        Column::Tag(key) => Some(&**key),
        Column::Fixed(_) => None,
    });
    let hint = match (columns.as_slice(), names.find(|name| suggest::closest(name, ["id"]).is_some())) {
        ([Column::Tag(only)], _) if only.contains([';', '\t']) => {
            "; its cells must be separated by commas, not by semicolons or tabs".to_owned()
        }
        (_, Some(name)) => format!("; {name} is taken for a tag, the column must be called id in lower case"),
        _ => "; one column must be called id".to_owned(),
    };
    Err(format!("there is no id column{hint}"))
}
