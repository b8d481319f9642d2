//! Huawei Cloud: environment, federation, the SDK's file, pod identity, the agency of a machine; logins; whose a key is.

mod login;
mod near;

use super::{
    Wanted,
    around::{Around, words},
    chain::{Found, Look},
    ini,
};
use crate::{
    config::Source,
    provider::{Credential, huawei::iam},
};
use std::path::Path;

pub(super) use login::log_in;

/// What one source of the chain has.
pub(super) async fn look(source: Source, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    match source {
        Source::Environment => environment(wanted, around).await,
        Source::WebIdentity => login::web_identity(wanted, around).await,
        Source::File => look_in_file(None, wanted, around).await,
        Source::Container => near::container(around).await,
        Source::Instance => near::instance(wanted, around).await,
        Source::Uri => Ok(Look::Nothing("credentials URI (Huawei Cloud has none)".into())),
    }
}

/// A file that the config names: it must be there.
pub(super) async fn file(file: Option<&Path>, wanted: &Wanted, around: &Around) -> Result<Found, String> {
    match look_in_file(file, wanted, around).await? {
        Look::Found(found) => Ok(found),
        Look::Nothing(why) => Err(format!("no credentials for Huawei Cloud: {why}")),
    }
}

/// Where IAM is: the config's word, the environment's, or what stands beside the credentials.
fn iam_place(beside: Option<String>, wanted: &Wanted, around: &Around) -> Option<String> {
    wanted.credentials.places.iam.clone().or_else(|| around.var("HUAWEICLOUD_SDK_IAM_ENDPOINT")).or(beside)
}

/// Who a key or token belongs to: the account, and the user or agency where IAM tells it.
pub(super) async fn caller(
    held: &Credential,
    wanted: &Wanted,
    around: &Around,
) -> Result<(String, Option<String>), String> {
    let place = iam_place(None, wanted, around);
    let endpoint = iam::endpoint(&wanted.region, place.as_deref())?;
    if let Credential::Token(token) = held {
        let sent = around.ask(|_| iam::about(&endpoint, token), iam::owner).await;
        return sent.map(|owner| (owner.account, Some(owner.principal))).map_err(|failure| words(&failure));
    }
    let account = around.ask(|at| iam::accounts(&endpoint, held, at), iam::account).await;
    let place = wanted.credentials.places.sts.clone().or_else(|| around.var("HUAWEICLOUD_SDK_STS_ENDPOINT"));
    let endpoint = iam::sts_endpoint(&wanted.region, place.as_deref())?;
    let caller = around.ask(|at| iam::caller_identity(&endpoint, held, at), iam::caller).await;
    match (account, caller) {
        (_, Ok(caller)) => Ok((caller.account, Some(caller.principal))),
        // Not every region has the service.
        (Ok(account), Err(_)) => Ok((account, None)),
        (Err(failure), Err(_)) => Err(words(&failure)),
    }
}

/// The account of a key pair that nobody has told us: a global service finds it by nothing else.
pub(super) async fn with_account(mut found: Found, wanted: &Wanted, around: &Around) -> Result<Found, String> {
    if !matches!(found.credential, Credential::Key { account: None, .. }) {
        return Ok(found);
    }
    let told = |why: String| format!("the account of the key cannot be looked up: {why}; write domain_id in the lane");
    let place = iam_place(None, wanted, around);
    let endpoint = iam::endpoint(&wanted.region, place.as_deref()).map_err(told)?;
    // Asked with the key as it is: whose it is, is the question.
    let id = match ask_account(&found.credential, &endpoint, around).await {
        Ok(id) => id,
        Err(first) => {
            // Some users may not list accounts; the caller's own name anybody may ask.
            let place = wanted.credentials.places.sts.clone().or_else(|| around.var("HUAWEICLOUD_SDK_STS_ENDPOINT"));
            let endpoint = iam::sts_endpoint(&wanted.region, place.as_deref()).map_err(told)?;
            let sent = around.ask(|at| iam::caller_identity(&endpoint, &found.credential, at), iam::caller).await;
            sent.map_err(|_| told(first))?.account
        }
    };
    if let Credential::Key { account, .. } = &mut found.credential {
        *account = Some(id);
    }
    Ok(found)
}

