//! Signers for tests: the third way to write them, as plain as can be.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Sorted by name, so that `ResourceId.1` comes before `ResourceId.10`.
pub fn query(pairs: &[(String, String)]) -> String {
    let mut sorted = pairs.to_vec();
    sorted.sort();
    sorted.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac256(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The value of `Authorization` for a request with these headers, all of them signed.
pub fn headers(
    algorithm: &str,
    key_name: &str,
    (access, secret): (&str, &str),
    (method, path, query, body): (&str, &str, &str, &[u8]),
    headers: &[(String, String)],
) -> String {
    let mut sorted = headers.to_vec();
    sorted.sort();
    let lines: String = sorted.iter().map(|(k, v)| format!("{k}:{v}\n")).collect();
    let names = sorted.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>().join(";");
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", sha256(body));
    let hash = sha256(canonical.as_bytes());
    let date = sorted.iter().find(|(k, _)| k == "x-sdk-date").map_or(String::new(), |(_, v)| format!("{v}\n"));
    let signature = hmac256(secret, &format!("{algorithm}\n{date}{hash}"));
    let comma = if date.is_empty() { "," } else { ", " };
    format!("{algorithm} {key_name}={access}{comma}SignedHeaders={names}{comma}Signature={signature}")
}

/// Alibaba V1: the signature over all parameters.
pub fn v1(method: &str, secret: &str, pairs: &[(String, String)]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()).unwrap();
    mac.update(format!("{method}&%2F&{}", encode(&query(pairs))).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// AWS version 4: `Authorization` for a request with these headers, all of them signed. `path` is the canonical one.
pub fn aws(
    (access, secret): (&str, &str),
    (region, service, stamp): (&str, &str, &str),
    (method, path, query, body): (&str, &str, &str, &[u8]),
    headers: &[(String, String)],
) -> String {
    let mut sorted = headers.to_vec();
    sorted.sort();
    let lines: String = sorted.iter().map(|(k, v)| format!("{k}:{v}\n")).collect();
    let names = sorted.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>().join(";");
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", sha256(body));
    let scope = format!("{}/{region}/{service}/aws4_request", &stamp[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    format!("AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}")
}
