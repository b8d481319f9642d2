//! The lists of `for_each`: as they stand in the config, or from a text, CSV, YAML or JSON file.

use super::super::read::{Notes, Section};
use super::super::tree::{self, Place, Shape, Tree};
use std::collections::HashMap;
use std::path::Path;

/// A list file larger than this is not one.
const LARGEST_FILE: u64 = 16 << 20;
/// Longest value, in characters.
const LONGEST: usize = 200;

/// A list by the name that its placeholder has.
pub(super) struct List {
    pub(super) name: String,
    /// The other columns of the file that the list came from.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One value, and the other columns of its row.
pub(super) struct Row {
    pub(super) value: String,
    pub(super) cells: Vec<String>,
}

/// Whether a text can name a list: `[a-z][a-z0-9_]*`.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads every list, or tells what is wrong with them.
pub(super) fn read(tree: &Tree, path: &str, folder: &Path, notes: &mut Notes) -> Option<Vec<List>> {
    let Shape::Map(fields) = &tree.shape else {
        notes.error(&tree.place, path, format!("expected lists by name, found {}", tree.kind()));
        return None;
    };
    if fields.is_empty() {
        notes.error(&tree.place, path, "names no list");
        return None;
    }
    let start = notes.errors.len();
    let mut lists = Vec::new();
    for (name, list) in fields {
        let path = format!("{path}.{name}");
        let before = notes.errors.len();
        if !is_name(name) {
            notes.error(&list.place, &path, "the name of a list has a-z, 0-9 and _, and starts with a letter");
            continue;
        }
        let found = match &list.shape {
            Shape::List(entries) => {
                Some(List { name: name.clone(), columns: Vec::new(), rows: rows(entries, &path, notes) })
            }
            Shape::Map(_) => from_file(name, list, &path, folder, notes),
            _ => {
                let text = format!("expected a list, or {{file: PATH}}, found {}", list.kind());
                notes.error(&list.place, &path, text);
                None
            }
        };
        if let Some(found) = found.filter(|_| notes.errors.len() == before) {
            complain(&found, &list.place, &path, notes);
            lists.push(found);
        }
    }
    (notes.errors.len() == start).then_some(lists)
}

/// The values of a list, or the one value that stands alone, as text.
pub(super) fn texts(tree: &Tree, path: &str, notes: &mut Notes) -> Vec<String> {
    match &tree.shape {
        Shape::List(entries) => rows(entries, path, notes).into_iter().map(|row| row.value).collect(),
        _ => rows(std::slice::from_ref(tree), path, notes).into_iter().map(|row| row.value).collect(),
    }
}

fn rows(entries: &[Tree], path: &str, notes: &mut Notes) -> Vec<Row> {
    let mut found = Vec::with_capacity(entries.len());
    for (number, entry) in entries.iter().enumerate() {
        match text(entry) {
            Ok(value) => found.push(Row { value, cells: Vec::new() }),
            Err(why) => notes.error(&entry.place, &format!("{path}[{number}]"), why),
        }
    }
    found
}

/// One value. Whole numbers are taken, because account numbers are written without quotes; one that starts with a
/// zero comes as text.
fn text(tree: &Tree) -> Result<String, String> {
    match &tree.shape {
        Shape::Text(text) => checked(text),
        Shape::Int(number) if *number >= 0 => Ok(number.to_string()),
        Shape::Int(_) | Shape::Float(_) | Shape::Bool(_) => {
            Err(format!("expected text, found {}; put it in quotes", tree.kind()))
        }
        _ => Err(format!("expected text, found {}", tree.kind())),
    }
}

fn checked(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("is empty".into())
    } else if text.chars().any(char::is_control) || text.chars().count() > LONGEST {
        Err(format!("a value has 1 to {LONGEST} characters and none that cannot be printed"))
    } else {
        Ok(text.to_owned())
    }
}

/// What is wrong with a list whose values are good one by one.
fn complain(list: &List, place: &Place, path: &str, notes: &mut Notes) {
    if list.rows.is_empty() {
        notes.error(place, path, "has no values");
    }
    let mut seen = HashMap::new();
    for (number, row) in (1..).zip(&list.rows) {
        if let Some(first) = seen.insert(row.value.as_str(), number) {
            notes.error(place, path, format!("{} is there twice, as values {first} and {number}", row.value));
            return;
        }
    }
}

/// `{file: accounts.csv, column: id}`, from the folder of the config.
fn from_file(name: &str, tree: &Tree, path: &str, folder: &Path, notes: &mut Notes) -> Option<List> {
    let section = Section::open(tree, path, &["file", "column"], notes)?;
    if !section.has("file") {
        section.error("file", notes, "is missing");
        return None;
    }
    let file = folder.join(section.text("file", notes)?);
    let shown = file.display().to_string();
    let kind = file.extension().map(|end| end.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let column = section.text("column", notes);
    if section.has("column") && kind != "csv" {
        section.error("column", notes, "is for a .csv file");
        return None;
    }
    if !["", "txt", "csv", "yaml", "yml", "json"].contains(&kind.as_str()) {
        section.error("file", notes, "the name of a list file ends in .txt, .csv, .yaml, .yml or .json");
        return None;
    }
    let text = match load(&file) {
        Ok(text) => text,
        Err(why) => {
            section.error("file", notes, format!("{shown}: cannot be read: {why}"));
            return None;
        }
    };
    let found = match kind.as_str() {
        "csv" => table(name, column.unwrap_or(name), &text),
        "yaml" | "yml" | "json" => sequence(name, &text),
        _ => lines(name, &text),
    };
    found.map_err(|why| section.error("file", notes, format!("{shown}: {why}"))).ok()
}

fn load(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > LARGEST_FILE {
        return Err("it is larger than 16 MB".into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// One value a line; empty lines and what follows a `#` do not count.
fn lines(name: &str, text: &str) -> Result<List, String> {
    let mut rows = Vec::new();
    for (number, line) in (1_u64..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let value = checked(line).map_err(|why| format!("line {number}: {why}"))?;
            rows.push(Row { value, cells: Vec::new() });
        }
    }
    Ok(List { name: name.into(), columns: Vec::new(), rows })
}

/// One column of a table with heads; the others can be used as `<list.column>`.
fn table(name: &str, column: &str, text: &str) -> Result<List, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    let Some(at) = columns.iter().position(|head| head == column) else {
        return Err(format!("there is no column {column}; there are {}", columns.join(", ")));
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let value =
            checked(record.get(at).unwrap_or_default()).map_err(|why| format!("line {line}: {column}: {why}"))?;
        rows.push(Row { value, cells: record.iter().map(str::to_owned).collect() });
    }
    Ok(List { name: name.into(), columns, rows })
}

fn sequence(name: &str, text: &str) -> Result<List, String> {
    let tree = tree::parse(text)?;
    let Shape::List(entries) = &tree.shape else { return Err(format!("expected a list, found {}", tree.kind())) };
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let value = self::text(entry).map_err(|why| match entry.place {
            Place::Line(line) => format!("line {line}: {why}"),
            Place::Variable(_) => why,
        })?;
        rows.push(Row { value, cells: Vec::new() });
    }
    Ok(List { name: name.into(), columns: Vec::new(), rows })
}
