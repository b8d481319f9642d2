//! `POST /v1/events/{source}`: events in, jobs out; 202 when the broker has what follows from every one of them.

use super::{
    body::{Body, Form},
    jobs::unsplit_problem,
    problem::{Detail, Problem},
    publish, split,
    state::State,
};
use crate::{
    broker::{
        RawDeadLetter,
        rabbitmq::{Message, batch, dead::raw_letter},
    },
    event::{self, Decision, EVENT_BYTES, EVENTS_AT_ONCE, Event, Source, Standing, Unreadable},
    job::{Trace, stable_hash},
    worker::clock,
};
use axum::{
    Json,
    extract::{Path, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// What became of the events of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) events: usize,
    pub(super) duplicates: usize,
    pub(super) ignored: usize,
    pub(super) jobs: usize,
    pub(super) dead: usize,
}

/// Takes events in.
pub(super) async fn take(
    Shared(state): Shared<Arc<State>>,
    Path(source): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let source = known(&source)?;
    body.form(&[Form::Json])?;
    if body.bytes.len() > EVENT_BYTES {
        let most = format!("an event or a batch has at most {EVENT_BYTES} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, most));
    }
    if source == Source::Alibaba {
        signed(&state, &body.headers, &body.bytes, clock::wall()).await?;
    }
    let headers = pairs(&body.headers);
    let documents =
        split::documents(&body.bytes, EVENTS_AT_ONCE).map_err(|unsplit| unsplit_problem(unsplit, "events"))?;
    // It is never closed.
    let _reading = state.reading.acquire().await;
    let mut events = Vec::new();
    let mut errors = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        match event::read(source, &headers, document) {
            Ok(read) => events.extend(read.into_iter().map(|event| (event, *document))),
            Err(error) => {
                let at = if documents.len() == 1 { String::new() } else { format!("[{index}]") };
                errors.push(Detail { at, message: unreadable(error) });
            }
        }
    }
    if !errors.is_empty() {
        state.metrics.events(source.as_str(), "rejected", errors.len() as u64);
        return Err(Problem::unprocessable("nothing was taken in, because some of it is no event", errors));
    }
    let taken =
        hand_on(&state, &events, body.trace.as_ref(), async |messages| publish::confirmed(&state, messages).await)
            .await
            .inspect_err(|_| state.metrics.events(source.as_str(), "unavailable", events.len() as u64))?;
    let Taken { events, duplicates, ignored, jobs, dead } = taken;
    let told = json!({"events": events, "duplicates": duplicates, "ignored": ignored, "jobs": jobs, "dead": dead});
    Ok((StatusCode::ACCEPTED, Json(told)))
}

fn unreadable(error: Unreadable) -> String {
    match error {
        Unreadable::NoEvent { why, .. } => why,
        other => other.to_string(),
    }
}

pub(super) fn known(source: &str) -> Result<Source, Problem> {
    Source::find(source).ok_or_else(|| {
        let names = Source::ALL.map(Source::as_str).join(", ");
        Problem::not_found(format!("there are events of {names}"))
    })
}

/// Headers that are text.
pub(super) fn pairs(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

/// Decides what follows from each event and publishes it. An event counts as taken only once that is confirmed; if it is
/// not, whoever sends it again is heard.
pub(super) async fn hand_on<P>(
    state: &State,
    events: &[(Event, &[u8])],
    trace: Option<&Trace>,
    publish: impl AsyncFnOnce(Vec<Message>) -> Result<(), P>,
) -> Result<Taken, P>
where
    P: From<Problem>,
{
    let (now, live) = (clock::wall(), state.live());
    let mut taken = Taken { events: events.len(), ..Taken::default() };
    let mut begun = Begun { state, keys: Vec::new() };
    let (mut messages, mut decisions) = (Vec::new(), Vec::new());
    for (event, bytes) in events {
        match state.seen().begin(&event.source, &event.id, now) {
            Standing::Known => {
                taken.duplicates += 1;
                continue;
            }
            Standing::InProgress => {
                // Twice in one message, or sent again before the first was safe.
                if begun.keys.contains(&(event.source.clone(), event.id.clone())) {
                    taken.duplicates += 1;
                    continue;
                }
                let why = "the same event is being taken in at this moment";
                return Err(Problem::unavailable(why, Duration::from_secs(1)).into());
            }
            Standing::Fresh => begun.keys.push((event.source.clone(), event.id.clone())),
        }
        let decision = live.rules.decide(event, &live.lanes, now);
        taken.ignored += usize::from(decision.ignored.is_some());
        taken.jobs += decision.jobs.len();
        for job in &decision.jobs {
            // A job that was made can be written.
            messages.push(batch::message(&state.names, job, serde_json::to_vec(job).unwrap_or_default(), trace));
        }
        let troubles = dead_letters(event, bytes, &decision);
        taken.dead += troubles.len();
        messages.extend(troubles.into_iter().map(|letter| raw_letter(&state.names, letter, now).with_trace(trace)));
        decisions.push(decision);
    }
    publish(messages).await?;
    for (source, id) in std::mem::take(&mut begun.keys) {
        state.seen().done(&source, &id);
    }
    for decision in &decisions {
        state.tally.add(decision, now);
    }
    count(state, events, &taken, &decisions);
    tell(&taken, &decisions);
    Ok(taken)
}

fn count(state: &State, events: &[(Event, &[u8])], taken: &Taken, decisions: &[Decision]) {
    // All events of one message are of one cloud.
    let Some((event, _)) = events.first() else { return };
    let source = event.cloud.as_str();
    state.metrics.events(source, "duplicate", taken.duplicates as u64);
    for decision in decisions {
        let result = match decision {
            Decision { ignored: Some(_), .. } => "ignored",
            decision if decision.troubles().next().is_some() => "dead",
            _ => "jobs",
        };
        state.metrics.events(source, result, 1);
        for rule in decision.rules.iter().filter(|rule| rule.met == event::Met::Yes && decision.ignored.is_none()) {
            state.metrics.matched(&rule.rule, 1, rule.left_out() as u64, u64::from(rule.trouble.is_some()));
        }
    }
}

/// Events that are being taken in. Dropped before they are safe, they are forgotten.
struct Begun<'s> {
    state: &'s State,
    keys: Vec<(String, String)>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut seen = self.state.seen();
        for (source, id) in &self.keys {
            seen.forget(source, id);
        }
    }
}

