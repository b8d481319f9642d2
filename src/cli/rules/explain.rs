//! `tagmill rules explain`: what each rule makes of an event, step by step.

use super::{facts, provider, refused, said};
use crate::{
    cli::{
        exit,
        report::{self, Output, plain},
    },
    config::{self, Config},
    event::{self, Decision, Event, Met, RuleOutcome, Source},
    job::Job,
};
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Ids and resources that are shown of many.
const SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The event as it comes, one or a batch; - reads stdin
    event: PathBuf,
    /// How it is read; left out: as it looks
    #[arg(long, value_parser = source)]
    source: Option<Source>,
    /// A header that comes with it, for CloudEvents in binary form
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn source(text: &str) -> Result<Source, String> {
    Source::find(text).ok_or_else(|| format!("there are {}", Source::ALL.map(Source::as_str).join(", ")))
}

pub(super) fn run(config: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let body = match bytes(&args.event) {
        Ok(body) => body,
        Err(error) => {
            return Ok(exit::because(exit::BAD_INPUT, format!("{}: cannot be read: {error}", args.event.display())));
        }
    };
    let headers: Vec<(&str, &str)> = args.headers.iter().filter_map(|header| header.split_once(':')).collect();
    let headers: Vec<(&str, &str)> = headers.into_iter().map(|(name, value)| (name.trim(), value.trim())).collect();
    let source = args.source.unwrap_or_else(|| guessed(&headers, &body));
    let events = match event::read(source, &headers, &body) {
        Ok(events) => events,
        Err(why) => {
            let why = plain(&why.to_string());
            return Ok(exit::because(exit::BAD_INPUT, format!("{}: as {source}: {why}", args.event.display())));
        }
    };
    let lanes = facts(&config);
    let mut out = std::io::stdout().lock();
    for event in &events {
        let decision = config.rules.decide(event, &lanes, Timestamp::UNIX_EPOCH);
        match args.output {
            Output::Table => out.write_all(text(&config, event, &decision).as_bytes()),
            Output::Json | Output::Ndjson => writeln!(out, "{}", document(&config, event, &decision)),
        }
        .context("writing to stdout")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    // One byte more than is read: too large is told as such.
    let most = event::EVENT_BYTES as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut body)?;
    } else {
        fs::File::open(path)?.take(most).read_to_end(&mut body)?;
    }
    Ok(body)
}

/// Whose event it looks like. The HTTP interface never guesses: there the path says it.
fn guessed(headers: &[(&str, &str)], body: &[u8]) -> Source {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Source::CloudEvents };
    let one = value.get(0).unwrap_or(&value);
    let header = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    let data = one.get("data").unwrap_or(one);
    if header("ce-aliyunaccountid") || one.get("aliyunaccountid").is_some() || data.get("acsRegion").is_some() {
        Source::Alibaba
    } else if data.get("cts").is_some() || data.get("trace_name").is_some() {
        Source::Huawei
    } else if one.get("detail").is_some() || data.get("detail").is_some() || data.get("eventSource").is_some() {
        Source::Aws
    } else {
        Source::CloudEvents
    }
}

/// The jobs of each rule: they stand in the order of the rules.
fn by_rule(decision: &Decision) -> impl Iterator<Item = (&RuleOutcome, &[Job])> {
    let mut from = 0;
    decision.rules.iter().map(move |rule| {
        let jobs = decision.jobs.get(from..from + rule.jobs).unwrap_or_default();
        from += rule.jobs;
        (rule, jobs)
    })
}

