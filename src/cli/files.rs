//! Job files on the command line: which rows they hold, for which lanes, checked against the lanes' providers.

use crate::{
    config::{Config, LaneConfig},
    file::{self, FileError, Format, LaneInfo, Options, Row},
    job::{Job, LaneName, stable_hash},
    provider::Provider,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What to read, and what every row gets.
#[derive(Clone, Debug, clap::Args)]
pub struct Input {
    /// Job files: NDJSON of job messages, wide CSV, or the JSON of `aws resourcegroupstaggingapi get-resources`
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Lane of the rows that name none
    #[arg(long, value_parser = LaneName::new)]
    pub lane: Option<LaneName>,
    /// Set this tag on every row; what a row says of the key itself wins
    #[arg(long, value_name = "KEY=VALUE", value_parser = file::set_argument)]
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Remove this key on every row
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<Arc<str>>,
    /// Read the files as this, whatever they look like
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// Why no row can be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file gives no rows.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read for its digest.
    #[error("{}: cannot be read: {source}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The arguments contradict each other or the config.
    #[error("{0}")]
    Arguments(String),
}

/// A row that is no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The file's name.
    pub file: String,
    /// The line it starts at.
    pub line: u64,
    /// `invalid` or `unknown_lane`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The lane, where the row is a job that the lane's provider refuses.
    pub lane: Option<LaneName>,
    /// The row's bytes.
    pub bytes: Vec<u8>,
}

/// One row of a file, looked at.
#[derive(Debug)]
pub enum Found {
    /// A job for a lane that exists. `refused` says what its provider will never accept, for people.
    Job { file: String, line: u64, job: Job, refused: Vec<String> },
    /// No job.
    Bad(Bad),
}

/// Files, options and providers, ready to read rows.
#[derive(Debug)]
pub struct Reader {
    files: Vec<(PathBuf, String)>,
    options: Options,
    format: Option<Format>,
    providers: BTreeMap<LaneName, Box<dyn Provider>>,
    /// The same files with the same options give the same key.
    pub key: String,
    /// The files' names.
    pub label: String,
}

impl Reader {
    /// Checks arguments, digests the files, makes the providers.
    pub fn new(input: &Input, config: &Config) -> Result<Self, InputError> {
        if let Some(lane) = &input.lane
            && !config.lanes.iter().any(|known| known.name == *lane)
        {
            let known: Vec<&str> = config.lanes.iter().take(20).map(|lane| lane.name.as_str()).collect();
            let more = if config.lanes.len() > known.len() { ", ..." } else { "" };
            return Err(InputError::Arguments(format!(
                "--lane: there is no lane {lane} (lanes: {}{more})",
                known.join(", ")
            )));
        }
        let set: BTreeMap<Arc<str>, Arc<str>> = input.set.iter().cloned().collect();
        let unset: BTreeSet<Arc<str>> = input.unset.iter().cloned().collect();
        if let Some(both) = unset.iter().find(|key| set.contains_key(*key)) {
            return Err(InputError::Arguments(format!("{both} is given to both --set and --unset")));
        }
        let mut files = Vec::new();
        for path in &input.files {
            let digest = file::digest(path).map_err(|source| InputError::Digest { path: path.clone(), source })?;
            files.push((path.clone(), digest));
        }
        let mut parts: Vec<&str> = files.iter().map(|(_, digest)| digest.as_str()).collect();
        parts.push(input.lane.as_ref().map_or("", LaneName::as_str));
        let format = format!("{:?}", input.format);
        parts.push(&format);
        for (key, value) in &set {
            parts.extend(["set", key, value]);
        }
        for key in &unset {
            parts.extend(["unset", key]);
        }
        let key = stable_hash(&parts);
        let names: Vec<String> = input.files.iter().map(|path| name(path)).collect();
        let providers = config.lanes.iter().filter_map(|lane| Some((lane.name.clone(), provider(lane)?))).collect();
        let lanes = config
            .lanes
            .iter()
            .map(|lane| LaneInfo {
                name: lane.name.clone(),
                region: lane.settings.region.clone(),
                provider: lane.provider,
            })
            .collect();
        let options = Options { lane: input.lane.clone(), lanes, set, unset, source: None, prefix: String::new() };
        Ok(Self { files, options, format: input.format, providers, key, label: names.join(", ") })
    }

    /// The provider of a lane.
    pub fn provider(&self, lane: &LaneName) -> Option<&dyn Provider> {
        self.providers.get(lane).map(|provider| &**provider)
    }

    /// The first file that is no longer what it was when its digest was taken.
    pub fn changed(&self) -> Option<&Path> {
        let is_same = |path: &Path, digest: &str| file::digest(path).is_ok_and(|now| now == digest);
        self.files.iter().find(|(path, digest)| !is_same(path, digest)).map(|(path, _)| path.as_path())
    }

    /// Every row of every file, in order.
    pub fn each<E: From<InputError>>(&self, mut see: impl FnMut(Found) -> Result<(), E>) -> Result<(), E> {
        self.each_of(|_, found| see(found))
    }

    /// The same, with the digest of the file that the row stands in.
    pub fn each_of<E: From<InputError>>(&self, mut see: impl FnMut(&str, Found) -> Result<(), E>) -> Result<(), E> {
        for (path, digest) in &self.files {
            let options = Options { prefix: file::id_prefix(digest).to_owned(), ..self.options.clone() };
            let file = name(path);
            for row in file::open(path, options, self.format).map_err(InputError::from)? {
                let found = match row.map_err(InputError::from)? {
                    Row::Job { line, job } => {
                        let refused = self.refused(&job);
                        Found::Job { file: file.clone(), line, job, refused }
                    }
                    Row::Bad { line, code, message, bytes } => {
                        Found::Bad(Bad { file: file.clone(), line, code, message, lane: None, bytes })
                    }
                };
                see(digest, found)?;
            }
        }
        Ok(())
    }

    fn refused(&self, job: &Job) -> Vec<String> {
        let Some(provider) = self.provider(&job.lane) else { return Vec::new() };
        let checked = provider.check(job);
        let named = |(index, message): (usize, String)| match job.resources.get(index) {
            Some(resource) => format!("{}: {message}", resource.id),
            None => message,
        };
        checked.job.into_iter().chain(checked.resources.into_iter().map(named)).collect()
    }
}

fn provider(lane: &LaneConfig) -> Option<Box<dyn Provider>> {
    // Making it was tried when the config was proven.
    (lane.provider.build)(&lane.settings).ok()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
