//! One lane, one provider, one cloud, in virtual time. A lane can be killed and another takes over what was not acked.

use jiff::{SignedDuration, Timestamp};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};
use tagmill::{
    job::{Extras, ItemFailure, Job, JobId, LaneName, Mark, Receipt, Resource, Ticket},
    lane::{Action, CallId, Emission, Lane, Naming, Note, Now, Settings as LaneSettings, Settlement, Work},
    plan::Caps,
    provider::{
        Answer, Call, Credential, Failure, Fault, HttpReply, HttpRequest, Memo, Moment, Provider, Settings, find,
    },
};

/// What answers requests. The time is that of the moment the request arrives.
pub trait Cloud {
    fn answer(&mut self, now: Now, request: &HttpRequest) -> Result<HttpReply, Fault>;
}

#[derive(Debug)]
struct Names(Arc<dyn Provider>);

impl Naming for Names {
    fn resource_key(&self, resource: &Resource) -> String {
        self.0.resource_key(resource)
    }
    fn share_key(&self, resource: &Resource) -> String {
        self.0.share_key(resource)
    }
    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.fold_key(key)
    }
}

/// A message in the queue of the lane.
pub struct Message {
    pub job: Job,
    /// When it is there.
    pub at: Now,
    marks: Vec<(u32, Mark)>,
    taken: bool,
    pub acked: bool,
    pub dead: Vec<ItemFailure>,
    pub receipt: Option<Receipt>,
}

/// How a lane works.
#[derive(Clone, Copy)]
pub struct Manner {
    pub per_second: f64,
    pub concurrency: usize,
    pub max_attempts: u32,
    /// How long an answer takes.
    pub latency: Duration,
    pub seed: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self { per_second: 50.0, concurrency: 2, max_attempts: 8, latency: Duration::from_millis(20), seed: 1 }
    }
}

pub struct Drive<C> {
    pub cloud: C,
    pub messages: Vec<Message>,
    pub now: Now,
    pub notes: Vec<Note>,
    pub requests: Vec<(Now, &'static str, String)>,
    name: &'static str,
    settings: Settings,
    manner: Manner,
    provider: Arc<dyn Provider>,
    lane: Lane,
    born: Now,
    flights: BTreeMap<CallId, Flight>,
}

/// A request on its way, and what comes back then.
type Flight = (Now, Call, Option<Memo>, Result<HttpReply, Fault>);

pub fn job(id: &str, resources: &[String], set: &[(&str, &str)], unset: &[&str]) -> Job {
    Job {
        id: JobId::new(id).unwrap(),
        lane: LaneName::new("lane").unwrap(),
        resources: resources.iter().map(|id| Resource::plain(id)).collect(),
        set: set.iter().map(|&(key, value)| (key.into(), value.into())).collect(),
        unset: unset.iter().map(|&key| key.into()).collect(),
        extras: Extras::none(),
    }
}

/// The provider of that name, and a lane over it whose time zero is `born`.
fn open(name: &str, settings: &Settings, manner: &Manner, born: Now) -> (Arc<dyn Provider>, Lane) {
    let provider: Arc<dyn Provider> = Arc::from((find(name).unwrap().build)(settings).unwrap());
    let limits = provider.limits();
    let caps = if limits.write == tagmill::provider::Write::Replace {
        Caps::WHOLE
    } else {
        Caps { resources: limits.resources_per_call, tags: limits.tags_per_call, keys: limits.keys_per_call }
    };
    let settings = LaneSettings {
        name: LaneName::new("lane").unwrap(),
        caps,
        per_second: manner.per_second,
        burst: 1,
        concurrency: manner.concurrency,
        max_attempts: manner.max_attempts,
        give_up_after: Duration::from_hours(6),
        capacity: 200_000,
        seed: manner.seed ^ born.as_nanos() as u64,
        epoch: wall(born),
    };
    let lane = Lane::new(settings, Box::new(Names(provider.clone())), Now::ZERO);
    (provider, lane)
}

fn wall(now: Now) -> Timestamp {
    let start: Timestamp = "2025-01-02T03:04:05Z".parse().unwrap();
    start.checked_add(SignedDuration::try_from(now).unwrap()).unwrap()
}

impl<C: Cloud> Drive<C> {
    pub fn new(name: &'static str, settings: Settings, manner: Manner, cloud: C) -> Self {
        let (provider, lane) = open(name, &settings, &manner, Now::ZERO);
        Self {
            cloud,
            messages: Vec::new(),
            now: Now::ZERO,
            notes: Vec::new(),
            requests: Vec::new(),
            name,
            settings,
            manner,
            provider,
            lane,
            born: Now::ZERO,
            flights: BTreeMap::new(),
        }
    }

