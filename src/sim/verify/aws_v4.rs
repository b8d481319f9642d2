//! AWS4-HMAC-SHA256, for services that sign the path as it is sent or have none (STS): a key derived per day, region
//! and service.

use super::{Claim, Request, sha256_hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the request claims, and the scope it is signed for: day, region, service.
pub(in crate::sim) struct Scoped {
    pub(in crate::sim) claim: Claim,
    pub(in crate::sim) day: String,
    pub(in crate::sim) region: String,
    pub(in crate::sim) service: String,
}

/// Reads `Credential=KEY/20150830/us-east-1/sts/aws4_request`; nothing when the request does not speak this scheme.
pub(in crate::sim) fn claim(request: &Request) -> Option<Scoped> {
    let mut claim = Claim::read(request.header("authorization")?, ALGORITHM, "Credential")?;
    let whole = std::mem::take(&mut claim.access_key);
    let mut parts = whole.split('/').map(str::to_owned);
    let (key, day, region, service, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if end != "aws4_request" || parts.next().is_some() {
        return None;
    }
    claim.access_key = key;
    Some(Scoped { claim, day, region, service })
}

/// The signature the request should carry.
pub(in crate::sim) fn signature(secret: &str, request: &Request, scoped: &Scoped) -> String {
    let canonical = scoped.claim.canonical(request, &request.path, &sha256_hex(&request.body));
    let (day, region, service) = (&scoped.day, &scoped.region, &scoped.service);
    let date = request.header("x-amz-date").unwrap_or_default();
    let hash = sha256_hex(canonical.as_bytes());
    let text = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{hash}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day.as_str(), region, service, "aws4_request"] {
        key = hmac(&key, part);
    }
    super::hex(&hmac(&key, &text))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length, so this branch is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::clock;
    use hyper::{HeaderMap, Method};

    /// Recorded from the vendor's Python SDK.
    fn recorded() -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "sts.us-east-1.amazonaws.com"),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=8eef5e41fdee1c4adf96e44498764ab9f9f506d0dbf9699db6c730e282d3263e",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Request {
            method: Method::POST,
            path: "/".into(),
            query: String::new(),
            headers,
            body: "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftagger&\
                   RoleSessionName=worker-1&DurationSeconds=3600"
                .into(),
            arrived: clock::monotonic(),
        }
    }

    #[test]
    fn a_recorded_request_verifies_and_no_changed_one_does() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let mut request = recorded();
        let scoped = claim(&request).unwrap();
        assert_eq!((scoped.claim.access_key.as_str(), scoped.service.as_str()), ("AKIDEXAMPLE", "sts"));
        assert_eq!(signature(secret, &request, &scoped), scoped.claim.signature);
        assert_ne!(signature("other", &request, &scoped), scoped.claim.signature);
        request.body = "Action=GetCallerIdentity".into();
        assert_ne!(signature(secret, &request, &scoped), scoped.claim.signature);
        let mut request = recorded();
        request.headers.insert("x-amz-date", "20150830T123601Z".parse().unwrap());
        assert_ne!(signature(secret, &request, &scoped), scoped.claim.signature);
    }

    #[test]
    fn a_scope_that_is_cut_short_is_no_claim() {
        let mut request = recorded();
        let short = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830, SignedHeaders=host, Signature=ab";
        request.headers.insert("authorization", short.parse().unwrap());
        assert!(claim(&request).is_none());
    }
}
