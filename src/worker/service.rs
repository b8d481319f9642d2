//! A worker that runs for ever: a supervisor per lane, one state for all of them, and an end in good order.

use super::{
    LaneView, Parts, Stand, WorkerError,
    readiness::{self, Readiness, Sources},
    supervisor::{Supervisor, Waits},
};
use crate::{
    broker::{Broker, rabbitmq::LinkState},
    config::LaneConfig,
    job::LaneName,
};
use std::sync::Arc;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

/// Lanes at work for ever. Dropping it leaves at once: what is not settled stays with the broker.
#[derive(Debug)]
pub struct Service {
    lanes: JoinSet<()>,
    views: Vec<watch::Receiver<LaneView>>,
    readiness: watch::Receiver<Readiness>,
    link: watch::Receiver<LinkState>,
    stop: watch::Sender<bool>,
    /// Keeps the readiness.
    _keeper: JoinSet<()>,
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
        let (stop, stopped) = watch::channel(false);
        let parts = Parts::of(lanes, &news, waits)?;
        let views: Vec<_> = parts.iter().map(|parts| parts.board.watch()).collect();
        let mut supervisors = JoinSet::new();
        for parts in parts {
            supervisors.spawn(Supervisor::new(broker.clone(), parts).run(stopped.clone()));
        }
        let (tell, readiness) = watch::channel(Readiness::Starting);
        let mut keeper = JoinSet::new();
        keeper.spawn(readiness::keep(Sources { lanes: views.clone(), link: link.clone(), news, stop: stopped }, tell));
        Ok(Self { lanes: supervisors, views, readiness, link, stop, _keeper: keeper })
    }

    /// What the lanes do, to be looked at now and then. They outlive this.
    pub fn views(&self) -> Vec<watch::Receiver<LaneView>> {
        self.views.clone()
    }

    /// Whether it can do its work, and every change of it.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Whether it is connected and has opened every lane that the broker lets it have.
    pub fn is_up(&self) -> bool {
        let settled = |stand: &Stand| stand.is_open() || matches!(stand, Stand::Refused(_));
        !matches!(*self.link.borrow(), LinkState::Lost(_))
            && self.views.iter().all(|view| settled(&view.borrow().stand))
    }

    /// No new calls from now on: calls on their way are waited for, what is final is settled, lanes are closed.
    pub fn drain(&self) {
        self.stop.send_replace(true);
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
        let views = self.views.iter().map(|view| view.borrow());
        views.filter(|view| !view.finished).map(|view| view.name.clone()).collect()
    }
}
