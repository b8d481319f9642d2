//! Who a lane is, fetched when needed and again when the cloud no longer takes it.

use super::{Client, clock};
use crate::{
    config::{Credentials, LaneConfig, Login, Resolved},
    provider::{
        Credential, Failure,
        huawei::token::{self, Login as TokenLogin},
    },
};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A token is renewed so long before it ends.
const EARLY: SignedDuration = SignedDuration::from_mins(10);

/// The credential of one lane. Clones share what was fetched last.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    source: Credentials,
    provider: &'static str,
    region: String,
    client: Client,
    timeout: Duration,
    last: Arc<Mutex<Option<Arc<Held>>>>,
}

/// A credential and the time to renew it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) credential: Credential,
    pub(super) renew_at: Option<Timestamp>,
}

impl Keeper {
    pub(super) fn new(config: &LaneConfig, client: Client) -> Self {
        Self {
            source: config.credentials.clone(),
            provider: config.provider.name,
            region: config.settings.region.clone(),
            client,
            timeout: config.timeout,
            last: Arc::default(),
        }
    }

    /// What was fetched last: a lane that is opened again goes on with it.
    pub(super) fn last(&self) -> Option<Arc<Held>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the secrets anew, and logs in where that is how the cloud wants it. The error is for people.
    pub(super) async fn fetch(self) -> Result<Arc<Held>, String> {
        let held = Arc::new(self.read().await?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
        Ok(held)
    }

    async fn read(&self) -> Result<Held, String> {
        let (source, provider) = (self.source.clone(), self.provider);
        // A secret may come from a program that takes a while.
        let resolved = tokio::task::spawn_blocking(move || source.resolve(provider, &|name| std::env::var(name).ok()))
            .await
            .map_err(|error| format!("the credentials could not be read: {error}"))?
            .map_err(|error| format!("the credentials could not be read: {error}"))?;
        match resolved {
            Resolved::Credential(credential) => Ok(Held { credential, renew_at: None }),
            Resolved::Login(login) => self.log_in(login).await,
        }
    }

    async fn log_in(&self, login: Login) -> Result<Held, String> {
        let login = TokenLogin {
            domain: login.domain_name,
            user: login.username,
            password: login.password,
            region: self.region.clone(),
            endpoint: login.iam_endpoint,
        };
        let request = token::request(&login)?;
        // The token service may be away for a moment; an hour of it is for the lane's pause.
        let mut failure: Option<Failure> = None;
        for wait in [0_u64, 1, 2, 4] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            let answer = match self.client.send(request.clone(), self.timeout).await {
                Ok(reply) => token::read(&reply).map_err(|failure| *failure),
                Err(fault) => Err(Failure::from(fault)),
            };
            match answer {
                Ok(token) => {
                    let renew_at = token.expires_at.and_then(|end| end.checked_sub(EARLY).ok());
                    return Ok(Held {
                        credential: Credential::Token(token.token),
                        renew_at: renew_at.filter(|at| *at > clock::wall()),
                    });
                }
                Err(found) => {
                    let passing = found.kind.is_passing();
                    failure = Some(found);
                    if !passing {
                        break;
                    }
                }
            }
        }
        let (code, message) = failure.map_or_else(Default::default, |failure| (failure.code, failure.message));
        Err(format!("the login at IAM failed ({code}: {message}); check user, password, account and endpoint"))
    }
}
