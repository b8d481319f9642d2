//! What the signers share: hashes, percent-encoding and the canonical request.

use super::endpoint::{host_of, path_and_query};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt::Write};

/// A signature with the two texts it was made from, for tests and for comparing with what a cloud quotes back.
/// They hold tag values and tokens: never log them.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The request in the form that is hashed.
    pub canonical: String,
    /// What goes under the key.
    pub string_to_sign: String,
    /// Hex or base64, as the scheme wants it.
    pub signature: String,
    /// The value of the `Authorization` header; empty where the signature is a parameter.
    pub authorization: String,
}

/// The algorithms' only secret input is the key, but the canonical text can hold tokens: show neither.
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signed(..)")
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hex of SHA-256.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length, so the error arm is never taken; an empty signature is refused by the cloud.
    Hmac::<Sha256>::new_from_slice(key)
        .map_or_else(|_| Vec::new(), |mac| mac.chain_update(text).finalize().into_bytes().to_vec())
}

/// HMAC-SHA1. Only for Alibaba Cloud's V1 signature, which knows nothing else.
pub(super) fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    Hmac::<Sha1>::new_from_slice(key)
        .map_or_else(|_| Vec::new(), |mac| mac.chain_update(text).finalize().into_bytes().to_vec())
}

/// Percent-encoding that leaves only `A-Z a-z 0-9 - _ . ~` (RFC 3986, unreserved).
pub(super) fn percent(text: &str) -> String {
    percent_bytes(text.as_bytes())
}

fn percent_bytes(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut out, &byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Undoes percent-encoding; what is not an escape stays as it is.
fn unpercent(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|two| byte == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        let decoded = escape.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        if let Some(value) = decoded {
            out.push(value);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(byte);
            rest = after;
        }
    }
    Cow::Owned(out)
}

/// `name=value` pairs, both percent-encoded, sorted by name as bytes: `ResourceId.10` comes before `ResourceId.2`.
pub(super) fn sorted_query(params: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = params.iter().map(|(name, value)| (percent(name), percent(value))).collect();
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A query as it stands in a URL, its pairs sorted and encoded once.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (percent_bytes(&unpercent(name)), percent_bytes(&unpercent(value))))
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The path with each segment decoded and encoded once. `slash` adds the final slash that Huawei Cloud signs and
/// nobody sends.
fn canonical_path(path: &str, slash: bool) -> String {
    let path = path.split('/').map(|segment| percent_bytes(&unpercent(segment))).collect::<Vec<_>>().join("/");
    if slash && !path.ends_with('/') { path + "/" } else { path }
}

/// The canonical request and the list of signed headers: every header given, and the URL's host.
///
/// Both clouds we sign for ourselves use this shape; they differ in the slash and in what they do with it.
pub(super) fn canonical_request(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    slash: bool,
) -> (String, String) {
    let (path, query) = path_and_query(url);
    let mut signed: Vec<(String, &str)> =
        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    signed.push(("host".into(), host_of(url)));
    signed.sort();
    let lines = signed.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
    let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let (path, query, hash) = (canonical_path(path, slash), canonical_query(query), sha256_hex(body));
    (format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{hash}"), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_leaves_only_the_unreserved() {
        assert_eq!(percent("aZ0-_.~ /+*%王"), "aZ0-_.~%20%2F%2B%2A%25%E7%8E%8B");
    }

    #[test]
    fn decoding_undoes_encoding_and_leaves_odd_escapes_alone() {
        for text in ["plain", "a b/王%", "%", "%4", "%zz", "100%"] {
            assert_eq!(&*unpercent(&percent(text)), text.as_bytes());
        }
        assert_eq!(&*unpercent("%zz%4"), b"%zz%4");
    }

    #[test]
    fn names_sort_as_bytes() {
        let params = ["R.2", "R.10", "R.1"].map(|name| (name.to_owned(), String::new()));
        assert_eq!(sorted_query(&params), "R.1=&R.10=&R.2=");
    }
}
