//! What a TMS request may say: limits, character sets and what must not come twice.

use super::super::{super::cloud::Cloud, Command, Op, Refusal, Target};
use serde::Deserialize;
use std::collections::HashSet;

const RESOURCES: usize = 50;
const TAGS: usize = 10;
const KEY_LENGTH: usize = 36;
const VALUE_LENGTH: usize = 43;

#[derive(Deserialize)]
struct Body {
    project_id: Option<String>,
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Resource {
    resource_id: String,
    resource_type: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: Option<String>,
}

fn bad(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::rejected(400, code, message)
}

/// Reads a batch-create or batch-delete body.
pub(super) fn batch(body: &[u8], deleting: bool, cloud: &Cloud) -> Result<Command, Refusal> {
    let body: Body = serde_json::from_slice(body).map_err(|error| bad("TMS.0002", format!("Bad request: {error}")))?;
    if body.resources.is_empty() || body.resources.len() > RESOURCES {
        return Err(bad("TMS.0002", format!("Bad request: resources must have 1 to {RESOURCES} elements")));
    }
    if body.tags.is_empty() {
        return Err(bad("TMS.0012", "The tag list is empty."));
    }
    if body.tags.len() > TAGS {
        return Err(bad("TMS.0002", format!("Bad request: tags must have at most {TAGS} elements")));
    }
    let project = body.project_id.as_deref();
    let mut names = HashSet::new();
    let mut resources = Vec::with_capacity(body.resources.len());
    for resource in &body.resources {
        let found = target(project, &resource.resource_type, &resource.resource_id, cloud)?;
        if !names.insert(found.key.clone()) {
            return Err(bad("TMS.0002", "Bad request: a resource is listed twice"));
        }
        resources.push(found);
    }
    let mut keys = HashSet::new();
    for tag in &body.tags {
        check_tag(tag, deleting)?;
        if !keys.insert(tag.key.as_str()) {
            return Err(bad("TMS.0009", "The tag key is invalid: it is listed twice."));
        }
    }
    let op = if deleting {
        Op::Unset(body.tags.into_iter().map(|tag| tag.key).collect())
    } else {
        Op::Set(body.tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect())
    };
    Ok(Command { resources, op })
}

/// One resource, its parts checked.
pub(super) fn target(project: Option<&str>, kind: &str, id: &str, cloud: &Cloud) -> Result<Target, Refusal> {
    if id.is_empty() || kind.is_empty() {
        return Err(bad("TMS.0013", "An element is empty: resource_id and resource_type are required."));
    }
    if cloud.config.resource_types.as_ref().is_some_and(|types| !types.iter().any(|known| known == kind)) {
        return Err(bad("TMS.5027", format!("The resource type {kind:?} is not supported.")));
    }
    let in_project = match project {
        Some(project) if project.is_empty() || project.len() > 64 => {
            return Err(bad("TMS.2011", "The project ID is invalid."));
        }
        Some(project) => format!("{project}/"),
        None => String::new(),
    };
    Ok(Target { key: format!("{in_project}{kind}/{id}"), id: id.to_owned(), label: kind.to_owned() })
}

fn check_tag(tag: &Tag, deleting: bool) -> Result<(), Refusal> {
    let common = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '\u{4e00}'..='\u{9fff}');
    let length = tag.key.chars().count();
    if length == 0 || length > KEY_LENGTH || !tag.key.chars().all(common) {
        return Err(bad("TMS.0009", format!("The tag key is invalid: 1 to {KEY_LENGTH} letters, digits, - or _.")));
    }
    let Some(value) = &tag.value else {
        return if deleting { Ok(()) } else { Err(bad("TMS.0010", "The tag value is missing.")) };
    };
    if value.chars().count() > VALUE_LENGTH {
        return Err(bad("TMS.0016", format!("The tag value is longer than {VALUE_LENGTH} characters.")));
    }
    if !value.chars().all(|c| common(c) || c == '.') {
        return Err(bad("TMS.0010", "The tag value is invalid: letters, digits, period, - or _."));
    }
    Ok(())
}
