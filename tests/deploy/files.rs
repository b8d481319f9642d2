//! The files under test, as text and as values.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A path in the repository.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// One document of YAML or JSON.
pub fn value(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All documents of a stream.
pub fn values(stream: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(stream).unwrap_or_else(|error| panic!("{error}\n{stream}"));
    all.into_iter().filter(|each| !each.is_null()).collect()
}

/// The texts of an array.
pub fn texts(array: &Value) -> Vec<&str> {
    array.as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Seconds, of `40s` or of a number.
pub fn seconds(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| value.as_str().unwrap().trim_end_matches("sec").trim_end_matches('s').parse().unwrap())
}
