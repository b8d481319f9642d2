//! A dead letter as new work: the job of its failed items, marked as a replay that was made now.

use crate::job::{
    JobId, LaneName, Priority, Replay,
    parse::{self, Defaults},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// A job to be sent again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) lane: LaneName,
    pub(super) id: JobId,
    pub(super) priority: Priority,
    pub(super) items: u64,
    /// The job message. Its date is now: an old one would make it yield to work that came in between.
    pub(super) body: Vec<u8>,
}

/// What has to be known of a job to send it.
#[derive(Deserialize)]
struct Label {
    lane: LaneName,
    id: JobId,
    #[serde(default)]
    priority: Priority,
}

/// The job in a dead letter. `None` when there is none in it.
///
/// The job is left as it is but for the two fields: what this build does not know in it may mean something to another.
pub(super) fn of_letter(letter: &str, body: &[u8], now: Timestamp) -> Option<Again> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let job = body.get_mut("job")?;
    let Label { lane, id, priority } = Label::deserialize(&*job).ok()?;
    let job = job.as_object_mut()?;
    let items = job.get("resources")?.as_array()?.len() as u64;
    let count = job.get("replay").and_then(|replay| replay.get("count")).and_then(Value::as_u64).unwrap_or(0);
    let count = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    job.insert("replay".into(), json!({"of": letter, "count": count}));
    job.insert("created_at".into(), json!(now));
    Some(Again { lane, id, priority, items, body: serde_json::to_vec(job).ok()? })
}

/// The job that a message is after all: its lane is known by now, or it was handed out too often. `None` when it is
/// none. `lane` and `id` stand for what the message leaves out.
pub(super) fn of_message(
    letter: &str,
    body: &[u8],
    lane: Option<&LaneName>,
    id: Option<&JobId>,
    now: Timestamp,
) -> Option<Again> {
    let mut job = parse::job(body, &Defaults { lane, id, ..Defaults::default() }).ok()?;
    let count = job.extras.replay.as_ref().map_or(0, |replay| replay.count).saturating_add(1);
    job.extras.replay = Some(Replay { of: letter.to_owned(), count });
    job.extras.created_at = Some(now);
    let body = serde_json::to_vec(&job).ok()?;
    let items = job.resources.len() as u64;
    Some(Again { lane: job.lane, id: job.id, priority: job.extras.priority, items, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Extras, Job, Resource};

    fn job() -> Job {
        Job {
            id: JobId::new("1").unwrap(),
            lane: LaneName::new("a").unwrap(),
            resources: vec![Resource::plain("r1"), Resource::plain("r2")],
            set: [("k".into(), "v".into())].into(),
            unset: [].into(),
            extras: Extras { priority: Priority::Event, ..Extras::none() },
        }
    }

    #[test]
    fn a_replay_is_the_job_with_its_origin_and_the_present_date() {
        let now = Timestamp::from_second(1_000).unwrap();
        let letter = json!({"version": 1, "id": "d", "job": job(), "failures": []});
        let again = of_letter("d", letter.to_string().as_bytes(), now).unwrap();
        let of = |of: &str, count| Some(Replay { of: of.into(), count });
        let extras = Extras { replay: of("d", 1), created_at: Some(now), ..job().extras };
        let read = parse::job(&again.body, &Defaults::default()).unwrap();
        assert_eq!(read, Job { extras, ..job() });
        assert_eq!((again.lane.as_str(), again.id.as_str(), again.items), ("a", "1", 2));
        assert_eq!(again.priority, Priority::Event);
        // And again.
        let letter = json!({"id": "e", "job": read});
        let again = of_letter("e", letter.to_string().as_bytes(), now).unwrap();
        assert_eq!(parse::job(&again.body, &Defaults::default()).unwrap().extras.replay, of("e", 2));
    }

    #[test]
    fn a_message_that_is_a_job_after_all_can_be_sent_again_and_no_other() {
        let now = Timestamp::UNIX_EPOCH;
        let (lane, id) = (LaneName::new("b").unwrap(), JobId::new("m-1").unwrap());
        let body = br#"{"resources":["r"],"set":{"k":"v"}}"#;
        let again = of_message("d", body, Some(&lane), Some(&id), now).unwrap();
        assert_eq!((&again.lane, &again.id, again.items), (&lane, &id, 1));
        assert!(of_message("d", body, None, Some(&id), now).is_none());
        assert!(of_message("d", b"\xff", Some(&lane), Some(&id), now).is_none());
    }
}
