//! Broker, cloud, operator and one lane after another, in virtual time, with every promise checked on the way.

mod check;

use crate::{
    cloud::Cloud,
    script::{Event, Script},
};
use jiff::Timestamp;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use tagmill::{
    call::{Call, Memo, Op},
    job::{ItemFailure, Job, LaneName, Mark, Receipt, Resource, Ticket},
    lane::{
        Action, CallId, Cancel, Control, Counts, Emission, EmitId, Lane, Naming, Note, Now, Settings, Settlement,
        Tuning, Work,
    },
};

/// Resources are told apart by id; those with an even number never meet the odd ones; keys keep their case.
#[derive(Debug)]
pub struct Plain;

impl Naming for Plain {
    fn resource_key(&self, resource: &Resource) -> String {
        resource.id.to_string()
    }
    fn share_key(&self, resource: &Resource) -> String {
        let even = resource.id.trim_start_matches('r').parse::<u64>().is_ok_and(|n| n % 2 == 0);
        if resource.id.starts_with('r') { even.to_string() } else { String::new() }
    }
    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }
}

/// One message in the simulated broker.
pub struct Message {
    pub job: Job,
    marks: Vec<(u32, Mark)>,
    /// An operator has cancelled it. A broker without marks tells every owner.
    cancelled: bool,
    delivered: bool,
    /// When this owner took it on.
    taken: Now,
    /// This owner has said that it is done.
    settled: bool,
    pub acked: bool,
    pub dead: Vec<ItemFailure>,
    pub receipt: Option<Receipt>,
    unconfirmed: BTreeSet<EmitId>,
}

impl Message {
    fn shares_a_resource_with(&self, other: &Job) -> bool {
        self.job.resources.iter().any(|resource| other.resources.contains(resource))
    }
}

struct Flight {
    done_at: Now,
    call: Call,
    memo: Option<Memo>,
}

pub struct World {
    script: Script,
    pub cloud: Cloud,
    pub messages: Vec<Message>,
    lane: Lane,
    flights: BTreeMap<CallId, Flight>,
    /// The messages this owner was given, by its tickets. No ticket comes twice.
    tickets: BTreeMap<Ticket, usize>,
    next_ticket: u64,
    /// Those it has not settled, in the order they were handed out.
    unsettled: BTreeSet<usize>,
    /// Answers of the broker on their way, each with its message.
    confirms: Vec<(Now, EmitId, usize, bool)>,
    /// Acks on their way, in order.
    acks: VecDeque<(Now, usize)>,
    inputs: Vec<(Now, Input)>,
    now: Now,
    /// Messages before this one have been handed out.
    next: usize,
    open: usize,
    rng: fastrand::Rng,
    full_at: Duration,
    blocked_until: Now,
    draining: bool,
    resumes: u32,
    pub notes: Vec<(Now, Note)>,
    /// How each job was settled, in order.
    pub settled: Vec<(String, Settlement)>,
    pub calls: u64,
    talk: bool,
}

enum Input {
    Credential(Result<(), String>),
    Resume,
}

type Checked = Result<(), String>;

impl World {
    pub fn new(script: Script, talk: bool) -> Self {
        let cloud = Cloud::new(script.style, script.faults.clone(), script.seed ^ 0xc10d);
        let lane = Lane::new(settings(&script, Now::ZERO), Box::new(Plain), Now::ZERO);
        let full_at = period(&script) * script.burst;
        Self {
            cloud,
            lane,
            messages: Vec::new(),
            flights: BTreeMap::new(),
            tickets: BTreeMap::new(),
            next_ticket: script.seed,
            unsettled: BTreeSet::new(),
            confirms: Vec::new(),
            acks: VecDeque::new(),
            inputs: Vec::new(),
            now: Now::ZERO,
            next: 0,
            open: 0,
            rng: fastrand::Rng::with_seed(script.seed ^ 0x3017d),
            full_at,
            blocked_until: Now::ZERO,
            draining: false,
            resumes: 0,
            notes: Vec::new(),
            settled: Vec::new(),
            calls: 0,
            talk,
            script,
        }
    }

    /// What the lane has counted.
    pub fn counts(&self) -> Counts {
        self.lane.status().counts
    }