async fn ask_account(
    credential: &Credential,
    endpoint: &crate::provider::Endpoint,
    around: &Around,
) -> Result<String, String> {
    around.ask(|at| iam::accounts(endpoint, credential, at), iam::account).await.map_err(|failure| words(&failure))
}

/// The SDK's names, then those of Terraform users. A key is never put together from both.
async fn environment(wanted: &Wanted, around: &Around) -> Result<Look, String> {
    const FAMILIES: [[&str; 4]; 2] = [
        ["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN", "HUAWEICLOUD_SDK_DOMAIN_ID"],
        ["HW_ACCESS_KEY", "HW_SECRET_KEY", "HW_SECURITY_TOKEN", "HW_DOMAIN_ID"],
    ];
    for [key, secret, token, domain] in FAMILIES {
        match (around.var(key), around.var(secret)) {
            (Some(access_key), Some(secret_key)) => {
                let credential = Credential::Key {
                    access_key,
                    secret_key: secret_key.into(),
                    security_token: around.var(token).map(Into::into),
                    account: around.var(domain),
                };
                return Ok(Look::Found(Found::lasting(credential, format!("environment: {key}"))));
            }
            (None, None) => {}
            (Some(_), None) => return Err(format!("environment: {key} is set and {secret} is not")),
            (None, Some(_)) => return Err(format!("environment: {secret} is set and {key} is not")),
        }
    }
    if let (Some(user), Some(password)) = (around.var("HW_USER_NAME"), around.var("HW_USER_PASSWORD")) {
        let Some(domain) = around.var("HW_DOMAIN_NAME") else {
            return Err("environment: HW_USER_NAME is set and HW_DOMAIN_NAME is not".into());
        };
        // `https://iam.cn-north-4.myhuaweicloud.com:443/v3`: the path is ours.
        let beside = around.var("HW_AUTH_URL").map(|url| {
            let url = url.trim_end_matches('/');
            url.strip_suffix("/v3").unwrap_or(url).to_owned()
        });
        let place = "environment: HW_USER_NAME";
        return log_in(domain, user, password.into(), beside, place, wanted, around).await.map(Look::Found);
    }
    let names = FAMILIES.map(|[key, ..]| key).join(", ");
    Ok(Look::Nothing(format!("environment ({names}, HW_USER_NAME not set)")))
}

/// The section `[global]`: TMS is a global service.
async fn look_in_file(file: Option<&Path>, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    let file = match file {
        Some(file) => around.path(&file.to_string_lossy()),
        None => match around.var("HUAWEICLOUD_SDK_CREDENTIALS_FILE") {
            Some(file) => around.path(&file),
            None => around.path("~/.huaweicloud/credentials"),
        },
    };
    let shown = file.display();
    let Some(content) = around.file(&file).await? else {
        return Ok(Look::Nothing(format!("{shown} (no such file)")));
    };
    let sections = ini::read(&content);
    let Some(section) = sections.get("global") else {
        return Ok(Look::Nothing(format!("{shown} (no section global)")));
    };
    let place = format!("{shown}, section global");
    let own = |key: &str| ini::text(section, key).map(str::to_owned);
    if let (Some(provider), Some(token)) = (own("idp_id"), own("id_token_file")) {
        return login::federate(&provider, &token, own("iam_endpoint"), &place, wanted, around).await.map(Look::Found);
    }
    let (Some(access_key), Some(secret_key)) = (own("ak"), own("sk")) else {
        return Err(format!("{place}: ak or sk is missing"));
    };
    let credential = Credential::Key {
        access_key,
        secret_key: secret_key.into(),
        security_token: own("security_token").map(Into::into),
        account: own("domain_id"),
    };
    Ok(Look::Found(Found::lasting(credential, place)))
}
