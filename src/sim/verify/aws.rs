//! AWS4-HMAC-SHA256: a key derived from date, region and service, over a canonical request whose path is encoded once
//! on S3 and twice everywhere else.

use super::{super::percent, Claim, Request, hex, sha256_hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the request claims: the key, what it was derived for, and the signature.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sim) struct Scoped {
    pub(in crate::sim) access_key: String,
    pub(in crate::sim) date: String,
    pub(in crate::sim) region: String,
    pub(in crate::sim) service: String,
    claim: Claim,
}

impl Scoped {
    /// Reads the header, or nothing when the request does not speak this scheme.
    pub(in crate::sim) fn read(request: &Request) -> Option<Self> {
        let claim = Claim::read(request.header("authorization")?, ALGORITHM, "Credential")?;
        let parts: Vec<String> = claim.access_key.split('/').map(str::to_owned).collect();
        let [access_key, date, region, service, end] = <[String; 5]>::try_from(parts).ok()?;
        (end == "aws4_request").then_some(Self { access_key, date, region, service, claim })
    }

    /// Whether a header is under the signature.
    pub(in crate::sim) fn covers(&self, header: &str) -> bool {
        self.claim.covers(header)
    }

    /// Whether the request carries the signature it should.
    pub(in crate::sim) fn is_signed_with(&self, secret: &str, request: &Request) -> bool {
        super::equal(&self.signature(secret, request), &self.claim.signature)
    }

    fn signature(&self, secret: &str, request: &Request) -> String {
        let canonical = self.claim.canonical(request, &self.path(request), &sha256_hex(&request.body));
        let scope = [&*self.date, &*self.region, &*self.service, "aws4_request"];
        let stamp = request.header("x-amz-date").unwrap_or_default();
        let text = format!("{ALGORITHM}\n{stamp}\n{}\n{}", scope.join("/"), sha256_hex(canonical.as_bytes()));
        let key = scope.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
        hex(&hmac(&key, &text))
    }

    /// The path under the signature.
    fn path(&self, request: &Request) -> String {
        if self.service == "s3" {
            return request.path.clone();
        }
        request.path.split('/').map(percent::encode).collect::<Vec<_>>().join("/")
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length, so this branch is never taken; an empty signature equals none.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    #[test]
    fn every_recorded_aws_request_verifies_and_no_changed_one_does() {
        for vector in vectors::of("AWS4-HMAC-SHA256") {
            let mut request = vector.request();
            let scoped = Scoped::read(&request).unwrap();
            assert_eq!(scoped.access_key, vector.access_key);
            assert!(scoped.covers("host") && scoped.covers("x-amz-date"), "{}", vector.name);
            assert_eq!(scoped.signature(&vector.secret_key, &request), vector.signature, "{}", vector.name);
            assert!(scoped.is_signed_with(&vector.secret_key, &request));
            assert!(!scoped.is_signed_with("another", &request));

            request.query.push_str("&more=1");
            assert!(!scoped.is_signed_with(&vector.secret_key, &request), "{}", vector.name);
            request = vector.request();
            request.path.push_str("%41");
            assert!(!scoped.is_signed_with(&vector.secret_key, &request), "{}", vector.name);
            request = vector.request();
            request.body = [&request.body[..], b"x"].concat().into();
            assert!(!scoped.is_signed_with(&vector.secret_key, &request), "{}", vector.name);
            for name in &scoped.claim.signed {
                request = vector.request();
                request.headers.insert(hyper::header::HeaderName::try_from(name).unwrap(), "changed".parse().unwrap());
                assert!(!scoped.is_signed_with(&vector.secret_key, &request), "{} {name}", vector.name);
            }
        }
    }

    #[test]
    fn a_path_that_is_encoded_once_does_not_verify_outside_of_s3() {
        let vectors = vectors::of("AWS4-HMAC-SHA256");
        let vector = vectors.iter().find(|vector| vector.name == "backup-tag-resource-vault").unwrap();
        let mut request = vector.request();
        // What the recorded signature covers is %253A; a signer that leaves the path alone has signed %3A.
        request.path = request.path.replace("%3A", ":");
        let scoped = Scoped::read(&request).unwrap();
        assert!(!scoped.is_signed_with(&vector.secret_key, &request));
    }
}
