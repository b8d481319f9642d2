//! Lanes and batches of one test on the shared broker: their config, their queues, and what lies in those.

use crate::home::Home;
use futures_core::Stream as _;
use lapin::{
    message::Delivery,
    options::{BasicConsumeOptions, BasicQosOptions, ExchangeDeleteOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use std::{cell::RefCell, future::poll_fn, pin::Pin, time::Duration};
use tagmill::{
    broker::rabbitmq::{Address, Batch, Depth, Gauge, Link, Names, Publisher, Tls, Topology},
    job::{
        Job, LaneName,
        parse::{self, Defaults},
    },
    worker::clock,
};
use tokio::runtime::Runtime;

/// Where the broker is.
pub fn url() -> String {
    std::env::var("TAGMILL_TEST_AMQP").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into())
}

/// Two lanes, `a` and `b`, and exchanges and queues under a prefix that nobody else has.
pub struct Fleet {
    pub home: Home,
    pub runtime: Runtime,
    pub link: Link,
    pub names: Names,
    address: Address,
    mark: String,
    batches: RefCell<Vec<String>>,
}

impl Fleet {
    /// `None` where the run is to do without a broker.
    pub fn new() -> Option<Self> {
        if std::env::var("TAGMILL_TEST_NO_BROKER").is_ok_and(|value| value == "1") {
            eprintln!("skipped: TAGMILL_TEST_NO_BROKER=1 leaves out the tests that need a RabbitMQ");
            return None;
        }
        Some(Self::at(&url()))
    }

    /// On this broker.
    pub fn at(url: &str) -> Self {
        let mark = clock::nonce();
        let names = Names::new(&format!("test-{mark}")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = Address::parse(url, Tls::default()).unwrap().with_names(names.clone());
        let link = runtime.block_on(async {
            let link = Link::open(&address, "tagmill test").await.unwrap();
            Topology::Declare.prepare(&link).await.unwrap();
            link
        });
        let fleet = Self { home: Home::new(), runtime, link, names, address, mark, batches: RefCell::default() };
        fleet.config(url, "");
        fleet
    }

    /// After the broker was away.
    pub fn reconnect(&mut self) {
        self.link = self.runtime.block_on(Link::open(&self.address, "tagmill test")).unwrap();
    }

    /// A config with both lanes and this broker; `more` is YAML of its section.
    pub fn config(&self, url: &str, more: &str) {
        let lane = |name: &str| {
            format!(
                "  - name: {}\n    provider: alibaba-ecs\n    region: cn-hangzhou\n    credentials: {{ access_key: a, \
                 secret_key: {{ env: NONE }} }}\n",
                self.lane(name)
            )
        };
        let prefix = self.names.prefix();
        let text = format!("broker:\n  url: {url}\n  prefix: {prefix}\n{more}lanes:\n{}{}", lane("a"), lane("b"));
        self.home.write("tagmill.yaml", &text);
    }

    /// A lane's name, by its letter.
    pub fn lane(&self, letter: &str) -> LaneName {
        LaneName::new(&format!("t.{}.{letter}", self.mark)).unwrap()
    }

    /// A batch's name, by a word.
    pub fn batch(&self, word: &str) -> String {
        let name = format!("{word}-{}", self.mark);
        self.batches.borrow_mut().push(name.clone());
        name
    }

    /// Takes care of a batch whose name was made by the command.
    pub fn mine(&self, batch: &str) -> String {
        self.batches.borrow_mut().push(batch.to_owned());
        batch.to_owned()
    }

    pub fn publisher(&self) -> Publisher {
        let _guard = self.runtime.enter();
        Publisher::start(self.address.clone(), "tagmill test publishing".into(), Topology::Declare)
    }

    pub fn depth(&self, queue: &str) -> Option<Depth> {
        self.runtime.block_on(Gauge::new(&self.link).depth(queue)).unwrap()
    }

    pub fn lane_queue(&self, letter: &str) -> String {
        self.names.lane_queue(&self.lane(letter))
    }

    /// The batch as the broker's side of it.
    pub fn of(&self, batch: &str) -> Batch {
        Batch::new(batch, &self.names)
    }

    /// Messages in a lane.
    pub fn waiting(&self, letter: &str) -> u64 {
        self.depth(&self.lane_queue(letter)).map_or(0, |depth| depth.ready)
    }

    pub fn has_batch(&self, batch: &str) -> bool {
        self.depth(self.of(batch).queue()).is_some()
    }

    /// Messages that lie in the queue of a batch and that nobody holds.
    pub fn kept(&self, batch: &str) -> u64 {
        self.depth(self.of(batch).queue()).unwrap().ready
    }

    /// Whether somebody reads the queue of a batch.
    pub fn is_watched(&self, batch: &str) -> bool {
        self.depth(self.of(batch).queue()).unwrap().consumers > 0
    }

    /// Everything that lies in a queue, with all its properties; it stays there.
    pub fn messages(&self, queue: &str) -> Vec<Delivery> {
        let Some(Depth { ready, .. }) = self.depth(queue) else { return Vec::new() };
        self.runtime.block_on(async {
            let channel = self.link.channel().await.unwrap();
            channel.basic_qos(u16::MAX, BasicQosOptions::default()).await.unwrap();
            let none = FieldTable::default();
            let reading = channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), none);
            let mut consumer = reading.await.unwrap();
            let mut found = Vec::new();
            while found.len() < ready as usize {
                let next = poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx));
                let next = tokio::time::timeout(Duration::from_secs(30), next).await.unwrap();
                found.push(next.unwrap().unwrap());
            }
            channel.close(200, "bye".into()).await.unwrap();
            // The broker answers before it has put them back: whoever looks next shall see them all.
            assert!(Gauge::new(&self.link).wait_for(queue, ready, Duration::from_secs(30)).await.unwrap());
            found
        })
    }

    /// The jobs that lie in the ordinary queue of a lane, in order, each read as a worker reads it.
    pub fn jobs(&self, letter: &str) -> Vec<Job> {
        self.jobs_and_messages(letter).into_iter().map(|(job, _)| job).collect()
    }

    /// The same with the messages: a second look within a moment may still see the queue as the first one left it.
    pub fn jobs_and_messages(&self, letter: &str) -> Vec<(Job, Delivery)> {
        let messages = self.messages(&self.lane_queue(letter));
        let bell = br#"{"tagmill":"bell"}"#;
        let job = |message: Delivery| (parse::job(&message.data, &Defaults::default()).unwrap(), message);
        messages.into_iter().filter(|message| message.data != bell).map(job).collect()
    }

    pub fn dead(&self) -> Vec<Delivery> {
        self.messages(self.names.dead())
    }
}

