//! A worker as a member of a fleet on RabbitMQ: it heeds orders, answers questions, and clears away what has no lane.

use super::{LaneView, clock};
use crate::{
    broker::{
        BrokerError, Orders,
        rabbitmq::{
            Link, LinkState, Publisher, Rabbit, Settings,
            control::{self, Question, WorkerReport},
            orders, unrouted,
        },
    },
    job::LaneName,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// Wait before something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Questions that may wait for an answer.
const QUESTIONS: usize = 16;

/// One member of a fleet.
#[derive(Debug)]
pub struct Member {
    rabbit: Rabbit,
    questions: mpsc::Receiver<Question>,
    worker: String,
    host: String,
    started_at: Timestamp,
    lanes: Arc<watch::Sender<Vec<LaneName>>>,
}

impl Member {
    /// Joins a fleet. It needs no broker to be there: it keeps trying. `lanes` are those that it serves.
    pub fn join(settings: Settings, lanes: Vec<LaneName>) -> Self {
        let worker = settings.worker.clone();
        let rabbit = Rabbit::start(Settings { heeds_orders: true, ..settings });
        let (ask, questions) = mpsc::channel(QUESTIONS);
        let lanes = Arc::new(watch::Sender::new(lanes));
        heed(&rabbit, worker.clone(), ask, &lanes);
        clear(&rabbit);
        Self { rabbit, questions, worker, host: host(), started_at: clock::wall(), lanes }
    }

    /// It serves these lanes from now on: the fleet's registry learns of new ones.
    pub fn serves(&self, lanes: Vec<LaneName>) {
        self.lanes.send_replace(lanes);
    }

    /// The broker for its lanes.
    pub fn broker(&self) -> &Rabbit {
        &self.rabbit
    }

    /// How its connection for publishing is.
    pub fn publishing(&self) -> watch::Receiver<LinkState> {
        self.rabbit.publisher().state()
    }

    /// Answers the next question with what the lanes do: see [`Service::views`](super::Service::views).
    pub async fn answer(&mut self, lanes: &[watch::Receiver<LaneView>]) {
        let Some(question) = self.questions.recv().await else { return std::future::pending().await };
        let report = WorkerReport {
            worker: self.worker.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            orders: self.rabbit.orders_sender().borrow().revision,
            lanes: lanes.iter().filter_map(|view| view.borrow().report(clock::wall())).collect(),
        };
        let (publisher, answer) = (self.rabbit.publisher().clone(), question.answer(&report));
        // The asker does not wait for long, and nothing here waits for him.
        tokio::spawn(async move { publisher.publish(vec![answer]).await });
    }

    /// Says goodbye, when every lane has ended.
    pub async fn leave(&self) {
        self.rabbit.close().await;
    }
}

/// The name of this machine.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "worker".to_owned())
}

/// Reads the orders on every new connection before anything else, adds our lanes to the registry, and keeps listening.
fn heed(rabbit: &Rabbit, worker: String, ask: mpsc::Sender<Question>, lanes: &Arc<watch::Sender<Vec<LaneName>>>) {
    let lanes = Arc::clone(lanes);
    let (publisher, tell, ordered) = (rabbit.publisher().clone(), rabbit.orders_sender(), rabbit.ordered_sender());
    rabbit.on_connect(Arc::new(move |link| {
        let (publisher, tell, ordered) = (publisher.clone(), tell.clone(), ordered.clone());
        let (worker, ask, lanes) = (worker.clone(), ask.clone(), lanes.clone());
        Box::pin(async move {
            first(&link, &tell).await;
            ordered.send_replace(true);
            let hear = async {
                while let Err(error) = control::serve(&link, &worker, &tell, &ask).await {
                    tracing::error!(%error, "orders and questions are not heard");
                    tokio::time::sleep(AGAIN).await;
                }
            };
            // The registry is kept up to date as long as the connection is.
            tokio::select! {
                () = hear => {}
                () = register(&link, &publisher, lanes.subscribe()) => {}
            }
        })
    }));
}

async fn first(link: &Link, tell: &watch::Sender<Arc<Orders>>) {
    loop {
        match orders::read(link).await {
            Ok(read) => {
                tell.send_if_modified(|known| {
                    let is_new = **known != read && read.revision >= known.revision;
                    if is_new {
                        *known = Arc::new(read);
                    }
                    is_new
                });
                return;
            }
            Err(error) => tracing::warn!(%error, "the standing orders cannot be read; no lane is taken before"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn register(link: &Link, publisher: &Publisher, mut lanes: watch::Receiver<Vec<LaneName>>) {
    loop {
        let names = lanes.borrow_and_update().clone();
        enter(link, publisher, &names).await;
        if lanes.changed().await.is_err() {
            return;
        }
    }
}

async fn enter(link: &Link, publisher: &Publisher, lanes: &[LaneName]) {
    while let Err(error) = orders::register(link, publisher, clock::wall(), lanes.iter().cloned()).await {
        tracing::warn!(%error, "the lanes cannot be entered into the fleet's registry; tried again");
        let refused = matches!(error, BrokerError::Refused(_));
        tokio::time::sleep(if refused { AGAIN * 30 } else { AGAIN }).await;
    }
}

/// Makes dead letters of jobs whose lane nobody knows.
fn clear(rabbit: &Rabbit) {
    let publisher = rabbit.publisher().clone();
    rabbit.on_connect(Arc::new(move |link| {
        let publisher = publisher.clone();
        Box::pin(async move {
            while let Err(error) = unrouted::serve(&link, &publisher).await {
                if !link.is_up() {
                    return;
                }
                tracing::warn!(%error, "jobs for unknown lanes are left where they are for a moment");
                tokio::time::sleep(AGAIN).await;
            }
        })
    }));
}
