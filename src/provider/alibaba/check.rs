//! What can never work, found before anything is sent.

use super::api::{Address, Api, Rule};
use super::arn::Arn;
use crate::{job::Job, provider::Checked};
use std::{borrow::Cow, collections::BTreeMap};

/// A key in lower case.
pub(super) fn folded(key: &str) -> Cow<'_, str> {
    let lower = key.to_lowercase();
    if lower == key { Cow::Borrowed(key) } else { Cow::Owned(lower) }
}

/// Checks keys, values and resources. Texts name keys, never values.
pub(super) fn check(api: &Api, region: &str, job: &Job) -> Checked {
    let mut found = Checked::default();
    check_keys(api, job, &mut found.job);
    for (key, value) in &job.set {
        if let Some(problem) = value_problem(api, value) {
            found.job.push(format!("set.{key}: {problem}"));
        }
    }
    for (index, resource) in job.resources.iter().enumerate() {
        match &api.address {
            Address::Id { kinds, .. } => {
                if resource.id.is_empty() {
                    found.resources.push((index, "id: empty".into()));
                }
                let kind = api.kind_of(resource);
                if !kinds.contains(&kind) {
                    let known = kinds.join(", ");
                    found
                        .resources
                        .push((index, format!("type: {kind} is not a type of {}; known: {known}", api.name)));
                }
            }
            Address::Arn => {
                if let Some(problem) = arn_problem(&resource.id, region) {
                    found.resources.push((index, problem));
                }
            }
        }
    }
    found
}

/// Form of each key, and keys that fold to one: in one call they are an error on ECS, in two the order decides.
fn check_keys(api: &Api, job: &Job, problems: &mut Vec<String>) {
    let mut seen: BTreeMap<Cow<'_, str>, &str> = BTreeMap::new();
    for (field, key) in job.set.keys().map(|key| ("set", key)).chain(job.unset.iter().map(|key| ("unset", key))) {
        if let Some(problem) = key_problem(api, key) {
            problems.push(format!("{field}.{key}: {problem}"));
        }
        if let Some(other) = seen.insert(folded(key), key) {
            problems.push(format!("{field}.{key}: differs from {other} only in case, and Alibaba Cloud ignores case"));
        }
    }
}

fn key_problem(api: &Api, key: &str) -> Option<String> {
    let chars = key.chars().count();
    if chars == 0 || chars > api.limits.key_chars {
        return Some(format!("a key has 1 to {} characters, this one has {chars}", api.limits.key_chars));
    }
    if api.rule == Rule::Ecs && (key.starts_with("aliyun") || key.starts_with("acs:")) {
        return Some("a key must not start with aliyun or acs:".into());
    }
    (api.rule == Rule::Ecs && has_link(key)).then(|| "a key must not hold http:// or https://".into())
}

fn value_problem(api: &Api, value: &str) -> Option<String> {
    let chars = value.chars().count();
    let least = usize::from(api.rule == Rule::Tag);
    if chars < least || chars > api.limits.value_chars {
        return Some(format!("a value has {least} to {} characters, this one has {chars}", api.limits.value_chars));
    }
    (api.rule == Rule::Ecs && has_link(value)).then(|| "a value must not hold http:// or https://".into())
}

fn has_link(text: &str) -> bool {
    text.contains("http://") || text.contains("https://")
}

fn arn_problem(id: &str, region: &str) -> Option<String> {
    match Arn::parse(id) {
        Err(why) => Some(format!("id: {why}; an ARN is arn:acs:service:region:account:type/id")),
        // Alibaba Cloud refuses the whole call for one of these (InvalidResourceARN.Region).
        Ok(arn) if arn.region != "*" && arn.region != region => {
            Some(format!("id: its region is {}, the lane's is {region}", arn.region))
        }
        Ok(_) => None,
    }
}
