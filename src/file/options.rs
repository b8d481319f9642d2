//! What the caller says about a file, and what every row takes from it: its id, its lane, its extra tags.

use super::{Format, Row};
use crate::job::{JobId, LaneName, Problem, rules, suggest};
use crate::provider::Entry;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a reader must know of a lane.
#[derive(Clone, Debug)]
pub struct LaneInfo {
    /// Its name.
    pub name: LaneName,
    /// Its region.
    pub region: String,
    /// Its provider.
    pub provider: &'static Entry,
}

/// How to read a file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The lane of rows that name none (`--lane`).
    pub lane: Option<LaneName>,
    /// The lanes there are. Empty: they are not known, and any name is taken.
    pub lanes: Vec<LaneInfo>,
    /// Tags for every row (`--set`). What a row says of a key wins.
    pub set: BTreeMap<Arc<str>, Arc<str>>,
    /// Keys to remove on every row (`--unset`). What a row says of a key wins.
    pub unset: BTreeSet<Arc<str>>,
    /// The name in a job's `source`; the file's name where it is left out.
    pub source: Option<String>,
    /// What the ids of rows without one start with; see [`super::id_prefix`].
    pub prefix: String,
}

/// Reads one `--set key=value`.
pub fn set_argument(text: &str) -> Result<(Arc<str>, Arc<str>), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    rules::key(key)?;
    rules::value(value)?;
    Ok((key.into(), value.into()))
}

/// Why a row is no job: a code and words.
pub(super) type Fault = (&'static str, String);

/// The state that all readers share.
pub(super) struct Context {
    pub(super) path: PathBuf,
    pub(super) options: Options,
    pub(super) source: Arc<str>,
    /// Rows seen so far, good and bad. It makes the id of a row that has none.
    pub(super) row: u64,
    /// Where each lane is in the options: a config can have thousands, and a file a million rows.
    index: HashMap<String, usize>,
    /// Unknown names that a close one was looked for.
    hints: Cell<u32>,
}

/// Looking for the closest of thousands of names takes a while: rows beyond these are told without.
const HINTS: u32 = 100;

impl Context {
    pub(super) fn new(path: &Path, mut options: Options, format: Format) -> Self {
        // Without --lane there is no choice where there is but one lane.
        if let (None, [only]) = (&options.lane, &*options.lanes) {
            options.lane = Some(only.name.clone());
        }
        let name = options
            .source
            .clone()
            .or_else(|| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .unwrap_or_default();
        // A file's name can hold anything; a job's source cannot.
        let source: String =
            format!("{}:{name}", format.prefix()).chars().filter(|c| !c.is_control()).take(rules::WORD_CHARS).collect();
        let index = options.lanes.iter().enumerate().map(|(at, lane)| (lane.name.to_string(), at)).collect();
        Self { path: path.into(), options, source: source.into(), row: 0, index, hints: Cell::new(0) }
    }

    /// The id of the current row.
    pub(super) fn id(&self) -> Result<JobId, Fault> {
        let id = format!("{}-{}", self.options.prefix, self.row);
        JobId::new(&id).map_err(|error| ("invalid", format!("id: {error}")))
    }

    /// The lane a row goes to, by the name it gives or by default, and whether the row's region fits it.
    pub(super) fn lane(&self, named: Option<&str>, region: Option<&str>) -> Result<LaneName, Fault> {
        let name = match (named, &self.options.lane) {
            (Some(name), _) => name,
            (None, Some(default)) => default.as_str(),
            (None, None) => {
                return Err(("invalid", format!("lane: is missing; name it or give --lane{}", self.known())));
            }
        };
        let lanes = &self.options.lanes;
        let Some(lane) = self.index.get(name).and_then(|at| lanes.get(*at)) else {
            return match LaneName::new(name) {
                Ok(name) if lanes.is_empty() => Ok(name),
                Err(error) => Err(("invalid", format!("lane: {error}"))),
                Ok(name) => {
                    self.hints.set(self.hints.get().saturating_add(1));
                    let hint = match self.hints.get() {
                        ..=HINTS => suggest::hint(name.as_str(), lanes.iter().map(|lane| lane.name.as_str())),
                        _ => String::new(),
                    };
                    Err(("unknown_lane", format!("lane: there is no lane {name}{hint}{}", self.known())))
                }
            };
        };
        match region {
            Some(region) if lane.provider.regional && region != lane.region => Err((
                "invalid",
                format!(
                    "region: the row's region is not that of lane {name}, which is {}; use a lane there",
                    lane.region
                ),
            )),
            _ => Ok(lane.name.clone()),
        }
    }

    fn known(&self) -> String {
        let lanes = &self.options.lanes;
        if lanes.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = lanes.iter().take(20).map(|lane| lane.name.as_str()).collect();
        let more = if lanes.len() > 20 { ", ..." } else { "" };
        format!(" (lanes: {}{more})", names.join(", "))
    }
}

impl Row {
    pub(super) fn bad(line: u64, (code, message): Fault, bytes: &[u8]) -> Self {
        Self::Bad { line, code, message, bytes: bytes.to_vec() }
    }

    pub(super) fn invalid(line: u64, message: &str, bytes: &[u8]) -> Self {
        Self::bad(line, ("invalid", message.to_owned()), bytes)
    }

    pub(super) fn refused(line: u64, problems: &[Problem], bytes: &[u8]) -> Self {
        Self::bad(line, ("invalid", Problem::describe(problems)), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_argument_is_cut_at_its_first_equals_sign() {
        assert_eq!(set_argument("url=a=b"), Ok(("url".into(), "a=b".into())));
        assert_eq!(set_argument("empty="), Ok(("empty".into(), "".into())));
        assert!(set_argument("=x").is_err());
        assert!(set_argument("env").is_err());
    }
}
