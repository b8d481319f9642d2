//! Looking into the clouds, and changing what goes wrong: `/_sim/...`. None of this counts as a call.

use super::{cloud::World, reply::Reply, request::Request};
use crate::worker::clock;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// No cloud has an address that starts like this.
const ROOT: &str = "/_sim/";

pub(super) fn claims(request: &Request) -> bool {
    request.path.starts_with(ROOT)
}

pub(super) fn answer(world: &World, request: &Request) -> Reply {
    let what = request.path.strip_prefix(ROOT).unwrap_or_default();
    let done = match (&request.method, what) {
        (&Method::GET, "tags") => tags(world, request),
        (&Method::GET, "calls") => calls(world, request),
        (&Method::GET, "faults") => shown(world, request),
        (&Method::POST, "faults") => change(world, &request.body),
        (&Method::POST, "reset") => {
            world.reset(clock::monotonic());
            Ok(Reply::json(200, &json!({})))
        }
        (_, "tags" | "calls" | "faults" | "reset") => Err(problem(405, "the method does not fit")),
        _ => Err(problem(404, "there are tags, calls, faults and reset")),
    };
    done.unwrap_or_else(|problem| problem)
}

fn problem(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "error": text }))
}

/// The clouds asked for: one by name (`?cloud=NAME`), or all.
fn chosen<'w>(world: &'w World, name: Option<&str>) -> Result<Vec<&'w Arc<super::cloud::Cloud>>, Reply> {
    match name {
        None => Ok(world.clouds.iter().collect()),
        Some(name) => {
            world.named(name).map(|cloud| vec![cloud]).ok_or_else(|| problem(404, "there is no cloud of that name"))
        }
    }
}

fn asked(request: &Request) -> Option<String> {
    request.query_pairs().into_iter().find(|(name, _)| name == "cloud").map(|(_, value)| value)
}

fn unlikely(error: &serde_json::Error) -> Reply {
    problem(500, &error.to_string())
}

/// Written cloud by cloud, each under its own lock: a hundred thousand resources never exist as a tree of JSON values.
fn tags(world: &World, request: &Request) -> Result<Reply, Reply> {
    let mut body = Vec::from(*b"{");
    for (index, cloud) in chosen(world, asked(request).as_deref())?.into_iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, &cloud.config.name).map_err(|error| unlikely(&error))?;
        body.push(b':');
        let all = cloud.state().store.all();
        serde_json::to_writer(&mut body, &all).map_err(|error| unlikely(&error))?;
    }
    body.push(b'}');
    Ok(Reply::new(200, "application/json", body))
}

fn calls(world: &World, request: &Request) -> Result<Reply, Reply> {
    let mut clouds = Map::new();
    for cloud in chosen(world, asked(request).as_deref())? {
        let mut counts = serde_json::to_value(cloud.counts()).map_err(|error| unlikely(&error))?;
        if let Some(fields) = counts.as_object_mut() {
            fields.insert("provider".into(), json!(cloud.config.provider.name()));
        }
        clouds.insert(cloud.config.name.clone(), counts);
    }
    Ok(Reply::json(200, &json!({"clouds": clouds, "unmatched": world.unmatched()})))
}

fn shown(world: &World, request: &Request) -> Result<Reply, Reply> {
    let mut clouds = Map::new();
    for cloud in chosen(world, asked(request).as_deref())? {
        let faults = serde_json::to_value(&*cloud.state().faults).map_err(|error| unlikely(&error))?;
        clouds.insert(cloud.config.name.clone(), faults);
    }
    Ok(Reply::json(200, &json!({ "clouds": clouds })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    cloud: Option<String>,
    faults: Value,
}

/// Lays a merge patch over the faults of one cloud, or of all. Either every cloud takes it or none does.
fn change(world: &World, body: &[u8]) -> Result<Reply, Reply> {
    let change: Change = serde_json::from_slice(body).map_err(|error| problem(400, &error.to_string()))?;
    let mut merged = Vec::new();
    for cloud in chosen(world, change.cloud.as_deref())? {
        let faults = cloud.state().faults.merged(&change.faults).map_err(|error| problem(400, &error))?;
        merged.push((cloud, faults));
    }
    let mut clouds = Map::new();
    for (cloud, faults) in merged {
        let shown = serde_json::to_value(&faults).map_err(|error| unlikely(&error))?;
        clouds.insert(cloud.config.name.clone(), shown);
        cloud.state().faults = Arc::new(faults);
    }
    Ok(Reply::json(200, &json!({ "clouds": clouds })))
}
