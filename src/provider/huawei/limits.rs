//! What TMS takes in one call, and which keys and values it can never take.

use crate::{
    job::Job,
    provider::{Checked, Limits, Silence, Write},
};

/// TMS: 50 resources a call and 10 tags a resource, API page "Creating Tags in Batches" of 2025-09-08. The text of
/// the older SDK says 20 resources: a lane can lower it. One call may mix types, but has one project.
pub(super) const LIMITS: Limits = Limits {
    resources_per_call: 50,
    tags_per_call: 10,
    keys_per_call: 10,
    // The same page; one page of constraints says 20.
    tags_per_resource: 10,
    // The same page, tables 3 and 4. Other Huawei Cloud services allow 128 and 255: TMS is the narrow one.
    key_chars: 36,
    value_chars: 43,
    // Nowhere stated, but how the vendor's own Terraform provider uses it.
    write: Write::Merge,
    // The answer lists `failed_resources` and nothing else.
    silence: Silence::Success,
};

/// Letters, digits, hyphen and underscore (API page), and U+4E00 to U+9FFF (SDK).
fn key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '\u{4e00}'..='\u{9fff}')
}

/// Finds what TMS refuses whatever the state of the account. Texts name keys, never values.
pub(super) fn check(job: &Job) -> Checked {
    let mut found = Checked::default();
    for (field, key) in job.set.keys().map(|key| ("set", key)).chain(job.unset.iter().map(|key| ("unset", key))) {
        let chars = key.chars().count();
        if chars == 0 {
            found.job.push(format!("{field}: a key is empty"));
        } else if chars > LIMITS.key_chars {
            found.job.push(format!("{field}.{key}: the key has {chars} characters, TMS takes {}", LIMITS.key_chars));
        } else if !key.chars().all(key_char) {
            found.job.push(format!("{field}.{key}: TMS takes letters, digits, - _ and Chinese characters in a key"));
        }
    }
    for (key, value) in &job.set {
        let chars = value.chars().count();
        if chars > LIMITS.value_chars {
            found.job.push(format!("set.{key}: the value has {chars} characters, TMS takes {}", LIMITS.value_chars));
        } else if !value.chars().all(|c| c == '.' || key_char(c)) {
            found.job.push(format!("set.{key}: TMS takes letters, digits, . - _ and Chinese characters in a value"));
        }
    }
    for (index, resource) in job.resources.iter().enumerate() {
        if resource.id.is_empty() {
            found.resources.push((index, "id: empty".into()));
        }
        if resource.kind.as_deref().unwrap_or_default().is_empty() {
            found.resources.push((index, "type: missing; TMS finds a resource by type and id, such as disk".into()));
        }
    }
    found
}
