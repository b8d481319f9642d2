//! A small S3 in virtual time: every write is remembered with its time, and reads may be behind.

use crate::drive::Cloud;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tagmill::{
    lane::Now,
    provider::{Fault, HttpReply, HttpRequest},
};

pub type Set = BTreeMap<String, String>;

/// What goes wrong. Shares are per request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Reads that show an older state, and how old it may be.
    pub stale: f64,
    pub stale_for: Duration,
    /// Another configuration change is under way.
    pub conflict: f64,
    pub slow_down: f64,
    pub error_500: f64,
    /// The request is carried out, the reply is lost.
    pub lost_reply: f64,
    /// Buckets whose tags are for S3 Control only.
    pub controlled: BTreeSet<String>,
}

pub struct S3 {
    /// Every state of a bucket since its first, with its time.
    history: BTreeMap<String, Vec<(Now, Set)>>,
    pub faults: Faults,
    rng: fastrand::Rng,
    pub writes: u64,
    pub stale_reads: u64,
}

impl S3 {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { history: BTreeMap::new(), faults, rng: fastrand::Rng::with_seed(seed), writes: 0, stale_reads: 0 }
    }

    /// The tags a bucket has had for long.
    pub fn start(&mut self, bucket: &str, tags: &[(&str, &str)]) {
        let set = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.history.insert(bucket.to_owned(), vec![(Now::ZERO, set)]);
    }

    /// The truth.
    pub fn tags(&self, bucket: &str) -> Set {
        self.history.get(bucket).and_then(|states| states.last()).map(|(_, set)| set.clone()).unwrap_or_default()
    }

    fn seen(&mut self, now: Now, bucket: &str) -> Set {
        let truth = self.tags(bucket);
        if self.rng.f64() >= self.faults.stale {
            return truth;
        }
        // Any state that was true within the time that reads may be behind.
        let behind = self.faults.stale_for.mul_f64(self.rng.f64());
        let at = now.saturating_sub(behind);
        let states = self.history.get(bucket).map(Vec::as_slice).unwrap_or_default();
        let old = states.iter().rev().find(|(since, _)| *since <= at).map(|(_, set)| set.clone());
        let old = old.unwrap_or_default();
        self.stale_reads += u64::from(old != truth);
        old
    }

    fn change(&mut self, now: Now, bucket: &str, set: Set) {
        self.writes += 1;
        self.history.entry(bucket.to_owned()).or_default().push((now, set));
    }
}

fn reply(status: u16, body: String) -> HttpReply {
    HttpReply { status, headers: Vec::new(), body: body.into_bytes() }
}

fn error(status: u16, code: &str) -> HttpReply {
    reply(status, format!("<Error><Code>{code}</Code><Message>simulated</Message></Error>"))
}

/// Pairs of a body without anything to unescape.
fn pairs(body: &[u8]) -> Set {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let pieces = body.split("<Key>").skip(1).map(|piece| {
        let (key, rest) = piece.split_once("</Key><Value>").unwrap();
        (key.to_owned(), rest.split_once("</Value>").unwrap().0.to_owned())
    });
    pieces.collect()
}

impl Cloud for S3 {
    fn answer(&mut self, now: Now, request: &HttpRequest) -> Result<HttpReply, Fault> {
        let method = request.method.as_str();
        let (host, rest) = request.url.strip_prefix("https://").unwrap().split_once('/').unwrap();
        let control = host.contains(".s3-control.");
        let bucket = if control {
            rest.split('?').next().unwrap().rsplit("%3A").next().unwrap().to_owned()
        } else {
            host.split('.').next().unwrap().to_owned()
        };
        for (share, status, code) in
            [(self.faults.slow_down, 503, "SlowDown"), (self.faults.error_500, 500, "InternalError")]
        {
            if self.rng.f64() < share {
                return Ok(error(status, code));
            }
        }
        if method != "GET" && self.rng.f64() < self.faults.conflict {
            return Ok(error(409, "OperationAborted"));
        }
        if !control && method != "GET" && self.faults.controlled.contains(&bucket) {
            return Ok(error(403, "AccessDenied"));
        }
        let answer = match (control, method) {
            (false, "GET") => {
                let set = self.seen(now, &bucket);
                if set.is_empty() { error(404, "NoSuchTagSet") } else { tagging(&set) }
            }
            (false, "PUT") => {
                let set = pairs(&request.body);
                let user = set.keys().filter(|key| !key.starts_with("aws:")).count();
                assert!((1..=50).contains(&user) || set.keys().any(|key| key.starts_with("aws:")), "{set:?}");
                self.change(now, &bucket, set);
                reply(204, String::new())
            }
            (false, "DELETE") => {
                self.change(now, &bucket, Set::new());
                reply(204, String::new())
            }
            (true, _) => {
                let mut set = self.tags(&bucket);
                set.extend(pairs(&request.body));
                let query = rest.split_once('?').map_or("", |(_, query)| query);
                for key in query.split('&').filter_map(|pair| pair.strip_prefix("tagKeys=")) {
                    set.remove(key);
                }
                self.change(now, &bucket, set);
                reply(204, String::new())
            }
            other => panic!("{other:?}"),
        };
        if self.rng.f64() < self.faults.lost_reply { Err(Fault::Timeout) } else { Ok(answer) }
    }
}

fn tagging(set: &Set) -> HttpReply {
    let tags: String =
        set.iter().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")).collect();
    reply(200, format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))
}