    /// A job that comes at a time.
    pub fn publish(&mut self, at: Now, job: Job) {
        let message =
            Message { job, at, marks: Vec::new(), taken: false, acked: false, dead: Vec::new(), receipt: None };
        self.messages.push(message);
    }

    /// The lane dies with all it knows; requests on their way have arrived. Another takes over.
    pub fn take_over(&mut self) {
        self.flights.clear();
        self.born = self.now;
        (self.provider, self.lane) = open(self.name, &self.settings, &self.manner, self.born);
        let settles = self.provider.settles();
        if !settles.is_zero() {
            self.lane.stay_away(settles);
        }
        for message in self.messages.iter_mut().filter(|message| !message.acked) {
            (message.taken, message.receipt) = (false, None);
        }
    }

    fn lane_now(&self) -> Now {
        self.now.saturating_sub(self.born)
    }

    /// Runs until everything is acked or `until`.
    pub fn run(&mut self, until: Now) {
        loop {
            self.deliver();
            self.act();
            if self.messages.iter().all(|message| message.acked) {
                return;
            }
            let reply = self.flights.values().map(|(at, ..)| *at).min();
            let deadline = self.lane.poll_deadline().map(|at| self.born + at);
            let arrival = self.messages.iter().filter(|message| !message.taken).map(|message| message.at).min();
            let Some(next) = [reply, deadline, arrival].into_iter().flatten().min() else {
                panic!("nothing will happen any more: {:?}, {:?}", self.lane.status(), self.notes.last());
            };
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            let due: Vec<CallId> =
                self.flights.iter().filter(|(_, (at, ..))| *at <= self.now).map(|(id, _)| *id).collect();
            let now = self.lane_now();
            if due.is_empty() {
                self.lane.handle_timeout(now);
            }
            for id in due {
                let (_, call, memo, reply) = self.flights.remove(&id).unwrap();
                let answer = match reply {
                    Ok(reply) => self.provider.decode(&call, memo.as_ref(), &reply),
                    Err(fault) => Answer::Failure(Failure::from(fault)),
                };
                self.lane.handle_reply(now, id, answer);
            }
        }
    }

    fn deliver(&mut self) {
        let now = self.lane_now();
        for (index, message) in self.messages.iter_mut().enumerate() {
            if !message.taken && message.at <= self.now {
                message.taken = true;
                let ticket = Ticket(index as u64);
                let work = Work { ticket, job: message.job.clone(), line: None, finals: message.marks.clone() };
                self.lane.handle_job(now, &work);
            }
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.lane.poll_action() {
            match action {
                Action::Call(id, call, memo) => self.send(id, call, memo),
                Action::Emit(emit, ticket, emission) => {
                    let message = &mut self.messages[ticket.0 as usize];
                    match emission {
                        Emission::DeadLetter(letter) => message.dead = letter.failures,
                        Emission::Receipt(receipt) => message.receipt = Some(*receipt),
                    }
                    self.lane.handle_confirm(self.lane_now(), emit, true);
                }
                Action::Mark(ticket, marks) => self.messages[ticket.0 as usize].marks.extend(marks),
                Action::Settle(ticket, Settlement::Done) => self.messages[ticket.0 as usize].acked = true,
                Action::Settle(..) => {}
                Action::Refresh(_) => self.lane.handle_credential(self.lane_now(), Ok(())),
                Action::Note(note) => self.notes.push(note),
            }
        }
    }

    fn send(&mut self, id: CallId, call: Call, memo: Option<Memo>) {
        let credential =
            Credential::Key { access_key: "ak".into(), secret_key: "sk".into(), security_token: None, account: None };
        let moment = Moment { now: wall(self.now), nonce: String::new() };
        let request = self.provider.encode(&call, memo.as_ref(), &credential, &moment);
        self.requests.push((self.now, request.method.as_str(), request.url.clone()));
        let reply = self.cloud.answer(self.now, &request);
        self.flights.insert(id, (self.now + self.manner.latency, call, memo, reply));
    }

    /// Requests of a method.
    pub fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|(_, used, _)| *used == method).count()
    }

    pub fn receipt(&self, index: usize) -> &Receipt {
        self.messages[index].receipt.as_ref().expect("a receipt")
    }
}
