//! `POST /v1/jobs`: one job, an array of them, or one a line; all are taken, or none.

use super::{
    body::{Body, Form},
    problem::{Detail, Problem},
    publish,
    split::{self, Unsplit},
    state::State,
};
use crate::{
    broker::rabbitmq::batch,
    job::{Job, JobId, LaneName, parse, suggest},
    server::auth::Actor,
    worker::clock,
};
use axum::{Extension, Json, extract::State as Shared, http::StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

/// Jobs of one request at most.
pub(super) const JOBS_AT_ONCE: usize = 10_000;

/// Takes jobs in: 202 when the broker has every one of them.
pub(super) async fn submit(
    Shared(state): Shared<Arc<State>>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let form = body.form(&[Form::Json, Form::Lines])?;
    let (documents, what) = match form {
        Form::Lines => (split::lines(&body.bytes, JOBS_AT_ONCE), "line"),
        Form::Json => (split::documents(&body.bytes, JOBS_AT_ONCE), "jobs"),
    };
    let documents = documents.map_err(|unsplit| unsplit_problem(unsplit, "jobs"))?;
    let jobs = read(&state, &documents, what, &actor).inspect_err(|_| state.metrics.jobs("rejected", 1))?;
    let messages = jobs
        .iter()
        .map(|job| batch::message(&state.names, job, serde_json::to_vec(job).unwrap_or_default(), body.trace.as_ref()));
    let count = jobs.len() as u64;
    publish::confirmed(&state, messages.collect()).await.inspect_err(|_| state.metrics.jobs("unavailable", count))?;
    state.metrics.jobs("accepted", count);
    tracing::info!(actor = %actor.name, peer = %actor.peer, jobs = jobs.len(), "jobs were handed in");
    let told: Vec<Value> =
        jobs.iter().map(|job| json!({"id": job.id, "lane": job.lane, "resources": job.resources.len()})).collect();
    Ok((StatusCode::ACCEPTED, Json(json!({ "jobs": told }))))
}

pub(super) fn unsplit_problem(unsplit: Unsplit, what: &str) -> Problem {
    match unsplit {
        Unsplit::TooMany(most) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {most} {what} a request"))
        }
        Unsplit::Unclosed => Problem::bad("the body begins like a JSON array and does not end like one"),
    }
}

fn read(state: &State, documents: &[&[u8]], what: &str, actor: &Actor) -> Result<Vec<Job>, Problem> {
    if documents.is_empty() {
        return Err(Problem::unprocessable("there is no job in the body", Vec::new()));
    }
    let (now, source) = (clock::wall(), format!("http:{}", actor.name));
    let (mut jobs, mut errors, mut ids) = (Vec::with_capacity(documents.len()), Vec::new(), BTreeSet::new());
    for (index, document) in documents.iter().enumerate() {
        let place = |field: &str| match (documents.len(), what) {
            (1, "jobs") => field.to_owned(),
            (_, "jobs") => format!("[{index}]{}{field}", if field.is_empty() { "" } else { "." }),
            _ => format!("line {}{}{field}", index + 1, if field.is_empty() { "" } else { ": " }),
        };
        let id = JobId::new(&clock::nonce()).ok();
        let defaults = parse::Defaults {
            id: id.as_ref(),
            source: Some(&source),
            created_at: Some(now),
            ..parse::Defaults::default()
        };
        match parse::job(document, &defaults) {
            Ok(job) => {
                if let Some(text) = unknown_lane(state, &job.lane) {
                    errors.push(Detail { at: place("lane"), message: text });
                } else if !ids.insert((job.lane.clone(), job.id.clone())) {
                    errors.push(Detail { at: place("id"), message: "another job of this request has it".into() });
                }
                jobs.push(job);
            }
            Err(problems) => errors.extend(
                problems.into_iter().map(|problem| Detail { at: place(&problem.field), message: problem.text }),
            ),
        }
    }
    if errors.is_empty() {
        return Ok(jobs);
    }
    Err(Problem::unprocessable("nothing was taken in, because of what is wrong with some of it", errors))
}

fn unknown_lane(state: &State, lane: &LaneName) -> Option<String> {
    let lanes = &state.live().lanes;
    if lanes.iter().any(|known| known.name == *lane) {
        return None;
    }
    let hint = suggest::hint(lane.as_str(), lanes.iter().map(|lane| lane.name.as_str()));
    Some(format!("the config has no such lane{hint}"))
}
