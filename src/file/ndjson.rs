//! NDJSON: one job message a line, or one over the whole file.

use super::lines::{Line, Lines, trimmed};
use super::options::Context;
use super::{FileError, LONGEST_JOB, Row};
use crate::job::parse::{self, Defaults};
use std::io::{self, BufRead};

/// Of a line that is too long this much is kept: enough to recognise it.
const KEPT: usize = 4096;

pub(super) struct Ndjson<R> {
    lines: Lines<R>,
    whole: bool,
    line: Vec<u8>,
}

impl<R: BufRead> Ndjson<R> {
    pub(super) fn new(lines: Lines<R>, whole: bool) -> Self {
        Self { lines, whole, line: Vec::new() }
    }

    pub(super) fn next(&mut self, context: &mut Context) -> Result<Option<Row>, FileError> {
        loop {
            let before = self.lines.number();
            let kind = self.read().map_err(|source| FileError::Read {
                path: context.path.clone(),
                line: self.lines.number(),
                source,
            })?;
            let number = before + 1;
            let text = trimmed(&self.line);
            match kind {
                Line::End => return Ok(None),
                Line::Whole if text.trim_ascii().is_empty() => {}
                Line::Whole => {
                    context.row += 1;
                    return Ok(Some(row(number, text, context)));
                }
                Line::TooLong => {
                    context.row += 1;
                    let text = format!("longer than {} MB", LONGEST_JOB / 1024 / 1024);
                    return Ok(Some(Row::invalid(number, &text, self.line.get(..KEPT).unwrap_or_default())));
                }
            }
        }
    }

    fn read(&mut self) -> io::Result<Line> {
        // Where one line was huge, its memory is not kept for all that follow.
        if self.line.capacity() > 1 << 20 {
            self.line = Vec::new();
        }
        self.line.clear();
        let mut kind = self.lines.next(&mut self.line, LONGEST_JOB)?;
        if self.whole && kind == Line::Whole {
            while kind == Line::Whole {
                let room = LONGEST_JOB - self.line.len();
                kind = self.lines.next(&mut self.line, room)?;
            }
            if kind == Line::End {
                kind = Line::Whole;
            }
        }
        Ok(kind)
    }
}

fn row(line: u64, text: &[u8], context: &Context) -> Row {
    let options = &context.options;
    let id = context.id().ok();
    let defaults = Defaults {
        lane: options.lane.as_ref(),
        id: id.as_ref(),
        source: Some(&context.source),
        set: Some(&options.set),
        unset: Some(&options.unset),
        created_at: None,
    };
    match parse::job(text, &defaults) {
        Err(problems) => Row::refused(line, &problems, text),
        Ok(job) => match context.lane(Some(job.lane.as_str()), None) {
            Ok(_) => Row::Job { line, job },
            Err(fault) => Row::bad(line, fault, text),
        },
    }
}
