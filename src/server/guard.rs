//! What stands before every handler: who is asking, how many may at once, how long it may take; and headers for all.

use super::{auth::Actor, problem::Problem, routes::Needs, state::State};
use axum::{
    extract::{Request, State as Shared},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// What is needed on a route.
#[derive(Clone)]
pub(super) struct Needed {
    pub(super) state: Arc<State>,
    pub(super) needs: Needs,
    pub(super) patience: Duration,
    /// The path of the table.
    pub(super) path: &'static str,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Lets a request through to its handler, or says why not; either way it is counted.
pub(super) async fn check(Shared(needed): Shared<Needed>, request: Request, next: Next) -> Response {
    let (metrics, path, method) = (needed.state.metrics.clone(), needed.path, request.method().clone());
    let response = checked(needed, request, next).await;
    metrics.answered(path, method.as_str(), response.status().as_u16());
    response
}

async fn checked(needed: Needed, mut request: Request, next: Next) -> Response {
    let Needed { state, needs, patience, .. } = needed;
    if needs == Needs::Nothing {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().map_or_else(|| ([0, 0, 0, 0], 0).into(), |peer| peer.0);
    // Its signature says who sent it.
    let live = state.live();
    let is_signed = live.expected.is_some() && request.uri().path() == "/v1/events/alibaba";
    let actor = if is_signed {
        Actor { name: "alibaba-eventbridge".into(), scopes: vec![crate::config::Scope::Ingest], peer }
    } else {
        match live.guard.who(request.headers(), peer) {
            Ok(actor) => actor,
            Err(problem) => return problem.into_response(),
        }
    };
    if let Needs::Scope(scope) = needs
        && !actor.may(scope)
    {
        let why = format!("this needs a token with the scope `{}`", scope.as_str());
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    let Ok(_room) = Arc::clone(&state.room).try_acquire_owned() else {
        let why = "as many requests as may be are being answered (server.limits.concurrency)";
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, why).after(Duration::from_secs(1)).into_response();
    };
    request.extensions_mut().insert(actor);
    let most = state.server.limits.timeout.max(patience);
    match tokio::time::timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("it took too long", Duration::from_secs(5)).into_response(),
    }
}

/// Puts on what every answer wears.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
