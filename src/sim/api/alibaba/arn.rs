//! The Tag service's own forms: ARNs for resources, one JSON object for tags.

use super::{
    super::{Refusal, Target},
    Parameters, Product, parameters,
};
use crate::sim::cloud::Cloud;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use std::{collections::HashSet, fmt};

/// The account that `*` stands for when the configuration names none.
const ACCOUNT: &str = "1000000000000001";

/// The resources of a Tag call. `*` as region or account stands for the caller's.
pub(super) fn targets(
    product: &Product,
    parameters: &Parameters,
    region: &str,
    cloud: &Cloud,
) -> Result<Vec<Target>, Refusal> {
    let arns = parameters.numbered("ResourceARN")?;
    if arns.is_empty() {
        return Err(product.missing("ResourceARN"));
    }
    if arns.len() > product.resources {
        return Err(product.too_many_resources());
    }
    let mut seen = HashSet::new();
    let mut targets = Vec::with_capacity(arns.len());
    for arn in arns {
        let target = target(arn, region, cloud)?;
        if !seen.insert(target.key.clone()) {
            let message = "A ResourceARN is listed twice.";
            return Err(Refusal::rejected(400, "InvalidParameter.ResourceARN", message));
        }
        targets.push(target);
    }
    Ok(targets)
}

/// `arn:acs:{service}:{region}:{account}:{type}/{id}`
fn target(arn: &str, region: &str, cloud: &Cloud) -> Result<Target, Refusal> {
    let wrong =
        |code: &'static str| Refusal::rejected(400, code, format!("The specified ResourceARN {arn} is invalid."));
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (prefix, partition, service, in_region, account, rest) = (next(), next(), next(), next(), next(), next());
    let Some((kind, id)) = rest.split_once('/') else { return Err(wrong("InvalidResourceARN.FormatError")) };
    if prefix != "arn" || partition != "acs" || service.is_empty() || kind.is_empty() || id.is_empty() {
        return Err(wrong("InvalidResourceARN.FormatError"));
    }
    // Services without regions leave theirs empty.
    if !in_region.is_empty() && in_region != "*" && in_region != region {
        return Err(wrong("InvalidResourceARN.Region"));
    }
    let own = cloud.config.account_id.as_deref();
    if account != "*" && own.is_some_and(|own| own != account) {
        return Err(wrong("InvalidResourceARN.Account"));
    }
    let in_region = if in_region == "*" { region } else { in_region };
    let account = if account == "*" { own.unwrap_or(ACCOUNT) } else { account };
    let key = format!("arn:acs:{service}:{in_region}:{account}:{kind}/{id}");
    Ok(Target { key, id: id.to_owned(), label: arn.to_owned() })
}

/// The tags of a Tag call: `{"key":"value"}`, all values text, no key twice.
pub(super) fn tags(product: &Product, parameters: &Parameters) -> Result<Vec<(String, String)>, Refusal> {
    let text = parameters.get("Tags").unwrap_or_default();
    if text.is_empty() {
        return Err(product.missing("Tags"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(Pairs).and_then(|tags| reader.end().map(|()| tags));
    let tags =
        read.map_err(|_| Refusal::rejected(400, "InvalidParameter.Tags", "Tags must be a JSON object of texts."))?;
    parameters::check(product, tags)
}

/// Reads an object as a list, so that a key that comes twice is not lost.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
