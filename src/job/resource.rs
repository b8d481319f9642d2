//! One cloud resource as a job names it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use std::sync::Arc;

/// A resource: an id, and a type and project where the provider needs them.
///
/// An ARN or a bucket name says it all, so such a resource travels as a plain string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// The cloud's own identifier: an instance id, an ARN, a bucket name.
    pub id: Arc<str>,
    /// The type in the provider's words (`disk`, `INSTANCE`), where it has one.
    pub kind: Option<Arc<str>>,
    /// The project or enterprise project the resource lives in (Huawei Cloud).
    pub project: Option<Arc<str>>,
}

impl Resource {
    /// A resource that is named by its id alone.
    pub fn plain(id: &str) -> Self {
        Self { id: id.into(), kind: None, project: None }
    }

    /// A resource with a type.
    pub fn typed(id: &str, kind: &str) -> Self {
        Self { id: id.into(), kind: Some(kind.into()), project: None }
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.kind.is_none() && self.project.is_none() {
            return out.serialize_str(&self.id);
        }
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("id", &*self.id)?;
        if let Some(kind) = &self.kind {
            map.serialize_entry("type", &**kind)?;
        }
        if let Some(project) = &self.project {
            map.serialize_entry("project", &**project)?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Plain(Arc<str>),
    Full {
        id: Arc<str>,
        #[serde(rename = "type", default)]
        kind: Option<Arc<str>>,
        #[serde(default)]
        project: Option<Arc<str>>,
    },
}

/// Reads back what [`Serialize`] wrote, for marks and dead letters. What comes from outside goes through
/// [`super::parse`], which says what is wrong.
impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(match Stored::deserialize(input)? {
            Stored::Plain(id) => Self { id, kind: None, project: None },
            Stored::Full { id, kind, project } => Self { id, kind, project },
        })
    }
}
