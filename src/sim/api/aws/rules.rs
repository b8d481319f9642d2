//! What every service refuses in keys, values and ARNs.

use super::super::{super::cloud::Cloud, Target};
use std::collections::HashSet;

/// What is wrong with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Key,
    Value,
    System,
    Twice,
}

/// Letters, numbers, separators and `_ . : / = + - @`, as S3 and Machine Learning have them.
fn plain(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

/// Checks keys and values; S3 passes AWS's own tags, which it has to be sent back.
pub(super) fn tags(pairs: &[(String, String)], only_plain: bool, system: bool) -> Result<(), Wrong> {
    let mut seen = HashSet::new();
    for (key, value) in pairs {
        self::key(key, only_plain, system)?;
        if value.chars().count() > 256 || (only_plain && !value.chars().all(plain)) {
            return Err(Wrong::Value);
        }
        if !seen.insert(key) {
            return Err(Wrong::Twice);
        }
    }
    Ok(())
}

/// Checks one key.
pub(super) fn key(key: &str, only_plain: bool, system: bool) -> Result<(), Wrong> {
    if !(1..=128).contains(&key.chars().count()) || (only_plain && !key.chars().all(plain)) {
        return Err(Wrong::Key);
    }
    let starts = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    if starts && !system { Err(Wrong::System) } else { Ok(()) }
}

/// The resource of an ARN: `arn:aws...:service:region:account:resource`, in this region and account.
pub(super) fn target(arn: &str, region: Option<&str>, cloud: &Cloud) -> Option<Target> {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (prefix, partition, service, in_region, account, resource) = (next(), next(), next(), next(), next(), next());
    let own = cloud.config.account_id.as_deref();
    let here = prefix == "arn"
        && partition == partition_of(region)
        && !service.is_empty()
        && !resource.is_empty()
        && arn.len() <= 1011
        && (in_region.is_empty() || region.is_none_or(|region| region == in_region))
        && (account.is_empty() || own.is_none_or(|own| own == account));
    let id = resource.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    here.then(|| Target { key: arn.to_owned(), id, label: arn.to_owned() })
}

fn partition_of(region: Option<&str>) -> &'static str {
    match region {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