    /// Runs the script to the end. An error names the promise that was broken.
    pub fn run(mut self) -> Checked {
        self.drive()?;
        self.check_end()
    }

    pub fn drive(&mut self) -> Checked {
        let mut events: VecDeque<(Now, Event)> = std::mem::take(&mut self.script.events).into();
        for step in 0.. {
            if step > 400_000 {
                return Err(format!("L10: no end in sight at {:?}; {:?}", self.now, self.lane.status()));
            }
            self.act()?;
            if events.is_empty() && self.flights.is_empty() && self.open == 0 {
                return Ok(());
            }
            let deadline = self.lane.poll_deadline();
            if deadline.is_some_and(|at| at <= self.now) {
                return Err(format!("L10: the deadline {deadline:?} is not after {:?}", self.now));
            }
            let status = self.lane.status();
            let asked = self.inputs.iter().map(|(at, _)| *at).min();
            if status.pending > 0
                && deadline.is_none()
                && self.flights.is_empty()
                && status.paused.is_none()
                && asked.is_none()
            {
                let lane = if self.talk { format!("\n{:#?}", self.lane) } else { String::new() };
                return Err(format!("L10: work waits for nothing at {:?}: {status:?}{lane}", self.now));
            }
            if status.held > 0 && status.pending == 0 && deadline.is_none() && self.confirms.is_empty() {
                return Err(format!("L10: {} jobs wait for no earlier one at {:?}", status.held, self.now));
            }
            let broker = self.confirms.iter().map(|(at, ..)| *at).chain(self.acks.iter().map(|(at, _)| *at)).min();
            let next_event = events.front().map(|(at, _)| *at);
            let reply = self.flights.values().map(|flight| flight.done_at).min();
            let Some(next) = [deadline, next_event, reply, asked, broker].into_iter().flatten().min() else {
                return Err(format!("L10: nothing left to happen at {:?}: {status:?}", self.now));
            };
            self.now = next.max(self.now);
            if next_event == Some(next) {
                let (_, event) = events.pop_front().expect("the event that was looked at");
                self.interrupt(event)?;
            } else if reply == Some(next) {
                let id = *self.flights.iter().find(|(_, flight)| flight.done_at == next).expect("a reply").0;
                let flight = self.flights.remove(&id).expect("a flight");
                let answer = self.cloud.answer(self.now, &flight.call, flight.memo.as_ref());
                if self.talk {
                    eprintln!("{:>12.3?} {id:?} {:?} -> {answer:?}", self.now, flight.call);
                }
                if let tagmill::call::Answer::Failure(failure) = &answer
                    && failure.kind == tagmill::call::Kind::Throttled
                {
                    let hold = failure.retry_after.unwrap_or_default();
                    self.blocked_until = self.blocked_until.max(self.now + hold);
                }
                if matches!(answer, tagmill::call::Answer::FollowUp(_)) {
                    // It keeps its slot.
                    self.flights.insert(id, Flight { done_at: Now::MAX, ..flight });
                }
                self.lane.handle_reply(self.now, id, answer);
            } else if asked == Some(next) {
                let at = self.inputs.iter().position(|(at, _)| *at == next).expect("an input");
                match self.inputs.remove(at).1 {
                    Input::Credential(outcome) => {
                        if self.talk {
                            eprintln!("{:>12.3?} credential {outcome:?}", self.now);
                        }
                        self.lane.handle_credential(self.now, outcome);
                    }
                    Input::Resume => self.lane.handle_control(self.now, &Control::Resume),
                }
            } else if deadline != Some(next) && broker == Some(next) {
                // `act` carries out what the broker has answered.
            } else {
                self.lane.handle_timeout(self.now);
            }
        }
        Ok(())
    }

