//! A worker that runs for ever: a supervisor per lane, one state for all of them, lanes that come, change and go with the
//! config, and an end in good order.

use super::{
    LaneView, Stand, WorkerError,
    parts::{Parts, Stock, tuning},
    readiness::{self, Readiness, Sources},
    secrets,
    supervisor::{Supervisor, Waits},
};
use crate::{
    broker::{Broker, rabbitmq::LinkState},
    config::LaneConfig,
    job::LaneName,
};
use std::{future::Future, pin::Pin, sync::Arc};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

/// Views of lanes.
pub(super) type Views = Vec<watch::Receiver<LaneView>>;

type Supervising = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes the supervisor of a lane for whatever broker there is.
type Open = Box<dyn Fn(watch::Receiver<Parts>, watch::Receiver<bool>) -> Supervising + Send + Sync>;

/// A lane that is in the config.
#[derive(Debug)]
struct Seat {
    config: LaneConfig,
    parts: watch::Sender<Parts>,
    stop: watch::Sender<bool>,
}

/// What a change of the config came to, lane by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Opened.
    pub added: Vec<LaneName>,
    /// Ending in good order: what they have not done stays with the broker.
    pub removed: Vec<LaneName>,
    /// Ending in good order, to be opened again as they are to be now.
    pub reopened: Vec<LaneName>,
    /// Rate, concurrency or retry changed while they work.
    pub tuned: Vec<LaneName>,
}

/// Lanes at work for ever. Dropping it leaves at once: what is not settled stays with the broker.
pub struct Service {
    lanes: JoinSet<()>,
    seats: Vec<Seat>,
    views: watch::Sender<Views>,
    readiness: watch::Receiver<Readiness>,
    link: watch::Receiver<LinkState>,
    stop: watch::Sender<bool>,
    stock: Stock,
    open: Open,
    /// The files that secrets of the lanes are in, and whom to tell.
    files: watch::Sender<secrets::Files>,
    /// Keeps the readiness, and looks at the files.
    keeper: JoinSet<()>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("lanes", &self.seats.len()).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts to open the lanes. It needs no broker to be there: it keeps trying. `link` is the connection for publishing.
    pub(super) fn start<B: Broker>(
        broker: &B,
        lanes: &[LaneConfig],
        link: watch::Receiver<LinkState>,
        waits: &Waits,
    ) -> Result<Self, WorkerError> {
        let news = Arc::new(Notify::new());
        let stop = watch::Sender::new(false);
        let broker = broker.clone();
        let open: Open = Box::new(move |parts, stop| Box::pin(Supervisor::new(broker.clone(), parts).run(stop)));
        let views = watch::Sender::new(Views::new());
        let (tell, readiness) = watch::channel(Readiness::Starting);
        let files = watch::Sender::new(secrets::Files::default());
        let sources =
            Sources { lanes: views.subscribe(), link: link.clone(), news: Arc::clone(&news), stop: stop.subscribe() };
        let mut keeper = JoinSet::new();
        keeper.spawn(secrets::watch(files.subscribe(), waits.secrets));
        let stock = Stock::new(&news, waits)?;
        let (lanes_at_work, seats) = (JoinSet::new(), Vec::new());
        let mut service =
            Self { lanes: lanes_at_work, seats, views, readiness, link, stop, stock, open, files, keeper };
        service.reload(lanes)?;
        service.keeper.spawn(readiness::keep(sources, tell));
        Ok(service)
    }

    /// Takes another set of lanes over. Lanes that are the same are not touched. An error changes nothing.
    pub fn reload(&mut self, lanes: &[LaneConfig]) -> Result<Changes, WorkerError> {
        // Everything that can fail comes first.
        let fresh: Vec<Parts> = lanes.iter().map(|lane| self.stock.parts(lane)).collect::<Result<_, _>>()?;
        let mut changes = Changes::default();
        let mut seats = std::mem::take(&mut self.seats);
        for (lane, parts) in lanes.iter().zip(fresh) {
            let Some(at) = seats.iter().position(|seat| seat.config.name == lane.name) else {
                changes.added.push(lane.name.clone());
                let seat = self.sit(lane, parts);
                self.seats.push(seat);
                continue;
            };
            let mut seat = seats.swap_remove(at);
            if !seat.config.is_same_but_for_tuning(lane) {
                changes.reopened.push(lane.name.clone());
                seat.parts.send_modify(|old| *old = old.renewed(parts));
            } else if tuning(&seat.config) != tuning(lane) {
                changes.tuned.push(lane.name.clone());
                seat.parts.borrow().tuning.send_replace(tuning(lane));
            }
            seat.config = lane.clone();
            self.seats.push(seat);
        }
        for seat in seats {
            changes.removed.push(seat.config.name.clone());
            seat.stop.send_replace(true);
        }
        self.files.send_replace(secrets::files(self.seats.iter().map(|seat| {
            let freshened = Arc::clone(&seat.parts.borrow().freshened);
            (&seat.config, freshened)
        })));
        self.tidy();
        Ok(changes)
    }

    fn sit(&mut self, config: &LaneConfig, parts: Parts) -> Seat {
        let view = parts.board.watch();
        self.views.send_modify(|views| views.push(view));
        let (parts, stop) = (watch::Sender::new(parts), watch::Sender::new(*self.stop.borrow()));
        self.lanes.spawn((self.open)(parts.subscribe(), stop.subscribe()));
        Seat { config: config.clone(), parts, stop }
    }

    /// Forgets lanes that have left the config and ended.
    pub fn tidy(&mut self) {
        self.views.send_if_modified(|views| {
            let before = views.len();
            views.retain(|view| !view.borrow().finished);
            views.len() != before
        });
    }

    /// What the lanes do, to be looked at now and then, those that are just leaving included. They outlive this.
    pub fn views(&self) -> Vec<watch::Receiver<LaneView>> {
        self.views.borrow().clone()
    }

    /// The same, and every change of which there are.
    pub fn watch_views(&self) -> watch::Receiver<Vec<watch::Receiver<LaneView>>> {
        self.views.subscribe()
    }

    /// Whether it can do its work, and every change of it.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Whether it is connected and has opened every lane that the broker lets it have.
    pub fn is_up(&self) -> bool {
        let settled = |stand: &Stand| stand.is_open() || matches!(stand, Stand::Refused(_) | Stand::Closed);
        !matches!(*self.link.borrow(), LinkState::Lost(_))
            && self.views.borrow().iter().all(|view| settled(&view.borrow().stand))
    }

    /// No new calls from now on: calls on their way are waited for, what is final is settled, lanes are closed.
    pub fn drain(&self) {
        self.stop.send_replace(true);
        for seat in &self.seats {
            seat.stop.send_replace(true);
        }
    }

    /// Waits until every lane has ended, which it does only after a drain.
    pub async fn ended(&mut self) {
        while let Some(ended) = self.lanes.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the supervisor of a lane broke off");
            }
        }
    }

    /// Lanes that have not ended.
    pub fn unfinished(&self) -> Vec<LaneName> {
        let views = self.views.borrow();
        let views = views.iter().map(|view| view.borrow());
        views.filter(|view| !view.finished && view.stand != Stand::Closed).map(|view| view.name.clone()).collect()
    }
}
