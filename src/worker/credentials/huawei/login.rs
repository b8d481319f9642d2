//! Logins: a password for a token, and the token of another identity provider for a temporary key.

use super::{
    super::{
        Wanted,
        around::{Around, words},
        chain::{Found, Look},
    },
    iam_place,
};
use crate::provider::{
    Credential,
    huawei::{
        iam,
        token::{self, Login},
    },
};
use secrecy::SecretString;

/// A token for a password.
pub(in super::super) async fn log_in(
    domain: String,
    user: String,
    password: SecretString,
    beside: Option<String>,
    place: &str,
    wanted: &Wanted,
    around: &Around,
) -> Result<Found, String> {
    let endpoint = iam_place(beside, wanted, around);
    let place = format!("{place}, login as {domain}/{user}");
    let login = Login { domain, user, password, region: wanted.region.clone(), endpoint };
    let request = token::request(&login)?;
    let token = around.ask(|_| request.clone(), token::read).await.map_err(|failure| {
        format!("the login at IAM failed ({}); check user, password, account and endpoint", words(&failure))
    })?;
    Ok(Found { credential: Credential::Token(token.token), expires_at: token.expires_at, place })
}

/// The federation that the environment sets up.
pub(super) async fn web_identity(wanted: &Wanted, around: &Around) -> Result<Look, String> {
    const PROVIDER: &str = "HUAWEICLOUD_SDK_IDP_ID";
    const FILE: &str = "HUAWEICLOUD_SDK_ID_TOKEN_FILE";
    match (around.var(PROVIDER), around.var(FILE)) {
        (Some(provider), Some(file)) => {
            federate(&provider, &file, None, "web identity", wanted, around).await.map(Look::Found)
        }
        (None, None) => Ok(Look::Nothing(format!("web identity ({PROVIDER} not set)"))),
        (Some(_), None) => Err(format!("web identity: {PROVIDER} is set and {FILE} is not")),
        (None, Some(_)) => Err(format!("web identity: {FILE} is set and {PROVIDER} is not")),
    }
}

/// A temporary key for the token in a file, which is read anew each time.
pub(super) async fn federate(
    provider: &str,
    file: &str,
    beside: Option<String>,
    place: &str,
    wanted: &Wanted,
    around: &Around,
) -> Result<Found, String> {
    let id_token = around.token_file(file).await.map_err(|why| format!("{place}: the token file {why}"))?;
    let written = iam_place(beside, wanted, around);
    let endpoint = iam::endpoint(&wanted.region, written.as_deref()).map_err(|why| format!("{place}: {why}"))?;
    let told = |failure: Box<crate::provider::Failure>| {
        format!("{place}: IAM gives no key for the token in {file} ({}); check the identity provider", words(&failure))
    };
    let request = iam::federated_token(&endpoint, provider, &id_token);
    let token = around.ask(|_| request.clone(), token::read).await.map_err(told)?;
    let request = iam::temporary_key(&endpoint, &token.token);
    let session = around.ask(|_| request.clone(), iam::session).await.map_err(told)?;
    let place = format!("{place}: a key for the token in {file}");
    Ok(Found { credential: session.credential, expires_at: session.expires_at, place })
}
