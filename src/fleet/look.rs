//! What is known of each lane of a fleet: from the config, the broker, the orders and the workers.

use crate::{
    broker::{
        BrokerError, Orders,
        rabbitmq::{
            Depth, Gauge, Link,
            control::{Asker, LaneReport, LaneState, WorkerReport},
            orders,
        },
    },
    event::LaneFacts,
    job::LaneName,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// How long workers may take to answer where lanes have consumers.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The same where no lane has one: a worker may be about to begin.
const HASTE: Duration = Duration::from_millis(300);

/// A fleet at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Lanes of the config first, in its order, then the others by name.
    pub lanes: Vec<Lane>,
    /// Dead letters that workers have published.
    pub dead: Option<u64>,
    /// Jobs that were handed out too often.
    pub poison: Option<u64>,
    /// Messages for which there is no queue.
    pub unrouted: Option<u64>,
    /// Workers that have answered, by name.
    pub workers: Vec<WorkerReport>,
    /// The standing orders.
    pub orders: Orders,
    /// Why the orders could not be read.
    pub no_orders: Option<String>,
}

/// One lane.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its name.
    pub name: LaneName,
    /// What the config at hand says of it; nothing where that does not have it.
    pub facts: Option<LaneFacts>,
    /// Its queue; none where nobody has declared it.
    pub queue: Option<Depth>,
    /// The worker that has it, as far as one has said so.
    pub owner: Option<(String, LaneReport)>,
    /// Since when it is paused by an order.
    pub paused_since: Option<Timestamp>,
    /// Until it is empty at its pace; nothing where that cannot be said. One look says nothing: see [`super::eta`].
    pub eta: Option<Duration>,
}

/// How a lane is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has made its queue.
    NotDeclared,
    /// It makes no calls: somebody has ordered it, or must act.
    Paused,
    /// It probes an outage of its cloud.
    Down,
    /// Its window is full of what cannot go on yet.
    Full,
    /// Its worker ends it in good order.
    Draining,
    /// There is work, and it is done.
    Working,
    /// There is nothing to do.
    Idle,
    /// There is work, a worker subscribes to it, and none says that it has it.
    NoAnswer,
    /// No worker subscribes to it.
    NoWorker,
}

impl State {
    /// The word.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotDeclared => "not declared",
            Self::Paused => "paused",
            Self::Down => "down, probing",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Working => "working",
            Self::Idle => "idle",
            Self::NoAnswer => "no answer",
            Self::NoWorker => "no worker",
        }
    }
}

impl Lane {
    /// How it is.
    pub fn state(&self) -> State {
        let Some(queue) = self.queue else { return State::NotDeclared };
        let report = self.owner.as_ref().map(|(_, report)| report);
        match report {
            _ if self.paused_since.is_some() => State::Paused,
            _ if queue.consumers == 0 => State::NoWorker,
            Some(report) if report.paused.is_some() => State::Paused,
            Some(report) if report.outage => State::Down,
            Some(report) if report.state == LaneState::Draining => State::Draining,
            Some(report) if report.full => State::Full,
            Some(report) if report.held > 0 || report.pending > 0 || queue.ready > 0 => State::Working,
            None if queue.ready > 0 => State::NoAnswer,
            _ => State::Idle,
        }
    }

    /// What is worth a look.
    pub fn notes(&self, workers: &[WorkerReport]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.facts.is_none() {
            notes.push("not in config".to_owned());
        }
        if let Some(since) = self.paused_since {
            notes.push(format!("paused since {since:.0}"));
        }
        let queue = self.queue.unwrap_or_default();
        if queue.consumers == 0 && queue.ready > 0 {
            notes.push("no worker".to_owned());
        }
        if let Some((_, report)) = &self.owner {
            if self.paused_since.is_some() && report.in_flight > 0 {
                notes.push(format!("{} calls on their way", report.in_flight));
            }
            match &report.paused {
                Some(why) if self.paused_since.is_none() => notes.push(why.clone()),
                _ => {}
            }
            if report.waiting > 0 {
                notes.push(format!("{} items wait for a retry", report.waiting));
            }
            if let (true, State::Paused | State::Down) = (report.full, self.state()) {
                notes.push("full".to_owned());
            }
        } else if queue.consumers > 0 {
            let subscribed = workers.iter().filter(|worker| worker.lanes.iter().any(|lane| lane.name == self.name));
            match subscribed.count() {
                0 => notes.push("its worker does not answer".to_owned()),
                1 => {}
                many => notes.push(format!("{many} workers wait for it")),
            }
        }
        notes
    }
}

