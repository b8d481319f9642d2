//! What goes wrong in a simulated cloud, and how often: all of it may change while the cloud runs.

use serde::{Deserialize, Serialize};

/// The faults of one cloud. Probabilities are per call and lie between 0 and 1; ids are patterns with `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// The call is answered 500 with the provider's own code; nothing is applied.
    pub error_500: f64,
    /// The call is answered 502 with an HTML page, as a proxy would; nothing is applied.
    pub error_502: f64,
    /// The call is answered 503 with the provider's own code; nothing is applied.
    pub error_503: f64,
    /// The connection is dropped without an answer, before anything is applied.
    pub reset_before: f64,
    /// The connection is dropped without an answer, after the call was applied.
    pub reset_after: f64,
    /// The call is applied and the answer breaks off in the middle of its body.
    pub truncated: f64,
    /// S3: another change of the bucket is under way: 409, nothing is applied.
    pub conflict: f64,
    /// S3: some reads show the tags as they were a while ago.
    pub stale: Stale,
    /// TMS, Tag and AWS tagging: the share of resources that fail for this once inside a 200.
    pub transient_items: f64,
    /// Some answers take long; what the call does happens before the wait.
    pub slow: Slow,
    /// How long every answer takes.
    pub latency: Span,
    /// TMS, Tag and AWS tagging: resources that always fail inside a 200, with a code of your choice.
    pub failed_items: Vec<FailedItems>,
    /// Ids that do not exist.
    pub unknown: Vec<String>,
    /// Ids that make every call with them fail with a coded 500, for ever.
    pub poison_500: Vec<String>,
    /// Ids this account may not tag.
    pub denied: Vec<String>,
    /// Ids that do not exist at first.
    pub appears: Vec<Appears>,
    /// Ids that are not ready at first.
    pub late: Vec<Late>,
    /// Everything is answered 503, before anything else is looked at.
    pub outage: bool,
    /// Everything is answered 403: the key is good, the permission is missing.
    pub deny_all: bool,
    /// The key, and every token of the account, is refused as revoked.
    pub revoked: bool,
    /// The key's session, and every token of the account, is refused as expired.
    pub expired: bool,
    /// Raising this number ends every token issued before, and every session of the account where this is its first cloud.
    pub token_epoch: u64,
    /// The cloud's clock is off by so many seconds.
    pub clock_offset_s: i64,
}

/// How often an answer is slow, and how slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slow {
    /// The probability per call.
    pub probability: f64,
    /// The shortest wait.
    pub min_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
}

/// A span of time from which a wait is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Span {
    /// The shortest wait.
    pub min_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
}

/// How often a read is behind the writes, and how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stale {
    /// The probability per read.
    pub probability: f64,
    /// How old the state that it shows may be, at most a minute.
    pub up_to_ms: u64,
}

/// Resources that always fail inside a 200.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedItems {
    /// The pattern of their ids.
    pub id: String,
    /// The code reported for each of them.
    pub code: String,
    /// The words reported for each of them.
    #[serde(default)]
    pub message: String,
}

/// Resources that become ready only after a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The pattern of their ids.
    pub id: String,
    /// How long it takes.
    pub after_ms: u64,
    /// From when.
    #[serde(default)]
    pub since: Since,
    /// The code in place of the provider's usual one for "not ready yet".
    #[serde(default)]
    pub code: Option<String>,
}

/// Resources that come into being after a while, or after some calls for them; with neither they never do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appears {
    /// The pattern of their ids.
    pub id: String,
    /// After how long.
    #[serde(default)]
    pub after_ms: Option<u64>,
    /// From when.
    #[serde(default)]
    pub since: Since,
    /// After how many calls that name the resource.
    #[serde(default)]
    pub after_calls: Option<u32>,
}

/// From when a late resource's wait counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// From the first call that names the resource.
    #[default]
    FirstSeen,
    /// From the start of the simulator, or its last reset.
    Start,
}

impl Faults {
    /// What is wrong with these numbers, one text per problem.
    pub fn problems(&self) -> Vec<String> {
        let chances = [
            ("error_500", self.error_500),
            ("error_502", self.error_502),
            ("error_503", self.error_503),
            ("reset_before", self.reset_before),
            ("reset_after", self.reset_after),
            ("truncated", self.truncated),
            ("transient_items", self.transient_items),
            ("slow.probability", self.slow.probability),
            ("conflict", self.conflict),
            ("stale.probability", self.stale.probability),
        ];
        let mut found: Vec<String> = chances
            .into_iter()
            .filter(|(_, chance)| !(0.0..=1.0).contains(chance))
            .map(|(name, chance)| format!("{name} is {chance}, and a probability lies between 0 and 1"))
            .collect();
        for (name, min, max) in
            [("slow", self.slow.min_ms, self.slow.max_ms), ("latency", self.latency.min_ms, self.latency.max_ms)]
        {
            if min > max {
                found.push(format!("{name}.min_ms is above {name}.max_ms"));
            }
        }
        if self.stale.up_to_ms > 60_000 {
            found.push("stale.up_to_ms is above 60000".into());
        }
        found
    }

    /// These faults with a JSON merge patch (RFC 7396) laid over: what is not named stays, `null` puts the default back.
    ///
    /// # Errors
    /// When the patch names a fault that does not exist, or gives it a value it cannot have.
    pub fn merged(&self, patch: &serde_json::Value) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if !patch.is_object() {
            return Err("faults must be an object".into());
        }
        merge(&mut whole, patch);
        let merged: Self = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        match merged.problems().into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(merged),
        }
    }
}

fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    let serde_json::Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = serde_json::Value::Object(serde_json::Map::new());
    }
    let Some(into) = target.as_object_mut() else { return };
    for (name, value) in fields {
        if value.is_null() {
            into.remove(name);
        } else {
            merge(into.entry(name.as_str()).or_insert(serde_json::Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_what_it_names_and_null_puts_the_default_back() {
        let before = Faults { error_500: 0.5, outage: true, unknown: vec!["a*".into()], ..Faults::default() };
        let after = before
            .merged(&json!({"error_500": null, "unknown": ["b*"], "slow": {"probability": 1, "max_ms": 3}}))
            .unwrap();
        let slow = Slow { probability: 1.0, min_ms: 0, max_ms: 3 };
        assert_eq!(after, Faults { outage: true, unknown: vec!["b*".into()], slow, ..Faults::default() });
    }

    #[test]
    fn a_patch_with_an_unknown_fault_or_an_impossible_value_is_refused() {
        let faults = Faults::default();
        assert!(faults.merged(&json!({"eror_500": 1})).unwrap_err().contains("eror_500"));
        assert!(faults.merged(&json!({"error_500": 1.5})).unwrap_err().contains("between 0 and 1"));
        assert!(faults.merged(&json!({"slow": {"min_ms": 2, "max_ms": 1}})).is_err());
        assert!(faults.merged(&json!(7)).is_err());
    }
}
