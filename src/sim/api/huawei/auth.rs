//! Who sent a request to Huawei Cloud: a signature with a key pair, or a token.

use super::super::super::{
    cloud::{Cloud, TIME_WINDOW, World},
    config::Api,
    request::Request,
    verify::{self, Claim, huawei},
};
use super::super::Refusal;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use secrecy::ExposeSecret as _;
use std::sync::Arc;

/// By what a request says who sent it.
pub(super) enum Identity {
    Key(Claim),
    Token(String),
}

fn incorrect(why: &str) -> Refusal {
    Refusal::auth(401, "APIGW.0301", format!("Incorrect IAM authentication information: {why}"))
}

/// The account a request says it comes from.
pub(super) fn identify<'w>(world: &'w World, request: &Request) -> Result<(&'w Arc<Cloud>, Identity), Refusal> {
    if let Some(token) = request.header("x-auth-token") {
        // A token starts with the number of the cloud that issued it.
        let issuer = token.split_once('.').and_then(|(index, _)| index.parse::<usize>().ok());
        let cloud = issuer.and_then(|index| world.clouds.get(index)).ok_or_else(|| incorrect("decrypt token fail"))?;
        return Ok((cloud, Identity::Token(token.to_owned())));
    }
    let claim = huawei::claim(request).ok_or_else(|| incorrect("no X-Auth-Token and no signature"))?;
    let cloud =
        world.account(Api::HuaweiTms, &claim.access_key).ok_or_else(|| incorrect("get secretKey by ak failed"))?;
    Ok((cloud, Identity::Key(claim)))
}

/// Whether the identity is proven.
pub(super) fn authenticate(
    cloud: &Cloud,
    request: &Request,
    identity: &Identity,
    now: Timestamp,
    needs_domain: bool,
) -> Result<(), Refusal> {
    match identity {
        Identity::Token(text) => token(cloud, text, now),
        Identity::Key(claim) => key(cloud, request, claim, now, needs_domain),
    }
}

fn token(cloud: &Cloud, text: &str, now: Timestamp) -> Result<(), Refusal> {
    let state = cloud.state();
    let Some(token) = state.tokens.get(text) else { return Err(incorrect("decrypt token fail")) };
    if token.expires <= now || token.epoch != state.faults.token_epoch {
        return Err(Refusal::auth(401, "APIGW.0307", "The token must be updated."));
    }
    if !token.domain_scope {
        return Err(Refusal::auth(401, "TMS.0003", "Authentication failed: the token's scope must be a domain."));
    }
    Ok(())
}

fn key(cloud: &Cloud, request: &Request, claim: &Claim, now: Timestamp, needs_domain: bool) -> Result<(), Refusal> {
    if !claim.covers("x-sdk-date") {
        return Err(incorrect("X-Sdk-Date is not signed"));
    }
    let date = request.header("x-sdk-date").and_then(read_date).ok_or_else(|| incorrect("X-Sdk-Date is malformed"))?;
    if date.duration_since(now).unsigned_abs() > TIME_WINDOW {
        return Err(Refusal::auth(401, "APIGW.0303", "Incorrect app authentication information: x-sdk-date expired"));
    }
    let expected = huawei::signature(cloud.config.secret_key.expose_secret(), request, claim);
    if !verify::equal(&expected, &claim.signature) {
        return Err(incorrect("verify aksk signature fail"));
    }
    let token = request.header("x-security-token").unwrap_or_default();
    let wanted = cloud.config.security_token.as_ref().map_or("", |token| token.expose_secret());
    if !verify::equal(token, wanted) {
        return Err(incorrect("the security token does not belong to this key"));
    }
    // A global service cannot tell the account from the key alone.
    let domain = request.header("x-domain-id").unwrap_or_default();
    if needs_domain && (domain.is_empty() || cloud.config.domain_id.as_deref().is_some_and(|wanted| wanted != domain)) {
        return Err(incorrect("X-Domain-Id is missing or names another account"));
    }
    Ok(())
}

fn read_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
