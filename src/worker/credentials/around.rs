//! What the sources of credentials look at: environment variables, the home folder, files, and services nearby and far.

use super::{Client, aws::Connections, clock};
use crate::{
    config::Secret,
    provider::{Failure, Fault, HttpReply, HttpRequest, Moment},
};
use jiff::SignedDuration;
use secrecy::SecretString;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Before each try of an identity service. It may be away for a moment; an hour of it is for the lane's pause.
const TRIES: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long an identity service may take for an answer.
const PATIENCE: Duration = Duration::from_secs(9);
/// The same for a service on the machine itself. On another cloud's machine, or on none, nobody answers.
const NEAR_PATIENCE: Duration = Duration::from_secs(2);
/// Files of credentials are small.
const LARGEST_FILE: u64 = 1 << 20;

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Everything outside. Tests bring their own.
#[derive(Clone)]
pub(super) struct Around {
    env: Arc<Lookup>,
    client: Client,
    /// Without a proxy: what a metadata service says is for this machine alone.
    near: Client,
    /// Before each try of an identity service.
    tries: [Duration; 4],
    aws: Arc<Connections>,
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Around(..)")
    }
}

impl Around {
    /// This process's own.
    pub(super) fn real(client: Client) -> Result<Self, String> {
        Self::with(client, |name| std::env::var(name).ok())
    }

    pub(super) fn with(
        client: Client,
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        Ok(Self { env: Arc::new(env), client, near: Client::near()?, tries: TRIES, aws: Arc::default() })
    }

    /// The same with no time between the tries.
    #[cfg(test)]
    pub(super) fn impatient(self) -> Self {
        Self { tries: [Duration::ZERO; 4], ..self }
    }

    /// The connections of the vendor's own client.
    pub(super) fn aws(&self) -> &Connections {
        &self.aws
    }

    /// A variable that is set and says something.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The first of these variables that is set.
    pub(super) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.var(name))
    }

    /// Whether a variable says yes.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.var(name).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    /// A path as somebody wrote it: `~/` is the home folder. Without a home it stays, and leads nowhere: not to a folder
    /// that happens to be the current one.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        match (written.strip_prefix("~/"), self.first(&["HOME", "USERPROFILE"])) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest),
            _ => PathBuf::from(written),
        }
    }

    /// A file's text; none where there is no such file.
    pub(super) async fn file(&self, path: &Path) -> Result<Option<String>, String> {
        let path = path.to_owned();
        let read = move || {
            let told = |error: std::io::Error| format!("{}: cannot be read: {error}", path.display());
            match std::fs::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(told(error)),
                Ok(meta) if meta.len() > LARGEST_FILE => {
                    return Err(format!("{}: is no file of credentials: it is larger than 1 MB", path.display()));
                }
                Ok(_) => {}
            }
            std::fs::read_to_string(&path).map(Some).map_err(told)
        };
        blocking(read).await?
    }

    /// A file that must be there and hold something: a token.
    pub(super) async fn token_file(&self, path: &str) -> Result<SecretString, String> {
        let path = self.path(path);
        let shown = path.display();
        let text = self.file(&path).await?.ok_or_else(|| format!("{shown}: there is no such file"))?;
        let text = text.trim();
        if text.is_empty() { Err(format!("{shown}: is empty")) } else { Ok(text.into()) }
    }

    /// A secret of the config. It may come from a program that takes a while.
    pub(super) async fn secret(&self, secret: &Secret) -> Result<SecretString, String> {
        let (secret, env) = (secret.clone(), Arc::clone(&self.env));
        blocking(move || secret.resolve(&*env)).await?.map_err(|error| error.to_string())
    }

    /// Asks a service on this machine, once.
    pub(super) async fn near(&self, request: HttpRequest) -> Result<HttpReply, Fault> {
        self.near.send(request, NEAR_PATIENCE).await
    }

    /// Asks an identity service, again where that can help: after what passes, and with the service's time where our
    /// clock is off.
    pub(super) async fn ask<T>(
        &self,
        request: impl Fn(&Moment) -> HttpRequest,
        read: impl Fn(&HttpReply) -> Result<T, Box<Failure>>,
    ) -> Result<T, Box<Failure>> {
        let mut offset = SignedDuration::ZERO;
        let mut waits = self.tries.into_iter().skip(1);
        loop {
            let wall = clock::wall();
            let at = Moment { now: wall.checked_add(offset).unwrap_or(wall), nonce: clock::nonce() };
            let answer = match self.client.send(request(&at), PATIENCE).await {
                Ok(reply) => read(&reply),
                Err(fault) => Err(Box::new(Failure::from(fault))),
            };
            let failure = match answer {
                Ok(found) => return Ok(found),
                Err(failure) => failure,
            };
            if let Some(theirs) = failure.server_time.filter(|_| offset.is_zero()) {
                offset = theirs.duration_since(clock::wall());
                continue;
            }
            match waits.next() {
                Some(wait) if failure.kind.is_passing() => tokio::time::sleep(wait).await,
                _ => return Err(failure),
            }
        }
    }
}

/// A failure in a few words: its code and the service's own, which have been cleaned of keys and tokens.
pub(super) fn words(failure: &Failure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}
