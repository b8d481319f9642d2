//! The AK/SK signature SDK-HMAC-SHA256 (API signing guide), written against published vectors.

use crate::provider::signing::{Signed, canonical_request, hex, hmac_sha256, sha256_hex};

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// Signs a request with every header given, `host` from the URL, and the exact bytes of the body.
///
/// `x-sdk-date` must be among the headers. The path is signed with a slash at its end that is not sent; the key is
/// the bare secret, with no date, region or scope in it.
pub fn sign(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    access_key: &str,
    secret_key: &str,
) -> Signed {
    let (canonical, signed_headers) = canonical_request(method, url, headers, body, true);
    let date = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-sdk-date")).map_or("", |(_, value)| value);
    let string_to_sign = format!("{ALGORITHM}\n{date}\n{}", sha256_hex(canonical.as_bytes()));
    let signature = hex(&hmac_sha256(secret_key.as_bytes(), string_to_sign.as_bytes()));
    let authorization =
        format!("{ALGORITHM} Access={access_key}, SignedHeaders={signed_headers}, Signature={signature}");
    Signed { canonical, string_to_sign, signature, authorization }
}
