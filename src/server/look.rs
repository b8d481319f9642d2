//! What needs no broker: how the process is, who is asking, what there is to ask for.

use super::{auth::Actor, openapi, problem::Problem, state::State};
use crate::broker::rabbitmq::LinkState;
use axum::{
    Extension, Json,
    extract::State as Shared,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// `GET /livez`: the process lives.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: it can do its work.
pub(super) async fn ready(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Problem> {
    let now = (state.is_ready)();
    if now.ready && *state.at_home.borrow() && !*state.stop.borrow() {
        return Ok(Json(json!({"status": now.text})));
    }
    let text = match (*state.stop.borrow(), now.ready) {
        (true, _) => "stopping".to_owned(),
        (false, true) => "the lanes have no queues yet".to_owned(),
        (false, false) => now.text,
    };
    Err(Problem::unavailable(text, Duration::from_secs(5)))
}

/// `GET /startupz`: it has begun.
pub(super) async fn started(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Problem> {
    let now = (state.is_ready)();
    if now.started {
        Ok(Json(json!({"status": now.text})))
    } else {
        Err(Problem::unavailable(now.text, Duration::from_secs(1)))
    }
}

/// `GET /v1/me`: who is asking, and what they may do.
pub(super) async fn me(Extension(actor): Extension<Actor>) -> Json<Value> {
    let scopes: Vec<&str> = actor.scopes.iter().map(|scope| scope.as_str()).collect();
    Json(json!({"name": actor.name, "scopes": scopes}))
}

/// `GET /v1/jobs/recent`: the last jobs of the fleet that were finished.
pub(super) async fn recent(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let job = |receipt: &crate::job::Receipt| {
        json!({
            "finished_at": receipt.finished_at, "id": receipt.job, "lane": receipt.lane, "batch": receipt.batch,
            "accepted": receipt.accepted, "tagged": receipt.tagged, "unchanged": receipt.unchanged,
            "dead": receipt.dead, "superseded": receipt.superseded, "calls": receipt.calls,
            "retries": receipt.retries, "seconds": Duration::from_millis(receipt.duration_ms).as_secs_f64(),
        })
    };
    let jobs: Vec<Value> = state.recent.newest_first().iter().map(job).collect();
    Json(json!({ "jobs": jobs }))
}

/// `GET /metrics`: counts for Prometheus.
pub(super) async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let publishing = state.publisher.state();
    state.metrics.connected("publishing", matches!(*publishing.borrow(), LinkState::Up));
    let mut response = state.metrics.render((state.lanes_now)()).into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `GET /openapi.json`: what there is to ask for.
pub(super) async fn document() -> Response {
    let mut response = Json(openapi::document()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    response
}
