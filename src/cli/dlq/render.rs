//! Dead letters for people and for programs. Nothing a cloud said reaches a terminal raw.

use super::{Console, Output};
use crate::broker::{DeadCount, DeadEntry, StoredDead, embedded::Replayed, rabbitmq::dead::Replay};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{borrow::Cow, io};

/// Characters of a message in a table.
const MESSAGE: usize = 60;
/// Characters of a raw message that `show` prints for people.
const RAW_SHOWN: usize = 4000;

/// Text without anything that could steer a terminal or turn the line around.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(steers) {
        Cow::Owned(text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn steers(c: char) -> bool {
    // C0, DEL and C1 (0x9b is an escape sequence of its own), line separators, and what reorders text.
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One JSON document on one line. JSON leaves DEL, C1 and reordering characters as they are; here they are escaped.
pub(super) fn line(document: &Value, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "{}", escaped(document))
}

fn escaped(document: &Value) -> String {
    use std::fmt::Write;
    let text = document.to_string();
    if !text.chars().any(steers) {
        return text;
    }
    // All of them are below U+FFFF and can only stand inside strings.
    text.chars().fold(String::with_capacity(text.len() + 16), |mut text, c| {
        if steers(c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

/// A dead letter as a document; a message that is no job has its bytes in base64.
pub(super) fn document(dead: &StoredDead) -> Value {
    let parsed = if dead.entry.raw { None } else { serde_json::from_slice(&dead.body).ok() };
    parsed.unwrap_or_else(|| {
        let DeadEntry { id, lane, codes, message, source, line, .. } = &dead.entry;
        json!({
            "version": 1, "id": id, "raw": true, "lane": lane, "code": codes.first(), "message": message,
            "source": source, "line": line, "body": BASE64_STANDARD.encode(&dead.body),
        })
    })
}

fn plural(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// "12 dead letters with 40 items".
pub(super) fn count(count: DeadCount) -> String {
    format!("{} with {}", plural(count.letters, "dead letter"), plural(count.items, "item"))
}

/// What a dry run counted.
pub(super) fn dry_run(counted: DeadCount, output: Output, out: &mut dyn io::Write) -> io::Result<()> {
    match output {
        Output::Table => writeln!(out, "{}", count(counted)),
        Output::Json | Output::Ndjson => line(&json!(counted), out),
    }
}

/// What was done.
pub(super) fn done(what: &str, done: &Replayed, output: Output, console: &mut Console<'_>) -> io::Result<()> {
    let Replayed { letters, items, raw, .. } = *done;
    if output != Output::Table {
        line(&json!({"letters": letters, "items": items, "raw": raw}), console.out)?;
    }
    writeln!(console.err, "{what}: {}", count(DeadCount { letters, items, raw }))
}

/// What a replay on the broker sent where, and what it left.
pub(super) fn sent(replay: &Replay, output: Output, console: &mut Console<'_>) -> io::Result<()> {
    let all = replay.lanes.values().fold(DeadCount::default(), |mut all, sent| {
        all.letters += sent.letters;
        all.items += sent.items;
        all
    });
    if output != Output::Table {
        let lanes: Vec<_> = replay
            .lanes
            .iter()
            .map(|(lane, sent)| {
                json!({"name": lane, "letters": sent.letters, "items": sent.items, "worker": sent.has_worker})
            })
            .collect();
        let document = json!({
            "letters": all.letters, "items": all.items, "lanes": lanes,
            "left": {"no_lane": replay.no_lane, "no_job": replay.no_job, "gone": replay.gone},
        });
        line(&document, console.out)?;
    }
    writeln!(console.err, "replayed as new work: {}", count(all))?;
    for (lane, sent) in &replay.lanes {
        let nobody = if sent.has_worker { "" } else { "; no worker has it now, they wait for one" };
        let to_lane = DeadCount { letters: sent.letters, items: sent.items, raw: 0 };
        writeln!(console.err, "  lane {lane}: {}{nobody}", count(to_lane))?;
    }
    for (lane, letters) in &replay.no_lane {
        let left = plural(*letters, "dead letter");
        writeln!(console.err, "{left} stay: lane {lane} has no queue; add it to the config of a worker")?;
    }
    if replay.no_job > 0 {
        let left = plural(replay.no_job, "dead letter");
        writeln!(console.err, "{left} cannot be replayed, they are no jobs: see dlq export")?;
    }
    if replay.gone > 0 {
        let gone = plural(replay.gone, "dead letter");
        writeln!(console.err, "{gone} were not there any more")?;
    }
    Ok(())
}

/// A list that grows page by page.
pub(super) struct Listing {
    output: Output,
    now: Timestamp,
    widths: Option<[usize; 6]>,
    count: usize,
}

impl Listing {
    pub(super) fn new(output: Output, now: Timestamp) -> Self {
        Self { output, now, widths: None, count: 0 }
    }

    pub(super) fn rows(&mut self, entries: &[DeadEntry], out: &mut dyn io::Write) -> io::Result<()> {
        match self.output {
            Output::Table => self.table(entries, out)?,
            Output::Ndjson => entries.iter().try_for_each(|entry| line(&json!(entry), out))?,
            Output::Json => {
                for (n, entry) in (self.count..).zip(entries) {
                    write!(out, "{}{}", if n == 0 { "[" } else { ",\n" }, escaped(&json!(entry)))?;
                }
            }
        }
        self.count += entries.len();
        Ok(())
    }

    pub(super) fn end(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match self.output {
            Output::Json if self.count == 0 => writeln!(out, "[]"),
            Output::Json => writeln!(out, "]"),
            Output::Table | Output::Ndjson => Ok(()),
        }
    }

    fn table(&mut self, entries: &[DeadEntry], out: &mut dyn io::Write) -> io::Result<()> {
        let rows: Vec<[String; 6]> = entries.iter().map(|entry| self.row(entry)).collect();
        let head = ["ID", "LANE", "JOB", "ITEMS", "CODE", "AGE"].map(str::to_owned);
        let first = self.widths.is_none();
        // The first page sets the widths: later pages must not wait for the last one.
        let widths = *self.widths.get_or_insert_with(|| {
            rows.iter().chain([&head]).fold([0; 6], |mut widths, row| {
                for (width, cell) in widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.chars().count());
                }
                widths
            })
        });
        let mut print = |cells: &[String; 6], message: &str| {
            for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
                match n {
                    3 | 5 => write!(out, "{cell:>width$}  ")?,
                    _ => write!(out, "{cell:<width$}  ")?,
                }
            }
            writeln!(out, "{message}")
        };
        if first && !rows.is_empty() {
            print(&head, "MESSAGE")?;
        }
        for (row, entry) in rows.iter().zip(entries) {
            print(row, &shortened(&entry.message, MESSAGE))?;
        }
        Ok(())
    }

    fn row(&self, entry: &DeadEntry) -> [String; 6] {
        let text = |text: Option<&str>| shortened(text.unwrap_or("-"), 48);
        [
            text(Some(&entry.id)),
            text(entry.lane.as_ref().map(crate::job::LaneName::as_str)),
            text(entry.job.as_ref().map(crate::job::JobId::as_str)),
            entry.items.to_string(),
            text(entry.codes.first().map(String::as_str)),
            age(self.now, entry.recorded_at),
        ]
    }
}

fn shortened(text: &str, most: usize) -> String {
    let clean = clean(text);
    if clean.chars().count() <= most {
        return clean.into_owned();
    }
    clean.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// "3d", "2h", "5m", "10s".
fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// One dead letter with all there is to know.
pub(super) fn show(dead: &StoredDead, output: Output, out: &mut dyn io::Write) -> io::Result<()> {
    if output != Output::Table {
        return line(&document(dead), out);
    }
    let entry = &dead.entry;
    let mut field = |name: &str, value: &str| writeln!(out, "{name:<10}{}", clean(value));
    field("id", &entry.id)?;
    field("lane", entry.lane.as_ref().map_or("-", crate::job::LaneName::as_str))?;
    field("job", entry.job.as_ref().map_or("-", crate::job::JobId::as_str))?;
    field("recorded", &entry.recorded_at.to_string())?;
    if let Some(source) = &entry.source {
        field("source", source)?;
    }
    if entry.raw {
        field("line", &entry.line.map_or_else(|| "-".to_owned(), |line| line.to_string()))?;
        field("code", entry.codes.first().map_or("-", String::as_str))?;
        field("message", &entry.message)?;
        return field("body", &shortened(&String::from_utf8_lossy(&dead.body), RAW_SHOWN));
    }
    let letter = document(dead);
    let job = letter.get("job");
    let part = |name: &str| job.and_then(|job| job.get(name)).filter(|part| !part.is_null()).map(Value::to_string);
    for name in ["set", "unset", "replay"] {
        if let Some(part) = part(name) {
            field(name, &part)?;
        }
    }
    for failure in letter.get("failures").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| match failure.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        };
        field("", "")?;
        field("resource", &text("resource"))?;
        for name in ["code", "message", "request_id", "attempts", "applied_keys", "line"] {
            if failure.get(name).is_some() {
                field(&format!("  {}", name.replace('_', " ")), &format!(" {}", text(name)))?;
            }
        }
    }
    Ok(())
}
