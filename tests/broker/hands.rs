//! The hands of everybody else around a worker on RabbitMQ: publishers, operators, whoever makes connections fail.

use crate::{
    make::{lane, soon},
    proxy::Proxy,
};
use futures_core::Stream as _;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
    uri::AMQPUri,
};
use std::{net::ToSocketAddrs as _, pin::Pin, time::Duration};
use tagmill::broker::rabbitmq::{Address, Link, Names, Rabbit, Settings, Tls, Topology, Window};

/// Lanes that tests use.
const LANES: [&str; 3] = ["a", "b", "c"];

/// The broker for tests.
fn url() -> String {
    std::env::var("TAGMILL_TEST_AMQP").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

fn address(url: &str) -> Address {
    Address::parse(url, Tls::default()).unwrap()
}

/// A fleet of its own on the broker, deleted at the end.
pub struct Fleet {
    pub names: Names,
    pub proxy: Proxy,
    through: String,
    link: Link,
    channel: Channel,
}

impl Fleet {
    /// Everything declared and nothing in it. Clients beat once in `heartbeat` seconds.
    pub async fn start(heartbeat: u16) -> Self {
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let names = Names::new(&format!("tagmill-test.{unique}")).unwrap();
        let uri: AMQPUri = url().parse().unwrap();
        let target = (&*uri.authority.host, uri.authority.port).to_socket_addrs().unwrap().next().unwrap();
        let proxy = Proxy::start(target).await;
        let user = &uri.authority.userinfo;
        let vhost = uri.vhost.replace('/', "%2f");
        let (port, name, password) = (proxy.port, &user.username, &user.password);
        let through = format!("amqp://{name}:{password}@127.0.0.1:{port}/{vhost}?heartbeat={heartbeat}");
        let link =
            Link::open(&address(&url()).with_names(names.clone()), "tagmill test").await.unwrap_or_else(|error| {
                panic!("these tests need RabbitMQ at TAGMILL_TEST_AMQP (or guest on 127.0.0.1:5672): {error}")
            });
        Topology::Declare.prepare(&link).await.unwrap();
        let channel = link.channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        for name in LANES {
            Topology::Declare.lane(&channel, &names, &lane(name)).await.unwrap();
        }
        Self { names, proxy, through, link, channel }
    }

    /// The settings of a worker of this fleet, through the proxy.
    pub fn settings(&self, worker: &str) -> Settings {
        Settings { names: self.names.clone(), ..Settings::new(address(&self.through), worker) }
    }

    /// A worker with the usual settings.
    pub fn worker(&self, name: &str) -> Rabbit {
        Rabbit::start(self.settings(name))
    }

    /// A worker that looks for the broker on another port.
    pub fn worker_at(&self, port: u16, name: &str) -> Rabbit {
        let elsewhere = format!("amqp://guest:guest@127.0.0.1:{port}");
        Rabbit::start(Settings { address: address(&elsewhere), ..self.settings(name) })
    }

    /// A worker that holds so many messages, renewed at this age.
    pub fn worker_with(&self, name: &str, messages: u16, renew_after: Duration) -> Rabbit {
        let window = Window { messages, ..Window::default() };
        Rabbit::start(Settings { window, renew_after, ..self.settings(name) })
    }

    /// Publishes to a lane, in order; they are safe when this returns.
    pub async fn publish(&self, lane: &str, messages: impl IntoIterator<Item = Vec<u8>>) {
        let mut confirms = Vec::new();
        for body in messages {
            confirms.push(self.send(lane, &body, BasicProperties::default().with_delivery_mode(2)).await);
        }
        for confirm in confirms {
            assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
        }
    }

    /// Publishes one message with these properties.
    pub async fn publish_with(&self, lane: &str, body: &[u8], properties: BasicProperties) {
        let confirm = self.send(lane, body, properties.with_delivery_mode(2)).await;
        assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
    }

    async fn send(&self, lane: &str, body: &[u8], properties: BasicProperties) -> lapin::PublisherConfirm {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let exchange = (&**self.names.jobs()).into();
        self.channel.basic_publish(exchange, lane.into(), options, body, properties).await.unwrap()
    }

    /// Publishes to the urgent queue of a lane as a program does that does not ring.
    pub async fn publish_urgent(&self, lane: &str, body: &[u8]) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let exchange = (&**self.names.urgent()).into();
        let sent = self.channel.basic_publish(exchange, lane.into(), options, body, properties).await.unwrap();
        assert_eq!(sent.await.unwrap(), Confirmation::Ack(None));
    }

    /// Messages that wait in a queue.
    pub async fn ready(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }

    /// Waits until nobody consumes the urgent queue of a lane any more.
    pub async fn urgent_is_left(&self, lane_name: &str) {
        let queue = self.names.urgent_queue(&lane(lane_name));
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        soon(async {
            let ask = || self.channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
            while ask().await.unwrap().consumer_count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// A connection of its own, past the proxy.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// All messages of a queue that is no lane, without taking any away.
    pub async fn peek(&self, queue: &str) -> Vec<(BasicProperties, Vec<u8>)> {
        let channel = self.link.channel().await.unwrap();
        let found = self.get_all(&channel, queue).await;
        self.give_back(&channel, queue, found.len()).await;
        found.into_iter().map(|(_, properties, body)| (properties, body)).collect()
    }

    /// Takes the first message that `is_it` away; all others stay.
    pub async fn remove(&self, queue: &str, is_it: impl Fn(&BasicProperties) -> bool) -> Option<Vec<u8>> {
        let channel = self.link.channel().await.unwrap();
        let found = self.get_all(&channel, queue).await;
        let left = found.len() - 1;
        let (tag, _, body) = found.into_iter().find(|(_, properties, _)| is_it(properties))?;
        channel.basic_ack(tag, lapin::options::BasicAckOptions { multiple: false }).await.unwrap();
        self.give_back(&channel, queue, left).await;
        Some(body)
    }

    /// Gives so many messages back, in order. They are there again some time after the channel is gone.
    async fn give_back(&self, channel: &Channel, queue: &str, count: usize) {
        channel.close(200, "bye".into()).await.unwrap();
        soon(async {
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let ready = || self.channel.queue_declare(queue.into(), passive, FieldTable::default());
            while (ready().await.unwrap().message_count() as usize) < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    async fn get_all(&self, channel: &Channel, queue: &str) -> Vec<(u64, BasicProperties, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
            let got = got.delivery;
            found.push((got.delivery_tag, got.properties, got.data));
        }
        found
    }

    /// An owner that held so many messages, and had given back and taken again the first of them when it died.
    pub async fn half_renew(&self, lane_name: &str, held: u16, renewed: usize) {
        let channel = self.link.channel().await.unwrap();
        channel.basic_qos(held, BasicQosOptions::default()).await.unwrap();
        let queue = self.names.lane_queue(&lane(lane_name));
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(queue.as_str().into(), "dying".into(), options, FieldTable::default());
        let mut consumer = consuming.await.unwrap();
        let mut next = async || {
            let next = std::future::poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx));
            soon(next).await.unwrap().unwrap().delivery_tag
        };
        let mut tags = Vec::new();
        for _ in 0..held {
            tags.push(next().await);
        }
        for tag in &tags[..renewed] {
            channel.basic_nack(*tag, BasicNackOptions { multiple: false, requeue: true }).await.unwrap();
            next().await;
        }
        channel.close(200, "bye".into()).await.unwrap();
    }

    /// Deletes the urgent queue of a lane: only older workers have declared it.
    pub async fn delete_urgent(&self, lane_name: &str) {
        let queue = self.names.urgent_queue(&lane(lane_name));
        self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Deletes the queue of a lane.
    pub async fn delete_lane(&self, lane_name: &str) {
        let queue = self.names.lane_queue(&lane(lane_name));
        self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // A worker that is still there must not declare again what is deleted here.
        self.proxy.close();
        let names = self.names.clone();
        // On a thread of its own: this one may be in the middle of a panic.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let link = Link::open(&address(&url()).with_names(names.clone()), "tagmill test").await.unwrap();
                let channel = link.channel().await.unwrap();
                let fixed =
                    [names.unrouted(), names.poison(), names.dead(), names.receipts(), names.orders(), names.lease()];
                let lanes = LANES.map(|name| names.lane_queue(&lane(name)));
                let urgent = LANES.map(|name| names.urgent_queue(&lane(name)));
                for queue in fixed.iter().map(std::string::ToString::to_string).chain(lanes).chain(urgent) {
                    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
                }
                let exchanges = [
                    names.jobs(),
                    names.urgent(),
                    names.dead(),
                    names.receipts(),
                    names.unrouted(),
                    names.poison(),
                    names.control(),
                    names.direct(),
                ];
                for exchange in exchanges {
                    channel.exchange_delete((&**exchange).into(), ExchangeDeleteOptions::default()).await.unwrap();
                }
                link.close().await;
            });
        });
        let _ = cleaning.join();
    }
}
