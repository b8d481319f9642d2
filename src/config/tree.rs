//! YAML as a tree that knows where each value stands, so that every mistake can be told with its line.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of the file.
    Line(u64),
    /// An environment variable.
    Variable(String),
}

/// One value and its place. No debug output: it can be a secret.
#[derive(Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) place: Place,
    pub(super) shape: Shape,
}

/// What a value is.
#[derive(Clone, PartialEq)]
pub(super) enum Shape {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// Reads YAML, or JSON, which is YAML too. The error says where and what, and shows nothing of the text.
pub(super) fn parse(text: &str) -> Result<Tree, String> {
    let options = serde_saphyr::options! {
        // The lines around a mistake can hold a secret.
        with_snippet: false,
        // Told by us, with the field, beside all other mistakes.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        // `0123` and `1_000` are more often names than numbers, and `.inf` is told with its field.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

impl Tree {
    /// What it is, in a reader's words.
    pub(super) fn kind(&self) -> &'static str {
        match self.shape {
            Shape::Null => "nothing",
            Shape::Bool(_) => "true or false",
            Shape::Int(_) | Shape::Float(_) => "a number",
            Shape::Text(_) => "text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a section",
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Shape>::deserialize(input)?;
        Ok(Self { place: Place::Line(spanned.referenced.line()), shape: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }
    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Shape, D::Error> {
        Shape::deserialize(input)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Shape, E> {
        Ok(Shape::Bool(flag))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Shape, E> {
        Ok(Shape::Int(number.into()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        Ok(Shape::Int(number.into()))
    }
    fn visit_i128<E>(self, number: i128) -> Result<Shape, E> {
        Ok(Shape::Int(number))
    }
    fn visit_u128<E: Error>(self, number: u128) -> Result<Shape, E> {
        i128::try_from(number).map(Shape::Int).map_err(|_| E::custom("a number out of range"))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Shape, E> {
        Ok(Shape::Float(number))
    }
    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(tree) = input.next_element()? {
            list.push(tree);
        }
        Ok(Shape::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Shape, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = input.next_key::<String>()? {
            fields.push((key, input.next_value()?));
        }
        Ok(Shape::Map(fields))
    }
}
