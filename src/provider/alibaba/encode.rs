//! A call as a request: parameters first, then one of two ways to sign and send them.

use super::api::{Address, Api};
use super::sign::{sign_v1, sign_v3};
use crate::provider::{
    Call, Credential, HttpRequest, Method, Moment, Op,
    endpoint::Endpoint,
    signing::{percent, sha256_hex, sorted_query},
};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

pub(super) type Params = Vec<(String, String)>;

/// The action's name. It is case sensitive for the gateway.
fn action(op: Op) -> &'static str {
    match op {
        Op::Set => "TagResources",
        Op::Unset => "UntagResources",
    }
}

/// The operation's own parameters. List members count from 1 without gaps.
pub(super) fn params(api: &Api, region: &str, call: &Call) -> Params {
    let mut params: Params = vec![("RegionId".into(), region.into())];
    let ids = match &api.address {
        Address::Id { .. } => {
            let kind = call.resources.first().map(|resource| api.kind_of(resource)).unwrap_or_default();
            params.push(("ResourceType".into(), kind.into()));
            "ResourceId"
        }
        Address::Arn => "ResourceARN",
    };
    for (n, resource) in (1..).zip(&call.resources) {
        params.push((format!("{ids}.{n}"), resource.id.to_string()));
    }
    match (call.op, &api.address) {
        (Op::Unset, _) => {
            params.extend((1..).zip(&call.tags).map(|(n, (key, _))| (format!("TagKey.{n}"), key.to_string())));
        }
        (Op::Set, Address::Id { .. }) => {
            for (n, (key, value)) in (1..).zip(&call.tags) {
                params.push((format!("Tag.{n}.Key"), key.to_string()));
                params.push((format!("Tag.{n}.Value"), value.to_string()));
            }
        }
        (Op::Set, Address::Arn) => {
            let tags: BTreeMap<&str, &str> = call.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
            // Writing strings to memory cannot fail; an empty parameter would be refused.
            params.push(("Tags".into(), serde_json::to_string(&tags).unwrap_or_default()));
        }
    }
    params
}

/// What signs: key, secret and token. A bearer token is nothing these APIs take: the empty key is refused as such
/// and the lane pauses.
fn key_of(credential: &Credential) -> (&str, &str, Option<&SecretString>) {
    match credential {
        Credential::Key { access_key, secret_key, security_token, .. } => {
            (access_key, secret_key.expose_secret(), security_token.as_ref())
        }
        Credential::Token(_) => ("", "", None),
    }
}

/// V3: parameters in the query as the published metadata has them, an empty body, and only `host` and `x-acs-*`
/// signed, so that no proxy breaks the signature.
pub(super) fn request_v3(
    api: &Api,
    endpoint: &Endpoint,
    op: Op,
    params: &Params,
    credential: &Credential,
    at: &Moment,
) -> HttpRequest {
    let (access_key, secret, token) = key_of(credential);
    let url = format!("{}/?{}", endpoint.base, sorted_query(params));
    let mut headers: Params = vec![
        ("x-acs-action".into(), action(op).into()),
        ("x-acs-content-sha256".into(), sha256_hex(&[])),
        ("x-acs-date".into(), stamp(at)),
        ("x-acs-signature-nonce".into(), at.nonce.clone()),
        ("x-acs-version".into(), api.version.into()),
    ];
    if let Some(token) = token {
        headers.push(("x-acs-accesskey-id".into(), access_key.into()));
        headers.push(("x-acs-security-token".into(), token.expose_secret().into()));
    }
    let signed = sign_v3(Method::Post.as_str(), &url, &headers, &[], access_key, secret);
    headers.push(("authorization".into(), signed.authorization));
    // Without it an answer may be XML. Not signed.
    headers.push(("accept".into(), "application/json".into()));
    HttpRequest { method: Method::Post, url, headers, body: Vec::new() }
}

/// V1: common parameters in the query, the operation's own in a form body, so that 20 tags of Chinese text make a
/// long body and not a URL of 40 KB that a gateway refuses.
pub(super) fn request_v1(
    api: &Api,
    endpoint: &Endpoint,
    op: Op,
    params: &Params,
    credential: &Credential,
    at: &Moment,
) -> HttpRequest {
    rpc_v1(endpoint, (action(op), api.version), params, credential, at)
}

/// Any action of any product, signed V1, its own parameters in a form body.
pub(super) fn rpc_v1(
    endpoint: &Endpoint,
    (action, version): (&str, &str),
    params: &Params,
    credential: &Credential,
    at: &Moment,
) -> HttpRequest {
    let (access_key, secret, token) = key_of(credential);
    let mut common: Params = [
        ("AccessKeyId", access_key),
        ("Action", action),
        // The default answer is XML.
        ("Format", "json"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", &at.nonce),
        ("SignatureVersion", "1.0"),
        ("Timestamp", &stamp(at)),
        ("Version", version),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    if let Some(token) = token {
        common.push(("SecurityToken".into(), token.expose_secret().into()));
    }
    let all: Params = common.iter().chain(params).cloned().collect();
    let signed = sign_v1(Method::Post.as_str(), &all, secret);
    let signature = percent(&signed.signature);
    let url = format!("{}/?{}&Signature={signature}", endpoint.base, sorted_query(&common));
    form(url, params)
}

/// The same without a signature: for the one action that nobody can sign yet.
pub(super) fn rpc_unsigned(
    endpoint: &Endpoint,
    (action, version): (&str, &str),
    params: &Params,
    at: &Moment,
) -> HttpRequest {
    let common = [("Action", action), ("Format", "json"), ("Timestamp", &stamp(at)), ("Version", version)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    form(format!("{}/?{}", endpoint.base, sorted_query(&common)), params)
}

fn form(url: String, params: &Params) -> HttpRequest {
    // A form writes a space as plus; everything else is as in a query.
    let body = sorted_query(params).replace("%20", "+").into_bytes();
    let headers = vec![
        ("content-type".into(), "application/x-www-form-urlencoded".into()),
        ("accept".into(), "application/json".into()),
    ];
    HttpRequest { method: Method::Post, url, headers, body }
}

fn stamp(at: &Moment) -> String {
    at.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
