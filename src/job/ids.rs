//! Names that must hold to a form before they may travel: lanes and jobs.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub String);

/// One provider at one account and region; also its queue's name and its routing key.
///
/// 1 to 120 characters of `a-z A-Z 0-9 . _ -`: AMQP allows 255 bytes for a queue name, and ours has a prefix.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LaneName(Arc<str>);

impl LaneName {
    /// Checks the form of a lane's name.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let fits = (1..=120).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits {
            Ok(Self(name.into()))
        } else {
            Err(BadName("a lane name has 1 to 120 characters of a-z A-Z 0-9 . _ -".into()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The identity of a job, given by whoever submits it or made at submit.
///
/// 1 to 128 visible ASCII characters: it is a message id, a file key and a log field.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

impl JobId {
    /// Checks the form of a job's id.
    pub fn new(id: &str) -> Result<Self, BadName> {
        if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(id.into()))
        } else {
            Err(BadName("an id has 1 to 128 visible ASCII characters and no spaces".into()))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}
text_form!(LaneName);
text_form!(JobId);
