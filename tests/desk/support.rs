//! A broker to ourselves: the names are fixed, so tests take turns, and leave nothing behind.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeleteOptions},
};
use std::{fs::File, future::Future, time::Duration};
use tagmill::{
    broker::rabbitmq::{Address, Gauge, Link, Publisher, Tls, Topology, names},
    job::LaneName,
    worker::clock,
};

/// Far beyond what anything here takes.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Lanes that tests may declare.
const LANES: [&str; 4] = ["desk-a", "desk-b", "desk-c", "desk-d"];

pub fn lane(name: &str) -> LaneName {
    LaneName::new(name).unwrap()
}

pub fn url() -> String {
    std::env::var("TAGMILL_TEST_AMQP").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into())
}

pub fn address() -> Address {
    Address::parse(&url(), Tls::default()).unwrap()
}

/// Our turn: no other test of ours runs, in this process or another.
pub struct Turn {
    _file: File,
}

/// Runs a test on a clean broker and cleans up behind it.
pub fn on_a_clean_broker<T: Future<Output = ()>>(test: impl FnOnce() -> T) {
    let file = File::create(std::env::temp_dir().join("tagmill-test-desk.lock")).unwrap();
    file.lock().unwrap();
    let _turn = Turn { _file: file };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        clean().await;
        Topology::Declare.prepare(&link().await).await.unwrap();
        tokio::time::timeout(PATIENCE * 2, test()).await.expect("the test never ended");
        clean().await;
    });
}

async fn clean() {
    let connection = Connection::connect(&url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let lanes = LANES.map(|name| names::lane_queue(&lane(name)));
    let shared = [names::UNROUTED, names::POISON, names::DEAD, names::RECEIPTS, names::ORDERS, names::LEASE];
    for queue in shared.map(str::to_owned).into_iter().chain(lanes) {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }
    connection.close(200, "bye".into()).await.unwrap();
}

pub async fn link() -> Link {
    Link::open(&address(), "desk test").await.unwrap()
}

pub fn publisher() -> Publisher {
    Publisher::start(address(), "desk test".into(), Topology::Declare)
}

pub async fn ready(link: &Link, queue: &str) -> u64 {
    Gauge::new(link).depth(queue).await.unwrap().unwrap_or_else(|| panic!("there is no queue {queue}")).ready
}

/// A channel for what the product has no words for.
pub async fn raw_channel(link: &Link) -> Channel {
    let channel = link.channel().await.unwrap();
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await.unwrap();
    channel
}

pub async fn put(channel: &Channel, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
    let properties = properties.with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish(exchange.into(), key.into(), options, body, properties).await.unwrap();
    assert!(confirm.await.unwrap().is_ack());
}

/// Polls until something is so.
#[track_caller]
pub fn until<'t, F: Future<Output = bool> + 't>(
    what: &'t str,
    mut so: impl FnMut() -> F + 't,
) -> impl Future<Output = ()> + 't {
    async move {
        let end = clock::monotonic() + PATIENCE;
        while !so().await {
            assert!(clock::monotonic() < end, "never happened: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
