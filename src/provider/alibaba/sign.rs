//! The two signatures: V3 (ACS3-HMAC-SHA256) over headers and query, V1 (HMAC-SHA1) over parameters.

use crate::provider::signing::{
    Signed, canonical_request, hex, hmac_sha1, hmac_sha256, percent, sha256_hex, sorted_query,
};
use base64::{Engine, engine::general_purpose::STANDARD};

const V3: &str = "ACS3-HMAC-SHA256";

/// V3: signs a request with every header given, `host` from the URL, and the body's hash.
///
/// The key is the bare secret; there is no scope and no date in the string to sign (page "V3 request structure and
/// signature"). The authorization has commas without spaces.
pub fn sign_v3(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    access_key: &str,
    secret_key: &str,
) -> Signed {
    let (canonical, signed_headers) = canonical_request(method, url, headers, body, false);
    let string_to_sign = format!("{V3}\n{}", sha256_hex(canonical.as_bytes()));
    let signature = hex(&hmac_sha256(secret_key.as_bytes(), string_to_sign.as_bytes()));
    let authorization = format!("{V3} Credential={access_key},SignedHeaders={signed_headers},Signature={signature}");
    Signed { canonical, string_to_sign, signature, authorization }
}

/// V1: signs every parameter, those of the query and those of a form body together.
///
/// The key is the secret and one ampersand; the signature is base64 and travels as the parameter `Signature`.
pub fn sign_v1(method: &str, params: &[(String, String)], secret_key: &str) -> Signed {
    let canonical = sorted_query(params);
    let string_to_sign = format!("{method}&%2F&{}", percent(&canonical));
    let key = format!("{secret_key}&");
    let signature = STANDARD.encode(hmac_sha1(key.as_bytes(), string_to_sign.as_bytes()));
    Signed { canonical, string_to_sign, signature, authorization: String::new() }
}
