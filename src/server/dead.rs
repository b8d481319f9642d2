//! Dead letters of the fleet: looked at, sent again, thrown away.

use super::{
    auth::Actor,
    body::{Body, Form},
    lanes::{AGAIN, away, desk},
    problem::{Detail, Problem},
    state::State,
};
use crate::{
    broker::{BrokerError, DeadCount, DeadEntry, DeadFilter, Pick, StoredDead, age, rabbitmq::dead::Replay},
    fleet::Dead,
    job::{JobId, LaneName},
    worker::clock,
};
use axum::{
    Extension, Json,
    extract::{Path, Query, State as Shared},
    http::StatusCode,
};
use base64::Engine as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Letters of one list where the request names no limit, and at most.
const LISTED: (u64, u64) = (100, 1_000);
/// Ids of one order at most.
const IDS: usize = 10_000;

/// Which dead letters: the words of the command line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    #[serde(deserialize_with = "given")]
    lane: Option<String>,
    #[serde(deserialize_with = "given")]
    code: Option<String>,
    #[serde(deserialize_with = "given")]
    job: Option<String>,
    #[serde(deserialize_with = "given")]
    older_than: Option<String>,
    #[serde(deserialize_with = "given")]
    newer_than: Option<String>,
}

/// A field that is there holds a value: `null` would be a mistake that means everything.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(input: D) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

/// The same, as a query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    lane: Option<String>,
    code: Option<String>,
    job: Option<String>,
    older_than: Option<String>,
    newer_than: Option<String>,
    limit: Option<String>,
}

/// What to do with which.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(default, deserialize_with = "given")]
    ids: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    filter: Option<Filter>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default, deserialize_with = "given")]
    expect: Option<Expect>,
}

/// How many whoever asks believes they are.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    letters: u64,
}

impl Filter {
    fn read(&self, now: Timestamp, wrong: &mut Vec<Detail>) -> DeadFilter {
        let mut bad = |at: &str, message: &str| wrong.push(Detail { at: at.to_owned(), message: message.to_owned() });
        let mut ago = |at: &str, text: &Option<String>| match text.as_deref().map(age)? {
            Ok(age) => Some(now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            Err(why) => {
                bad(at, &why);
                None
            }
        };
        let (before, since) = (ago("older_than", &self.older_than), ago("newer_than", &self.newer_than));
        let lane = self.lane.as_deref().map(LaneName::new);
        let job = self.job.as_deref().map(JobId::new);
        if let Some(Err(why)) = &lane {
            bad("lane", &why.to_string());
        }
        if let Some(Err(why)) = &job {
            bad("job", &why.to_string());
        }
        DeadFilter {
            lane: lane.and_then(Result::ok),
            code: self.code.clone(),
            job: job.and_then(Result::ok),
            before,
            since,
            limit: None,
        }
    }
}

async fn open(state: &State) -> Result<Dead, Problem> {
    Dead::open(desk(state, "server dead letters").await?, clock::wall()).await.map_err(|error| away(&error))
}

/// A letter without its body.
fn told(entry: &DeadEntry) -> Value {
    json!({
        "id": entry.id, "lane": entry.lane, "job": entry.job, "items": entry.items, "codes": entry.codes,
        "message": entry.message, "recorded_at": entry.recorded_at, "raw": entry.raw, "source": entry.source,
        "line": entry.line, "trace": entry.trace,
    })
}

/// `GET /v1/dead-letters`.
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    query: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad(error.body_text()))?;
    let Listing { lane, code, job, older_than, newer_than, limit } = query;
    let mut wrong = Vec::new();
    let filter = Filter { lane, code, job, older_than, newer_than }.read(clock::wall(), &mut wrong);
    let limit = match limit.as_deref().map(str::parse::<u64>) {
        None => LISTED.0,
        Some(Ok(limit)) if (1..=LISTED.1).contains(&limit) => limit,
        Some(_) => {
            wrong.push(Detail { at: "limit".into(), message: format!("from 1 to {}", LISTED.1) });
            0
        }
    };
    if !wrong.is_empty() {
        return Err(Problem::unprocessable("the filter cannot be used", wrong));
    }
    let _one = state.desk.lock().await;
    let dead = open(&state).await?;
    let count = dead.count(&Pick::Matching(filter.clone())).unwrap_or_default();
    let filter = DeadFilter { limit: Some(limit), ..filter };
    let letters: Vec<Value> = dead.entries(&filter).map(told).collect();
    dead.close().await;
    Ok(Json(json!({"count": count, "shown": letters.len(), "letters": letters})))
}

/// `GET /v1/dead-letters/{id}`.
pub(super) async fn show(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let _one = state.desk.lock().await;
    let dead = open(&state).await?;
    let found = dead.letter::<BrokerError>(&id).await;
    dead.close().await;
    let StoredDead { entry, body } =
        found.map_err(|error| away(&error))?.ok_or_else(|| Problem::not_found("there is no dead letter of that id"))?;
    let mut told = told(&entry);
    if let Some(fields) = told.as_object_mut() {
        if entry.raw {
            // The message came as bytes: it goes out as bytes, and as text where it is text.
            let coded = base64::engine::general_purpose::STANDARD.encode(&body);
            fields.insert("body_base64".into(), coded.into());
            fields.insert("body".into(), std::str::from_utf8(&body).ok().into());
        } else {
            fields.insert("document".into(), serde_json::from_slice(&body).unwrap_or(Value::Null));
        }
    }
    Ok(Json(told))
}

