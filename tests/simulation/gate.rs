//! Named situations on a broker without marks: jobs of one resource, and what the lane says while they wait.

use crate::{
    cloud::Faults,
    script::{Event, Script, job, ms},
    world::{self, World},
};
use tagmill::{
    call::{Answer, Blame, Call, Failure, Fate, Kind},
    job::{Job, JobId, Priority, Ticket},
    lane::{Action, CallId, Cancel, Control, Emission, EmitId, Lane, Now, Settlement, Work},
    plan::Caps,
};

/// One resource a call, one call a second from second 1 on, each answered after 20 ms, 100 ms to the broker at most.
pub fn slow(marks: bool, events: Vec<(Now, Event)>) -> Script {
    let caps = Caps { resources: 1, tags: 10, keys: 10 };
    Script { caps, per_second: 1.0, burst: 1, marks, wire: ms(100), ..Script::calm(events) }
}

/// It goes ahead of what is waiting.
pub fn urgent(mut job: Job) -> Job {
    job.extras.priority = Priority::Event;
    job
}

fn in_batch(mut job: Job, batch: &str) -> Job {
    job.extras.batch = Some(batch.into());
    job
}

/// A job of two resources is half done when a second one on the first of them has been carried out: nothing but its
/// turn is missing from 2.02 s to 3.02 s.
fn overtaking(marks: bool, then: Event) -> Script {
    let first = job("first", &["i-1", "i-2"], &[("k", "earlier")], &[]);
    let second = urgent(job("second", &["i-1"], &[("k", "later")], &[]));
    slow(marks, vec![(ms(0), Event::Job(first)), (ms(1_100), Event::Job(second)), (ms(2_500), then)])
}

fn run(script: Script) -> World {
    let mut world = World::new(script, false);
    world.drive().expect("no promise is broken");
    world.check_end().expect("the end is right");
    world
}

fn done(world: &World) -> Vec<&str> {
    world.settled.iter().filter(|(_, how)| *how == Settlement::Done).map(|(id, _)| &**id).collect()
}

fn took(world: &World, id: &str) -> u64 {
    let mut messages = world.messages.iter();
    let receipt = messages.find(|message| message.job.id.as_str() == id).and_then(|message| message.receipt.as_ref());
    receipt.expect("a receipt").duration_ms
}

#[test]
fn the_later_value_stands_after_a_crash_between_two_jobs_of_one_resource() {
    for marks in [true, false] {
        let world = run(overtaking(marks, Event::Crash));
        assert_eq!(world.cloud.tags["i-1"]["k"], "later", "marks: {marks}");
        assert_eq!(world.cloud.tags["i-2"]["k"], "earlier");
        let order: &[&str] = if marks { &["second", "first"] } else { &["first", "second"] };
        assert_eq!(done(&world), order, "marks: {marks}");
    }
}

#[test]
fn a_held_job_is_returned_by_a_drain() {
    let world = run(overtaking(false, Event::Drain));
    let settled: Vec<_> = world.settled.iter().map(|(id, how)| (&**id, *how)).collect();
    let (returned, done) = (Settlement::Returned, Settlement::Done);
    assert_eq!(settled, [("first", returned), ("second", returned), ("first", done), ("second", done)]);
    assert_eq!(world.cloud.tags["i-1"]["k"], "later");
}

#[test]
fn a_chain_of_three_jobs_on_a_resource_settles_in_order() {
    let first = job("first", &["i-1", "i-2"], &[("k", "1")], &[]);
    let second = urgent(job("second", &["i-1"], &[("k", "2")], &[]));
    let third = urgent(job("third", &["i-1"], &[("k", "3")], &[]));
    let other = job("other", &["i-3"], &[("k", "1")], &[]);
    let jobs = [(0, first), (1_100, second), (1_200, third), (1_300, urgent(other))];
    let events = jobs.map(|(at, job)| (ms(at), Event::Job(job)));
    let world = run(slow(false, events.to_vec()));
    assert_eq!(done(&world), ["other", "first", "second", "third"], "a job of another resource does not wait");
    assert_eq!(world.cloud.tags["i-1"]["k"], "3");
    // The last call for the first job is the fourth; what waited for its turn alone was over with the second.
    assert_eq!(["first", "second", "third"].map(|id| took(&world, id)), [4_020, 920, 820]);
}

