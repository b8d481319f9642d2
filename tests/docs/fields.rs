//! The fields of our log events, read from the code: what stands in `tracing::info!(...)` and its like.

use std::collections::BTreeSet;

const MACROS: [&str; 5] =
    ["tracing::error!(", "tracing::warn!(", "tracing::info!(", "tracing::debug!(", "tracing::trace!("];

/// The names of all fields in a file, tests left out.
pub fn of(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let mut names = BTreeSet::new();
    for start in MACROS {
        for (at, _) in code.match_indices(start) {
            for argument in arguments(&code[at + start.len()..]) {
                names.extend(name(&argument));
            }
        }
    }
    names
}

/// `%lane`, `?hold`, `lane`, `lane = ...`, `%lane.name` is none; a text is no field.
fn name(argument: &str) -> Option<String> {
    let argument = argument.trim();
    if argument.is_empty() || argument.starts_with('"') {
        return None;
    }
    let head = argument.split_once(" = ").map_or(argument, |(head, _)| head).trim_start_matches(['%', '?']);
    let is_name = head.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    assert!(is_name, "a field that has no plain name: {argument}");
    Some(head.to_owned())
}

/// What stands between the commas, up to the bracket that closes the macro.
fn arguments(text: &str) -> Vec<String> {
    let (mut found, mut depth, mut quoted) = (vec![String::new()], 0, false);
    let mut all = text.chars();
    while let Some(c) = all.next() {
        match c {
            '\\' if quoted => {
                found.last_mut().unwrap().push(c);
                found.last_mut().unwrap().extend(all.next());
                continue;
            }
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => return found,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().unwrap().push(c);
    }
    panic!("a macro without an end");
}