    fn interrupt(&mut self, event: Event) -> Checked {
        if self.talk {
            eprintln!("{:>12.3?} {event:?}", self.now);
        }
        match event {
            Event::Job(job) => {
                self.open += 1;
                self.messages.push(Message {
                    job,
                    marks: Vec::new(),
                    cancelled: false,
                    delivered: false,
                    taken: self.now,
                    settled: false,
                    acked: false,
                    dead: Vec::new(),
                    receipt: None,
                    unconfirmed: BTreeSet::new(),
                });
            }
            Event::Control(control) => {
                if let Control::Cancel(which) = &control {
                    for message in self.messages.iter_mut().filter(|message| !message.acked) {
                        message.cancelled |= match which {
                            Cancel::All => true,
                            Cancel::Job(id) => *id == message.job.id,
                            Cancel::Batch(batch) => message.job.extras.batch.as_ref() == Some(batch),
                        };
                    }
                }
                self.lane.handle_control(self.now, &control);
            }
            Event::Tune(tuning) => {
                // Attempts stay as the script has them: what is checked in the end goes by one number.
                let Script { max_attempts, give_up_after, .. } = self.script;
                self.lane.handle_tuning(self.now, Tuning { max_attempts, give_up_after, ..tuning });
                if (self.script.per_second, self.script.burst) != (tuning.per_second, tuning.burst) {
                    (self.script.per_second, self.script.burst) = (tuning.per_second, tuning.burst);
                    self.full_at = self.now + period(&self.script) * tuning.burst;
                }
                // Calls that are on their way may be more than are allowed from now on.
                self.script.concurrency = tuning.concurrency.max(self.flights.len());
            }
            Event::Drain => {
                self.lane.handle_control(self.now, &Control::Drain);
                self.draining = true;
            }
            Event::Crash => {
                for flight in std::mem::take(&mut self.flights).into_values() {
                    if flight.done_at < Now::MAX && self.rng.bool() {
                        self.cloud.answer(self.now, &flight.call, flight.memo.as_ref());
                    }
                }
                self.lane.handle_lost(self.now);
                while let Some(action) = self.lane.poll_action() {
                    if matches!(action, Action::Settle(..) | Action::Call(..)) {
                        return Err(format!("L1: a lost lane still acts: {action:?}"));
                    }
                }
                // Acks go one behind the other: some of the last are lost with the connection.
                let arrived = self.rng.usize(0..=self.acks.len());
                self.receive_acks(arrived);
                self.take_over();
            }
        }
        Ok(())
    }

    fn receive_acks(&mut self, count: usize) {
        for (_, at) in self.acks.drain(..count) {
            self.messages[at].acked = true;
            self.open -= 1;
        }
    }

    /// A new owner: an empty bucket, and every message that was not acked comes again.
    fn take_over(&mut self) {
        self.flights.clear();
        self.tickets.clear();
        self.unsettled.clear();
        self.confirms.clear();
        self.acks.clear();
        self.inputs.retain(|(_, input)| matches!(input, Input::Resume));
        self.lane = Lane::new(settings(&self.script, self.now), Box::new(Plain), self.now);
        self.full_at = self.now + period(&self.script) * self.script.burst;
        self.blocked_until = Now::ZERO;
        self.draining = false;
        self.next = 0;
        for message in self.messages.iter_mut().filter(|message| !message.acked) {
            message.delivered = false;
            message.settled = false;
            message.unconfirmed.clear();
            if !self.script.marks {
                // It starts anew. Documents that are out already are replaced by those to come.
                message.dead.clear();
                message.receipt = None;
            }
        }
    }

    /// Drains the lane's actions, feeds it, confirms its documents.
    fn act(&mut self) -> Checked {
        loop {
            while let Some(action) = self.lane.poll_action() {
                self.carry_out(action)?;
            }
            if let Some(at) = self.confirms.iter().position(|(at, ..)| *at <= self.now) {
                let (_, emit, message, ok) = self.confirms.remove(at);
                if ok {
                    self.messages[message].unconfirmed.remove(&emit);
                }
                self.lane.handle_confirm(self.now, emit, ok);
                continue;
            }
            let arrived = self.acks.iter().take_while(|(at, _)| *at <= self.now).count();
            self.receive_acks(arrived);
            if self.draining && self.lane.is_drained() {
                // Whoever drains lets its acks through before it goes.
                self.receive_acks(self.acks.len());
                self.take_over();
                continue;
            }
            self.check_status()?;
            let room = self.lane.room();
            while self.messages.get(self.next).is_some_and(|message| message.delivered) {
                self.next += 1;
            }
            if self.next < self.messages.len() && room > 0 {
                let at = self.next;
                let message = &mut self.messages[at];
                message.delivered = true;
                message.taken = self.now;
                let mut finals = message.marks.clone();
                if message.cancelled && !self.script.marks {
                    finals = cancelled(&message.job);
                }
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.tickets.insert(ticket, at);
                self.unsettled.insert(at);
                let work = Work { finals, ..Work::fresh(ticket, message.job.clone()) };
                self.lane.handle_job(self.now, &work);
                continue;
            }
            return Ok(());
        }
    }

