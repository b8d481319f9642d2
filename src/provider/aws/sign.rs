//! AWS4-HMAC-SHA256, with the `aws-sigv4` crate: time and credential are arguments, nothing is read.

use crate::provider::{Credential, HttpRequest, Moment, signing::sha256_hex};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign as sigv4,
    },
    sign::v4,
};
use jiff::Timestamp;
use secrecy::ExposeSecret;

/// What a signature is for. The names are those of the vendor's SDK: the Resource Groups Tagging API signs as
/// `tagging`, S3 Control as `s3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The signing name.
    pub service: &'a str,
    /// The region.
    pub region: &'a str,
}

/// A key pair, with the token of a temporary one. Shows nothing when printed.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// The public half.
    pub access_key: &'a str,
    /// The secret half.
    pub secret_key: &'a str,
    /// The session token.
    pub session_token: Option<&'a str>,
}

impl std::fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl<'a> Keys<'a> {
    /// What signs. A bearer token is nothing AWS takes here: the empty key is refused as such and the lane pauses.
    fn of(credential: &'a Credential) -> Self {
        match credential {
            Credential::Key { access_key, secret_key, security_token, .. } => Self {
                access_key,
                secret_key: secret_key.expose_secret(),
                session_token: security_token.as_ref().map(ExposeSecret::expose_secret),
            },
            Credential::Token(_) => Self { access_key: "", secret_key: "", session_token: None },
        }
    }
}

/// The headers that make a request a signed one: `x-amz-date`, `authorization`, with a temporary key
/// `x-amz-security-token`, and on S3 `x-amz-content-sha256`.
///
/// Every header given is signed, and `host` from the URL. On S3 the path is signed as it is sent; everywhere else each
/// segment is percent-encoded once more. None when a text cannot stand in a header: such a request goes unsigned and is
/// refused.
pub fn sign(
    scope: Scope<'_>,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    keys: Keys<'_>,
    now: Timestamp,
) -> Option<Vec<(String, String)>> {
    let mut settings = SigningSettings::default();
    if scope.service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let token = keys.session_token.map(str::to_owned);
    let identity = Credentials::new(keys.access_key, keys.secret_key, token, None, "tagmill").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(now.into())
        .settings(settings)
        .build()
        .ok()?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // The hash, not the bytes: the crate can be told to log bodies, and those hold tag values.
    let hash = SignableBody::Precomputed(sha256_hex(body));
    let request = SignableRequest::new(method, url, headers, hash).ok()?;
    let (added, _) = sigv4(request, &params.into()).ok()?.into_parts();
    Some(added.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The request with its signature.
pub(super) fn signed(scope: Scope<'_>, mut request: HttpRequest, credential: &Credential, at: &Moment) -> HttpRequest {
    let (method, url) = (request.method.as_str(), &request.url);
    let added = sign(scope, method, url, &request.headers, &request.body, Keys::of(credential), at.now);
    request.headers.extend(added.unwrap_or_default());
    request
}