#[test]
fn dead_letters_of_one_resource_come_in_the_order_of_its_jobs() {
    let jobs = ["first", "second", "third"].map(|id| {
        let resources: &[&str] = if id == "first" { &["i-1", "i-2"] } else { &["i-1"] };
        (ms(0), Event::Job(job(id, resources, &[("k", id)], &[])))
    });
    let faults = Faults { poison: ["i-1".to_owned()].into(), ..Faults::none() };
    // The world itself checks that no document comes before those of an earlier job of the resource.
    let world = run(Script { faults, nacks: 0.4, ..slow(false, jobs.to_vec()) });
    assert_eq!(done(&world), ["first", "second", "third"]);
    assert!(world.messages.iter().all(|message| message.dead.len() == 1));
}

#[test]
fn a_cancelled_job_waits_its_turn_before_and_after_a_crash_and_others_are_carried_out() {
    let first = job("first", &["i-1", "i-2"], &[("k", "first")], &[]);
    let wrong = in_batch(job("wrong", &["i-1"], &[("k", "wrong")], &[]), "mistake");
    let right = in_batch(job("right", &["i-2"], &[("k", "right")], &[]), "on-purpose");
    let mut events: Vec<_> = [first, wrong, right].map(|job| (ms(0), Event::Job(job))).into();
    events.push((ms(100), Event::Control(Control::Cancel(Cancel::Batch("mistake".into())))));
    for crash in [false, true] {
        let mut events = events.clone();
        // Before the crash the lane cancels what it holds; after it the message comes with every item dead already.
        events.extend(crash.then_some((ms(1_500), Event::Crash)));
        let world = run(slow(false, events));
        assert_eq!(world.cloud.tags["i-1"]["k"], "first");
        assert_eq!(world.cloud.tags["i-2"]["k"], "right");
        let order = done(&world);
        let place = |id: &str| order.iter().position(|other| *other == id);
        assert!(place("first") < place("wrong") && place("first") < place("right"), "{order:?}");
        let wrong = world.messages.iter().find(|message| message.job.id.as_str() == "wrong").expect("the message");
        assert_eq!(wrong.dead.iter().map(|failure| &*failure.code).collect::<Vec<_>>(), ["cancelled"]);
        assert_eq!(wrong.receipt.as_ref().map(|receipt| (receipt.dead, receipt.calls)), Some((1, 0)));
    }
}

/// A lane driven by hand: what it wants is looked at, not done.
pub struct Bench {
    pub lane: Lane,
    pub calls: Vec<(CallId, Call)>,
    pub documents: Vec<(EmitId, Ticket, Emission)>,
    pub settled: Vec<(Ticket, Settlement)>,
}

impl Bench {
    pub fn new(script: &Script) -> Self {
        let lane = Lane::new(world::settings(script, Now::ZERO), Box::new(world::Plain), Now::ZERO);
        Self { lane, calls: Vec::new(), documents: Vec::new(), settled: Vec::new() }
    }

    pub fn take(&mut self, now: Now, ticket: u64, job: Job) {
        self.lane.handle_job(now, &Work::fresh(Ticket(ticket), job));
        self.act();
    }

    pub fn wait(&mut self, now: Now) {
        self.lane.handle_timeout(now);
        self.act();
    }

    pub fn reply(&mut self, now: Now, answer: Answer) {
        let (id, _) = self.calls.remove(0);
        self.lane.handle_reply(now, id, answer);
        self.act();
    }

    pub fn confirm_all(&mut self, now: Now) {
        for (emit, ..) in std::mem::take(&mut self.documents) {
            self.lane.handle_confirm(now, emit, true);
        }
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.lane.poll_action() {
            match action {
                Action::Call(id, call, _) => self.calls.push((id, call)),
                Action::Emit(emit, ticket, emission) => self.documents.push((emit, ticket, emission)),
                Action::Settle(ticket, settlement) => self.settled.push((ticket, settlement)),
                Action::Mark(..) => panic!("no marks on this broker"),
                Action::Refresh(_) | Action::Note(_) => {}
            }
        }
    }
}

fn tagged() -> Answer {
    Answer::Finished(vec![Fate::Tagged])
}

