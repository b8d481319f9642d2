//! A JSON value that keeps what other readers throw away: duplicate keys, and the order they came in.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::{borrow::Cow, fmt};

/// One JSON value. Text without escapes borrows from the message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'m> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'m, str>),
    List(Vec<Node<'m>>),
    Object(Vec<(Cow<'m, str>, Node<'m>)>),
}

impl Node<'_> {
    /// What it is, in a reader's words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The whole number it is, however it is spelled: JSON knows no difference between `1` and `1.0`.
    pub(super) fn whole(&self) -> Option<u64> {
        let Self::Number(number) = self else { return None };
        // Above 2^53 a float no longer names one integer.
        let safe = |float: &f64| float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(float);
        number.as_u64().or_else(|| number.as_f64().filter(safe).map(|float| float as u64))
    }

    /// As a plain value, for what is carried and not read. Of a duplicate key the last value stays.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::List(list) => Value::Array(list.into_iter().map(Node::into_value).collect()),
            Self::Object(fields) => {
                Value::Object(fields.into_iter().map(|(key, node)| (key.into_owned(), node.into_value())).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(flag))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'de>, E> {
        Number::from_f64(number).map(Node::Number).ok_or_else(|| E::custom("a number out of range"))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = input.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Node<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Key(key)) = input.next_key()? {
            fields.push((key, input.next_value()?));
        }
        Ok(Node::Object(fields))
    }
}

/// A field's name, borrowed where it has no escapes (a plain `Cow` always copies).
struct Key<'m>(Cow<'m, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match input.deserialize_str(NodeVisitor)? {
            Node::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a field's name must be text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_keys_stay_visible() {
        let node: Node<'_> = serde_json::from_str(r#"{"a":1,"a":{"b":null,"b":true}}"#).unwrap();
        let Node::Object(fields) = node else { panic!("an object") };
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[1].1.kind(), "an object");
    }

    #[test]
    fn a_whole_number_may_be_spelled_as_a_float() {
        for (text, expected) in
            [("1", Some(1)), ("1.0", Some(1)), ("1e2", Some(100)), ("1.5", None), ("-1", None), ("1e300", None)]
        {
            assert_eq!(serde_json::from_str::<Node<'_>>(text).unwrap().whole(), expected, "{text}");
        }
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let node: Node<'_> = serde_json::from_str(r#"["plain","tab\t"]"#).unwrap();
        assert!(matches!(node, Node::List(list)
            if matches!(list[0], Node::Text(Cow::Borrowed(_))) && matches!(list[1], Node::Text(Cow::Owned(_)))));
    }
}
