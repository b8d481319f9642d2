//! Checks signatures, with a second implementation that shares nothing with the providers' signers.
//!
//! A signer tested only against itself can be wrong in both places at once. Here each scheme is written again from
//! its description, over the request as received, and pinned by published and recorded examples (`vectors.json`).
//! Nothing in here knows who may call or what time it is: it computes the signature a request should carry.

pub(super) mod alibaba_v1;
pub(super) mod alibaba_v3;
pub(super) mod aws;
pub(super) mod huawei;

use super::request::Request;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What an `Authorization` header claims.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) access_key: String,
    pub(super) signed: Vec<String>,
    pub(super) signature: String,
}

impl Claim {
    /// Reads `ALGORITHM NAME=key,SignedHeaders=a;b,Signature=hex`, with or without spaces after the commas.
    fn read(header: &str, algorithm: &str, key_name: &str) -> Option<Self> {
        let fields = header.strip_prefix(algorithm)?.strip_prefix(' ')?;
        let (mut access_key, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            match name {
                "SignedHeaders" => signed = Some(value.split(';').map(str::to_ascii_lowercase).collect()),
                "Signature" => signature = Some(value.to_owned()),
                other if other == key_name => access_key = Some(value.to_owned()),
                _ => return None,
            }
        }
        Some(Self { access_key: access_key?, signed: signed?, signature: signature? })
    }

    /// Whether a header is under the signature.
    pub(super) fn covers(&self, header: &str) -> bool {
        self.signed.iter().any(|name| name == header)
    }

    /// The canonical request both header schemes share; they differ in the path.
    fn canonical(&self, request: &Request, path: &str, body_hash: &str) -> String {
        let mut names = self.signed.clone();
        names.sort_unstable();
        let mut text = format!("{}\n{path}\n{}\n", request.method, super::percent::canonical(&request.query_pairs()));
        for name in &names {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}:{}", request.header(name).unwrap_or_default().trim());
        }
        let _ = write!(text, "\n{}\n{body_hash}", names.join(";"));
        text
    }
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hex of SHA-256.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac_sha256_hex(secret: &str, text: &str) -> String {
    // HMAC takes keys of any length, so this branch is never taken; an empty signature equals none.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Compares without telling by its duration where two signatures differ.
pub(super) fn equal(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
pub(super) mod vectors {
    //! The recorded examples, as requests.

    use super::*;
    use crate::worker::clock;
    use hyper::{HeaderMap, Method, header::HeaderName};
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    pub(crate) struct Vector {
        pub(crate) name: String,
        pub(crate) scheme: String,
        method: String,
        url: String,
        host: String,
        headers: BTreeMap<String, String>,
        body: String,
        pub(crate) access_key: String,
        pub(crate) secret_key: String,
        pub(crate) signature: String,
    }

    impl Vector {
        pub(crate) fn request(&self) -> Request {
            let after_scheme = self.url.split_once("://").unwrap().1;
            let target = &after_scheme[after_scheme.find('/').unwrap()..];
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let mut headers = HeaderMap::new();
            headers.insert("host", self.host.parse().unwrap());
            for (name, value) in &self.headers {
                headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            Request {
                method: Method::from_bytes(self.method.as_bytes()).unwrap(),
                path: path.to_owned(),
                query: query.to_owned(),
                headers,
                body: self.body.clone().into(),
                arrived: clock::monotonic(),
            }
        }
    }

    pub(crate) fn of(scheme: &str) -> Vec<Vector> {
        let all: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
        let chosen: Vec<Vector> = all.into_iter().filter(|vector| vector.scheme == scheme).collect();
        assert!(chosen.len() >= 7, "the examples of {scheme} are gone");
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_with_and_without_spaces() {
        let expected =
            Claim { access_key: "AK".into(), signed: vec!["host".into(), "x-date".into()], signature: "ab".into() };
        let spaced = Claim::read("ALG Access=AK, SignedHeaders=Host;x-date, Signature=ab", "ALG", "Access");
        assert_eq!(spaced.as_ref(), Some(&expected));
        let tight = Claim::read("ALG Access=AK,SignedHeaders=host;x-date,Signature=ab", "ALG", "Access");
        assert_eq!(tight.as_ref(), Some(&expected));
    }

    #[test]
    fn a_claim_with_a_piece_missing_is_none() {
        for broken in ["", "ALG", "ALG Access=AK,SignedHeaders=host", "OTHER Access=AK,SignedHeaders=a,Signature=b"] {
            assert_eq!(Claim::read(broken, "ALG", "Access"), None, "{broken}");
        }
    }

    #[test]
    fn equal_compares_all_of_both() {
        assert!(equal("abc", "abc") && equal("", ""));
        assert!(!equal("abc", "abd") && !equal("abc", "ab") && !equal("", "a"));
    }
}
