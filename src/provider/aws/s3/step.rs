//! What the next request of a call is, as it stands in the memo.

use super::set::TagSet;
use crate::provider::{Failure, Memo};
use serde::{Deserialize, Serialize};

/// Where a call stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Read the tags.
    #[default]
    Read,
    /// Ask where the bucket is.
    Locate,
    /// Write this set, all of it; an empty one is deleted.
    Write(TagSet),
    /// Read again what was written.
    Verify,
    /// Set the call's tags through S3 Control, which merges.
    ControlTag,
    /// Remove the call's keys through S3 Control.
    ControlUntag,
}

/// One step of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) stage: Stage,
    /// The bucket's region, once a reply of this call has named it.
    pub(super) region: Option<String>,
    /// The call has been sent to another region already: that happens once.
    pub(super) moved: bool,
    /// Keys of the call that had a value at the read, and keep it.
    #[serde(default)]
    pub(super) kept: Vec<String>,
    /// Code and words of the refusal that made the call take another way.
    pub(super) refusal: Option<(String, String)>,
}

impl Step {
    /// The step of a memo; none is the first. `None` for a memo that we have not written.
    pub(super) fn of(memo: Option<&Memo>) -> Option<Self> {
        memo.map_or_else(|| Some(Self::default()), |memo| serde_json::from_slice(&memo.0).ok())
    }

    /// The step with another stage.
    pub(super) fn at(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    /// The same, remembering why.
    pub(super) fn after(&self, stage: Stage, refusal: &Failure) -> Self {
        Self { refusal: Some((refusal.code.clone(), refusal.message.clone())), ..self.at(stage) }
    }

    /// The memo of this step. Writing texts to memory cannot fail; a memo that could not be read is answered as broken.
    pub(super) fn memo(&self) -> Memo {
        Memo(serde_json::to_vec(self).unwrap_or_default())
    }
}
