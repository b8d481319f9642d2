//! The last jobs of the whole fleet that were finished, as their receipts tell.

use crate::{
    broker::{
        BrokerError,
        rabbitmq::{Link, watch},
    },
    config::Broker,
    fleet::place::{self, NoFleet},
    job::Receipt,
    worker::clock,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch::{Receiver, Sender};

/// Receipts kept.
const KEPT: usize = 200;
/// Wait before another try to listen.
const AGAIN: Duration = Duration::from_secs(5);

/// The last receipts, newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    kept: Arc<Mutex<VecDeque<Receipt>>>,
}

impl Recent {
    /// The receipts, newest first.
    pub(super) fn newest_first(&self) -> Vec<Receipt> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    fn add(&self, receipt: Receipt) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // After a crash of a worker a receipt may come twice; the last one stands.
        kept.retain(|known| known.id != receipt.id);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(receipt);
    }

    /// Listens for ever, once the exchanges are made. It says so when it has begun, or cannot: what is handed in after that
    /// is heard.
    pub(super) async fn listen(self, broker: Broker, mut made: Receiver<bool>, begun: Sender<bool>) {
        // Who could say that they are made is gone only when the server is.
        let _ = made.wait_for(|made| *made).await;
        loop {
            if let Err(why) = self.once(&broker, &begun).await {
                tracing::debug!(%why, "receipts are not heard for a moment");
            }
            begun.send_replace(true);
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn once(&self, broker: &Broker, begun: &Sender<bool>) -> Result<(), Silent> {
        let address = place::address(broker)?.with_names(place::names(broker)?);
        let link = Link::open(&address, "tagmill server receipts").await?;
        let heard = self.hear(&link, begun).await;
        link.close().await;
        Ok(heard?)
    }

    async fn hear(&self, link: &Link, begun: &Sender<bool>) -> Result<(), BrokerError> {
        let name = format!("recent.{}", clock::nonce());
        let mut receipts = watch::Receipts::open(link, &name, KEPT).await?;
        begun.send_replace(true);
        loop {
            let body = receipts.next().await?;
            if let Ok(receipt) = serde_json::from_slice::<Receipt>(&body) {
                self.add(receipt);
            }
        }
    }
}

/// Why receipts are not heard.
#[derive(Debug, thiserror::Error)]
enum Silent {
    #[error(transparent)]
    Config(#[from] NoFleet),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}
