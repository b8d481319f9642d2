//! What a lane asks of its provider: how resources and keys are told apart.

use crate::{job::Resource, lane::Naming, provider::Provider};
use std::{borrow::Cow, sync::Arc};

/// A provider, as far as a lane may know it.
#[derive(Debug)]
pub(super) struct Names(pub(super) Arc<dyn Provider>);

impl Naming for Names {
    fn resource_key(&self, resource: &Resource) -> String {
        self.0.resource_key(resource)
    }

    fn share_key(&self, resource: &Resource) -> String {
        self.0.share_key(resource)
    }

    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.fold_key(key)
    }
}