/// `POST /v1/dead-letters/replay`.
pub(super) async fn replay(
    Shared(state): Shared<Arc<State>>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let (pick, order) = read(&body)?;
    let _one = state.desk.lock().await;
    let dead = open(&state).await?;
    let done = async {
        let count = counted(&dead, &pick, &order)?;
        if order.dry_run {
            return Ok(json!({"letters": count.letters, "items": count.items, "raw": count.raw}));
        }
        let replay = dead.replay(&pick).await.map_err(|error| away(&error))?;
        let (letters, items) = sums(&replay);
        tracing::info!(actor = %actor.name, peer = %actor.peer, letters, items, "dead letters were sent again");
        replayed(&replay)
    };
    let done = done.await;
    dead.close().await;
    done.map(Json)
}

/// Letters that were sent, and items in them.
fn sums(replay: &Replay) -> (u64, u64) {
    replay.lanes.values().fold((0, 0), |(letters, items), sent| (letters + sent.letters, items + sent.items))
}

/// What a replay came to. One that broke off is no success, whatever it had sent by then.
fn replayed(replay: &Replay) -> Result<Value, Problem> {
    let (letters, items) = sums(replay);
    if let Some(error) = &replay.broke_off {
        tracing::warn!(%error, "a replay broke off");
        let text = format!(
            "the replay broke off: {letters} letters with {items} items were sent again, a few more may have been, the \
             others are dead letters still; look again"
        );
        return Err(Problem::unavailable(text, AGAIN));
    }
    let no_lane: u64 = replay.no_lane.values().sum();
    Ok(json!({"letters": letters, "items": items, "raw": replay.no_job, "no_lane": no_lane, "gone": replay.gone}))
}

/// `POST /v1/dead-letters/discard`.
pub(super) async fn discard(
    Shared(state): Shared<Arc<State>>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let (pick, order) = read(&body)?;
    let _one = state.desk.lock().await;
    let dead = open(&state).await?;
    let done = async {
        let mut count = counted(&dead, &pick, &order)?;
        if !order.dry_run {
            count = dead.discard(&pick).await.map_err(|error| away(&error))?;
            let DeadCount { letters, items, .. } = count;
            tracing::info!(actor = %actor.name, peer = %actor.peer, letters, items, "dead letters were discarded");
        }
        Ok(json!({"letters": count.letters, "items": count.items, "raw": count.raw}))
    };
    let done = done.await;
    dead.close().await;
    done.map(Json)
}

fn read(body: &Body) -> Result<(Pick, Order), Problem> {
    body.form(&[Form::Json])?;
    let order: Order = serde_json::from_slice(&body.bytes).map_err(|error| {
        let detail = Detail { at: String::new(), message: error.to_string() };
        if error.is_data() {
            Problem::unprocessable("the order cannot be read", vec![detail])
        } else {
            Problem::bad(format!("not JSON: {error}"))
        }
    })?;
    let mut wrong = Vec::new();
    let pick = match (&order.ids, &order.filter) {
        (Some(ids), None) if (1..=IDS).contains(&ids.len()) => Pick::Ids(ids.clone()),
        (Some(_), None) => {
            wrong.push(Detail { at: "ids".into(), message: format!("1 to {IDS} ids") });
            Pick::Ids(Vec::new())
        }
        (None, Some(filter)) => Pick::Matching(filter.read(clock::wall(), &mut wrong)),
        _ => {
            let message = "say which: either `ids`, or `filter` (an empty one means all)".to_owned();
            wrong.push(Detail { at: "ids".into(), message });
            Pick::Ids(Vec::new())
        }
    };
    if wrong.is_empty() {
        Ok((pick, order))
    } else {
        Err(Problem::unprocessable("the order cannot be carried out", wrong))
    }
}

/// How many are meant, if they are as many as whoever asks believes.
fn counted(dead: &Dead, pick: &Pick, order: &Order) -> Result<DeadCount, Problem> {
    let count = dead.count(pick).map_err(|id| {
        Problem::not_found(format!("the dead letter {} is not there", id.chars().take(64).collect::<String>()))
    })?;
    match order.expect {
        Some(Expect { letters }) if letters != count.letters => Err(Problem::new(
            StatusCode::CONFLICT,
            format!("there are {} dead letters by now, and not {letters}: look again", count.letters),
        )),
        _ => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::rabbitmq::dead::Sent;

    fn replay(broke_off: Option<BrokerError>) -> Replay {
        let lane = |name: &str| LaneName::new(name).unwrap();
        let sent = |letters, items| Sent { letters, items, has_worker: true };
        Replay {
            lanes: [(lane("a"), sent(2, 7)), (lane("b"), sent(1, 1))].into(),
            no_lane: [(lane("c"), 4)].into(),
            no_job: 5,
            gone: 6,
            broke_off,
        }
    }

    #[test]
    fn a_replay_tells_what_was_sent_and_what_stayed_and_one_that_broke_off_is_no_success() {
        let told = replayed(&replay(None)).unwrap();
        assert_eq!(told, json!({"letters": 3, "items": 8, "raw": 5, "no_lane": 4, "gone": 6}));
        let lost = BrokerError::Unavailable("amqp://user:secret@host is gone".into());
        let problem = replayed(&replay(Some(lost))).unwrap_err();
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        let text = format!("{problem:?}");
        assert!(text.contains("3 letters with 8 items were sent again") && !text.contains("secret"), "{text}");
    }
}
