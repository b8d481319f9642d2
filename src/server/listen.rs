//! The listening port: connections within bounds, heads that have to come in time, an end in good order.

use super::guard::Peer;
use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tower::ServiceExt as _;

/// How long the head of a request may take, and a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 64 * 1024;
/// Headers of a request at most.
const HEADERS: usize = 100;
/// Connections for each request that may be answered at once: idle ones cost little.
const CONNECTIONS: usize = 8;
/// How long to stay away from `accept` after it failed, as it does when file descriptors run out.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections until told to stop; requests on their way are answered first, for so long.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    concurrency: usize,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let room = Arc::new(Semaphore::new(concurrency.saturating_mul(CONNECTIONS)));
    let mut connections = JoinSet::new();
    loop {
        // A connection too many waits to be taken: the kernel's queue is bounded too.
        let permit = tokio::select! {
            () = stopped(&mut stop) => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
            Some(_) = connections.join_next() => continue,
        };
        let Ok(permit) = permit else { break };
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, router.clone(), stop.clone(), permit));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Who could tell it to stop is gone: that is a word too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // Small answers must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            router.oneshot(request).await
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // It ends with an error whenever a client goes away: that is nobody's fault here.
        _ = serving.as_mut() => {}
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}
