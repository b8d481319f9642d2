//! Urgent work: it does not wait behind other work of any kind, and what two queues promise about the order of their jobs.

use crate::{
    gate::{Bench, slow, urgent},
    script::{Script, job, ms},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tagmill::{
    call::{Answer, Blame, Failure, Fate, Kind},
    job::{Job, Priority, Ticket},
    lane::{Now, Settlement},
    plan::Caps,
};

fn transient() -> Answer {
    Answer::Failure(Failure::new(Kind::Transient, Blame::Request, "InternalError", "again"))
}

fn all_tagged(count: usize) -> Answer {
    Answer::Finished(vec![Fate::Tagged; count])
}

/// Goes on until a call is there.
fn next_call(bench: &mut Bench, now: &mut Now) -> Vec<String> {
    while bench.calls.is_empty() {
        *now = bench.lane.poll_deadline().expect("more to do").max(*now);
        bench.wait(*now);
    }
    bench.calls[0].1.resources.iter().map(|resource| resource.id.to_string()).collect()
}

#[test]
fn a_lane_that_is_full_of_bulk_work_has_room_for_urgent_work_and_no_more_than_a_tenth() {
    let mut bench = Bench::new(&Script { capacity: 20, ..slow(false, Vec::new()) });
    let names: Vec<String> = (0..20).map(|n| format!("i-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    bench.take(ms(0), 1, job("bulk", &names, &[("k", "v")], &[]));
    assert_eq!((bench.lane.room(), bench.lane.urgent_room()), (0, 2));
    bench.take(ms(0), 2, urgent(job("event", &["e-1", "e-2"], &[("k", "v")], &[])));
    assert_eq!((bench.lane.room(), bench.lane.urgent_room()), (0, 0));
    bench.wait(ms(1_000));
    assert_eq!(&*bench.calls[0].1.resources[0].id, "e-1");
}

#[test]
fn urgent_work_goes_before_failed_calls_of_bulk_work_that_are_due() {
    for seed in 0..50 {
        let script = Script { seed, per_second: 100.0, burst: 50, concurrency: 20, ..slow(false, Vec::new()) };
        let mut bench = Bench::new(&script);
        for n in 0..20_u64 {
            bench.take(ms(0), n, job(&format!("bulk-{n}"), &[&format!("i-{n}")], &[("k", "v")], &[]));
        }
        bench.wait(ms(1_000));
        assert_eq!(bench.calls.len(), 20);
        // Every second one fails, so that there is no outage and much that has to go again.
        for n in 0..20 {
            bench.reply(ms(1_001), if n % 2 == 0 { transient() } else { all_tagged(1) });
        }
        assert!(bench.calls.is_empty() && bench.lane.status().waiting == 10, "seed {seed}");
        bench.take(ms(120_000), 100, urgent(job("event", &["e"], &[("k", "v")], &[])));
        assert!(bench.calls.len() > 1 && *bench.calls[0].1.resources[0].id == *"e", "seed {seed}");
    }
}

#[test]
fn bulk_work_goes_on_beside_urgent_work_that_never_ends() {
    let mut bench = Bench::new(&Script { concurrency: 1, ..slow(false, Vec::new()) });
    let mut now = ms(0);
    for n in 0..50_u64 {
        bench.take(now, n, job(&format!("b-{n}"), &[&format!("b-{n}")], &[("k", "v")], &[]));
        bench.take(now, 100 + n, urgent(job(&format!("e-{n}"), &[&format!("e-{n}")], &[("k", "v")], &[])));
    }
    let (mut bulk, mut tried) = (0, BTreeSet::new());
    for _ in 0..50 {
        let name = next_call(&mut bench, &mut now).remove(0);
        now += ms(20);
        bulk += usize::from(name.starts_with('b'));
        // A failed call of bulk work takes its turn like any other.
        let fails = name.starts_with('b') && tried.insert(name);
        bench.reply(now, if fails { transient() } else { all_tagged(1) });
    }
    assert_eq!(bulk, 10);
}

/// Jobs of two queues, one for each priority, handed over in any order between the two, with crashes at any moment.
struct TwoQueues {
    rng: fastrand::Rng,
    bench: Bench,
    script: Script,
    jobs: Vec<Job>,
    acked: Vec<bool>,
    delivered: Vec<bool>,
    /// By ticket of this owner.
    tickets: BTreeMap<u64, usize>,
    next_ticket: u64,
    seen: usize,
    /// On their way: each is there before the next one is sent.
    acks: VecDeque<usize>,
    cloud: BTreeMap<String, String>,
    now: Now,
}

impl TwoQueues {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let caps = Caps { resources: 2, tags: 10, keys: 10 };
        let script = Script { caps, per_second: 1_000.0, burst: 100, concurrency: 3, ..slow(false, Vec::new()) };
        let jobs: Vec<Job> = (0..rng.usize(2..14))
            .map(|n| {
                let names: Vec<String> = (0..4).filter(|_| rng.bool()).map(|r| format!("r{r}")).collect();
                let names: Vec<&str> = if names.is_empty() { vec!["r0"] } else { names.iter().map(|n| &**n).collect() };
                let id = format!("j{n}");
                let mut job = job(&id, &names, &[("k", &id)], &[]);
                job.extras.created_at = Some(Timestamp::from_second(rng.i64(0..5)).unwrap());
                if rng.bool() { urgent(job) } else { job }
            })
            .collect();
        let (acked, delivered) = (vec![false; jobs.len()], vec![false; jobs.len()]);
        let (bench, tickets, acks) = (Bench::new(&script), BTreeMap::new(), VecDeque::new());
        let (cloud, now) = (BTreeMap::new(), ms(1_000));
        Self { rng, bench, script, jobs, acked, delivered, tickets, next_ticket: 0, seen: 0, acks, cloud, now }
    }

    fn next_of(&self, priority: Priority) -> Option<usize> {
        (0..self.jobs.len()).find(|at| self.jobs[*at].extras.priority == priority && !self.delivered[*at])
    }

    fn step(&mut self) {
        self.now += ms(self.rng.u64(1..50));
        match self.rng.u32(0..10) {
            0..3 => {
                let priority = if self.rng.bool() { Priority::Event } else { Priority::Bulk };
                if let Some(at) = self.next_of(priority) {
                    self.delivered[at] = true;
                    self.next_ticket += 1;
                    self.tickets.insert(self.next_ticket, at);
                    self.bench.take(self.now, self.next_ticket, self.jobs[at].clone());
                }
            }
            3..6 if !self.bench.calls.is_empty() => {
                self.carry_out();
                let count = self.bench.calls[0].1.resources.len();
                self.bench.reply(self.now, all_tagged(count));
            }
            6..8 => self.bench.confirm_all(self.now),
            8 => {
                if let Some(at) = self.acks.pop_front() {
                    self.acked[at] = true;
                }
            }
            _ => self.bench.wait(self.now),
        }
        for (Ticket(ticket), how) in &self.bench.settled[self.seen..] {
            assert_eq!(*how, Settlement::Done);
            self.acks.push_back(self.tickets[ticket]);
        }
        self.seen = self.bench.settled.len();
    }

    fn carry_out(&mut self) {
        let call = &self.bench.calls[0].1;
        for resource in &call.resources {
            for (_, value) in &call.tags {
                self.cloud.insert(resource.id.to_string(), value.to_string());
            }
        }
    }

    fn crash(&mut self) {
        if !self.bench.calls.is_empty() && self.rng.bool() {
            self.carry_out();
        }
        for _ in 0..self.rng.usize(0..=self.acks.len()) {
            let at = self.acks.pop_front().unwrap();
            self.acked[at] = true;
        }
        self.acks.clear();
        (self.bench, self.seen) = (Bench::new(&self.script), 0);
        self.delivered = self.acked.clone();
        self.now = ms(1_000);
    }

    /// The last job of a priority that names the resource.
    fn last(&self, priority: Priority, resource: &str) -> Option<String> {
        let names = |job: &&Job| job.resources.iter().any(|own| *own.id == *resource);
        let mut jobs = self.jobs.iter().rev().filter(|job| job.extras.priority == priority);
        jobs.find(names).map(|job| job.id.to_string())
    }
}

#[test]
fn whatever_crashes_the_value_that_stands_is_that_of_the_last_job_of_one_of_the_two_queues() {
    for seed in 0..4_000 {
        let mut world = TwoQueues::new(seed);
        let crashes = world.rng.usize(0..4);
        for _ in 0..crashes {
            for _ in 0..world.rng.usize(0..120) {
                world.step();
            }
            world.crash();
        }
        let mut steps = 0;
        while world.acked.contains(&false) {
            world.step();
            steps += 1;
            assert!(steps < 20_000, "seed {seed}: it does not come to an end");
        }
        for (resource, value) in &world.cloud {
            let last = [Priority::Bulk, Priority::Event].map(|priority| world.last(priority, resource));
            assert!(last.contains(&Some(value.clone())), "seed {seed}: {resource} has {value}, the last are {last:?}");
        }
    }
}
