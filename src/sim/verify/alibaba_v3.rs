//! Alibaba Cloud signature V3 (ACS3-HMAC-SHA256): a canonical request, its hash, one HMAC with the bare secret.

use super::{Claim, Request, hmac_sha256_hex, sha256_hex};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What the request claims, or nothing when it does not speak this scheme.
pub(in crate::sim) fn claim(request: &Request) -> Option<Claim> {
    Claim::read(request.header("authorization")?, ALGORITHM, "Credential")
}

/// The text to sign. The body's hash is taken of the body, whatever the header says.
pub(in crate::sim) fn string_to_sign(request: &Request, claim: &Claim) -> String {
    let canonical = claim.canonical(request, &request.path, &sha256_hex(&request.body));
    format!("{ALGORITHM}\n{}", sha256_hex(canonical.as_bytes()))
}

/// The signature such a text should carry.
pub(in crate::sim) fn signature(secret: &str, text: &str) -> String {
    hmac_sha256_hex(secret, text)
}

/// Whether `x-acs-content-sha256` tells the truth about the body.
pub(in crate::sim) fn body_is_as_announced(request: &Request) -> bool {
    request.header("x-acs-content-sha256").is_some_and(|hash| hash.eq_ignore_ascii_case(&sha256_hex(&request.body)))
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    #[test]
    fn every_recorded_v3_request_verifies_and_no_changed_one_does() {
        for vector in vectors::of("ACS3-HMAC-SHA256") {
            let mut request = vector.request();
            let claim = claim(&request).unwrap();
            assert_eq!(claim.access_key, vector.access_key);
            assert!(body_is_as_announced(&request), "{}", vector.name);
            let sign = |request: &Request| signature(&vector.secret_key, &string_to_sign(request, &claim));
            assert_eq!(sign(&request), vector.signature, "{}", vector.name);

            request.query.push_str("&more=1");
            assert_ne!(sign(&request), vector.signature);
            request = vector.request();
            request.body = [&request.body[..], b"x"].concat().into();
            assert!(!body_is_as_announced(&request));
            assert_ne!(sign(&request), vector.signature);
            for name in &claim.signed {
                request = vector.request();
                request.headers.insert(hyper::header::HeaderName::try_from(name).unwrap(), "changed".parse().unwrap());
                assert_ne!(sign(&request), vector.signature, "{} {name}", vector.name);
            }
        }
    }
}
