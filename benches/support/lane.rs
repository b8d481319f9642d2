//! A lane in virtual time whose cloud answers at once: what is measured is the lane and nothing else.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use crate::workload::Row;
use jiff::Timestamp;
use std::{borrow::Cow, time::Duration};
use tagmill::{
    call::{Answer, Call, Fate},
    job::{Extras, Job, JobId, LaneName, Resource, Ticket},
    lane::{Action, CallId, Lane, Naming, Now, Settings, Work},
    plan::Caps,
};

/// Named the way Huawei Cloud's TMS is: project, type and id.
#[derive(Debug)]
struct Tms;

impl Naming for Tms {
    fn resource_key(&self, resource: &Resource) -> String {
        let part = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        format!("{}/{}/{}", part(&resource.project), part(&resource.kind), resource.id)
    }
    fn share_key(&self, resource: &Resource) -> String {
        resource.project.as_deref().unwrap_or_default().to_owned()
    }
    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }
}

fn name() -> LaneName {
    LaneName::new("huawei").unwrap_or_else(|wrong| unreachable!("{wrong}"))
}

/// An empty lane that may call a million times a second: the rate never holds the benchmark up. With `marks` its broker
/// remembers them, as the embedded queue does; without, jobs of one resource are settled in order, as for RabbitMQ.
pub fn lane(marks: bool) -> Lane {
    let settings = Settings {
        name: name(),
        caps: Caps { resources: 50, tags: 10, keys: 10 },
        per_second: 1e6,
        burst: 1,
        concurrency: 1,
        max_attempts: 8,
        give_up_after: Duration::from_hours(6),
        capacity: usize::MAX,
        seed: 1,
        epoch: Timestamp::UNIX_EPOCH,
        marks,
    };
    Lane::new(settings, Box::new(Tms), Now::ZERO)
}

/// The job of one row of a workload. Every text is its own, as it is when jobs come from messages.
pub fn work(n: usize, row: &Row) -> Work {
    let resource = Resource { id: row.id.as_str().into(), kind: Some("ecs".into()), project: Some("p-1".into()) };
    let job = Job {
        id: JobId::new(&format!("018f2f6e-0000-7000-8000-{n:012}")).unwrap_or_else(|wrong| unreachable!("{wrong}")),
        lane: name(),
        resources: vec![resource],
        set: row.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
        unset: std::collections::BTreeSet::default(),
        extras: Extras::none(),
    };
    Work::fresh(Ticket(n as u64), job)
}

/// Moves time on until the next call leaves, and hands it out. `None` when the lane has nothing left to send.
pub fn next_call(lane: &mut Lane, now: &mut Now) -> Option<(CallId, Call)> {
    loop {
        while let Some(action) = lane.poll_action() {
            match action {
                Action::Call(id, call, _) => return Some((id, call)),
                Action::Emit(emit, ..) => lane.handle_confirm(*now, emit, true),
                _ => {}
            }
        }
        *now = lane.poll_deadline()?;
        lane.handle_timeout(*now);
    }
}

/// The cloud tags every resource of the call.
pub fn answer(lane: &mut Lane, now: Now, id: CallId, call: &Call) {
    lane.handle_reply(now, id, Answer::Finished(vec![Fate::Tagged; call.resources.len()]));
}
