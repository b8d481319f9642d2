//! From what is wanted to a credential: the named source, or the first of the cloud's chain that has one.

use super::{Wanted, alibaba, around::Around, aws, huawei};
use crate::{
    config::{Base, Cloud, Source},
    provider::Credential,
};
use jiff::Timestamp;

/// A credential and where it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) credential: Credential,
    /// When it ends, where that is known.
    pub(super) expires_at: Option<Timestamp>,
    /// For people: `~/.aliyun/config.json, profile prod`.
    pub(super) place: String,
}

impl Found {
    /// A credential that does not end by itself.
    pub(super) fn lasting(credential: Credential, place: impl Into<String>) -> Self {
        Self { credential, expires_at: None, place: place.into() }
    }
}

/// What one source has to say. A source that is set up and does not work is an error: going on to the next would make us
/// somebody else.
pub(super) enum Look {
    Found(Found),
    /// Nothing is set up there: the place, and what is missing.
    Nothing(String),
}

/// The credential that is wanted. The error names every place that was looked at, and no secret.
pub(super) async fn find(wanted: &Wanted, around: &Around) -> Result<Found, String> {
    let found = match &wanted.credentials.base {
        Base::Chain => walk(wanted, around).await?,
        Base::Only(source) => match look(*source, wanted, around).await? {
            Look::Found(found) => found,
            Look::Nothing(why) => return Err(format!("no credentials for {}: {why}", wanted.cloud.name())),
        },
        base => named(base, wanted, around).await?,
    };
    match wanted.cloud {
        Cloud::Alibaba => alibaba::with_role(found, wanted, around).await,
        Cloud::Huawei => huawei::with_account(found, wanted, around).await,
        Cloud::Aws => aws::with_role(found, wanted, around).await,
    }
}

async fn walk(wanted: &Wanted, around: &Around) -> Result<Found, String> {
    let mut looked = Vec::new();
    for source in Source::chain(wanted.cloud) {
        match look(*source, wanted, around).await? {
            Look::Found(found) => return Ok(found),
            Look::Nothing(why) => looked.push(why),
        }
    }
    Err(format!(
        "no credentials for {}; looked at: {}. Set one of them up, or write credentials in the lane",
        wanted.cloud.name(),
        looked.join("; ")
    ))
}

async fn look(source: Source, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    match wanted.cloud {
        Cloud::Alibaba => alibaba::look(source, wanted, around).await,
        Cloud::Huawei => huawei::look(source, wanted, around).await,
        Cloud::Aws => aws::look(source, wanted, around).await,
    }
}

/// What the config says itself.
async fn named(base: &Base, wanted: &Wanted, around: &Around) -> Result<Found, String> {
    let told = |why: String| format!("the credentials could not be read: {why}");
    match base {
        Base::Keys { access_key, secret_key, security_token, domain_id } => {
            use secrecy::ExposeSecret as _;
            let access_key = around.secret(access_key).await.map_err(told)?.expose_secret().to_owned();
            let secret_key = around.secret(secret_key).await.map_err(told)?;
            let security_token = match security_token {
                Some(token) => Some(around.secret(token).await.map_err(told)?),
                None => None,
            };
            let account = domain_id.clone();
            Ok(Found::lasting(Credential::Key { access_key, secret_key, security_token, account }, "the lane's config"))
        }
        Base::Token(token) => {
            let token = around.secret(token).await.map_err(told)?;
            Ok(Found::lasting(Credential::Token(token), "the lane's config"))
        }
        Base::Password { username, password, domain_name } => {
            use secrecy::ExposeSecret as _;
            let user = around.secret(username).await.map_err(told)?.expose_secret().to_owned();
            let password = around.secret(password).await.map_err(told)?;
            huawei::log_in(domain_name.clone(), user, password, None, "the lane's config", wanted, around).await
        }
        Base::File { profile, file } => match wanted.cloud {
            Cloud::Alibaba => alibaba::profile(profile.as_deref(), file.as_deref(), wanted, around).await,
            Cloud::Huawei => huawei::file(file.as_deref(), wanted, around).await,
            Cloud::Aws => aws::profile(profile.as_deref(), file.as_deref(), wanted, around).await,
        },
        // Looked for by the caller.
        Base::Chain | Base::Only(_) => Err("nothing is named".into()),
    }
}