impl Snapshot {
    /// All of it as JSON.
    pub fn document(&self) -> Value {
        let lanes: Vec<Value> = self.lanes.iter().map(|each| self.lane_document(each)).collect();
        let workers: Vec<Value> = self
            .workers
            .iter()
            .map(|report| {
                let WorkerReport { worker, host, pid, version, started_at, orders, lanes } = report;
                json!({
                    "worker": worker, "host": host, "pid": pid, "version": version, "started_at": started_at,
                    "orders": orders, "lanes": lanes.len(),
                })
            })
            .collect();
        json!({
            "lanes": lanes, "dead": self.dead, "poison": self.poison, "unrouted": self.unrouted, "workers": workers,
            "orders": self.orders.revision,
        })
    }

    /// One of its lanes as JSON.
    pub fn lane_document(&self, lane: &Lane) -> Value {
        let report = lane.owner.as_ref().map(|(_, report)| report);
        let why = report.and_then(|report| report.paused.clone());
        let paused = (lane.paused_since.is_some() || why.is_some())
            .then(|| json!({"since": lane.paused_since, "why": why.unwrap_or_else(|| "ordered".to_owned())}));
        json!({
            "name": lane.name,
            "provider": lane.facts.as_ref().map(|facts| &facts.provider),
            "region": lane.facts.as_ref().map(|facts| &facts.region),
            "state": lane.state().text(),
            "in_config": lane.facts.is_some(),
            "declared": lane.queue.is_some(),
            "ready": lane.queue.map(|queue| queue.ready),
            "consumers": lane.queue.map(|queue| queue.consumers),
            "worker": lane.owner.as_ref().map(|(worker, _)| worker),
            "held": report.map(|report| report.held),
            "pending": report.map(|report| report.pending),
            "waiting": report.map(|report| report.waiting),
            "in_flight": report.map(|report| report.in_flight),
            "oldest_seconds": report.and_then(|report| report.oldest_seconds),
            "rate": report.map(|report| report.rate),
            "ceiling": report.map(|report| report.ceiling),
            "paused": paused,
            "outage": report.is_some_and(|report| report.outage),
            "full": report.is_some_and(|report| report.full),
            "eta_seconds": lane.eta.map(|eta| eta.as_secs()),
            "counts": report.map(|report| report.counts),
            "notes": lane.notes(&self.workers),
        })
    }
}

/// Everything that commands on lanes need: the lanes that there are, what is ordered.
pub async fn known(link: &Link, config: &[LaneName]) -> Result<(Vec<LaneName>, Orders), BrokerError> {
    let orders = orders::read(link).await?;
    Ok((all(config, &orders), orders))
}

fn all(config: &[LaneName], orders: &Orders) -> Vec<LaneName> {
    let mut lanes = config.to_vec();
    let ordered = orders.lanes.iter().chain(orders.paused.keys());
    let others: BTreeSet<&LaneName> = ordered.filter(|lane| !config.contains(lane)).collect();
    lanes.extend(others.into_iter().cloned());
    lanes
}

/// Looks at everything once. Nothing is declared.
pub async fn look(link: &Link, asker: &mut Option<Asker>, config: &[LaneFacts]) -> Result<Snapshot, BrokerError> {
    let mut snapshot = Snapshot::default();
    match orders::read(link).await {
        Ok(orders) => snapshot.orders = orders,
        Err(error) => snapshot.no_orders = Some(error.to_string()),
    }
    let mut gauge = Gauge::new(link);
    let ready = |depth: Option<Depth>| depth.map(|depth| depth.ready);
    snapshot.dead = ready(gauge.depth(link.names().dead()).await?);
    snapshot.poison = ready(gauge.depth(link.names().poison()).await?);
    snapshot.unrouted = ready(gauge.depth(link.names().unrouted()).await?);
    let names: Vec<LaneName> = config.iter().map(|lane| lane.name.clone()).collect();
    for name in all(&names, &snapshot.orders) {
        let mut queue = gauge.depth(&link.names().lane_queue(&name)).await?;
        if let (Some(queue), Some(urgent)) = (&mut queue, gauge.depth(&link.names().urgent_queue(&name)).await?) {
            queue.ready += urgent.ready;
        }
        let facts = config.iter().find(|lane| lane.name == name).cloned();
        let paused_since = snapshot.orders.paused.get(&name).copied();
        snapshot.lanes.push(Lane { name, facts, queue, owner: None, paused_since, eta: None });
    }
    gauge.close().await;
    if let Some(asker) = asker {
        let consumed: Vec<&Lane> =
            snapshot.lanes.iter().filter(|lane| lane.queue.is_some_and(|queue| queue.consumers > 0)).collect();
        let patience = if consumed.is_empty() { HASTE } else { PATIENCE };
        let explained = |lane: &Lane, workers: &[WorkerReport]| {
            let is_idle = lane.queue.is_some_and(|queue| queue.ready == 0);
            owner(workers, &lane.name).is_some() || (is_idle && is_known(workers, &lane.name))
        };
        let enough =
            |workers: &[WorkerReport]| !consumed.is_empty() && consumed.iter().all(|lane| explained(lane, workers));
        snapshot.workers = asker.status(patience, enough).await?;
    }
    for lane in &mut snapshot.lanes {
        lane.owner = owner(&snapshot.workers, &lane.name);
    }
    Ok(snapshot)
}

