//! A channel that is closed in good order, however its owner ends.

use super::{fault::PATIENCE, link::Link, topology::close};
use crate::broker::BrokerError;
use lapin::{Channel, options::BasicQosOptions};
use std::ops::Deref;

/// A channel of one owner.
///
/// The library closes a channel whose last handle is dropped, with two traps. A subscription that was given up halfway
/// keeps a handle, so that the channel, and what was handed out on it, stays for as long as the connection. And if the
/// broker closes the channel at the same moment, the library ends the whole connection. So this one is closed by name,
/// after everything that was asked before has been answered.
#[derive(Debug)]
pub(super) struct Own(Option<Channel>, Channel);

impl Own {
    /// A new channel.
    pub(super) async fn open(link: &Link) -> Result<Self, BrokerError> {
        let channel = link.channel().await?;
        Ok(Self(Some(channel.clone()), channel))
    }

    /// Closes it; what was handed out on it and is not acked goes back to its queue.
    pub(super) async fn close(mut self) {
        self.0 = None;
        close(&self.1).await;
    }
}

impl Deref for Own {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.1
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(channel) = self.0.take() else { return };
        if !channel.status().connected() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Its answer comes after the answers to all that was asked before.
                let asked = channel.basic_qos(1, BasicQosOptions::default());
                if let Ok(Ok(())) = tokio::time::timeout(PATIENCE, asked).await {
                    close(&channel).await;
                }
            });
        }
    }
}
