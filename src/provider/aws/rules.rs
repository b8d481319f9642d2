//! What AWS takes as a tag, whatever the service. Sources: "Tagging your AWS resources"; for the characters the S3 page
//! on bucket tags and the model of Machine Learning.

use crate::job::Job;

/// Tags of one resource that are ours to set; AWS's own do not count.
pub(super) const TAGS_PER_RESOURCE: usize = 50;
pub(super) const KEY_CHARS: usize = 128;
pub(super) const VALUE_CHARS: usize = 256;

/// Which characters a service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Characters {
    /// Nothing is published that holds for every resource type: the service decides.
    Any,
    /// Letters, numbers, spaces and `+ - = . _ : / @`.
    Plain,
}

impl Characters {
    fn take(self, c: char) -> bool {
        self == Self::Any || c == ' ' || c.is_alphanumeric() || "+-=._:/@".contains(c)
    }
}

/// What no AWS resource can ever carry. Texts name keys, never values.
pub(super) fn check(job: &Job, characters: Characters) -> Vec<String> {
    let mut found = Vec::new();
    if job.set.len() > TAGS_PER_RESOURCE {
        found.push(format!("set: {} tags, an AWS resource holds {TAGS_PER_RESOURCE}", job.set.len()));
    }
    for (field, key) in job.set.keys().map(|key| ("set", key)).chain(job.unset.iter().map(|key| ("unset", key))) {
        if let Some(problem) = key_problem(key, characters) {
            found.push(format!("{field}.{key}: {problem}"));
        }
    }
    for (key, value) in &job.set {
        let chars = value.chars().count();
        if chars > VALUE_CHARS {
            found.push(format!("set.{key}: the value has {chars} characters, AWS takes {VALUE_CHARS}"));
        } else if !value.chars().all(|c| characters.take(c)) {
            found.push(format!("set.{key}: the value may hold letters, numbers, spaces and + - = . _ : / @"));
        }
    }
    found
}

fn key_problem(key: &str, characters: Characters) -> Option<String> {
    let chars = key.chars().count();
    if chars == 0 || chars > KEY_CHARS {
        return Some(format!("a key has 1 to {KEY_CHARS} characters, this one has {chars}"));
    }
    if is_system(key) {
        return Some("keys that start with aws: belong to AWS".into());
    }
    (!key.chars().all(|c| characters.take(c)))
        .then(|| "a key may hold letters, numbers, spaces and + - = . _ : / @".into())
}

/// A key that AWS keeps for itself, in any case of letters.
pub(super) fn is_system(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}
