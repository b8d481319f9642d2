//! The Security Token Service: a query API that answers XML. Who a key belongs to, and keys for roles.

use super::super::{
    super::{
        call::{Exchange, http_date, wall},
        cloud::{TIME_WINDOW, World},
        config::Vendor,
        percent,
        reply::Reply,
        request::Request,
        session::{self, Asked, Keys, Refused},
        verify::{self, aws::Scoped},
    },
    Refusal,
};
use crate::worker::clock;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use quick_xml::escape::escape;
use std::sync::Arc;

const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

fn parameters(request: &Request) -> Vec<(String, String)> {
    let mut all = percent::pairs(&request.query);
    all.extend(request.form_pairs());
    all
}

fn get<'p>(parameters: &'p [(String, String)], name: &str) -> Option<&'p str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub(in crate::sim) fn claims(request: &Request) -> bool {
    request.path == "/" && get(&parameters(request), "Version") == Some(VERSION)
}

pub(in crate::sim) fn answer(world: &World, request: &Request) -> Exchange {
    let parameters = parameters(request);
    let action = get(&parameters, "Action").unwrap_or_default();
    let id = clock::nonce();
    let mut now = clock::wall();
    let reply = match body(world, request, action, &parameters, &mut now) {
        Ok(result) => {
            let metadata = format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>");
            let result = format!("<{action}Result>{result}</{action}Result>");
            let body = format!("<{action}Response xmlns=\"{NAMESPACE}\">{result}{metadata}</{action}Response>");
            Reply::new(200, "text/xml", body)
        }
        Err(why) => {
            let (code, message) = (escape(why.code.as_ref()), escape(why.message.as_str()));
            let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
            let body =
                format!("<ErrorResponse xmlns=\"{NAMESPACE}\">{error}<RequestId>{id}</RequestId></ErrorResponse>");
            Reply::new(why.status, "text/xml", body)
        }
    };
    reply.with("x-amzn-requestid", id).with("date", http_date(now)).into()
}

fn body(
    world: &World,
    request: &Request,
    action: &str,
    parameters: &[(String, String)],
    now: &mut Timestamp,
) -> Result<String, Refusal> {
    let scoped = Scoped::read(request)
        .ok_or_else(|| Refusal::auth(403, "MissingAuthenticationToken", "Request is missing Authentication Token"))?;
    let access_key = scoped.access_key.as_str();
    let unknown =
        || Refusal::auth(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    let cloud = world.anyone(Vendor::Aws, access_key).ok_or_else(unknown)?;
    let faults = Arc::clone(&cloud.state().faults);
    *now = wall(&faults);
    if faults.outage {
        return Err(Refusal::rejected(503, "ServiceUnavailable", "The service is unavailable."));
    }
    let keys = Keys::of(world, cloud, access_key);
    for name in ["host", "x-amz-date"] {
        if !scoped.covers(name) {
            let message = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
            return Err(Refusal::auth(403, "SignatureDoesNotMatch", message));
        }
    }
    let date = request.header("x-amz-date").unwrap_or_default();
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok().and_then(|at| at.to_zoned(TimeZone::UTC).ok());
    let at = at.filter(|_| date.starts_with(&scoped.date)).map(|zoned| zoned.timestamp()).ok_or_else(|| {
        Refusal::auth(400, "IncompleteSignature", "Date must be in ISO-8601 'basic format' and match its scope.")
    })?;
    if at.duration_since(*now).unsigned_abs() > TIME_WINDOW {
        let message = format!("Signature expired: {date} is now earlier than the time window allows.");
        return Err(Refusal::auth(403, "SignatureDoesNotMatch", message));
    }
    if scoped.service != "sts" {
        let message = "Credential should be scoped to correct service: 'sts'.";
        return Err(Refusal::auth(403, "SignatureDoesNotMatch", message));
    }
    if !scoped.is_signed_with(&keys.secret, request) {
        let message = "The request signature we calculated does not match the signature you provided. Check your AWS \
                       Secret Access Key and signing method.";
        return Err(Refusal::auth(403, "SignatureDoesNotMatch", message));
    }
    let token = request.header("x-amz-security-token");
    match (&keys.token, token) {
        (None, None) => {}
        (Some(wanted), Some(sent)) if verify::equal(wanted, sent) => {}
        _ => return Err(unknown()),
    }
    let over = keys.session.as_ref().is_some_and(|session| session.is_over(*now));
    if over || faults.expired {
        let message = "The security token included in the request is expired";
        return Err(Refusal::auth(403, "ExpiredToken", message));
    }
    if faults.revoked {
        return Err(unknown());
    }
    match action {
        "GetCallerIdentity" => {
            let account = cloud.config.account_id.as_deref().unwrap_or("123456789012");
            let (arn, user) = match &keys.session {
                Some(session) => (session.arn.clone(), "AROAEXAMPLE:session"),
                None => (format!("arn:aws:iam::{account}:user/sim"), "AIDAEXAMPLE"),
            };
            let arn = escape(arn.as_str());
            Ok(format!("<Arn>{arn}</Arn><UserId>{user}</UserId><Account>{account}</Account>"))
        }
        "AssumeRole" => assume(world, parameters, *now),
        other => {
            let message = format!("Could not find operation {other} for version {VERSION}");
            Err(Refusal::rejected(400, "InvalidAction", message))
        }
    }
}

fn assume(world: &World, parameters: &[(String, String)], now: Timestamp) -> Result<String, Refusal> {
    let role_arn = get(parameters, "RoleArn").unwrap_or_default();
    let asked = Asked {
        role_arn,
        session_name: get(parameters, "RoleSessionName").unwrap_or_default(),
        external_id: get(parameters, "ExternalId"),
        seconds: get(parameters, "DurationSeconds"),
    };
    let session = session::assume(world, Vendor::Aws, &asked, now).map_err(|why| match why {
        Refused::Malformed(what) => {
            Refusal::rejected(400, "ValidationError", format!("1 validation error detected: {what} is not valid"))
        }
        // AWS does not tell a role that is not there from one that does not trust you.
        Refused::NoRole | Refused::NotTrusted => {
            let message = format!("The caller is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
            Refusal::rejected(403, "AccessDenied", message)
        }
    })?;
    let expires = session.expires.strftime("%Y-%m-%dT%H:%M:%SZ");
    let (arn, key, secret, token) = (&session.arn, &session.access_key, &session.secret_key, &session.token);
    let [arn, key, secret, token] = [arn, key, secret, token].map(|text| escape(text.as_str()));
    Ok(format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>"
    ))
}
