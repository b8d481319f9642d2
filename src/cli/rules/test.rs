//! `tagmill rules test`: events in, jobs out, as `tests` of a file say; a difference is shown and fails.

use super::{facts, refused, said};
use crate::{
    cli::{exit, report},
    config::{self, Config},
    event::{self, Source},
    job::Resource,
};
use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What of a file this command reads; the rest of it is the config's.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    tests: Vec<Test>,
    lanes: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    source: String,
    /// The event, as a section or as the text that comes.
    event: Option<Value>,
    /// Or where it stands, from the file with the tests.
    file: Option<PathBuf>,
    /// What comes before it over HTTP.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    jobs: Vec<Wanted>,
    /// Why nothing follows from it, in one word.
    ignored: Option<String>,
    /// Rules that should have made a job and cannot, and why in one word.
    #[serde(default)]
    trouble: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    lane: String,
    resources: Vec<Resource>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    unset: Vec<String>,
    #[serde(default)]
    update: bool,
}

pub(super) fn run(config: &Path, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let path = file.unwrap_or(config);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Ok(exit::because(exit::CONFIG, format!("{}: cannot be read: {error}", path.display()))),
    };
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
    };
    let file: File = match serde_saphyr::from_str_with_options(&text, options) {
        Ok(file) => file,
        Err(error) => return Ok(exit::because(exit::CONFIG, format!("{}: {error}", path.display()))),
    };
    // Tests that stand beside a config, and not in one, are about that config.
    let config = match config::load(if file.lanes.is_some() { path } else { config }) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    if file.tests.is_empty() {
        return Ok(exit::because(exit::BAD_INPUT, format!("{}: there are no `tests` in it", path.display())));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut out = std::io::stdout().lock();
    let mut failed = 0_u64;
    for test in &file.tests {
        let told = match check(test, folder, &config) {
            Ok(told) => told,
            Err(why) => vec![why],
        };
        let word = if told.is_empty() { "ok  " } else { "FAIL" };
        writeln!(out, "{word} {}", report::plain(&test.name)).context("writing to stdout")?;
        for line in &told {
            writeln!(out, "     {line}").context("writing to stdout")?;
        }
        failed += u64::from(!told.is_empty());
    }
    let tests = report::count(file.tests.len() as u64, "test");
    eprintln!("{}: {tests}, {failed} failed", path.display());
    Ok(ExitCode::from(if failed == 0 { 0 } else { exit::DEAD }))
}

/// What is other than the test says; nothing where all is well.
fn check(test: &Test, folder: &Path, config: &Config) -> Result<Vec<String>, String> {
    let source = Source::find(&test.source).ok_or_else(|| {
        let names = Source::ALL.map(Source::as_str);
        format!("there is no source {}; known are {}", report::plain(&test.source), names.join(", "))
    })?;
    let body = match (&test.event, &test.file) {
        (Some(Value::String(text)), None) => text.clone().into_bytes(),
        (Some(event), None) => event.to_string().into_bytes(),
        (None, Some(file)) => {
            let path = folder.join(file);
            fs::read(&path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))?
        }
        _ => return Err("a test has either `event` or `file`".to_owned()),
    };
    let headers: Vec<(&str, &str)> = test.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let events =
        event::read(source, &headers, &body).map_err(|why| format!("no event: {}", report::plain(&why.to_string())))?;
    let lanes = facts(config);
    let (mut jobs, mut ignored, mut trouble, mut told) = (Vec::new(), None, BTreeMap::new(), Vec::new());
    for event in &events {
        // Events without a time get one that is not the clock's: a test tells the same every day.
        let decision = config.rules.decide(event, &lanes, Timestamp::UNIX_EPOCH);
        ignored = decision.ignored.or(ignored);
        for (rule, why) in decision.troubles() {
            trouble.insert(rule.to_owned(), why.code.to_owned());
            if test.trouble.get(rule).is_none_or(|code| code != why.code) {
                told.push(format!("rule {rule}: {}: {}", why.code, report::plain(&why.text)));
            }
        }
        jobs.extend(decision.jobs);
    }
    for (rule, code) in test.trouble.iter().filter(|(rule, _)| !trouble.contains_key(*rule)) {
        told.push(format!("rule {}: expected {}, and it had no trouble", report::plain(rule), report::plain(code)));
    }
    for job in &jobs {
        let refused = refused(config, job).into_iter();
        told.extend(refused.map(|why| format!("the provider of {} refuses: {}", job.lane, report::plain(&why))));
    }
    let is = ignored.map_or("not ignored", event::Ignored::as_str);
    if test.ignored.as_deref().is_some_and(|wanted| wanted != is) {
        told.push(format!(
            "ignored: expected {}, found {is}",
            report::plain(test.ignored.as_deref().unwrap_or_default())
        ));
    }
    let mut wanted: Vec<Vec<String>> = test.jobs.iter().map(Wanted::lines).collect();
    let mut found: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            let set = job.set.iter().map(|(key, value)| (&**key, &**value));
            let unset = job.unset.iter().map(|key| &**key);
            said::lines(job.lane.as_str(), job.resources.iter(), set, unset, job.extras.overwrite)
        })
        .collect();
    wanted.sort();
    found.sort();
    if wanted != found {
        if let (Some(why), false) = (ignored, wanted.is_empty()) {
            told.push(format!("the event is ignored: {why}"));
        }
        told.push("- expected, + found:".to_owned());
        told.extend(said::difference(&wanted.concat(), &found.concat()));
    }
    Ok(told)
}

impl Wanted {
    fn lines(&self) -> Vec<String> {
        let set = self.set.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        said::lines(&self.lane, self.resources.iter(), set, self.unset.iter().map(String::as_str), self.update)
    }
}