/// Everything of it goes, whatever has become of the test.
impl Drop for Fleet {
    fn drop(&mut self) {
        let names = &self.names;
        let fixed = [names.unrouted(), names.poison(), names.dead(), names.receipts(), names.orders(), names.lease()];
        let lanes = ["a", "b"].map(|letter| self.lane_queue(letter));
        let urgent = ["a", "b"].map(|letter| self.lane_queue(letter).replace(".lane.", ".urgent."));
        let batches = self.batches.borrow().iter().map(|batch| self.of(batch).queue().to_owned()).collect::<Vec<_>>();
        let queues: Vec<String> =
            fixed.iter().map(ToString::to_string).chain(lanes).chain(urgent).chain(batches).collect();
        let exchanges = [names.jobs(), names.urgent(), names.control(), names.direct()];
        let exchanges = fixed.into_iter().take(4).chain(exchanges).map(ToString::to_string).collect::<Vec<_>>();
        self.runtime.block_on(async {
            for queue in queues {
                let Ok(channel) = self.link.channel().await else { return };
                let _ = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
            }
            for exchange in exchanges {
                let Ok(channel) = self.link.channel().await else { return };
                let _ = channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await;
            }
            self.link.close().await;
        });
    }
}

/// A header as text.
pub fn header(message: &Delivery, name: &str) -> Option<String> {
    match message.properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

/// Resource ids and the value of `env`, in the order of the jobs.
pub fn rows(jobs: &[Job]) -> Vec<(String, String)> {
    let of = |job: &Job| {
        let value = job.set["env"].to_string();
        job.resources.iter().map(move |resource| (resource.id.to_string(), value.clone())).collect::<Vec<_>>()
    };
    jobs.iter().flat_map(of).collect()
}
