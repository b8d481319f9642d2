//! Alibaba Cloud: environment, OIDC, the CLI's profiles and the SDK's, the role of an ECS instance, a credentials URI.

mod command;
mod instance;
mod profile;
mod sts;

use super::{
    Wanted,
    around::{Around, words},
    chain::{Found, Look},
};
use crate::{
    config::Source,
    provider::{Credential, alibaba::sts as service},
};
use std::path::Path;

/// Key, secret and token by the names of one family: the SDKs', the CLI's two older ones, Terraform's. A key is never
/// put together from two families.
const FAMILIES: [[&str; 3]; 4] = [
    ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"],
    ["ALIBABACLOUD_ACCESS_KEY_ID", "ALIBABACLOUD_ACCESS_KEY_SECRET", "ALIBABACLOUD_SECURITY_TOKEN"],
    ["ALICLOUD_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY_SECRET", "ALICLOUD_SECURITY_TOKEN"],
    ["ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"],
];

/// What one source of the chain has.
pub(super) async fn look(source: Source, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    match source {
        Source::Environment => environment(around),
        Source::WebIdentity => sts::web_identity(wanted, around).await,
        Source::File => profile::look(None, None, wanted, around).await,
        Source::Instance => instance::look(None, wanted, around).await,
        Source::Uri => instance::uri_of_environment(around).await,
        Source::Container => Ok(Look::Nothing("containers (Alibaba Cloud has web_identity)".into())),
    }
}

/// A profile that the config names: it must be there.
pub(super) async fn profile(
    name: Option<&str>,
    file: Option<&Path>,
    wanted: &Wanted,
    around: &Around,
) -> Result<Found, String> {
    match profile::look(name, file, wanted, around).await? {
        Look::Found(found) => Ok(found),
        Look::Nothing(why) => Err(format!("no credentials for Alibaba Cloud: {why}")),
    }
}

/// The role that the config asks for on top of what was found.
pub(super) async fn with_role(found: Found, wanted: &Wanted, around: &Around) -> Result<Found, String> {
    let Some(role) = &wanted.credentials.role else { return Ok(found) };
    let asked = sts::Asked {
        arn: role.arn.clone(),
        session_name: Some(role.session_name.clone()),
        external_id: role.external_id.clone(),
        seconds: role.duration.and_then(|duration| duration.as_secs().try_into().ok()),
        ..sts::Asked::default()
    };
    sts::assume(found, &asked, wanted, around).await
}

/// Who STS says that the key belongs to: account and ARN.
pub(super) async fn caller(held: &Credential, wanted: &Wanted, around: &Around) -> Result<(String, String), String> {
    let endpoint = sts::endpoint(&sts::Asked::default(), wanted, around)?;
    let sent = around.ask(|at| service::caller_identity(&endpoint, held, at), service::caller).await;
    sent.map(|caller| (caller.account, caller.arn)).map_err(|failure| words(&failure))
}

fn environment(around: &Around) -> Result<Look, String> {
    for [key, secret, token] in FAMILIES {
        match (around.var(key), around.var(secret)) {
            (Some(access_key), Some(secret_key)) => {
                let credential = Credential::Key {
                    access_key,
                    secret_key: secret_key.into(),
                    security_token: around.var(token).map(Into::into),
                    account: None,
                };
                return Ok(Look::Found(Found::lasting(credential, format!("environment: {key}"))));
            }
            (None, None) => {}
            (Some(_), None) => return Err(format!("environment: {key} is set and {secret} is not")),
            (None, Some(_)) => return Err(format!("environment: {secret} is set and {key} is not")),
        }
    }
    let names: Vec<&str> = FAMILIES.iter().map(|[key, ..]| *key).collect();
    Ok(Look::Nothing(format!("environment ({} not set)", names.join(", "))))
}
