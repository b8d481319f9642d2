//! Broker, cloud, operator and one lane after another, in virtual time, with every promise checked on the way.

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
    lane::{Action, CallId, Control, Emission, EmitId, Lane, Naming, Note, Now, Settings, Settlement, Work},
};

/// Resources are told apart by id; those with an even number never meet the odd ones; keys keep their case.
#[derive(Debug)]
struct Plain;

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
    delivered: bool,
    pub acked: bool,
    pub dead: Vec<ItemFailure>,
    pub receipt: Option<Receipt>,
    unconfirmed: BTreeSet<EmitId>,
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
    confirms: VecDeque<(EmitId, bool)>,
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
            confirms: VecDeque::new(),
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
            calls: 0,
            talk,
            script,
        }
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
            let next_event = events.front().map(|(at, _)| *at);
            let reply = self.flights.values().map(|flight| flight.done_at).min();
            let Some(next) = [deadline, next_event, reply, asked].into_iter().flatten().min() else {
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
                    delivered: false,
                    acked: false,
                    dead: Vec::new(),
                    receipt: None,
                    unconfirmed: BTreeSet::new(),
                });
            }
            Event::Control(control) => self.lane.handle_control(self.now, &control),
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
                self.take_over();
            }
        }
        Ok(())
    }

    /// A new owner: an empty bucket, and every message that was not acked comes again.
    fn take_over(&mut self) {
        self.flights.clear();
        self.confirms.clear();
        self.inputs.retain(|(_, input)| matches!(input, Input::Resume));
        self.lane = Lane::new(settings(&self.script, self.now), Box::new(Plain), self.now);
        self.full_at = self.now + period(&self.script) * self.script.burst;
        self.blocked_until = Now::ZERO;
        self.draining = false;
        self.next = 0;
        for message in self.messages.iter_mut().filter(|message| !message.acked) {
            message.delivered = false;
            message.unconfirmed.clear();
        }
    }

    /// Drains the lane's actions, feeds it, confirms its documents.
    fn act(&mut self) -> Checked {
        loop {
            while let Some(action) = self.lane.poll_action() {
                self.carry_out(action)?;
            }
            if let Some((emit, ok)) = self.confirms.pop_front() {
                self.lane.handle_confirm(self.now, emit, ok);
                continue;
            }
            if self.draining && self.lane.is_drained() {
                self.take_over();
                continue;
            }
            let room = self.lane.room();
            if room > self.script.capacity || (self.lane.status().pending >= self.script.capacity && room > 0) {
                return Err(format!("L11: full, and still {room} items wanted"));
            }
            while self.messages.get(self.next).is_some_and(|message| message.delivered) {
                self.next += 1;
            }
            if self.next < self.messages.len() && room > 0 {
                let at = self.next;
                let message = &mut self.messages[at];
                message.delivered = true;
                let finals = message.marks.clone();
                let work = Work { finals, ..Work::fresh(Ticket(at as u64), message.job.clone()) };
                self.lane.handle_job(self.now, &work);
                continue;
            }
            return Ok(());
        }
    }

    fn carry_out(&mut self, action: Action) -> Checked {
        match action {
            Action::Call(id, call, memo) => self.depart(id, call, memo)?,
            Action::Emit(emit, ticket, emission) => {
                let message = &mut self.messages[ticket.0 as usize];
                if message.acked {
                    return Err(format!("L2: a document after the ack of {:?}", message.job.id));
                }
                message.unconfirmed.insert(emit);
                let ok = self.rng.f64() >= self.script.nacks;
                if ok {
                    match emission {
                        Emission::DeadLetter(letter) => message.dead = letter.failures,
                        Emission::Receipt(receipt) => {
                            if !receipt.adds_up() || receipt.accepted != message.job.resources.len() as u64 {
                                return Err(format!("L2: a receipt that does not add up: {receipt:?}"));
                            }
                            message.receipt = Some(*receipt);
                        }
                    }
                    message.unconfirmed.remove(&emit);
                }
                self.confirms.push_back((emit, ok));
            }
            Action::Mark(ticket, marks) => {
                let message = &mut self.messages[ticket.0 as usize];
                if self.talk {
                    eprintln!("{:>12.3?} marks of {:?}: {marks:?}", self.now, message.job.id);
                }
                message.marks.extend(marks);
            }
            Action::Settle(ticket, settlement) => {
                let message = &mut self.messages[ticket.0 as usize];
                if !message.delivered || message.acked {
                    return Err(format!("L1: {:?} is settled twice", message.job.id));
                }
                match settlement {
                    Settlement::Done if message.receipt.is_none() || !message.unconfirmed.is_empty() => {
                        return Err(format!("L2: {:?} is acked before its documents are safe", message.job.id));
                    }
                    Settlement::Done => {
                        if self.talk {
                            eprintln!("{:>12.3?} {:?} is done", self.now, message.job.id);
                        }
                        message.acked = true;
                        self.open -= 1;
                    }
                    Settlement::Returned => message.delivered = false,
                }
                if settlement == Settlement::Returned {
                    // Not handed out again before the next owner.
                    message.delivered = true;
                    if !self.draining {
                        return Err(format!("L1: {:?} is returned although nobody drains", message.job.id));
                    }
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
                if let Note::Paused(_) = &note {
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

    pub fn check_end(&self) -> Checked {
        for message in &self.messages {
            self.check_message(message)?;
        }
        self.check_tags()
    }

    fn check_message(&self, message: &Message) -> Checked {
        let Some(receipt) = &message.receipt else { return Err(format!("L1: no receipt for {:?}", message.job.id)) };
        if receipt.dead != message.dead.len() as u64 {
            return Err(format!(
                "L2: {:?} counts {} dead, its letter {}",
                message.job.id,
                receipt.dead,
                message.dead.len()
            ));
        }
        let faults = &self.script.faults;
        for resource in &message.job.resources {
            let id = &*resource.id;
            let dead = message.dead.iter().find(|failure| failure.resource == *resource);
            let sets = &message.job.set;
            let bad_tag = faults.bad_key.as_deref().is_some_and(|key| sets.contains_key(key))
                || sets.get("k0").is_some_and(|value| Some(&**value) == faults.bad_value.as_deref());
            let Some(dead) = dead else {
                if faults.poison.contains(id) || faults.poison_500.contains(id) {
                    return Err(format!("L6: {id} of {:?} is reported done and cannot be", message.job.id));
                }
                continue;
            };
            let why = match dead.code.as_str() {
                "NotFound" => faults.poison.contains(id),
                "Forbidden" => faults.denied.contains(id),
                "InvalidTagKey.Malformed" => bad_tag,
                "cancelled" => true,
                "InternalError" | "http_503" | "http_500" | "timeout" | "Busy" => {
                    if dead.attempts > self.script.max_attempts {
                        return Err(format!("L8: {} attempts: {dead:?}", dead.attempts));
                    }
                    dead.attempts == self.script.max_attempts || dead.message.starts_with("gave up")
                }
                _ => false,
            };
            if !why {
                return Err(format!("L6: {id} of {:?} is dead without need: {dead:?}", message.job.id));
            }
        }
        Ok(())
    }

    /// The tags in the cloud are those of the jobs in order; keys of dead items may hold what those asked for.
    fn check_tags(&self) -> Checked {
        let mut expected: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
        let mut also: BTreeMap<(String, String), BTreeSet<Option<String>>> = BTreeMap::new();
        for message in &self.messages {
            for resource in &message.job.resources {
                let dead = message.dead.iter().any(|failure| failure.resource == *resource);
                let sets = message.job.set.iter().map(|(key, value)| (key, Some(value.to_string())));
                for (key, value) in sets.chain(message.job.unset.iter().map(|key| (key, None))) {
                    let cell = (resource.id.to_string(), key.to_string());
                    if dead {
                        also.entry(cell).or_default().insert(value);
                    } else {
                        expected.insert(cell, value);
                    }
                }
            }
        }
        let cells: BTreeSet<_> = expected.keys().chain(also.keys()).cloned().collect();
        for cell in cells {
            let found = self.cloud.tags.get(&cell.0).and_then(|tags| tags.get(&cell.1)).cloned();
            let right = expected.get(&cell).cloned().flatten();
            let allowed = also.get(&cell).is_some_and(|values| values.contains(&found));
            if found != right && !allowed {
                return Err(format!("L6: {cell:?} is {found:?} and should be {right:?}"));
            }
        }
        Ok(())
    }
}

fn period(script: &Script) -> Duration {
    Duration::from_secs_f64(1.0 / script.per_second)
}

fn settings(script: &Script, now: Now) -> Settings {
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
    }
}
