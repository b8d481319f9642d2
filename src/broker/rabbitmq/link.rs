//! One connection to the broker, from its handshake to its loss. It is never repaired: a new one is made.

use super::{
    address::{Address, shown},
    fault::{answered, told},
};
use crate::broker::BrokerError;
use futures_core::Stream as _;
use lapin::{Channel, Connection, ConnectionProperties, Event, uri::AMQPUri};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a goodbye may take: a blocked connection cannot say one.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long one try may take in all, the handshake included.
const TRY: Duration = Duration::from_secs(10);

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
    state: watch::Sender<LinkState>,
    node: Arc<str>,
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
        let connection = Arc::new(connection);
        let state = watch::Sender::new(LinkState::Up);
        let tell = state.clone();
        let mut events = Box::pin(connection.events_listener());
        let (watched, alive) = (node.clone(), Arc::downgrade(&connection));
        tokio::spawn(async move {
            loop {
                let event = std::future::poll_fn(|cx| events.as_mut().poll_next(cx)).await;
                let state = match event {
                    Some(Event::ConnectionBlocked(why)) => {
                        tracing::warn!(node = %watched, %why, "the broker is blocked: it takes no messages; publishing waits");
                        LinkState::Blocked(why)
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::warn!(node = %watched, "the broker takes messages again");
                        LinkState::Up
                    }
                    // A missing queue or a lock that is taken ends one channel, and comes as an event like any other.
                    Some(Event::Error(error))
                        if error.is_amqp_soft_error()
                            && alive.upgrade().is_some_and(|connection| connection.status().connected()) =>
                    {
                        continue;
                    }
                    Some(Event::Error(error)) => LinkState::Lost(error.to_string()),
                    Some(_) => continue,
                    None => LinkState::Lost("the connection was closed".into()),
                };
                let is_over = matches!(state, LinkState::Lost(_));
                tell.send_replace(state);
                if is_over {
                    break;
                }
            }
        });
        Ok(Self { connection, state, node: node.into() })
    }

    /// The node it goes to, without a password.
    pub fn node(&self) -> &str {
        &self.node
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
        self.state.subscribe()
    }

    /// Whether it can be used.
    pub fn is_up(&self) -> bool {
        self.connection.status().connected() && !matches!(*self.state.borrow(), LinkState::Lost(_))
    }

    /// Resolves when it is gone, with the reason.
    pub async fn lost(&self) -> String {
        let mut state = self.state.subscribe();
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
        // There is no event of our own goodbye.
        self.state.send_if_modified(|state| {
            let is_open = !matches!(state, LinkState::Lost(_));
            if is_open {
                *state = LinkState::Lost("the connection was closed".into());
            }
            is_open
        });
    }
}