fn text(config: &Config, event: &Event, decision: &Decision) -> String {
    let mut text = String::new();
    let word = |word: Option<&str>| plain(word.unwrap_or("unknown"));
    let _ = writeln!(text, "event {} of {} ({})", plain(&event.id), plain(&event.source), event.cloud);
    let _ = writeln!(text, "  what     {}:{}", plain(&event.service), plain(&event.name));
    let _ = writeln!(text, "  account  {}", word(event.account.as_deref()));
    let _ = writeln!(text, "  region   {}", word(event.region.as_deref()));
    if let Some(project) = &event.project {
        let _ = writeln!(text, "  project  {}", plain(project));
    }
    let _ = writeln!(text, "  creator  {}", word(event.creator.as_deref()));
    let _ = writeln!(text, "  time     {}", word(event.time.map(|time| time.to_string()).as_deref()));
    if let Some(why) = decision.ignored {
        let _ = writeln!(text, "  ignored  {}: {why}", why.as_str());
    }
    for ((rule, jobs), spec) in by_rule(decision).zip(config.rules.specs()) {
        let met = match rule.met {
            Met::NotForIt => "is for other events".to_owned(),
            Met::NotWhen => format!("its condition does not hold: {}", plain(spec.when.as_deref().unwrap_or_default())),
            Met::Yes if decision.ignored.is_some() => "is for it, and makes no job: the event is ignored".to_owned(),
            Met::Yes => "is for it".to_owned(),
        };
        let _ = writeln!(text, "rule {}: {met}", plain(&rule.rule));
        for (path, ids) in &rule.found {
            let _ = writeln!(text, "  ids    {} -> {}", plain(path), some(ids));
        }
        for tag in &rule.tags {
            let _ = match &tag.value {
                Ok(value) => writeln!(text, "  set    {} = {}", plain(&tag.key), plain(value)),
                Err(why) => writeln!(text, "  set    {} is left out: {}", plain(&tag.key), plain(why)),
            };
        }
        if let Some(trouble) = &rule.trouble {
            let _ = writeln!(text, "  no job ({}): {}", trouble.code, plain(&trouble.text));
        }
        for job in jobs {
            let resources: Vec<String> = job.resources.iter().map(said::resource).collect();
            let _ =
                writeln!(text, "  job    lane {} ({}), {}", job.lane, provider(config, &job.lane), some(&resources));
            for why in refused(config, job) {
                let _ = writeln!(text, "         its provider refuses: {}", plain(&why));
            }
        }
    }
    text
}

/// The first of many.
fn some(all: &[String]) -> String {
    let shown: Vec<String> = all.iter().take(SHOWN).map(|one| plain(one)).collect();
    match all.len() {
        0 => "nothing".to_owned(),
        many if many > SHOWN => format!("{}, ... ({})", shown.join(", "), report::thousands(many as u64)),
        _ => shown.join(", "),
    }
}

fn document(config: &Config, event: &Event, decision: &Decision) -> Value {
    let rules: Vec<Value> = by_rule(decision)
        .map(|(rule, jobs)| {
            let met = match rule.met {
                Met::NotForIt => "not_for_it",
                Met::NotWhen => "not_when",
                Met::Yes => "yes",
            };
            let found: Vec<Value> = rule.found.iter().map(|(path, ids)| json!({"path": path, "ids": ids})).collect();
            let tag = |tag: &event::TagOutcome| match &tag.value {
                Ok(value) => json!({"key": tag.key, "value": value}),
                Err(why) => json!({"key": tag.key, "left_out": why}),
            };
            let job = |job: &Job| json!({"job": job, "refused": refused(config, job)});
            json!({
                "rule": rule.rule,
                "met": met,
                "found": found,
                "tags": rule.tags.iter().map(tag).collect::<Vec<_>>(),
                "trouble": rule.trouble.as_ref().map(|trouble| json!({"code": trouble.code, "text": trouble.text})),
                "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "event": {
            "source": event.source, "id": event.id, "cloud": event.cloud.as_str(), "service": event.service,
            "name": event.name, "account": event.account, "region": event.region, "project": event.project,
            "creator": event.creator, "time": event.time.map(|time| time.to_string()),
        },
        "ignored": decision.ignored.map(event::Ignored::as_str),
        "rules": rules,
    })
}
