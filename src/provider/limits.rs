//! A provider's limits as data, and the one way to change them: down.

use super::Settings;

/// Whether a write adds to the tags that are there or replaces them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Other keys stay.
    Merge,
    /// The request is the whole new set, so it is read, merged and written.
    Replace,
}

/// What it means that a successful reply does not mention an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The API lists failures only: silence is success.
    Success,
    /// The API answers for the whole call: success is success of all.
    AllOrNothing,
}

/// What one call may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Resources in one call.
    pub resources_per_call: usize,
    /// Tags in one call that sets.
    pub tags_per_call: usize,
    /// Keys in one call that unsets.
    pub keys_per_call: usize,
    /// Tags one resource may carry. Documentation: the cloud decides, resource by resource.
    pub tags_per_resource: usize,
    /// Longest key, in characters.
    pub key_chars: usize,
    /// Longest value, in characters.
    pub value_chars: usize,
    /// Merge or replace.
    pub write: Write,
    /// What an unmentioned item is.
    pub silence: Silence,
}

impl Limits {
    /// Whether `overwrite: false` can be honoured: the API is read before it is written, so it can be told what is there.
    /// Everywhere else a write takes the place of what was there, whatever the job says.
    pub fn can_keep(&self) -> bool {
        self.write == Write::Replace
    }

    /// These limits as a lane's config lowers them. One text for all that is wrong, the field's name first.
    pub fn lowered(mut self, settings: &Settings) -> Result<Self, String> {
        let mut problems = Vec::new();
        lower("resources_per_call", &mut self.resources_per_call, settings.resources_per_call, &mut problems);
        lower("tags_per_call", &mut self.tags_per_call, settings.tags_per_call, &mut problems);
        // One setting for both directions: whoever wants smaller calls wants them for unset too.
        self.keys_per_call = self.keys_per_call.min(settings.tags_per_call.unwrap_or(usize::MAX)).max(1);
        if problems.is_empty() { Ok(self) } else { Err(problems.join("; ")) }
    }
}

fn lower(field: &str, limit: &mut usize, wanted: Option<usize>, problems: &mut Vec<String>) {
    match wanted {
        None => {}
        Some(0) => problems.push(format!("{field}: 0 would send nothing; the least is 1")),
        Some(wanted) if wanted > *limit => {
            problems.push(format!("{field}: {wanted} is more than the {limit} this API takes; it can only be lowered"));
        }
        Some(wanted) => *limit = wanted,
    }
}
