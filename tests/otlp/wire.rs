//! As much of OTLP's protobuf as it takes to read spans, written from opentelemetry/proto/trace/v1/trace.proto.

use std::{collections::BTreeMap, fmt::Write as _};

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Other,
}

/// One span. Ids are hexadecimal, empty where there is none.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub service: String,
    pub trace: String,
    pub state: String,
    pub parent: String,
    pub name: String,
    pub kind: u64,
    attributes: BTreeMap<String, Value>,
    /// Trace and span.
    pub links: Vec<(String, String)>,
}

impl Span {
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// A field: its number, and its bytes or its number.
enum Field<'b> {
    Bytes(u64, &'b [u8]),
    Number(u64, u64),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let mut take = |length: usize| {
            let (taken, rest) = bytes.split_at(length);
            bytes = rest;
            taken
        };
        match tag & 7 {
            1 => found.push(Field::Number(tag >> 3, u64::from_le_bytes(take(8).try_into().unwrap()))),
            5 => found.push(Field::Number(tag >> 3, u32::from_le_bytes(take(4).try_into().unwrap()).into())),
            0 => found.push(Field::Number(tag >> 3, varint(&mut bytes))),
            2 => {
                let length = varint(&mut bytes);
                let (taken, rest) = bytes.split_at(usize::try_from(length).unwrap());
                bytes = rest;
                found.push(Field::Bytes(tag >> 3, taken));
            }
            other => panic!("a field of type {other}"),
        }
    }
    found
}

/// The messages in a field.
fn all(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let of = |field| match field {
        Field::Bytes(found, bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(bytes).into_iter().filter_map(of).collect()
}

fn one(bytes: &[u8], number: u64) -> &[u8] {
    all(bytes, number).first().copied().unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn attributes(all: &[&[u8]]) -> BTreeMap<String, Value> {
    let value = |bytes: &[u8]| match fields(bytes).first() {
        Some(Field::Bytes(1, bytes)) => Value::Text(text(bytes)),
        Some(Field::Number(3, number)) => Value::Number(i64::from_le_bytes(number.to_le_bytes())),
        _ => Value::Other,
    };
    all.iter().map(|bytes| (text(one(bytes, 1)), value(one(bytes, 2)))).collect()
}

/// The spans of an export.
pub fn spans(request: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for resource in all(request, 1) {
        let service = match attributes(&all(one(resource, 1), 1)).remove("service.name") {
            Some(Value::Text(name)) => name,
            other => panic!("a service named {other:?}"),
        };
        for scope in all(resource, 2) {
            for span in all(scope, 2) {
                let kind = fields(span).into_iter().find_map(|field| match field {
                    Field::Number(6, kind) => Some(kind),
                    _ => None,
                });
                found.push(Span {
                    service: service.clone(),
                    trace: hex(one(span, 1)),
                    state: text(one(span, 3)),
                    parent: hex(one(span, 4)),
                    name: text(one(span, 5)),
                    kind: kind.unwrap_or_default(),
                    attributes: attributes(&all(span, 9)),
                    links: all(span, 13).iter().map(|link| (hex(one(link, 1)), hex(one(link, 2)))).collect(),
                });
            }
        }
    }
    found
}
