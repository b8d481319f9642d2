//! Placeholders: `<account>` stands for the value of the list `account`, `<account.owner>` for another column of its row.
//!
//! The brackets are those of job files (`<empty>`, `<remove>`). Nothing in YAML starts with them, so they need no quotes,
//! and no name, region, ARN or address that a cloud takes can hold one.

use super::super::read::Notes;
use super::super::tree::{Shape, Tree};
use super::values::{List, is_name};
use crate::job::suggest;

/// Fields whose plain text is a secret: what looks like a placeholder in there is a part of it.
const SECRETS: [&str; 4] = ["secret_key", "security_token", "password", "token"];

/// A piece of a text.
enum Piece<'t> {
    Text(&'t str),
    /// The name of a list, and of a column where there is one.
    Placeholder(&'t str, Option<&'t str>),
}

/// The placeholder of a list, as it is written.
pub(in crate::config) fn placeholder(list: &str) -> String {
    format!("<{list}>")
}

/// Cuts a text into placeholders and what stands between them. A bracket that opens none stands for itself.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut start = 0;
    while let Some(open) = rest.get(start..).and_then(|tail| tail.find('<')).map(|at| start + at) {
        let inner = rest.get(open + 1..).unwrap_or_default();
        let name = inner.find('>').and_then(|end| inner.get(..end));
        let parts = name.map(|name| name.split_once('.').map_or((name, None), |(list, column)| (list, Some(column))));
        match (name, parts) {
            (Some(name), Some((list, column)))
                if is_name(list) && column.is_none_or(|column| !column.contains('<')) =>
            {
                found.push(Piece::Text(rest.get(..open).unwrap_or_default()));
                found.push(Piece::Placeholder(list, column));
                rest = inner.get(name.len() + 1..).unwrap_or_default();
                start = 0;
            }
            _ => start = open + 1,
        }
    }
    found.push(Piece::Text(rest));
    found
}

/// Complains of every placeholder that no list fills, and of braces that were meant to be one.
pub(super) fn check(tree: &Tree, path: &str, lists: &[List], notes: &mut Notes) {
    let known = |name: &str| lists.iter().find(|list| list.name == name);
    match &tree.shape {
        Shape::Text(text) => {
            for piece in pieces(text) {
                let Piece::Placeholder(name, column) = piece else { continue };
                match (known(name), column) {
                    (None, _) => {
                        let hint = suggest::hint(name, lists.iter().map(|list| list.name.as_str()));
                        notes.error(&tree.place, path, format!("for_each has no list {name}{hint}"));
                    }
                    (Some(list), Some(column)) if !list.columns.iter().any(|head| head == column) => {
                        let heads = list.columns.join(", ");
                        let there = if heads.is_empty() { "has no columns".into() } else { format!("has {heads}") };
                        notes.error(&tree.place, path, format!("there is no column {column}; the list {name} {there}"));
                    }
                    _ => {}
                }
            }
            if let Some(list) = lists.iter().find(|list| text.contains(&format!("{{{}}}", list.name))) {
                notes.error(&tree.place, path, format!("a placeholder is written <{0}>, not {{{0}}}", list.name));
            }
        }
        // `region: {region}` is a section to YAML.
        Shape::Map(fields) => match fields.as_slice() {
            [(name, Tree { shape: Shape::Null, .. })] if known(name).is_some() => {
                notes.error(&tree.place, path, format!("a placeholder is written <{name}>, not {{{name}}}"));
            }
            _ => {
                for (name, tree) in fields.iter().filter(|(name, tree)| !is_secret(name, tree)) {
                    check(tree, &format!("{path}.{name}"), lists, notes);
                }
            }
        },
        Shape::List(entries) => {
            for (number, tree) in entries.iter().enumerate() {
                check(tree, &format!("{path}[{number}]"), lists, notes);
            }
        }
        _ => {}
    }
}

fn is_secret(name: &str, tree: &Tree) -> bool {
    SECRETS.contains(&name) && matches!(tree.shape, Shape::Text(_))
}

/// The tree with the values of one combination in place of the placeholders. It has been checked.
pub(super) fn fill(tree: &Tree, lists: &[List], combination: &[usize]) -> Tree {
    let shape = match &tree.shape {
        Shape::Text(text) if text.contains('<') => Shape::Text(filled(text, lists, combination)),
        Shape::Map(fields) => {
            let filled = |(name, tree): &(String, Tree)| {
                let tree = if is_secret(name, tree) { tree.clone() } else { fill(tree, lists, combination) };
                (name.clone(), tree)
            };
            Shape::Map(fields.iter().map(filled).collect())
        }
        Shape::List(entries) => Shape::List(entries.iter().map(|tree| fill(tree, lists, combination)).collect()),
        other => other.clone(),
    };
    Tree { place: tree.place.clone(), shape }
}

fn filled(text: &str, lists: &[List], combination: &[usize]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Placeholder(name, column) => {
                let found = lists.iter().zip(combination).find(|(list, _)| list.name == name);
                let Some((list, row)) = found.and_then(|(list, index)| Some((list, list.rows.get(*index)?))) else {
                    continue;
                };
                let cell = |column: &str| {
                    let at = list.columns.iter().position(|head| head == column)?;
                    row.cells.get(at).map(String::as_str)
                };
                out.push_str(column.map_or(Some(row.value.as_str()), cell).unwrap_or_default());
            }
        }
    }
    out
}
