//! One connection to the broker, from its handshake to its loss. It is never repaired: a new one is made.

use super::{
    address::{Address, shown},
    fault::{answered, told},
    names::Names,
};
use crate::broker::BrokerError;
use futures_core::Stream;
use lapin::{Channel, Connection, ConnectionProperties, ConnectionStatus, Event, uri::AMQPUri};
use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a goodbye may take: a blocked connection cannot say one.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long one try may take in all, the handshake included.
const TRY: Duration = Duration::from_secs(10);

/// How often a connection is looked at that may have ended without a word.
const LOOK: Duration = Duration::from_secs(1);

/// What has become of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It works.
    Up,
    /// The broker takes nothing from it for now (memory or disk alarm): nothing is written, not even an ack.
    Blocked(String),
    /// It is gone, and everything that was handed out on it with it.
    Lost(String),
}

/// One connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Link {
    connection: Arc<Connection>,
    state: watch::Receiver<LinkState>,
    node: Arc<str>,
    names: Names,
}

impl Link {
    /// Connects to the first node that answers. `name` is what operators see in the broker's list of connections.
    pub async fn open(address: &Address, name: &str) -> Result<Self, BrokerError> {
        let mut failures = Vec::new();
        for uri in address.uris() {
            match Self::open_one(address, uri, name).await {
                Ok(link) => return Ok(link),
                Err(error @ BrokerError::Refused(_)) => return Err(error),
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(BrokerError::Unavailable(failures.join("; ")))
    }

    async fn open_one(address: &Address, uri: &AMQPUri, name: &str) -> Result<Self, BrokerError> {
        let node = shown(uri);
        let what = format!("connecting to {node}");
        let unavailable = |why: String| BrokerError::Unavailable(format!("{what}: {why}"));
        let runtime = lapin::runtime::default_runtime().map_err(|error| unavailable(error.to_string()))?;
        // No recovery by the library: it would hide the loss of a lane.
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri_with_config(uri.clone(), properties, address.tls(), runtime);
        let connection = match tokio::time::timeout(TRY, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(told(&error, &what)),
            Err(_) => return Err(unavailable(format!("no answer in {TRY:?}"))),
        };
        let (tell, state) = watch::channel(LinkState::Up);
        tokio::spawn(watch_over(connection.events_listener(), connection.status().clone(), tell, node.clone()));
        let names = address.names().clone();
        Ok(Self { connection: Arc::new(connection), state, node: node.into(), names })
    }

    /// The node it goes to, without a password.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What the fleet's exchanges and queues are called there.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Seconds between heartbeats, as agreed.
    pub fn heartbeat(&self) -> u16 {
        self.connection.configuration().heartbeat()
    }

    /// A new channel.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        answered("opening a channel", self.connection.create_channel()).await
    }

    /// Its state, and every change of it.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Whether it can be used.
    pub fn is_up(&self) -> bool {
        self.connection.status().connected() && !matches!(*self.state.borrow(), LinkState::Lost(_))
    }

    /// Resolves when it is gone, with the reason.
    pub async fn lost(&self) -> String {
        let mut state = self.state.clone();
        let lost = pin!(state.wait_for(|state| matches!(state, LinkState::Lost(_)))).await;
        match lost.as_deref() {
            Ok(LinkState::Lost(why)) => why.clone(),
            _ => "the connection was closed".into(),
        }
    }

    /// Says goodbye. Whatever was handed out on it and is not acked goes back.
    pub async fn close(&self) {
        let closing = self.connection.close(200, "bye".into());
        // A broker that does not answer finds out by itself.
        let _ = tokio::time::timeout(GOODBYE, closing).await;
    }
}

/// Tells what becomes of a connection until it is gone.
async fn watch_over(
    events: impl Stream<Item = Event> + Send,
    status: ConnectionStatus,
    tell: watch::Sender<LinkState>,
    node: String,
) {
    let mut events = pin!(events);
    let mut look = tokio::time::interval(LOOK);
    loop {
        let event = tokio::select! {
            event = poll_fn(|cx| events.as_mut().poll_next(cx)) => event,
            _ = look.tick() => {
                if status.connected() {
                    continue;
                }
                // Closed without an error, it ends without an event.
                None
            }
            () = tell.closed() => return,
        };
        let state = match event {
            Some(Event::ConnectionBlocked(why)) => {
                tracing::warn!(%node, %why, "the broker is blocked: it takes no messages; publishing waits");
                LinkState::Blocked(why)
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::warn!(%node, "the broker takes messages again");
                LinkState::Up
            }
            // The error of one channel is told here too; the connection has changed its status first.
            Some(Event::Error(error)) if !status.connected() => LinkState::Lost(error.to_string()),
            Some(_) => continue,
            None => LinkState::Lost("the connection was closed".into()),
        };
        let is_over = matches!(state, LinkState::Lost(_));
        tell.send_replace(state);
        if is_over {
            return;
        }
    }
}
