//! The Security Token Service: who a key belongs to, and keys for roles.

use super::{
    super::super::{
        call::{Exchange, http_date, wall},
        cloud::{Cloud, World},
        config::Vendor,
        reply::Reply,
        request::Request,
        session::{self, Asked, Keys, Refused, Session},
        verify,
    },
    super::Refusal,
    Parameters,
    auth::Scheme,
    envelope::{self, Format},
};
use crate::worker::clock;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::sync::Arc;

const VERSION: &str = "2015-04-01";

pub(in crate::sim) fn claims(request: &Request) -> bool {
    request.header("x-acs-version") == Some(VERSION)
        || (request.path == "/" && Parameters::of(request).get("Version") == Some(VERSION))
}

pub(in crate::sim) fn answer(world: &World, request: &Request) -> Exchange {
    let parameters = Parameters::of(request);
    let format = Format::asked(request, &parameters);
    let id = clock::nonce();
    let mut now = clock::wall();
    let body = body(world, request, &parameters, &mut now);
    let reply = match body {
        Ok(mut body) => {
            if let Some(fields) = body.as_object_mut() {
                fields.insert("RequestId".into(), id.clone().into());
            }
            Reply::json(200, &body)
        }
        Err(why) => envelope::refusal(format, &why, &id),
    };
    reply.with("date", http_date(now)).into()
}

fn body(world: &World, request: &Request, parameters: &Parameters, now: &mut Timestamp) -> Result<Value, Refusal> {
    let action = request.header("x-acs-action").or_else(|| parameters.get("Action")).unwrap_or_default();
    if action == "AssumeRoleWithOIDC" {
        return by_token(world, parameters, *now);
    }
    let scheme = Scheme::of(request, parameters)?;
    let cloud = world
        .anyone(Vendor::Alibaba, scheme.access_key())
        .ok_or_else(|| Refusal::auth(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."))?;
    let faults = Arc::clone(&cloud.state().faults);
    *now = wall(&faults);
    if faults.outage {
        return Err(Refusal::rejected(503, "ServiceUnavailable", "The request has failed due to a temporary failure."));
    }
    let keys = Keys::of(world, cloud, scheme.access_key());
    let nonce = scheme.authenticate(&keys, request, parameters, *now)?;
    if faults.revoked {
        return Err(Refusal::auth(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."));
    }
    if !cloud.state().fresh_nonce(&nonce, request.arrived) {
        return Err(Refusal::auth(400, "SignatureNonceUsed", "Specified signature nonce was used already."));
    }
    match action {
        "GetCallerIdentity" => Ok(caller(cloud, keys.session.as_deref())),
        "AssumeRole" => assume(world, parameters, *now),
        other => {
            let message = format!("Specified api is not found, please check your url and method: {other}");
            Err(Refusal::rejected(404, "InvalidAction.NotFound", message))
        }
    }
}

fn account(cloud: &Cloud) -> &str {
    cloud.config.account_id.as_deref().unwrap_or("1000000000000001")
}

fn caller(cloud: &Cloud, session: Option<&Session>) -> Value {
    let account = account(cloud);
    match session {
        Some(session) => json!({"AccountId": account, "Arn": session.arn, "IdentityType": "AssumedRoleUser",
            "PrincipalId": "300000000000000001:session", "RoleId": "300000000000000001"}),
        None => json!({"AccountId": account, "Arn": format!("acs:ram::{account}:user/sim"),
            "IdentityType": "RAMUser", "PrincipalId": "200000000000000001", "UserId": "200000000000000001"}),
    }
}

fn assume(world: &World, parameters: &Parameters, now: Timestamp) -> Result<Value, Refusal> {
    let role_arn = parameters.get("RoleArn").unwrap_or_default();
    if !role_arn.starts_with("acs:ram::") {
        return Err(malformed("RoleArn"));
    }
    let asked = Asked {
        role_arn,
        session_name: parameters.get("RoleSessionName").unwrap_or_default(),
        external_id: parameters.get("ExternalId"),
        seconds: parameters.get("DurationSeconds"),
    };
    let session = session::assume(world, Vendor::Alibaba, &asked, now).map_err(|why| match why {
        Refused::Malformed(what) => malformed(what),
        Refused::NoRole => Refusal::rejected(404, "EntityNotExist.Role", format!("The role not exists: {role_arn}.")),
        Refused::NotTrusted => {
            let message = "You are not authorized to do this action. You should be authorized by RAM.";
            Refusal::rejected(403, "NoPermission", message)
        }
    })?;
    Ok(json!({
        "AssumedRoleUser": {"Arn": session.arn, "AssumedRoleId": "300000000000000001:session"},
        "Credentials": {
            "AccessKeyId": session.access_key, "AccessKeySecret": session.secret_key, "SecurityToken": session.token,
            "Expiration": session.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        },
    }))
}

fn malformed(what: &str) -> Refusal {
    Refusal::rejected(400, format!("InvalidParameter.{what}"), format!("The parameter {what} is wrongly formed."))
}

/// The token is the proof; there is no key and no signature.
fn by_token(world: &World, parameters: &Parameters, now: Timestamp) -> Result<Value, Refusal> {
    let sent = parameters.get("OIDCToken").unwrap_or_default();
    let trusts = |cloud: &&Arc<Cloud>| {
        let token = cloud.config.oidc_token.as_ref();
        cloud.config.provider.vendor() == Vendor::Alibaba
            && token.is_some_and(|token| verify::equal(token.expose_secret(), sent))
    };
    let provider = parameters.get("OIDCProviderArn").unwrap_or_default();
    let Some(cloud) = world.clouds.iter().find(trusts).filter(|_| provider.contains(":oidc-provider/")) else {
        let message = "This OIDC token is invalid: the provider or its signature is not known.";
        return Err(Refusal::auth(400, "AuthenticationFail.OIDCToken.Invalid", message));
    };
    let role = parameters.get("RoleArn").unwrap_or_default();
    if !role.contains(&format!("::{}:", account(cloud))) {
        return Err(Refusal::rejected(403, "NoPermission", "The role does not trust this identity provider."));
    }
    assume(world, parameters, now)
}