    /// When the broker's answer is here, for what is sent now.
    fn answered_at(&mut self) -> Now {
        self.now + Duration::from_nanos(self.rng.u64(0..=self.script.wire.as_nanos() as u64))
    }

    fn message_of(&self, ticket: Ticket) -> Result<usize, String> {
        self.tickets.get(&ticket).copied().ok_or_else(|| format!("L1: {ticket:?} is not of this owner"))
    }

    fn carry_out(&mut self, action: Action) -> Checked {
        match action {
            Action::Call(id, call, memo) => self.depart(id, call, memo)?,
            Action::Emit(emit, ticket, emission) => {
                let at = self.message_of(ticket)?;
                self.check_document(at, &emission)?;
                let ok = self.rng.f64() >= self.script.nacks;
                let answered_at = self.answered_at();
                self.confirms.push((answered_at, emit, at, ok));
                let message = &mut self.messages[at];
                message.unconfirmed.insert(emit);
                if ok {
                    match emission {
                        Emission::DeadLetter(letter) => message.dead = letter.failures,
                        Emission::Receipt(receipt) => message.receipt = Some(*receipt),
                    }
                }
            }
            Action::Mark(ticket, marks) => {
                let at = self.message_of(ticket)?;
                let message = &mut self.messages[at];
                if self.talk {
                    eprintln!("{:>12.3?} marks of {:?}: {marks:?}", self.now, message.job.id);
                }
                if !self.script.marks {
                    return Err("L2: marks for a broker that cannot remember them".to_owned());
                }
                message.marks.extend(marks);
            }
            Action::Settle(ticket, settlement) => {
                let at = self.message_of(ticket)?;
                let message = &mut self.messages[at];
                if !message.delivered || message.settled {
                    return Err(format!("L1: {:?} is settled twice", message.job.id));
                }
                message.settled = true;
                self.unsettled.remove(&at);
                self.settled.push((message.job.id.to_string(), settlement));
                match settlement {
                    Settlement::Done if message.receipt.is_none() || !message.unconfirmed.is_empty() => {
                        return Err(format!("L2: {:?} is acked before its documents are safe", message.job.id));
                    }
                    Settlement::Done => {
                        if self.talk {
                            eprintln!("{:>12.3?} {:?} is done", self.now, message.job.id);
                        }
                        let before = self.acks.back().map_or(Now::ZERO, |(at, _)| *at);
                        let arrives = self.answered_at().max(before);
                        self.acks.push_back((arrives, at));
                    }
                    // Not handed out again before the next owner.
                    Settlement::Returned if !self.draining => {
                        return Err(format!("L1: {:?} is returned although nobody drains", message.job.id));
                    }
                    Settlement::Returned => {}
                }
            }
            Action::Refresh(_) => {
                let at = self.now + Duration::from_millis(self.rng.u64(1..500));
                let good = self.cloud.faults.revoked_until.is_none_or(|until| at >= until);
                let outcome = if good {
                    self.cloud.faults.expires_at = None;
                    Ok(())
                } else if self.rng.bool() {
                    Ok(())
                } else {
                    Err("the token service refuses".to_owned())
                };
                self.inputs.push((at, Input::Credential(outcome)));
            }
            Action::Note(note) => {
                if self.talk {
                    eprintln!("{:>12.3?} {note:?}", self.now);
                }
                if let Note::Paused(..) = &note {
                    self.repair();
                }
                self.notes.push((self.now, note));
            }
        }
        Ok(())
    }

