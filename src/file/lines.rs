//! Lines of a file, one at a time, none longer than memory allows.

use std::io::{self, BufRead};

/// A reader that counts lines, can put some back, and never holds more than one long line.
pub(super) struct Lines<R> {
    input: R,
    /// Bytes that were read and are to be read again, with the first of them at `again_at`.
    again: Vec<u8>,
    again_at: usize,
    /// The number of the last line that was read.
    number: u64,
}

/// What one attempt to read a line came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The buffer holds it, its line end included.
    Whole,
    /// It is longer than allowed: the buffer holds its beginning, the rest was skipped.
    TooLong,
    /// There is none.
    End,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, again: Vec::new(), again_at: 0, number: 0 }
    }

    /// The number of the last line that was read, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Appends the next line to `line`. Of a line of more than `most` bytes only the first `most` are kept.
    pub(super) fn next(&mut self, line: &mut Vec<u8>, most: usize) -> io::Result<Line> {
        let start = line.len();
        let mut long = false;
        let mut any = false;
        loop {
            let from_again = self.again_at < self.again.len();
            let chunk = if from_again {
                self.again.get(self.again_at..).unwrap_or_default()
            } else {
                match self.input.fill_buf() {
                    Ok(chunk) => chunk,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|b| *b == b'\n').map(|at| at + 1);
            let taken = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            let room = (start + most).saturating_sub(line.len());
            long |= taken.len() > room;
            line.extend_from_slice(taken.get(..taken.len().min(room)).unwrap_or_default());
            let taken = taken.len();
            if from_again {
                self.again_at += taken;
            } else {
                self.input.consume(taken);
            }
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(Line::End);
        }
        self.number += 1;
        Ok(if long { Line::TooLong } else { Line::Whole })
    }

    /// Puts whole lines back, to be read again from their first one.
    pub(super) fn put_back(&mut self, bytes: &[u8], lines: u64) {
        let rest = self.again.get(self.again_at..).unwrap_or_default();
        self.again = [bytes, rest].concat();
        self.again_at = 0;
        self.number -= lines;
    }
}

/// The line without its line end.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn all(text: &str, most: usize) -> Vec<(u64, Line, String)> {
        // A tiny buffer: lines then span several reads.
        let mut lines = Lines::new(BufReader::with_capacity(3, text.as_bytes()));
        let mut found = Vec::new();
        loop {
            let mut line = Vec::new();
            match lines.next(&mut line, most).unwrap() {
                Line::End => return found,
                kind => found.push((lines.number(), kind, String::from_utf8(line).unwrap())),
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let found = all("short\r\nlonger than ten\nend", 10);
        assert_eq!(found[0], (1, Line::Whole, "short\r\n".into()));
        assert_eq!(found[1], (2, Line::TooLong, "longer tha".into()));
        assert_eq!(found[2], (3, Line::Whole, "end".into()));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn lines_that_were_put_back_come_again_with_their_numbers() {
        let mut lines = Lines::new("a\nb\nc\n".as_bytes());
        let mut read = Vec::new();
        for _ in 0..2 {
            lines.next(&mut read, 9).unwrap();
        }
        lines.put_back(b"b\n", 1);
        read.clear();
        lines.next(&mut read, 9).unwrap();
        assert_eq!((lines.number(), &*read), (2, &b"b\n"[..]));
        read.clear();
        lines.next(&mut read, 9).unwrap();
        assert_eq!((lines.number(), &*read), (3, &b"c\n"[..]));
    }
}
