//! Every route in one table: the router and the OpenAPI document are made of it.

use super::{dead, events, guard, jobs, lanes, look, page, problem::Problem, state::State};
use crate::config::Scope;
use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    middleware,
    routing::{MethodRouter, get, options, post},
};
use std::{sync::Arc, time::Duration};

/// What a request needs to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: probes come without a token.
    Nothing,
    /// Any token.
    AnyToken,
    /// A token that allows this.
    Scope(Scope),
}

/// One route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{name}` stands for one step.
    pub path: &'static str,
    /// What a request needs to show.
    pub needs: Needs,
    /// How long it may take beyond what the config says: it reads all dead letters, or asks all workers.
    pub patience: Duration,
    handler: fn() -> MethodRouter<Arc<State>>,
}

const QUICK: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_mins(1);

fn route(
    method: Method,
    path: &'static str,
    needs: Needs,
    patience: Duration,
    handler: fn() -> MethodRouter<Arc<State>>,
) -> Route {
    Route { method, path, needs, patience, handler }
}

/// All routes.
pub fn table() -> Vec<Route> {
    use Needs::{AnyToken, Nothing, Scope as Token};
    let (read, operate, ingest) = (Token(Scope::Read), Token(Scope::Operate), Token(Scope::Ingest));
    vec![
        route(Method::GET, "/", Nothing, QUICK, || get(page::index)),
        route(Method::GET, "/page/{file}", Nothing, QUICK, || get(page::file)),
        route(Method::GET, "/livez", Nothing, QUICK, || get(look::live)),
        route(Method::GET, "/readyz", Nothing, QUICK, || get(look::ready)),
        route(Method::GET, "/startupz", Nothing, QUICK, || get(look::started)),
        route(Method::GET, "/metrics", read, QUICK, || get(look::metrics)),
        route(Method::GET, "/openapi.json", Nothing, QUICK, || get(look::document)),
        route(Method::GET, "/v1/me", AnyToken, QUICK, || get(look::me)),
        route(Method::POST, "/v1/jobs", ingest, QUICK, || post(jobs::submit)),
        route(Method::GET, "/v1/jobs/recent", read, QUICK, || get(look::recent)),
        route(Method::POST, "/v1/events/{source}", ingest, QUICK, || post(events::take)),
        route(Method::OPTIONS, "/v1/events/{source}", Nothing, QUICK, || options(events::handshake)),
        route(Method::GET, "/v1/rules", read, QUICK, || get(events::rules)),
        route(Method::GET, "/v1/lanes", read, LONG, || get(lanes::list)),
        route(Method::POST, "/v1/lanes/{name}/pause", operate, LONG, || post(lanes::pause)),
        route(Method::POST, "/v1/lanes/{name}/resume", operate, LONG, || post(lanes::resume)),
        route(Method::GET, "/v1/dead-letters", read, LONG, || get(dead::list)),
        route(Method::GET, "/v1/dead-letters/{id}", read, LONG, || get(dead::show)),
        route(Method::POST, "/v1/dead-letters/replay", operate, LONG, || post(dead::replay)),
        route(Method::POST, "/v1/dead-letters/discard", operate, LONG, || post(dead::discard)),
    ]
}

/// The router of all routes.
pub(super) fn router(state: &Arc<State>) -> Router {
    let mut router: Router<Arc<State>> = Router::new();
    for route in table() {
        let Route { needs, patience, path, .. } = route;
        let needed = guard::Needed { state: Arc::clone(state), needs, patience, path };
        let handler = (route.handler)().layer(middleware::from_fn_with_state(needed, guard::check));
        router = router.route(route.path, handler);
    }
    router
        .fallback(|| async { Problem::not_found("there is nothing at this path; /openapi.json tells what there is") })
        .method_not_allowed_fallback(|request: Request| async move {
            let methods = methods(request.uri().path());
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("here are {methods}")).allowing(methods)
        })
        .layer(middleware::from_fn(guard::dress))
        .with_state(Arc::clone(state))
}

/// The methods that a path has.
fn methods(path: &str) -> String {
    let fits = |pattern: &str| {
        let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
        loop {
            match (pattern.next(), path.next()) {
                (None, None) => return true,
                (Some(one), Some(other)) if one == other || (one.starts_with('{') && !other.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let table = table();
    // A path that is there word for word goes before one with a placeholder.
    let literal = table.iter().any(|route| route.path == path);
    let is_it = |route: &&Route| if literal { route.path == path } else { fits(route.path) };
    let mut found: Vec<String> = table.iter().filter(is_it).map(|route| route.method.to_string()).collect();
    if found.iter().any(|method| method == "GET") {
        found.push("HEAD".into());
    }
    found.sort_unstable();
    found.dedup();
    found.join(", ")
}
