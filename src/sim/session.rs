//! Temporary keys that a simulated STS has given out, and whose they are.

use super::{
    cloud::{Cloud, World},
    config::Vendor,
};
use crate::worker::clock;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use std::sync::Arc;

/// The shortest and the longest session, in seconds.
const SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;

/// A temporary key.
pub(super) struct Session {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) token: String,
    pub(super) expires: Timestamp,
    /// The caller's own name, as an ARN.
    pub(super) arn: String,
    epoch: u64,
    /// The account that it acts in, by its first API: that one's faults end the session.
    home: Arc<Cloud>,
}

impl Session {
    /// Whether the account still takes it.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now || self.epoch != self.home.state().faults.token_epoch
    }

    /// The access key of the account.
    pub(super) fn account_key(&self) -> &str {
        &self.home.config.access_key
    }
}

/// What signs for an access key: its own secret, or that of a session with its token.
pub(super) struct Keys {
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) session: Option<Arc<Session>>,
}

impl Keys {
    pub(super) fn of(world: &World, cloud: &Cloud, access_key: &str) -> Self {
        match world.session(access_key) {
            Some(session) => {
                Self { secret: session.secret_key.clone(), token: Some(session.token.clone()), session: Some(session) }
            }
            None => Self {
                secret: cloud.config.secret_key.expose_secret().to_owned(),
                token: cloud.config.security_token.as_ref().map(|token| token.expose_secret().to_owned()),
                session: None,
            },
        }
    }
}

/// What somebody asks for who wants to take a role.
pub(super) struct Asked<'r> {
    pub(super) role_arn: &'r str,
    pub(super) session_name: &'r str,
    pub(super) external_id: Option<&'r str>,
    /// Left out: an hour.
    pub(super) seconds: Option<&'r str>,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Something in the request is no role, no name, or no duration.
    Malformed(&'static str),
    /// There is no such account, so no such role.
    NoRole,
    /// The role does not trust whoever asks, or the external id is not the agreed one.
    NotTrusted,
}

/// The account in a role's ARN: `arn:aws:iam::ACCOUNT:role/NAME`, `acs:ram::ACCOUNT:role/NAME`.
fn account_of(arn: &str) -> Option<(&str, &str)> {
    let (before, name) = arn.split_once(":role/")?;
    let account = before.rsplit(':').next()?;
    (!account.is_empty() && !name.is_empty()).then_some((account, name))
}

/// Gives out a session of a role, under the rules of its account.
pub(super) fn assume(
    world: &World,
    vendor: Vendor,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<Arc<Session>, Refused> {
    let (account, role) = account_of(asked.role_arn).ok_or(Refused::Malformed("RoleArn"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'@' | b'-' | b'_' | b'=' | b',' | b'+');
    if !(2..=64).contains(&asked.session_name.len()) || !asked.session_name.bytes().all(plain) {
        return Err(Refused::Malformed("RoleSessionName"));
    }
    let seconds = asked.seconds.map_or(Ok(3600), str::parse).map_err(|_| Refused::Malformed("DurationSeconds"))?;
    if !SECONDS.contains(&seconds) {
        return Err(Refused::Malformed("DurationSeconds"));
    }
    let named = |cloud: &&Arc<Cloud>| {
        cloud.config.provider.vendor() == vendor && cloud.config.account_id.as_deref() == Some(account)
    };
    let home = world.clouds.iter().find(named).ok_or(Refused::NoRole)?;
    if home.config.external_id.as_deref() != asked.external_id {
        return Err(Refused::NotTrusted);
    }
    let arn = match vendor {
        Vendor::Aws => {
            let partition = asked.role_arn.split(':').nth(1).unwrap_or_default();
            format!("arn:{partition}:sts::{account}:assumed-role/{role}/{}", asked.session_name)
        }
        _ => format!("acs:ram::{account}:assumed-role/{role}/{}", asked.session_name),
    };
    let prefix = if vendor == Vendor::Aws { "ASIA" } else { "STS." };
    let session = Session {
        access_key: format!("{prefix}{}", clock::nonce().to_uppercase()),
        secret_key: format!("session-secret-{}", clock::nonce()),
        token: format!("session-token-{0}/+={0}", clock::nonce()),
        expires: now
            .checked_add(SignedDuration::from_secs(seconds.min(home.config.token_ttl_s).cast_signed()))
            .unwrap_or(now),
        arn,
        epoch: home.state().faults.token_epoch,
        home: Arc::clone(home),
    };
    // Every API of the account sees that somebody has come in.
    for cloud in world.clouds.iter().filter(|cloud| cloud.config.access_key == home.config.access_key) {
        cloud.state().counts.tokens_issued += 1;
    }
    Ok(world.remember(session))
}