#[test]
fn a_lane_tells_how_many_jobs_it_has_how_many_wait_their_turn_and_since_when() {
    let mut bench = Bench::new(&slow(false, Vec::new()));
    assert_eq!((bench.lane.status().oldest, bench.lane.status().ceiling), (None, 1.0));
    bench.take(ms(0), 1, job("first", &["i-1", "i-2"], &[("k", "1")], &[]));
    bench.take(ms(100), 2, urgent(job("second", &["i-2"], &[("k", "2")], &[])));
    let seen = |bench: &Bench| {
        let status = bench.lane.status();
        (status.jobs, status.held, status.pending, status.oldest)
    };
    assert_eq!(seen(&bench), (2, 0, 3, Some(ms(0))));
    bench.wait(ms(1_000));
    bench.reply(ms(1_020), tagged());
    // One call carried both wishes for the second resource.
    assert_eq!(seen(&bench), (2, 1, 1, Some(ms(0))), "{:?}", bench.calls);
    assert!(bench.documents.is_empty(), "nothing is written before its turn");
    bench.wait(ms(2_000));
    bench.reply(ms(2_020), tagged());
    assert_eq!(seen(&bench), (2, 1, 0, Some(ms(0))), "the first waits for its receipt, the second for the first");
    assert_eq!(bench.documents.iter().map(|(_, ticket, _)| ticket.0).collect::<Vec<_>>(), [1]);
    bench.confirm_all(ms(2_100));
    assert_eq!(seen(&bench), (1, 0, 0, Some(ms(100))));
    assert_eq!(bench.documents.iter().map(|(_, ticket, _)| ticket.0).collect::<Vec<_>>(), [2]);
    bench.confirm_all(ms(2_200));
    assert_eq!(seen(&bench), (0, 0, 0, None));
    assert_eq!(bench.settled, [(Ticket(1), Settlement::Done), (Ticket(2), Settlement::Done)]);
}

#[test]
fn jobs_that_wait_their_turn_take_up_room() {
    let mut bench = Bench::new(&Script { capacity: 3, ..slow(false, Vec::new()) });
    bench.take(ms(0), 1, job("first", &["i-1", "i-2"], &[("k", "1")], &[]));
    bench.take(ms(0), 2, urgent(job("second", &["i-1"], &[("k", "2")], &[])));
    assert_eq!(bench.lane.room(), 0);
    bench.wait(ms(1_000));
    bench.reply(ms(1_020), tagged());
    // One item of the first job is open, and the second job is held.
    assert_eq!((bench.lane.status().pending, bench.lane.room()), (1, 1));
}

#[test]
fn a_lane_is_full_when_it_has_no_room_and_everything_waits_for_a_retry_or_a_pause() {
    let mut bench = Bench::new(&Script { capacity: 1, ..slow(false, Vec::new()) });
    bench.take(ms(0), 1, job("only", &["i-1"], &[("k", "1")], &[]));
    assert_eq!((bench.lane.room(), bench.lane.status().full), (0, false), "it only waits for its permit");
    bench.wait(ms(1_000));
    assert!(!bench.lane.status().full, "it is on its way");
    let failure = Failure::new(Kind::Transient, Blame::State, "Busy", "not ready");
    bench.reply(ms(1_020), Answer::Failure(failure));
    assert!(bench.lane.status().full);
    while bench.calls.is_empty() {
        let deadline = bench.lane.poll_deadline().expect("a retry");
        bench.wait(deadline);
    }
    assert!(bench.lane.status().full, "a retry is on its way, nothing is new");
    let now = ms(600_000);
    bench.reply(now, tagged());
    assert!(!bench.lane.status().full);

    bench.confirm_all(now);
    bench.take(now, 2, job("next", &["i-2"], &[("k", "1")], &[]));
    bench.lane.handle_control(now, &Control::Pause);
    assert!(bench.lane.status().full, "an operator's pause holds it all");
    bench.lane.handle_control(now, &Control::Resume);
    assert!(!bench.lane.status().full);
}

#[test]
fn one_job_is_cancelled_by_its_id_and_all_by_one_word() {
    let three = || ["a", "b", "c"].map(|id| job(id, &[id], &[("k", id)], &[]));
    for (which, expected) in [
        (Cancel::Job(JobId::new("b").expect("an id")), vec!["b"]),
        (Cancel::Batch("none".into()), vec![]),
        (Cancel::All, vec!["a", "b", "c"]),
    ] {
        let mut bench = Bench::new(&slow(false, Vec::new()));
        for (ticket, job) in (0..).zip(three()) {
            bench.take(ms(0), ticket, job);
        }
        bench.lane.handle_control(ms(1), &Control::Cancel(which.clone()));
        bench.act();
        let dead = bench.documents.iter().filter_map(|(_, _, emission)| match emission {
            Emission::DeadLetter(letter) => Some(letter.job.id.to_string()),
            Emission::Receipt(_) => None,
        });
        assert_eq!(dead.collect::<Vec<_>>(), expected, "{which:?}");
    }
}
