//! What is wrong with a job: every reason, each with the field it is about.

use std::fmt::{self, Display, Write as _};

/// Problems listed before the rest is only counted.
const LISTED: usize = 20;

/// Longest text of all problems of one message: it travels in a message header.
const LONGEST: usize = 4096;

/// One thing that is wrong. It never holds a tag value: values can be personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `resources[3].id`; empty when it is about the message as a whole.
    pub field: String,
    /// What, and what to do about it.
    pub text: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.text)
    }
}

impl Problem {
    /// All problems as one text of at most 4 KB.
    pub fn describe(problems: &[Problem]) -> String {
        let mut all = String::new();
        for problem in problems {
            let mut next = String::new();
            let _ = write!(next, "{}{problem}", if all.is_empty() { "" } else { "; " });
            if all.len() + next.len() > LONGEST {
                break;
            }
            all.push_str(&next);
        }
        all
    }
}

/// Problems while they are being found. Beyond the first twenty they cost next to nothing.
#[derive(Debug, Default)]
pub(super) struct Problems {
    listed: Vec<Problem>,
    found: usize,
}

impl Problems {
    pub(super) fn add(&mut self, field: impl Display, text: impl Display) {
        self.found += 1;
        if self.listed.len() < LISTED {
            self.listed.push(Problem { field: field.to_string(), text: text.to_string() });
        }
    }

    pub(super) fn found(&self) -> usize {
        self.found
    }

    pub(super) fn into_list(mut self) -> Vec<Problem> {
        let more = self.found - self.listed.len();
        if more > 0 {
            self.listed.push(Problem { field: String::new(), text: format!("and {more} more") });
        }
        self.listed
    }
}

/// Text from outside, made fit for a message: short, without control characters.
pub(super) struct Short<'t>(pub(super) &'t str);

impl Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == 40 {
                return f.write_str("...");
            }
            f.write_char(if c.is_control() { '?' } else { c })?;
        }
        Ok(())
    }
}

/// The path of a tag: `set.env`, or `set["a b"]` where the key is no plain word.
pub(super) struct TagPath<'t>(pub(super) &'static str, pub(super) &'t str);

impl Display for TagPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.1.is_empty() && self.1.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if plain { write!(f, "{}.{}", self.0, Short(self.1)) } else { write!(f, "{}[\"{}\"]", self.0, Short(self.1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twenty_first_problem_is_only_counted() {
        let mut problems = Problems::default();
        for n in 0..25 {
            problems.add(format_args!("resources[{n}]"), "is wrong");
        }
        let list = problems.into_list();
        assert_eq!(list.len(), 21);
        assert_eq!(list[20].to_string(), "and 5 more");
        assert_eq!(list[0].to_string(), "resources[0]: is wrong");
    }

    #[test]
    fn a_description_fits_a_header_whatever_it_describes() {
        let long = Problem { field: "f".repeat(900), text: "t".into() };
        assert!(Problem::describe(&vec![long; 50]).len() <= LONGEST);
    }
}
