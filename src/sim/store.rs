//! The tags that a simulated cloud holds.

use std::collections::{BTreeMap, HashMap};

/// The tags of one resource.
type Tags = BTreeMap<Box<str>, Box<str>>;

/// Every resource that has a tag. A resource whose last tag went is not listed.
#[derive(Debug)]
pub(super) struct Store {
    resources: HashMap<Box<str>, Tags>,
    ignore_case: bool,
}

impl Store {
    /// An empty store. Where case is ignored, writing `Env` replaces `env`, and the newer spelling stands.
    pub(super) fn new(ignore_case: bool) -> Self {
        Self { resources: HashMap::new(), ignore_case }
    }

    /// A store with tags that are there from the start.
    pub(super) fn filled(ignore_case: bool, tags: &BTreeMap<String, BTreeMap<String, String>>) -> Self {
        let mut store = Self::new(ignore_case);
        for (resource, tags) in tags {
            let tags = tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
            store.keep(resource, tags);
        }
        store
    }

    /// The stored spelling of a key.
    fn spelled(&self, tags: &Tags, key: &str) -> Option<Box<str>> {
        if tags.contains_key(key) {
            return Some(key.into());
        }
        if !self.ignore_case {
            return None;
        }
        let folded = key.to_lowercase();
        tags.keys().find(|stored| stored.to_lowercase() == folded).cloned()
    }

    /// How many tags a resource would have after a write.
    pub(super) fn size_after(&self, resource: &str, set: &[(String, String)]) -> usize {
        let Some(tags) = self.resources.get(resource) else { return set.len() };
        tags.len() + set.iter().filter(|(key, _)| self.spelled(tags, key).is_none()).count()
    }

    /// Writes tags: same keys are overwritten, others stay.
    pub(super) fn set(&mut self, resource: &str, set: &[(String, String)]) {
        let mut tags = self.resources.remove(resource).unwrap_or_default();
        for (key, value) in set {
            if let Some(old) = self.spelled(&tags, key) {
                tags.remove(&old);
            }
            tags.insert(key.as_str().into(), value.as_str().into());
        }
        self.keep(resource, tags);
    }

    /// Takes tags away; keys that are not there do not matter.
    pub(super) fn unset(&mut self, resource: &str, keys: &[String]) {
        let Some(mut tags) = self.resources.remove(resource) else { return };
        for key in keys {
            if let Some(old) = self.spelled(&tags, key) {
                tags.remove(&old);
            }
        }
        self.keep(resource, tags);
    }

    /// Makes these the tags of a resource, and no others.
    pub(super) fn replace(&mut self, resource: &str, set: &[(String, String)]) {
        self.clear(resource);
        self.set(resource, set);
    }

    /// Takes all tags away.
    pub(super) fn clear(&mut self, resource: &str) {
        self.resources.remove(resource);
    }

    /// One resource's tags.
    pub(super) fn get(&self, resource: &str) -> impl Iterator<Item = (&str, &str)> {
        self.resources.get(resource).into_iter().flatten().map(|(key, value)| (&**key, &**value))
    }

    fn keep(&mut self, resource: &str, tags: Tags) {
        if !tags.is_empty() {
            self.resources.insert(resource.into(), tags);
        }
    }

    /// Everything, as plain maps.
    pub(super) fn all(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let plain = |tags: &Tags| tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        self.resources.iter().map(|(resource, tags)| (resource.to_string(), plain(tags))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_write_merges_and_overwrites() {
        let mut store = Store::new(false);
        store.set("disk/1", &tags(&[("env", "dev"), ("team", "a")]));
        store.set("disk/1", &tags(&[("env", "prod"), ("Env", "x")]));
        let held: Vec<_> = store.get("disk/1").collect();
        assert_eq!(held, [("Env", "x"), ("env", "prod"), ("team", "a")]);
    }

    #[test]
    fn where_case_is_ignored_the_newer_spelling_replaces_the_older() {
        let mut store = Store::new(true);
        store.set("i-1", &tags(&[("env", "dev"), ("team", "a")]));
        assert_eq!(store.size_after("i-1", &tags(&[("ENV", "prod"), ("new", "")])), 3);
        store.set("i-1", &tags(&[("ENV", "prod")]));
        assert_eq!(store.get("i-1").collect::<Vec<_>>(), [("ENV", "prod"), ("team", "a")]);
        store.unset("i-1", &["Env".into(), "absent".into()]);
        assert_eq!(store.get("i-1").collect::<Vec<_>>(), [("team", "a")]);
    }

    #[test]
    fn a_resource_without_tags_is_not_listed() {
        let mut store = Store::new(false);
        store.set("a", &tags(&[("k", "v")]));
        store.set("b", &tags(&[("k", "v")]));
        store.unset("a", &["k".into()]);
        store.clear("b");
        assert!(store.all().is_empty());
    }
}
