//! Percent-encoding as the clouds read it: decode what was sent, encode with the unreserved set of RFC 3986.
//!
//! Written apart from the providers' encoders on purpose: a mistake must not be able to agree with itself.

use std::fmt::Write as _;

/// Encodes all but `A-Z a-z 0-9 - _ . ~`.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Decodes `%XX`, and `+` as a space where the text is a query or a form. A stray `%` stands for itself.
pub(super) fn decode(text: &str, plus_is_space: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let ahead = bytes.clone();
        match byte {
            b'+' if plus_is_space => out.push(b' '),
            b'%' => {
                if let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                    out.push(high << 4 | low);
                } else {
                    out.push(b'%');
                    bytes = ahead;
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The decoded pairs of a query or a form body, in the order they were sent.
pub(super) fn pairs(raw: &str) -> Vec<(String, String)> {
    raw.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

/// Pairs in canonical form: encoded, sorted by name as bytes, joined.
pub(super) fn canonical(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sorted.sort_unstable();
    let encoded: Vec<String> =
        sorted.into_iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    encoded.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_decodes_to_itself() {
        for text in ["", "J/S+*~%王", "a b", "%", "100%25"] {
            assert_eq!(decode(&encode(text), true), text);
        }
        assert_eq!(encode("J/S+*~%王"), "J%2FS%2B%2A~%25%E7%8E%8B");
    }

    #[test]
    fn a_broken_escape_stands_for_itself() {
        assert_eq!(decode("%zz%4", true), "%zz%4");
        assert_eq!(decode("a+b", true), "a b");
        assert_eq!(decode("a+b", false), "a+b");
    }

    #[test]
    fn pairs_sort_as_bytes_so_ten_comes_before_two() {
        let sent = pairs("ResourceId.2=b&ResourceId.10=c&ResourceId.1=a&Flag");
        assert_eq!(canonical(&sent), "Flag=&ResourceId.1=a&ResourceId.10=c&ResourceId.2=b");
    }
}
