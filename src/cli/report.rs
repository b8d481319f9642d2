//! Tables and JSON on stdout, and numbers as people read them.

use serde::Serialize;
use std::{
    io::{self, Write},
    time::Duration,
};

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// One document
    Json,
    /// One document on one line
    Ndjson,
}

/// Prints a document as one line of JSON.
pub fn print_json(document: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, document)?;
    writeln!(out)
}

/// Text from outside without control characters: it must not move the cursor or colour the screen.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// 12345678 as 12,345,678.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// 1 row, 2,000 rows.
pub fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// Seconds as `4.2s`, `3m 20s`, `2h 05m`.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// The same for a duration.
pub fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    right: bool,
}

impl Cell {
    /// Text, on the left.
    pub fn text(text: &str) -> Self {
        Self { text: plain(text), right: false }
    }

    /// Text, on the right.
    pub fn right(text: String) -> Self {
        Self { text, right: true }
    }

    /// A number, on the right.
    pub fn number(number: u64) -> Self {
        Self::right(thousands(number))
    }
}

/// A table whose columns are as wide as they need to be.
#[derive(Debug)]
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Option<Vec<Cell>>>,
}

impl Table {
    /// A table with these heads.
    pub fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Some(cells));
    }

    /// Adds a line.
    pub fn rule(&mut self) {
        self.rows.push(None);
    }

    /// The table as text.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = self
            .heads
            .iter()
            .enumerate()
            .map(|(at, head)| {
                let cells = self.rows.iter().flatten().filter_map(|row| row.get(at));
                cells.map(|cell| cell.text.chars().count()).chain([head.len()]).max().unwrap_or(0)
            })
            .collect();
        let right = |at: usize| {
            self.rows.iter().flatten().filter_map(|row| row.get(at)).all(|cell| cell.right) && !self.rows.is_empty()
        };
        let mut out = String::new();
        let mut line = |cells: &[(&str, bool)]| {
            let mut text = String::new();
            for ((cell, right), width) in cells.iter().zip(&widths) {
                let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
                if *right {
                    text.push_str(&pad);
                    text.push_str(cell);
                } else {
                    text.push_str(cell);
                    text.push_str(&pad);
                }
                text.push_str("  ");
            }
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(&self.heads.iter().enumerate().map(|(at, head)| (*head, right(at))).collect::<Vec<_>>());
        for row in &self.rows {
            if let Some(row) = row {
                line(&row.iter().map(|cell| (cell.text.as_str(), cell.right)).collect::<Vec<_>>());
            } else {
                let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                line(&dashes.iter().map(|dash| (dash.as_str(), false)).collect::<Vec<_>>());
            }
        }
        out
    }

    /// Prints it to stdout.
    pub fn print(&self) -> io::Result<()> {
        io::stdout().lock().write_all(self.render().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
        assert_eq!(seconds(4.24), "4.2s");
        assert_eq!(seconds(200.0), "3m 20s");
        assert_eq!(seconds(7500.0), "2h 05m");
    }

    #[test]
    fn numbers_stand_on_the_right_and_control_characters_do_not_reach_the_screen() {
        let mut table = Table::new(&["lane", "calls"]);
        table.row(vec![Cell::text("a\u{1b}[31m"), Cell::number(5)]);
        table.rule();
        table.row(vec![Cell::text("total"), Cell::number(1234)]);
        assert_eq!(table.render(), "lane    calls\na [31m      5\n------  -----\ntotal   1,234\n");
    }
}
