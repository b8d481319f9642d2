//! A client of one channel that declares, publishes and counts: what the tests of nodes need, and no more.

use crate::rabbit::wire::{Method, Wire, long, short};

const CHANNEL: u16 = 1;
const DURABLE: u8 = 0b10;
const PASSIVE: u8 = 0b01;

/// Logged in as guest, with publisher confirms.
pub struct Client {
    wire: Wire,
}

impl Client {
    pub async fn connect(address: &str) -> Self {
        let mut client = Self { wire: Wire::log_in(address, "guest", "guest", "/").await.unwrap() };
        client.call((20, 10), &[0], (20, 11)).await;
        client.call((85, 10), &[0], (85, 11)).await;
        client
    }

    async fn call(&mut self, id: (u16, u16), arguments: &[u8], answer: (u16, u16)) -> Method {
        self.wire.send(CHANNEL, id, arguments).await.unwrap();
        self.wire.expect(answer).await.unwrap()
    }

    pub async fn declare_quorum_queue(&mut self, queue: &str) {
        let arguments = [&short("x-queue-type")[..], b"S", &long(b"quorum")].concat();
        self.declare(queue, DURABLE, &arguments).await;
    }

    /// Messages that are ready in the queue.
    pub async fn count(&mut self, queue: &str) -> u32 {
        let counts = self.declare(queue, PASSIVE, &[]).await.arguments;
        let at = counts.len() - 8;
        u32::from_be_bytes(counts[at..at + 4].try_into().unwrap())
    }

    async fn declare(&mut self, queue: &str, flags: u8, arguments: &[u8]) -> Method {
        self.call((50, 10), &[&[0, 0], &short(queue)[..], &[flags], &long(arguments)].concat(), (50, 11)).await
    }

    /// Hands a persistent message to the default exchange; `confirmed` or `blocked` says what came of it.
    pub async fn publish(&mut self, queue: &str, body: &[u8]) {
        let arguments = [&[0, 0], &short("")[..], &short(queue), &[0]].concat();
        self.wire.send(CHANNEL, (60, 40), &arguments).await.unwrap();
        // Class, weight, body size, the flag of delivery_mode, and 2: persistent.
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        let header = [&60_u16.to_be_bytes()[..], &[0, 0], &size, &[0x10, 0x00], &[2]].concat();
        self.wire.send_frame(2, CHANNEL, &header).await.unwrap();
        self.wire.send_frame(3, CHANNEL, body).await.unwrap();
    }

    /// Waits for the broker's ack of a message.
    pub async fn confirmed(&mut self) {
        self.wire.expect((60, 80)).await.unwrap();
    }

    /// Waits for `connection.blocked`.
    pub async fn blocked(&mut self) {
        self.wire.expect((10, 60)).await.unwrap();
    }

    /// Waits for `connection.unblocked` and the broker's ack of a message, whichever comes first.
    pub async fn unblocked_and_confirmed(&mut self) {
        let mut ids = [(); 2].map(|()| (0, 0));
        for id in &mut ids {
            *id = self.wire.receive().await.unwrap().id;
        }
        ids.sort_unstable();
        assert_eq!(ids, [(10, 61), (60, 80)]);
    }
}