    /// The operator corrects what the pause complains about, in time.
    fn repair(&mut self) {
        self.resumes += 1;
        let at = self.now + Duration::from_secs(self.rng.u64(1..600));
        let at = at.max(self.cloud.faults.revoked_until.unwrap_or_default());
        if self.cloud.faults.expires_at.is_some() {
            self.cloud.faults.expires_at = None;
            self.inputs.push((at, Input::Credential(Ok(()))));
        } else {
            if self.resumes > 1 || self.cloud.faults.grant_on_pause {
                self.cloud.faults.denied.clear();
            }
            self.inputs.push((at, Input::Resume));
        }
    }

    fn depart(&mut self, id: CallId, call: Call, memo: Option<Memo>) -> Checked {
        let follow_up = memo.is_some();
        self.calls += 1;
        if self.talk {
            eprintln!("{:>12.3?} {id:?} leaves: {call:?}", self.now);
        }
        if self.draining && !follow_up {
            return Err("L9: a new call after the drain".to_owned());
        }
        if self.now < self.blocked_until {
            return Err(format!(
                "L7: a call leaves at {:?}, asked to stay away until {:?}",
                self.now, self.blocked_until
            ));
        }
        let (period, burst) = (period(&self.script), self.script.burst);
        self.full_at = self.full_at.max(self.now) + period;
        if self.full_at > self.now + period * burst + Duration::from_micros(1) {
            return Err(format!(
                "L3: the call at {:?} is over the rate: {:?}, period {period:?}, burst {burst}",
                self.now, self.full_at
            ));
        }
        let caps = &self.script.caps;
        let most = if call.op == Op::Set { caps.tags } else { caps.keys };
        let distinct: BTreeSet<_> = call.resources.iter().map(|r| &r.id).collect();
        let shares: BTreeSet<_> = call.resources.iter().map(|r| Plain.share_key(r)).collect();
        let keys: BTreeSet<_> = call.tags.iter().map(|(key, _)| key).chain(&call.also_unset).collect();
        if call.resources.len() > caps.resources
            || call.tags.len() > most
            || call.tags.is_empty()
            || !(call.also_unset.is_empty() || caps.is_whole() && call.op == Op::Set)
            || distinct.is_empty()
        {
            return Err(format!("L5: over the limits: {call:?}"));
        }
        if distinct.len() < call.resources.len()
            || keys.len() < call.tags.len() + call.also_unset.len()
            || shares.len() > 1
        {
            return Err(format!("L5: twice, or mixed: {call:?}"));
        }
        let elsewhere = self.flights.iter().filter(|(other, _)| **other != id);
        for (_, flight) in elsewhere {
            if flight.call.resources.iter().any(|r| distinct.contains(&r.id)) {
                return Err(format!("L6: a resource is in two calls at once: {call:?}"));
            }
        }
        let spread = self.script.latency.1.saturating_sub(self.script.latency.0).as_millis() as u64;
        let latency = self.script.latency.0 + Duration::from_millis(self.rng.u64(0..=spread));
        self.flights.insert(id, Flight { done_at: self.now + latency, call, memo });
        if self.flights.len() > self.script.concurrency {
            return Err("L4: more calls in flight than the window".to_owned());
        }
        Ok(())
    }
}

fn period(script: &Script) -> Duration {
    Duration::from_secs_f64(1.0 / script.per_second)
}

pub fn settings(script: &Script, now: Now) -> Settings {
    Settings {
        name: LaneName::new("lane").expect("a name"),
        caps: script.caps,
        per_second: script.per_second,
        burst: script.burst,
        concurrency: script.concurrency,
        max_attempts: script.max_attempts,
        give_up_after: script.give_up_after,
        capacity: script.capacity,
        seed: script.seed ^ now.as_nanos() as u64,
        epoch: Timestamp::UNIX_EPOCH,
        marks: script.marks,
    }
}

/// What the broker says of a message that an operator has cancelled.
fn cancelled(job: &Job) -> Vec<(u32, Mark)> {
    let failure = |resource: &Resource| ItemFailure {
        resource: resource.clone(),
        code: "cancelled".into(),
        message: "cancelled by an operator".into(),
        request_id: None,
        attempts: 0,
        applied_keys: Vec::new(),
        line: None,
    };
    (0..).zip(&job.resources).map(|(index, resource)| (index, Mark::Dead(failure(resource)))).collect()
}