fn is_known(workers: &[WorkerReport], lane: &LaneName) -> bool {
    workers.iter().any(|worker| worker.lanes.iter().any(|report| report.name == *lane))
}

/// The worker that has the lane. Around a take-over two may say so; the one that holds messages does.
pub fn owner(workers: &[WorkerReport], lane: &LaneName) -> Option<(String, LaneReport)> {
    let mut owners: Vec<_> = workers
        .iter()
        .flat_map(|worker| worker.lanes.iter().map(move |report| (worker, report)))
        .filter(|(_, report)| report.name == *lane)
        .filter(|(_, report)| matches!(report.state, LaneState::Active | LaneState::Draining))
        .collect();
    owners.sort_by_key(|(_, report)| std::cmp::Reverse(report.held));
    owners.first().map(|(worker, report)| (worker.worker.clone(), (*report).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(change: impl FnOnce(&mut Lane, &mut LaneReport)) -> Lane {
        let name = LaneName::new("a").unwrap();
        let mut report = LaneReport::waiting(name.clone());
        report.state = LaneState::Active;
        let queue = Some(Depth { ready: 0, consumers: 1 });
        let mut lane = Lane { name, facts: Some(facts("a")), queue, owner: None, paused_since: None, eta: None };
        change(&mut lane, &mut report);
        lane.owner = lane.queue.filter(|queue| queue.consumers > 0).map(|_| ("w".to_owned(), report));
        lane
    }

    fn facts(name: &str) -> LaneFacts {
        let name = LaneName::new(name).unwrap();
        LaneFacts { name, provider: "huawei-tms".into(), region: "cn-north-4".into(), regional: false, account: None }
    }

    #[test]
    fn a_lane_is_what_matters_most_about_it() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(lane(|_, _| {}).state(), State::Idle);
        assert_eq!(lane(|_, report| report.held = 3).state(), State::Working);
        assert_eq!(lane(|_, report| (report.held, report.full) = (3, true)).state(), State::Full);
        assert_eq!(lane(|_, report| (report.full, report.outage) = (true, true)).state(), State::Down);
        assert_eq!(lane(|_, report| report.paused = Some("the key is wrong".into())).state(), State::Paused);
        let nobody = lane(|lane, _| lane.queue = Some(Depth { ready: 5, consumers: 0 }));
        assert_eq!((nobody.state(), nobody.notes(&[])), (State::NoWorker, vec!["no worker".to_owned()]));
        let paused = lane(|lane, report| {
            lane.paused_since = Some(now);
            report.in_flight = 2;
        });
        assert_eq!(paused.state(), State::Paused);
        assert_eq!(paused.notes(&[]), ["paused since 1970-01-01T00:00:00Z", "2 calls on their way"]);
        let mut silent = lane(|lane, _| lane.queue = Some(Depth { ready: 5, consumers: 1 }));
        silent.owner = None;
        silent.facts = None;
        assert_eq!(silent.state(), State::NoAnswer);
        assert_eq!(silent.notes(&[]), ["not in config", "its worker does not answer"]);
        assert_eq!(lane(|lane, _| lane.queue = None).state(), State::NotDeclared);
    }

    #[test]
    fn of_two_that_say_a_lane_is_theirs_the_one_that_holds_messages_has_it() {
        let name = LaneName::new("a").unwrap();
        let worker = |worker: &str, held| {
            let report = LaneReport { state: LaneState::Active, held, ..LaneReport::waiting(name.clone()) };
            WorkerReport { worker: worker.into(), lanes: vec![report], ..WorkerReport::default() }
        };
        let workers = [worker("old", 0), worker("new", 3)];
        assert_eq!(owner(&workers, &name).map(|(worker, _)| worker), Some("new".to_owned()));
    }
}
