//! Lanes and batches of one test on the shared broker: their config, their queues, and what lies in those.

use crate::home::Home;
use futures_core::Stream as _;
use lapin::{
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use std::{cell::RefCell, future::poll_fn, pin::Pin, time::Duration};
use tagmill::{
    broker::rabbitmq::{
        Address, Batch, Link, Names, Publisher, Tls, Topology,
        watch::{Depth, depth},
    },
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

/// Two lanes, `a` and `b`, under names that nobody else has.
pub struct Fleet {
    pub home: Home,
    pub runtime: Runtime,
    pub link: Link,
    mark: String,
    batches: RefCell<Vec<String>>,
}

impl Fleet {
    pub fn new() -> Self {
        let mark = clock::nonce();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let link = runtime.block_on(async {
            let link = Link::open(&address(&url()), "tagmill test").await.unwrap();
            Topology::Declare.prepare(&link).await.unwrap();
            link
        });
        let fleet = Self { home: Home::new(), runtime, link, mark, batches: RefCell::default() };
        fleet.config(&url(), "");
        fleet
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
        let text = format!("broker:\n  url: {url}\n{more}lanes:\n{}{}", lane("a"), lane("b"));
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
        Publisher::start(address(&url()), "tagmill test publishing".into(), Topology::Declare)
    }

    pub fn depth(&self, queue: &str) -> Option<Depth> {
        self.runtime.block_on(depth(&self.link, queue)).unwrap()
    }

    /// Messages in a lane.
    pub fn waiting(&self, letter: &str) -> u32 {
        self.depth(&Names::default().lane_queue(&self.lane(letter))).map_or(0, |depth| depth.messages)
    }

    pub fn has_batch(&self, batch: &str) -> bool {
        self.depth(Batch::new(batch, &Names::default()).queue()).is_some()
    }

    /// Everything that lies in a queue, with all its properties; it stays there.
    pub fn messages(&self, queue: &str) -> Vec<Delivery> {
        let Some(Depth { messages, .. }) = self.depth(queue) else { return Vec::new() };
        self.runtime.block_on(async {
            let channel = self.link.channel().await.unwrap();
            channel.basic_qos(u16::MAX, BasicQosOptions::default()).await.unwrap();
            let none = FieldTable::default();
            let reading = channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), none);
            let mut consumer = reading.await.unwrap();
            let mut found = Vec::new();
            while found.len() < messages as usize {
                let next = poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx));
                let next = tokio::time::timeout(Duration::from_secs(30), next).await.expect("a message");
                found.push(next.unwrap().unwrap());
            }
            channel.close(200, "bye".into()).await.unwrap();
            // The broker answers before it has put them back: whoever looks next shall see them all.
            let end = tokio::time::Instant::now() + Duration::from_secs(30);
            while depth(&self.link, queue).await.unwrap().is_some_and(|now| now.messages < messages) {
                assert!(tokio::time::Instant::now() < end, "{queue}: the messages are not back");
            }
            found
        })
    }

    /// The jobs that lie in a lane, in order, each read as a worker reads it.
    pub fn jobs(&self, letter: &str) -> Vec<Job> {
        let messages = self.messages(&Names::default().lane_queue(&self.lane(letter)));
        let job = |message: Delivery| parse::job(&message.data, &Defaults::default()).unwrap();
        messages.into_iter().map(job).collect()
    }

    /// A queue of our own that gets a copy of every dead letter from now on.
    pub fn hear_dead(&self) -> String {
        let queue = Names::default().temporary(&format!("dead.{}", self.mark));
        self.runtime.block_on(async {
            let channel = self.link.channel().await.unwrap();
            let (name, none) = (queue.as_str(), FieldTable::default());
            channel.queue_declare(name.into(), QueueDeclareOptions::exclusive(), none.clone()).await.unwrap();
            channel
                .queue_bind(
                    name.into(),
                    Names::default().dead().as_ref().into(),
                    "#".into(),
                    QueueBindOptions::default(),
                    none,
                )
                .await
                .unwrap();
        });
        queue
    }

    /// The dead letters of a batch that were heard.
    pub fn dead(&self, heard: &str, batch: &str) -> Vec<Delivery> {
        let all = self.messages(heard).into_iter();
        all.filter(|message| header(message, "tagmill-batch").as_deref() == Some(batch)).collect()
    }

    /// Takes our dead letters out of the shared queue and leaves those of others where they are, as far as nobody else
    /// looks at them just now.
    async fn tidy(&self, batches: &[String]) -> lapin::Result<()> {
        let Ok(channel) = self.link.channel().await else { return Ok(()) };
        while let Some(got) =
            channel.basic_get(Names::default().dead().as_ref().into(), BasicGetOptions::default()).await?
        {
            if header(&got.delivery, "tagmill-batch").is_some_and(|batch| batches.contains(&batch)) {
                channel.basic_ack(got.delivery.delivery_tag, BasicAckOptions::default()).await?;
            }
        }
        channel.close(200, "bye".into()).await
    }
}

/// Its queues go, whatever has become of the test.
impl Drop for Fleet {
    fn drop(&mut self) {
        let lanes = ["a", "b"].map(|letter| Names::default().lane_queue(&self.lane(letter)));
        let batches = self.batches.borrow().clone();
        let queues = lanes
            .into_iter()
            .chain(batches.iter().map(|batch| Batch::new(batch, &Names::default()).queue().to_owned()));
        self.runtime.block_on(async {
            let _ = self.tidy(&batches).await;
            for queue in queues {
                let Ok(channel) = self.link.channel().await else { return };
                let _ = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
            }
            self.link.close().await;
        });
    }
}

pub fn address(url: &str) -> Address {
    Address::parse(url, Tls::default()).unwrap()
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
