//! Who sent a request to Alibaba Cloud: signature V1 in the parameters, or V3 in the headers.

use super::{super::Refusal, Parameters};
use crate::sim::{
    cloud::TIME_WINDOW,
    request::Request,
    session::Keys,
    verify::{self, Claim, alibaba_v1, alibaba_v3},
};
use jiff::Timestamp;

/// How a request is signed.
pub(super) enum Scheme {
    V1 { access_key: String },
    V3(Claim),
}

fn incomplete(what: &str) -> Refusal {
    Refusal::auth(400, "IncompleteSignature", format!("The request signature does not conform to standards: {what}."))
}

impl Scheme {
    /// Reads which scheme a request speaks, and whose key it names.
    pub(super) fn of(request: &Request, parameters: &Parameters) -> Result<Self, Refusal> {
        if request.header("authorization").is_some() {
            return alibaba_v3::claim(request).map(Self::V3).ok_or_else(|| incomplete("Authorization cannot be read"));
        }
        match parameters.get("AccessKeyId") {
            Some(key) if !key.is_empty() => Ok(Self::V1 { access_key: key.to_owned() }),
            _ => Err(Refusal::auth(400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action.")),
        }
    }

    pub(super) fn access_key(&self) -> &str {
        match self {
            Self::V1 { access_key } => access_key,
            Self::V3(claim) => &claim.access_key,
        }
    }

    /// Whether the request proves who sent it; its nonce when it does.
    pub(super) fn authenticate(
        &self,
        keys: &Keys,
        request: &Request,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let secret = keys.secret.as_str();
        let (date, nonce, token) = match self {
            Self::V1 { .. } => {
                check_v1(secret, request, parameters)?;
                (parameters.get("Timestamp"), parameters.get("SignatureNonce"), parameters.get("SecurityToken"))
            }
            Self::V3(claim) => {
                check_v3(secret, request, claim)?;
                let header = |name| request.header(name);
                (header("x-acs-date"), header("x-acs-signature-nonce"), header("x-acs-security-token"))
            }
        };
        check_time(date.unwrap_or_default(), now)?;
        check_token(keys, token)?;
        if keys.session.as_ref().is_some_and(|session| session.is_over(now)) {
            return Err(Refusal::auth(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."));
        }
        match nonce {
            Some(nonce) if !nonce.is_empty() => Ok(nonce.to_owned()),
            _ => Err(incomplete("there is no signature nonce")),
        }
    }
}

fn check_v1(secret: &str, request: &Request, parameters: &Parameters) -> Result<(), Refusal> {
    if parameters.get("SignatureMethod") != Some("HMAC-SHA1") {
        return Err(Refusal::auth(400, "InvalidSignatureMethod", "The SignatureMethod must be HMAC-SHA1."));
    }
    if parameters.get("SignatureVersion") != Some("1.0") {
        return Err(incomplete("SignatureVersion must be 1.0"));
    }
    let sent = parameters.get("Signature").ok_or_else(|| incomplete("there is no Signature"))?;
    let text = alibaba_v1::string_to_sign(request.method.as_str(), &parameters.all);
    if verify::equal(&alibaba_v1::signature(secret, &text), sent) {
        return Ok(());
    }
    // The text holds the session's token, if there is one: then it is not repeated.
    let quoted = if parameters.get("SecurityToken").is_some() { "not shown" } else { &text };
    Err(mismatch(quoted))
}

fn check_v3(secret: &str, request: &Request, claim: &Claim) -> Result<(), Refusal> {
    let must_be_signed = |name: &str| name == "host" || name == "content-type" || name.starts_with("x-acs-");
    for name in request.headers.keys().map(hyper::header::HeaderName::as_str) {
        if must_be_signed(name) && !claim.covers(name) {
            return Err(incomplete(&format!("the header {name} is not signed")));
        }
    }
    for name in ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"]
    {
        if request.header(name).is_none() {
            return Err(incomplete(&format!("the header {name} is missing")));
        }
    }
    let text = alibaba_v3::string_to_sign(request, claim);
    let same = verify::equal(&alibaba_v3::signature(secret, &text), &claim.signature);
    if same && alibaba_v3::body_is_as_announced(request) { Ok(()) } else { Err(mismatch(&text)) }
}

fn mismatch(text: &str) -> Refusal {
    let message = format!(
        "Specified signature does not match our calculation. server string to sign is:{}",
        text.replace('\n', "\\n")
    );
    Refusal::auth(400, "SignatureDoesNotMatch", message)
}

fn check_time(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let whole = text.len() == 20 && text.ends_with('Z');
    let date = text.parse::<Timestamp>().ok().filter(|_| whole).ok_or_else(|| {
        Refusal::auth(400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")
    })?;
    if date.duration_since(now).unsigned_abs() > TIME_WINDOW {
        let message = "Specified time stamp or date value is expired.";
        return Err(Refusal::auth(400, "InvalidTimeStamp.Expired", message));
    }
    Ok(())
}

fn check_token(keys: &Keys, sent: Option<&str>) -> Result<(), Refusal> {
    match (&keys.token, sent) {
        (None, None) => Ok(()),
        (Some(wanted), Some(sent)) if verify::equal(wanted, sent) => Ok(()),
        (Some(_), None) => {
            Err(Refusal::auth(400, "MissingSecurityToken", "SecurityToken is mandatory for this action."))
        }
        _ => {
            let message = "Specified SecurityToken does not match the AccessKeyId.";
            Err(Refusal::auth(400, "InvalidSecurityToken.MismatchWithAccessKey", message))
        }
    }
}
