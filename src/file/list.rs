//! The JSON that `aws resourcegroupstaggingapi get-resources` prints, one resource at a time.
//!
//! A listing of a whole account can be larger than memory, so a small scanner cuts the list into its elements and
//! only an element is ever parsed.

use super::options::{Context, Fault};
use super::{FileError, Row};
use crate::job::{Extras, Job, Resource, rules};
use serde::Deserialize;
use std::io::{self, BufRead};
use std::sync::Arc;

const LIST: &[u8] = b"ResourceTagMappingList";
/// Longest element, in bytes: 50 tags in full are a tenth of it.
const LONGEST: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Outside of the list; the depth counts open braces and brackets.
    Outside { depth: usize },
    /// Behind the list's name and colon.
    Value,
    /// In the list, between elements.
    Between,
    /// In an element; the depth counts its own braces and brackets.
    Element { depth: usize },
}

pub(super) struct List<R> {
    input: R,
    at: At,
    /// In text: whether the next byte is escaped.
    text: Option<bool>,
    /// The last text outside of the list, where it may be the list's name.
    name: Vec<u8>,
    line: u64,
    found: bool,
    ended: bool,
}

/// One element as it was cut out.
struct Element {
    line: u64,
    bytes: Vec<u8>,
    fault: Option<&'static str>,
}

#[derive(Deserialize)]
struct Mapping {
    #[serde(rename = "ResourceARN")]
    arn: String,
}

impl<R: BufRead> List<R> {
    pub(super) fn new(input: R, context: &Context) -> Result<Self, FileError> {
        if context.options.set.is_empty() && context.options.unset.is_empty() {
            let why = "a list of resources says which, not what; give --set key=value or --unset key";
            return Err(FileError::NoTags { path: context.path.clone(), why });
        }
        let at = At::Outside { depth: 0 };
        Ok(Self { input, at, text: None, name: Vec::new(), line: 1, found: false, ended: false })
    }

    pub(super) fn next(&mut self, context: &mut Context) -> Result<Option<Row>, FileError> {
        let element =
            self.element().map_err(|source| FileError::Read { path: context.path.clone(), line: self.line, source })?;
        let Some(Element { line, bytes, fault }) = element else {
            if self.found {
                return Ok(None);
            }
            let why = "there is no ResourceTagMappingList in it".to_owned();
            return Err(FileError::Format { path: context.path.clone(), why });
        };
        context.row += 1;
        let job = match fault {
            Some(fault) => Err(("invalid", fault.to_owned())),
            None => job(&bytes, context),
        };
        Ok(Some(match job {
            Ok(job) => Row::Job { line, job },
            Err(fault) => Row::bad(line, fault, &bytes),
        }))
    }

    /// Cuts out the next element.
    fn element(&mut self) -> io::Result<Option<Element>> {
        let mut element = Element { line: self.line, bytes: Vec::new(), fault: None };
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(self.end(element));
            }
            let mut used = 0;
            let mut done = false;
            for &byte in chunk {
                used += 1;
                self.line += u64::from(byte == b'\n');
                let inside = matches!(self.at, At::Element { .. });
                done = step(&mut self.at, &mut self.text, &mut self.name, byte);
                self.found |= self.at == At::Between;
                if done {
                    break;
                }
                if matches!(self.at, At::Element { .. }) {
                    if !inside {
                        element.line = self.line;
                    }
                    if element.bytes.len() < LONGEST {
                        element.bytes.push(byte);
                    } else {
                        element.fault = Some("the element is longer than 256 KB");
                    }
                }
            }
            self.input.consume(used);
            if done {
                element.bytes.truncate(element.bytes.trim_ascii_end().len());
                return Ok(Some(element));
            }
        }
    }

    /// The file is over. In the middle of a list that is a fault of its own: what is missing was never seen.
    fn end(&mut self, mut element: Element) -> Option<Element> {
        let whole = self.at == At::Outside { depth: 0 } && self.text.is_none();
        if whole || self.ended || !self.found {
            return None;
        }
        self.ended = true;
        element.fault = Some("the file ends in the middle: it was cut off, and resources behind this are not in it");
        Some(element)
    }
}

/// Takes one byte; true when it is the one behind an element.
fn step(at: &mut At, text: &mut Option<bool>, name: &mut Vec<u8>, byte: u8) -> bool {
    if let Some(escaped) = text {
        match (*escaped, byte) {
            (false, b'"') => *text = None,
            (false, b'\\') => *text = Some(true),
            _ => *text = Some(false),
        }
        if text.is_some() && matches!(at, At::Outside { .. }) && name.len() <= LIST.len() {
            name.push(byte);
        }
        return false;
    }
    if byte == b'"' {
        *text = Some(false);
        name.clear();
    }
    match (*at, byte) {
        (At::Outside { depth }, b'{' | b'[') => *at = At::Outside { depth: depth + 1 },
        (At::Outside { depth }, b'}' | b']') => *at = At::Outside { depth: depth.saturating_sub(1) },
        (At::Outside { depth: 1 }, b':') if name == LIST => *at = At::Value,
        (At::Value, b'[') => *at = At::Between,
        (At::Value, b) if !b.is_ascii_whitespace() => *at = At::Outside { depth: if b == b'{' { 2 } else { 1 } },
        (At::Between, b']') => *at = At::Outside { depth: 1 },
        (At::Between, b'{' | b'[') => *at = At::Element { depth: 1 },
        (At::Between, b) if !b.is_ascii_whitespace() && b != b',' => *at = At::Element { depth: 0 },
        (At::Element { depth: 0 }, b',') => {
            *at = At::Between;
            return true;
        }
        (At::Element { depth: 0 }, b']') => {
            *at = At::Outside { depth: 1 };
            return true;
        }
        (At::Element { depth }, b'{' | b'[') => *at = At::Element { depth: depth + 1 },
        (At::Element { depth }, b'}' | b']') => *at = At::Element { depth: depth.saturating_sub(1) },
        _ => {}
    }
    false
}

fn job(bytes: &[u8], context: &Context) -> Result<Job, Fault> {
    // serde's own words can hold a piece of the element, and that can be a tag value.
    let mapping: Mapping =
        serde_json::from_slice(bytes).map_err(|_| ("invalid", "not an object with a ResourceARN".to_owned()))?;
    rules::id(&mapping.arn).map_err(|why| ("invalid", format!("ResourceARN: {why}")))?;
    Ok(Job {
        id: context.id()?,
        lane: context.lane(None, None)?,
        resources: vec![Resource::plain(&mapping.arn)],
        set: context.options.set.clone(),
        unset: context.options.unset.clone(),
        extras: Extras { source: Some(Arc::clone(&context.source)), ..Extras::none() },
    })
}
