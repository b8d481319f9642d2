//! Ctrl-C and SIGTERM for commands that talk to a broker: asked once, they end in good order; asked twice, at once.

use super::exit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Listens until the process ends. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Interrupts {
    asked: watch::Receiver<bool>,
    manner: Arc<Mutex<Manner>>,
}

#[derive(Debug)]
struct Manner {
    /// What is said when the command is asked to end and takes a moment for it. `None`: it leaves at once.
    ending: Option<String>,
    /// What is said when it leaves at once.
    leaving: String,
}

impl Interrupts {
    /// Listens from now on and leaves at once, saying this.
    pub fn listen(leaving: &str) -> Self {
        let (ask, asked) = watch::channel(false);
        let manner = Arc::new(Mutex::new(Manner { ending: None, leaving: leaving.to_owned() }));
        let told = Self { asked, manner };
        let heard = told.clone();
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                {
                    let manner = heard.manner();
                    match &manner.ending {
                        Some(ending) if !*ask.borrow() => eprintln!("\n{ending}"),
                        _ => {
                            eprintln!("\n{}", manner.leaving);
                            std::process::exit(i32::from(exit::INTERRUPTED));
                        }
                    }
                }
                ask.send_replace(true);
            }
        });
        told
    }

    /// From now on the first one only asks, and `ending` is said; the next one leaves at once, and `leaving` is said.
    pub fn gently(&self, ending: &str, leaving: &str) {
        *self.manner() = Manner { ending: Some(ending.to_owned()), leaving: leaving.to_owned() };
    }

    /// Resolves when the command is asked to end.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // Nobody listens to signals, so nobody will ask.
            std::future::pending::<()>().await;
        }
    }

    fn manner(&self) -> MutexGuard<'_, Manner> {
        self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
