//! Huawei Cloud SDK-HMAC-SHA256: as AWS's scheme looks, but with the bare secret key and a slash after the path.

use super::{super::percent, Claim, Request, hmac_sha256_hex, sha256_hex};

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// What the request claims, or nothing when it does not speak this scheme.
pub(in crate::sim) fn claim(request: &Request) -> Option<Claim> {
    Claim::read(request.header("authorization")?, ALGORITHM, "Access")
}

/// The signature the request should carry.
pub(in crate::sim) fn signature(secret: &str, request: &Request, claim: &Claim) -> String {
    let mut path: Vec<String> =
        request.path.split('/').map(|part| percent::encode(&percent::decode(part, false))).collect();
    if path.last().is_none_or(|last| !last.is_empty()) {
        path.push(String::new());
    }
    let canonical = claim.canonical(request, &path.join("/"), &sha256_hex(&request.body));
    let date = request.header("x-sdk-date").unwrap_or_default();
    hmac_sha256_hex(secret, &format!("{ALGORITHM}\n{date}\n{}", sha256_hex(canonical.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    #[test]
    fn every_recorded_huawei_request_verifies_and_no_changed_one_does() {
        for vector in vectors::of("SDK-HMAC-SHA256") {
            let mut request = vector.request();
            let claim = claim(&request).unwrap();
            assert_eq!(claim.access_key, vector.access_key);
            assert!(claim.covers("x-sdk-date"));
            assert_eq!(signature(&vector.secret_key, &request, &claim), vector.signature, "{}", vector.name);
            request.path.push_str("/x");
            assert_ne!(signature(&vector.secret_key, &request, &claim), vector.signature);
            for name in &claim.signed {
                request = vector.request();
                request.headers.insert(hyper::header::HeaderName::try_from(name).unwrap(), "changed".parse().unwrap());
                assert_ne!(signature(&vector.secret_key, &request, &claim), vector.signature, "{name}");
            }
        }
    }
}
