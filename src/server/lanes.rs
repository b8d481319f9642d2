//! Lanes of the fleet: how they are, and orders to pause them or let them go on.

use super::{auth::Actor, problem::Problem, state::State};
use crate::{
    broker::{
        BrokerError, Orders,
        rabbitmq::{control::Asker, orders},
    },
    fleet::{Desk, NoDesk, look},
    job::{LaneName, suggest},
    worker::clock,
};
use axum::{
    Extension, Json,
    extract::{Path, State as Shared},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

/// A look younger than that is good enough for whoever asks.
const FRESH: Duration = Duration::from_secs(1);
/// When to come again while the broker is away.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// The broker cannot be used at the moment. Its own words name hosts: they are for the log.
pub(super) fn away(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "the broker cannot be used for what was asked");
    Problem::unavailable("the broker is not there", AGAIN)
}

/// A connection for one request.
pub(super) async fn desk(state: &State, what: &str) -> Result<Desk, Problem> {
    Desk::open(&state.broker, what).await.map_err(|error| match error {
        NoDesk::Broker(error) => away(&error),
        NoDesk::Config(error) => away(&error),
    })
}

/// `GET /v1/lanes`: the whole fleet, as `tagmill status --output json` shows it.
pub(super) async fn list(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Problem> {
    let mut last = state.look.lock().await;
    if let Some((at, snapshot)) = &*last
        && clock::monotonic().saturating_duration_since(*at) < FRESH
    {
        return Ok(Json(snapshot.document()));
    }
    let desk = desk(&state, "server look").await?;
    let looked = async {
        let mut asker = Asker::new(&desk.link).await?;
        let snapshot = look::look(&desk.link, &mut asker, &state.live().lanes).await;
        if let Some(asker) = asker {
            asker.close().await;
        }
        snapshot
    };
    let snapshot = looked.await;
    desk.close().await;
    let mut snapshot = snapshot.map_err(|error| away(&error))?;
    {
        let mut pace = state.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let at = clock::monotonic().saturating_duration_since(pace.0);
        pace.1.observe(&mut snapshot, at);
    }
    let snapshot = Arc::new(snapshot);
    *last = Some((clock::monotonic(), Arc::clone(&snapshot)));
    Ok(Json(snapshot.document()))
}

/// `POST /v1/lanes/{name}/pause`.
pub(super) async fn pause(
    shared: Shared<Arc<State>>,
    actor: Extension<Actor>,
    name: Path<String>,
) -> Result<Json<Value>, Problem> {
    order(shared, actor, name, "paused", Orders::pause).await
}

/// `POST /v1/lanes/{name}/resume`.
pub(super) async fn resume(
    shared: Shared<Arc<State>>,
    actor: Extension<Actor>,
    name: Path<String>,
) -> Result<Json<Value>, Problem> {
    order(shared, actor, name, "resumed", Orders::resume).await
}

async fn order(
    Shared(state): Shared<Arc<State>>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    done: &'static str,
    change: impl Fn(&mut Orders, &LaneName, jiff::Timestamp),
) -> Result<Json<Value>, Problem> {
    let in_config: Vec<LaneName> = state.live().lanes.iter().map(|lane| lane.name.clone()).collect();
    let lane = LaneName::new(&name).map_err(|why| Problem::not_found(why.to_string()))?;
    let desk = desk(&state, "server order").await?;
    let given = async {
        let (all, _) = look::known(&desk.link, &in_config).await?;
        if !all.contains(&lane) {
            let hint = suggest::hint(&name, all.iter().map(LaneName::as_str));
            return Ok::<_, BrokerError>(Err(Problem::not_found(format!("there is no such lane{hint}"))));
        }
        let (publisher, now) = (desk.publisher(), clock::wall());
        let orders = orders::change(&desk.link, &publisher, now, |orders| change(orders, &lane, now)).await?;
        Ok(Ok(orders))
    };
    let given = given.await;
    desk.close().await;
    let orders = given.map_err(|error| away(&error))??;
    *state.look.lock().await = None;
    tracing::info!(actor = %actor.name, peer = %actor.peer, %lane, done, "a lane was ordered");
    let since = orders.paused.get(&lane);
    Ok(Json(json!({"lane": lane, "paused": since.is_some(), "since": since, "orders": orders.revision})))
}
