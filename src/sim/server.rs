//! The listening port: one task per connection, hyper underneath so that a connection can break on purpose.

use super::{
    api,
    cloud::World,
    inspect,
    reply::{Reply, Sending},
    request::Request,
};
use crate::worker::clock;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The largest body taken; the largest real call is far below a megabyte.
const MOST_BODY: usize = 16 * 1024 * 1024;

/// How long to stay away from `accept` after it failed, as it does when file descriptors run out.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections until told to stop, then drops them all.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Both a word and a dropped sender end it.
            _ = stop.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&world)));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    // Small answers must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| exchange(request, Arc::clone(&world)));
    // It ends with an error whenever a client goes away or a fault breaks it: both are part of the game.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn exchange(incoming: hyper::Request<Incoming>, world: Arc<World>) -> io::Result<Response<Sending>> {
    let arrived = clock::monotonic();
    let (head, body) = incoming.into_parts();
    let body = match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Reply::json(413, &json!({"error": "the body is larger than 16 MiB"})).into_response();
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        arrived,
    };
    if inspect::claims(&request) {
        return inspect::answer(&world, &request).into_response();
    }
    let Some(family) = api::APIS.iter().find(|family| (family.claims)(&request)) else {
        world.count_unmatched();
        return Reply::json(404, &json!({"error": "no simulated API has requests of this shape"})).into_response();
    };
    let exchange = (family.answer)(&world, &request);
    if !exchange.reply.delay.is_zero() {
        tokio::time::sleep(exchange.reply.delay).await;
    }
    // The call is over before its answer can be seen: whoever reads the answer may send the next one at once.
    drop(exchange.in_flight);
    exchange.reply.into_response()
}