fn tell(taken: &Taken, decisions: &[Decision]) {
    for (rule, trouble) in decisions.iter().flat_map(Decision::troubles) {
        tracing::warn!(rule, code = trouble.code, why = %trouble.text, "a rule is for an event and makes no job of it; it is dead-lettered");
    }
    let Taken { events, duplicates, ignored, jobs, .. } = taken;
    tracing::debug!(events, duplicates, ignored, jobs, "events were taken in");
}

/// Events of which a rule should have made a job and could not: an operator has to see them.
fn dead_letters(event: &Event, bytes: &[u8], decision: &Decision) -> Vec<RawDeadLetter> {
    let letter = |(rule, trouble): (&str, &event::Trouble)| RawDeadLetter {
        id: stable_hash(&["event", &event.source, &event.id, rule]),
        lane: None,
        code: trouble.code.to_owned(),
        message: format!("rule {rule}: {}", trouble.text),
        source: Some(format!("event:{}:{}", event.cloud, event.name)),
        line: None,
        body: bytes.to_vec(),
    };
    decision.troubles().map(letter).collect()
}

/// What a message that holds no event becomes, where nobody can be told so.
pub(super) fn unreadable_letter(source: Source, why: String, bytes: Vec<u8>) -> RawDeadLetter {
    RawDeadLetter {
        id: stable_hash(&["no event", source.as_str(), &String::from_utf8_lossy(&bytes)]),
        lane: None,
        code: "invalid_event".into(),
        message: why,
        source: Some(format!("event:{source}")),
        line: None,
        body: bytes,
    }
}

/// The handshake of CloudEvents webhooks: whoever wants to send may.
pub(super) async fn handshake(Path(source): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    known(&source)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert("allow", HeaderValue::from_static("OPTIONS, POST"));
    if let Some(origin) = headers.get("webhook-request-origin") {
        answer.insert(HeaderName::from_static("webhook-allowed-origin"), origin.clone());
        answer.insert(HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*"));
    }
    Ok(response)
}

/// `GET /v1/rules`: what each rule has done since the server began.
pub(super) async fn rules(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    Json(json!({ "rules": state.tally.rules() }))
}

/// Checks who signed events of Alibaba Cloud, where the config says so.
async fn signed(state: &State, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), Problem> {
    let live = state.live();
    let Some((expected, url)) = &live.expected else { return Ok(()) };
    let headers = pairs(headers);
    let refused = |why: String| Problem::new(StatusCode::UNAUTHORIZED, why);
    let claim = expected.claim(&headers, now).map_err(|why| refused(why.to_string()))?;
    let key = state.certificates.key(claim.certificate_url()).await?;
    claim.check(&key, &[url], body).map_err(|why| refused(why.to_string()))
}
