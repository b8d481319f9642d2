//! Whether a message is from EventBridge of Alibaba Cloud: what its headers claim, which certificate that takes, the check.
//!
//! Version 2 signs with an RSA key, so it proves that EventBridge sent these bytes to this address a moment ago. The key
//! is the same for all customers of a region: whose EventBridge it was is known by the token alone, a secret that only
//! our target carries. Version 1 hands out its secret under the *private* key, so everybody who ever got one can open it
//! with the public key and sign what he likes: it proves nothing without the token, and is refused without one.

mod address;
mod key;
#[cfg(test)]
mod tests;

pub use address::REGIONS;
pub use key::{BadCertificate, CERTIFICATE_BYTES, PublicKey};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

const TIMESTAMP: &str = "x-eventbridge-signature-timestamp";
const HASH_METHOD: &str = "x-eventbridge-hash-method";
const METHOD: &str = "x-eventbridge-signature-method";
const VERSION: &str = "x-eventbridge-signature-version";
const URL: &str = "x-eventbridge-signature-url";
const TOKEN: &str = "x-eventbridge-signature-token";
const SECRET: &str = "x-eventbridge-signature-secret";
const SIGNATURE_V1: &str = "x-eventbridge-signature";
const SIGNATURE_V2: &str = "x-eventbridge-signature-v2";

/// How far the clocks of EventBridge and ours may be apart, either way; documented.
const WINDOW_MS: i64 = 60_000;
/// Bytes of a temporary secret at most. Short, so that the padding around it is long: with a long one, whoever finds a
/// number whose power begins like padding could call the rest of it a secret.
const SECRET_BYTES: usize = 64;

/// Why a message is not taken for one of EventBridge. Nothing of what it carries is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has neither signature.
    #[error("there is no signature: `{SIGNATURE_V2}` and `{SIGNATURE_V1}` are missing")]
    Unsigned,
    /// A header that goes with the signature is missing or empty.
    #[error("`{0}` is missing or empty")]
    Missing(&'static str),
    /// A header is there twice, too long, or spans lines.
    #[error("`{0}` is there twice or cannot be one of EventBridge")]
    Odd(&'static str),
    /// Signed in a way that is not documented.
    #[error("`{0}` names no method that is known here")]
    Method(&'static str),
    /// Signed too long ago or in the future: somebody sends it again, or a clock is wrong.
    #[error("it was signed {0} s from now; 60 s at most, so that nobody can send it again")]
    Late(i64),
    /// The certificate is not at an address of EventBridge.
    #[error("`{URL}` is no address of a certificate of EventBridge in a region that is allowed")]
    Address,
    /// The token is not ours.
    #[error("`{TOKEN}` is missing or is not the one that is configured")]
    Token,
    /// Version 1 where no token is configured.
    #[error("signatures of version 1 prove nothing by themselves: configure a token, here and at the target")]
    Weak,
    /// The signature does not fit the message, the address it was sent to, or the certificate.
    #[error("the signature does not fit the message, or it was sent to another address than is configured here")]
    Signature,
}

/// What whoever sends to us has to show.
#[derive(Clone, Debug)]
pub struct Expected {
    regions: Vec<String>,
    /// A digest, so that comparing takes as long whatever is right of it, and nothing secret is kept.
    token: Option<[u8; 32]>,
}

impl Expected {
    /// Events of EventBridge in these regions, or in any of [`REGIONS`] where none is named, with this token.
    pub fn new(regions: &[String], token: Option<&str>) -> Self {
        let regions = if regions.is_empty() {
            REGIONS.iter().map(|region| (*region).to_owned()).collect()
        } else {
            regions.to_vec()
        };
        Self { regions, token: token.map(|token| Sha256::digest(token).into()) }
    }

    /// Reads what the headers of a message claim, and refuses what needs no certificate to be refused.
    pub fn claim<'a>(&self, headers: &[(&'a str, &'a str)], now: Timestamp) -> Result<Claim<'a>, Refused> {
        let found = |name: &'static str| one(headers, name);
        let needed = |name: &'static str| one(headers, name)?.ok_or(Refused::Missing(name));
        // The strong one stands where both are there: nobody can talk us down to the weak one.
        let (proof, method) = if let Some(signature) = found(SIGNATURE_V2)? {
            (Proof::Rsa(decoded(signature, SIGNATURE_V2)?), (HASH_METHOD, "SHA256"))
        } else if let Some(signature) = found(SIGNATURE_V1)? {
            let (signature, secret) = (decoded(signature, SIGNATURE_V1)?, decoded(needed(SECRET)?, SECRET)?);
            (Proof::Hmac { signature, secret }, (METHOD, "HMAC-SHA1"))
        } else {
            return Err(Refused::Unsigned);
        };
        let (timestamp, url) = (needed(TIMESTAMP)?, needed(URL)?);
        let signed_at: i64 = timestamp.parse().map_err(|_| Refused::Odd(TIMESTAMP))?;
        let apart = now.as_millisecond().saturating_sub(signed_at);
        if apart.unsigned_abs() > WINDOW_MS.unsigned_abs() {
            return Err(Refused::Late(apart / 1_000));
        }
        if needed(method.0)? != method.1 {
            return Err(Refused::Method(method.0));
        }
        if !address::is_of_eventbridge(url, &self.regions) {
            return Err(Refused::Address);
        }
        let token = found(TOKEN)?;
        match (&self.token, token, &proof) {
            (None, _, Proof::Hmac { .. }) => return Err(Refused::Weak),
            (None, ..) => {}
            (Some(ours), Some(theirs), _) if *ours == <[u8; 32]>::from(Sha256::digest(theirs)) => {}
            (Some(_), ..) => return Err(Refused::Token),
        }
        let version = needed(VERSION)?;
        let lines =
            format!("{TIMESTAMP}: {timestamp}\n{}: {}\n{VERSION}: {version}\n{URL}: {url}\n", method.0, method.1);
        Ok(Claim { certificate: url, lines, token, proof })
    }
}

/// What a message claims: to be signed by the key of a certificate. Not proven before [`Claim::check`] says so.
pub struct Claim<'a> {
    certificate: &'a str,
    /// The headers that are signed, in their order, but for the token.
    lines: String,
    token: Option<&'a str>,
    proof: Proof,
}

enum Proof {
    /// Version 2: SHA-256 and RSA (PKCS #1 v1.5).
    Rsa(Vec<u8>),
    /// Version 1: HMAC-SHA1 under a secret that came with it, closed with the private key.
    Hmac { signature: Vec<u8>, secret: Vec<u8> },
}

/// A proof that only the message is missing from.
enum Opened<'p> {
    Digest([u8; 32]),
    Mac(Box<Hmac<Sha1>>, &'p [u8]),
}

impl Proof {
    /// What the public key makes of it.
    fn opened(&self, key: &PublicKey) -> Option<Opened<'_>> {
        match self {
            Self::Rsa(signature) => key.signed_digest(signature).map(Opened::Digest),
            Self::Hmac { signature, secret } => {
                let secret = key.opened(secret).filter(|secret| (1..=SECRET_BYTES).contains(&secret.len()))?;
                Some(Opened::Mac(Box::new(Hmac::new_from_slice(&secret).ok()?), signature))
            }
        }
    }
}

