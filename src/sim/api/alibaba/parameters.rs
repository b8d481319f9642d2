//! Numbered parameters: `ResourceId.1`, `Tag.1.Key`, counted from one and without gaps.

use super::{
    super::{Op, Refusal, Target},
    Product,
};
use crate::sim::{cloud::Cloud, request::Request};
use std::collections::{HashMap, HashSet};

/// Every parameter of a request, from the query and from a form body.
pub(super) struct Parameters {
    pub(super) all: Vec<(String, String)>,
    index: HashMap<String, usize>,
}

impl Parameters {
    pub(super) fn of(request: &Request) -> Self {
        let mut all = request.query_pairs();
        all.extend(request.form_pairs());
        let index = all.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        Self { all, index }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.index.get(name).and_then(|at| self.all.get(*at)).map(|(_, value)| value.as_str())
    }

    /// `PREFIX.1`, `PREFIX.2` and so on. A number that is missing in between is an error, not the end.
    pub(super) fn numbered(&self, prefix: &str) -> Result<Vec<&str>, Refusal> {
        let values: Vec<&str> = (1..).map_while(|n| self.get(&format!("{prefix}.{n}"))).collect();
        let sent = self.all.iter().filter(|(name, _)| name.strip_prefix(prefix).is_some_and(is_number)).count();
        if sent == values.len() {
            Ok(values)
        } else {
            let message = format!("The numbers of {prefix}.N must start at 1, have no gaps and come once.");
            Err(Refusal::rejected(400, format!("InvalidParameter.{prefix}"), message))
        }
    }
}

fn is_number(rest: &str) -> bool {
    rest.strip_prefix('.').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The resources of an RDS or ECS call.
pub(super) fn targets(product: &Product, parameters: &Parameters, cloud: &Cloud) -> Result<Vec<Target>, Refusal> {
    let kind = parameters.get("ResourceType").unwrap_or_default();
    if kind.is_empty() {
        return Err(product.missing("ResourceType"));
    }
    let known = match &cloud.config.resource_types {
        Some(types) => types.iter().any(|known| known == kind),
        None => product.types.contains(&kind),
    };
    if !known {
        let message = "The ResourceType provided does not exist in our records.";
        return Err(Refusal::rejected(404, "InvalidResourceType.NotFound", message));
    }
    let ids = parameters.numbered("ResourceId")?;
    if ids.is_empty() {
        return Err(product.missing("ResourceId"));
    }
    if ids.len() > product.resources {
        return Err(product.too_many_resources());
    }
    let mut seen = HashSet::new();
    if ids.iter().any(|id| id.is_empty() || !seen.insert(*id)) {
        let message = "A ResourceId is empty or listed twice.";
        return Err(Refusal::rejected(400, "InvalidParameter.ResourceId", message));
    }
    let target = |id: &str| Target { key: format!("{kind}/{id}"), id: id.to_owned(), label: kind.to_owned() };
    Ok(ids.into_iter().map(target).collect())
}

/// The tags of an RDS or ECS call.
pub(super) fn tags(product: &Product, parameters: &Parameters) -> Result<Vec<(String, String)>, Refusal> {
    let named = |name: &String| name.starts_with("Tag.") && (name.ends_with(".Key") || name.ends_with(".Value"));
    let mut tags = Vec::new();
    let mut used = 0;
    for n in 1.. {
        let Some(key) = parameters.get(&format!("Tag.{n}.Key")) else { break };
        let value = parameters.get(&format!("Tag.{n}.Value"));
        used += 1 + usize::from(value.is_some());
        tags.push((key.to_owned(), value.unwrap_or_default().to_owned()));
    }
    if parameters.all.iter().filter(|(name, _)| named(name)).count() != used {
        let message = "The numbers of Tag.N must start at 1, have no gaps and come once.";
        return Err(Refusal::rejected(400, "InvalidParameter.Tags", message));
    }
    check(product, tags)
}

/// Checks number, form and uniqueness of tags.
pub(super) fn check(product: &Product, tags: Vec<(String, String)>) -> Result<Vec<(String, String)>, Refusal> {
    if tags.is_empty() {
        return Err(product.missing("Tags"));
    }
    if tags.len() > product.tags {
        return Err(product.too_many_tags());
    }
    let mut folded = HashSet::new();
    for (key, value) in &tags {
        product.check_key(key)?;
        product.check_value(value)?;
        if !folded.insert(key.to_lowercase()) {
            return Err(product.duplicate_key());
        }
    }
    Ok(tags)
}

/// What UntagResources takes away.
pub(super) fn untag(product: &Product, parameters: &Parameters) -> Result<Op, Refusal> {
    let keys = parameters.numbered("TagKey")?;
    let all = parameters.get("All").is_some_and(|all| all.eq_ignore_ascii_case("true"));
    match (all, keys.is_empty()) {
        (true, true) => Ok(Op::Clear),
        (true, false) => Err(Refusal::rejected(403, "Param.Conflict", "TagKey.N and All must not be given together.")),
        (false, true) => Err(product.missing("TagKey")),
        (false, false) if keys.len() > product.tags => Err(product.too_many_tags()),
        (false, false) => {
            let mut folded = HashSet::new();
            for key in &keys {
                product.check_key(key)?;
                if !folded.insert(key.to_lowercase()) {
                    return Err(product.duplicate_key());
                }
            }
            Ok(Op::Unset(keys.into_iter().map(str::to_owned).collect()))
        }
    }
}
