//! One field at a time: its type, its rule, its place in the error.

use super::super::node::Node;
use super::super::problem::Short;
use super::super::{rules, suggest};
use super::Parser;
use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

impl Parser {
    /// Sorts an object's fields into the places of the known ones; tells of the others and of those that come twice.
    pub(super) fn slots<'m, const N: usize>(
        &mut self,
        fields: Vec<(Cow<'m, str>, Node<'m>)>,
        known: &[&'static str; N],
        path: impl Display,
    ) -> [Option<Node<'m>>; N] {
        let mut slots = [const { None }; N];
        for (name, node) in fields {
            match slots.iter_mut().zip(known).find(|(_, known)| **known == name) {
                Some((slot @ None, _)) => *slot = Some(node),
                Some((Some(_), known)) => self.problems.add(format_args!("{path}{known}"), "is there twice"),
                None => {
                    // The one slip that no edit distance sees.
                    let hint = match &*name {
                        "tags" if known.contains(&"set") => "; did you mean set?".to_owned(),
                        name => suggest::hint(name, *known),
                    };
                    self.problems.add(format_args!("{path}{}", Short(&name)), format_args!("unknown field{hint}"));
                }
            }
        }
        slots
    }

    pub(super) fn name<N: Clone, E: Display>(
        &mut self,
        field: &str,
        node: Option<Node<'_>>,
        make: impl Fn(&str) -> Result<N, E>,
        default: Option<&N>,
    ) -> Option<N> {
        if node.is_none() {
            if default.is_none() {
                self.problems.add(field, "is missing");
            }
            return default.cloned();
        }
        let text = self.text(field, node)?;
        make(&text).map_err(|error| self.problems.add(field, error)).ok()
    }

    pub(super) fn time(&mut self, field: &str, node: Option<Node<'_>>) -> Option<jiff::Timestamp> {
        let text = self.text(field, node)?;
        rules::time(&text).map_err(|error| self.problems.add(field, error)).ok()
    }

    pub(super) fn flag(&mut self, field: &str, node: Option<Node<'_>>) -> Option<bool> {
        match node? {
            Node::Bool(flag) => Some(flag),
            other => {
                self.wrong(field, "true or false", &other);
                None
            }
        }
    }

    pub(super) fn text<'m>(&mut self, field: &str, node: Option<Node<'m>>) -> Option<Cow<'m, str>> {
        match node? {
            Node::Text(text) => Some(text),
            other => {
                self.wrong(field, "text", &other);
                None
            }
        }
    }

    pub(super) fn list<'m>(&mut self, field: &str, node: Node<'m>) -> Option<Vec<Node<'m>>> {
        match node {
            Node::List(list) if list.is_empty() && field == "resources" => {
                self.problems.add(field, "is empty; name at least one resource");
                None
            }
            Node::List(list) => Some(list),
            other => {
                self.wrong(field, "a list", &other);
                None
            }
        }
    }

    pub(super) fn object<'m>(&mut self, field: &str, node: Node<'m>) -> Option<Vec<(Cow<'m, str>, Node<'m>)>> {
        match node {
            Node::Object(fields) => Some(fields),
            other => {
                self.wrong(field, "an object", &other);
                None
            }
        }
    }

    pub(super) fn wrong(&mut self, field: impl Display, expected: &str, found: &Node<'_>) {
        self.problems.add(field, format_args!("expected {expected}, found {}", found.kind()));
    }

    pub(super) fn checked(
        &mut self,
        field: impl Display,
        text: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<Arc<str>> {
        match check(text) {
            Ok(()) => Some(self.share(text)),
            Err(error) => {
                self.problems.add(field, error);
                None
            }
        }
    }

    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }
}