impl Opened<'_> {
    /// Whether it is the proof of these bytes.
    fn fits(&self, [head, body, end]: [&[u8]; 3]) -> bool {
        match self {
            Self::Digest(digest) => {
                let hash = Sha256::new().chain_update(head).chain_update(body).chain_update(end);
                hash.finalize().as_slice() == digest
            }
            Self::Mac(mac, signature) => {
                let mac = mac.as_ref().clone().chain_update(head).chain_update(body).chain_update(end);
                mac.verify_slice(signature).is_ok()
            }
        }
    }
}

impl<'a> Claim<'a> {
    /// Where the certificate is that [`Claim::check`] needs: an address of EventBridge, over HTTPS. Whoever fetches it
    /// follows no redirect and reads at most [`CERTIFICATE_BYTES`].
    pub fn certificate_url(&self) -> &'a str {
        self.certificate
    }

    /// Whether the claim is true for this body, sent to one of these addresses: the whole URL as the target has it,
    /// with its query. Behind a proxy that is not what arrives here, so it has to be configured.
    pub fn check(&self, key: &PublicKey, urls: &[&str], body: &[u8]) -> Result<(), Refused> {
        let proof = self.proof.opened(key).ok_or(Refused::Signature)?;
        for url in urls {
            for head in self.heads(url) {
                // The document ends with the body, the vendor's own library ends with one more line feed.
                if [&b""[..], b"\n"].iter().any(|end| proof.fits([head.as_bytes(), body, end])) {
                    return Ok(());
                }
            }
        }
        Err(Refused::Signature)
    }

    /// What is signed before the body. Without a token the document has no line for it, the vendor's own library an
    /// empty one.
    fn heads(&self, url: &str) -> Vec<String> {
        let lines = &self.lines;
        match self.token {
            Some(token) => vec![format!("{url}\n{lines}{TOKEN}: {token}\n")],
            None => vec![format!("{url}\n{lines}"), format!("{url}\n{lines}{TOKEN}: \n")],
        }
    }
}

/// The one header of that name. Two of them could mean one thing to the check and another to whoever reads on.
fn one<'a>(headers: &[(&'a str, &'a str)], name: &'static str) -> Result<Option<&'a str>, Refused> {
    let mut all = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let first = all.next().filter(|value| !value.is_empty());
    if all.next().is_some() || first.is_some_and(|value| value.len() > 4_096 || value.contains(['\n', '\r'])) {
        return Err(Refused::Odd(name));
    }
    Ok(first)
}

fn decoded(text: &str, name: &'static str) -> Result<Vec<u8>, Refused> {
    BASE64_STANDARD.decode(text).map_err(|_| Refused::Odd(name))
}
