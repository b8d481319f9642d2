//! Roles: taken with a key, or with the token of a pod (RRSA).

use super::super::{
    Wanted,
    around::{Around, words},
    chain::{Found, Look},
};
use crate::provider::{
    Endpoint,
    alibaba::sts::{self, Role},
};

/// The services' own default.
const HOUR: u32 = 3600;
/// How we call ourselves where nobody says.
const SESSION_NAME: &str = "tagmill";

const ROLE: [&str; 2] = ["ALIBABA_CLOUD_ROLE_ARN", "ALIBABACLOUD_ROLE_ARN"];
const PROVIDER: [&str; 2] = ["ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABACLOUD_OIDC_PROVIDER_ARN"];
const TOKEN_FILE: [&str; 2] = ["ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABACLOUD_OIDC_TOKEN_FILE"];

/// A role as the config or a profile asks for it.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) seconds: Option<u32>,
    /// The region whose service is asked.
    pub(super) region: Option<String>,
    /// Over the VPC's own network.
    pub(super) vpc: bool,
}

impl Asked {
    fn role(&self, around: &Around) -> Role {
        let named = || around.var("ALIBABA_CLOUD_ROLE_SESSION_NAME");
        Role {
            arn: self.arn.clone(),
            session_name: self.session_name.clone().or_else(named).unwrap_or_else(|| SESSION_NAME.to_owned()),
            external_id: self.external_id.clone(),
            policy: self.policy.clone(),
            seconds: self.seconds.filter(|seconds| *seconds > 0).unwrap_or(HOUR),
        }
    }
}

/// Where the service is: the config's word, the environment's, or the host of the region.
pub(super) fn endpoint(asked: &Asked, wanted: &Wanted, around: &Around) -> Result<Endpoint, String> {
    let written = wanted.credentials.places.sts.clone();
    let written = written.or_else(|| around.first(&["ALIBABA_CLOUD_STS_ENDPOINT", "ALIBABACLOUD_STS_ENDPOINT"]));
    let region = asked.region.clone().or_else(|| around.var("ALIBABA_CLOUD_STS_REGION"));
    let vpc = asked.vpc || around.is_on("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
    sts::endpoint(written.as_deref(), region.as_deref(), vpc).map_err(|why| format!("the STS endpoint: {why}"))
}

/// Takes a role with the key that was found.
pub(super) async fn assume(found: Found, asked: &Asked, wanted: &Wanted, around: &Around) -> Result<Found, String> {
    let endpoint = endpoint(asked, wanted, around)?;
    let role = asked.role(around);
    let sent = around.ask(|at| sts::assume_role(&endpoint, &role, &found.credential, at), sts::session).await;
    let session = sent.map_err(|failure| {
        format!(
            "the role {} cannot be taken with the credentials from {} ({}); check the role, whom it trusts, and the \
            external id",
            role.arn,
            found.place,
            words(&failure)
        )
    })?;
    let place = format!("role {} taken with {}", role.arn, found.place);
    Ok(Found { credential: session.credential, expires_at: session.expires_at, place })
}

/// Exchanges the token in a file for the key of a role. The file is read anew each time: its token is short-lived.
pub(super) async fn exchange(
    asked: &Asked,
    provider: &str,
    file: &str,
    place: &str,
    wanted: &Wanted,
    around: &Around,
) -> Result<Found, String> {
    let token = around.token_file(file).await.map_err(|why| format!("{place}: the token file {why}"))?;
    let endpoint = endpoint(asked, wanted, around)?;
    let role = asked.role(around);
    let sent = around.ask(|at| sts::assume_role_with_oidc(&endpoint, &role, provider, &token, at), sts::session).await;
    let session = sent.map_err(|failure| {
        format!(
            "{place}: the role {} is not given for the token in {file} ({}); check the role and the identity provider \
            it trusts",
            role.arn,
            words(&failure)
        )
    })?;
    let place = format!("{place}: role {} for the token in {file}", role.arn);
    Ok(Found { credential: session.credential, expires_at: session.expires_at, place })
}

/// What a pod with RRSA has in its environment.
pub(super) async fn web_identity(wanted: &Wanted, around: &Around) -> Result<Look, String> {
    let (role, provider, file) = (around.first(&ROLE), around.first(&PROVIDER), around.first(&TOKEN_FILE));
    match (role, provider, file) {
        (Some(arn), Some(provider), Some(file)) => {
            let asked = Asked { arn, ..Asked::default() };
            exchange(&asked, &provider, &file, "web identity", wanted, around).await.map(Look::Found)
        }
        // The role alone is also set for other purposes.
        (_, None, None) => Ok(Look::Nothing(format!("web identity ({} not set)", TOKEN_FILE[0]))),
        (role, provider, _) => {
            let missing = match (role, provider) {
                (None, _) => ROLE[0],
                (_, None) => PROVIDER[0],
                _ => TOKEN_FILE[0],
            };
            Err(format!("web identity: {missing} is not set, and the other variables are"))
        }
    }
}
