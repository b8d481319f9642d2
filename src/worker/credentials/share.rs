//! One credential and everybody who wants it: fetched once for all who ask at the same time, failures included.

use super::{Held, Identity, Wanted, around::Around, chain, clock, whoami};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, watch};

/// A credential and its number. Each fetch has a higher one.
type Numbered = (u64, Arc<Held>);
type Outcome = Result<Numbered, String>;

#[derive(Debug)]
pub(super) struct Shared {
    wanted: Wanted,
    around: Around,
    state: Arc<Mutex<State>>,
    /// Asked once, however many lanes want to know.
    identity: OnceCell<Result<Identity, String>>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Numbered>,
    /// The fetch on its way.
    fetch: Option<watch::Receiver<Option<Outcome>>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The credential at hand, unless it has ended.
    fn good(&self) -> Option<Numbered> {
        let is_good = |held: &Held| held.expires_at.is_none_or(|end| end > clock::wall());
        self.last.clone().filter(|(_, held)| is_good(held))
    }
}

impl Shared {
    pub(super) fn new(wanted: Wanted, around: Around) -> Self {
        Self { wanted, around, state: Arc::default(), identity: OnceCell::new() }
    }

    /// Whose the credential is, by the cloud's own word.
    pub(super) async fn identity(&self) -> Result<Identity, String> {
        let ask = async || {
            let (_, held) = self.newer_than(0).await?;
            whoami::ask(&held, &self.wanted, &self.around).await
        };
        self.identity.get_or_init(ask).await.clone()
    }

    pub(super) fn last(&self) -> Option<Numbered> {
        lock(&self.state).good()
    }

    pub(super) async fn newer_than(&self, seen: u64) -> Outcome {
        let mut fetch = {
            let mut state = lock(&self.state);
            if let Some(good) = state.good().filter(|(number, _)| *number > seen) {
                return Ok(good);
            }
            state.fetch.clone().unwrap_or_else(|| self.begin(&mut state))
        };
        let outcome = fetch.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match outcome {
            Ok(Some(outcome)) => outcome,
            // The task is gone without a word, which only the end of the process can bring about.
            _ => Err("the credentials could not be read: the process is ending".into()),
        }
    }

    /// Starts a fetch in a task of its own: a lane that is closed meanwhile takes nothing from the others.
    fn begin(&self, state: &mut State) -> watch::Receiver<Option<Outcome>> {
        let (tell, fetch) = watch::channel(None);
        state.fetch = Some(fetch.clone());
        let (wanted, around, shared) = (self.wanted.clone(), self.around.clone(), Arc::clone(&self.state));
        tokio::spawn(async move {
            // In a task within the task, so that whoever waits is answered even if something in there breaks.
            let found = tokio::spawn(async move { chain::find(&wanted, &around).await }).await;
            let found = found.unwrap_or_else(|error| Err(format!("the credentials could not be read: {error}")));
            let outcome = {
                let mut state = lock(&shared);
                state.fetch = None;
                found.map(|found| {
                    tracing::debug!(place = %found.place, "a credential was found");
                    let number = state.last.as_ref().map_or(1, |(number, _)| number + 1);
                    let held = (number, Arc::new(Held::new(found)));
                    state.last = Some(held.clone());
                    held
                })
            };
            // Nobody may be waiting any more.
            let _ = tell.send(Some(outcome));
        });
        fetch
    }
}
