//! A broker to ourselves: the names are fixed, so tests take turns, and leave nothing behind.

use futures_core::Stream as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{BasicNackOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use std::{
    fs::File,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tagmill::{
    broker::{
        BrokerError, Orders,
        rabbitmq::{
            Address, Gauge, Link, Names, Publisher, Tls, Topology,
            control::{self, Asker, LaneReport, Question, WorkerReport},
        },
    },
    job::{DeadLetter, Extras, ItemFailure, Job, JobId, LaneName, Resource, VERSION, parse, stable_id},
    worker::clock,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
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
    tagmill::telemetry::init(0);
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
    let urgent = LANES.map(|name| names::urgent_queue(&lane(name)));
    let shared = [names::UNROUTED, names::POISON, names::DEAD, names::RECEIPTS, names::ORDERS, names::LEASE];
    for queue in shared.map(str::to_owned).into_iter().chain(lanes).chain(urgent) {
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
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = clock::monotonic() + PATIENCE;
    while !so().await {
        assert!(clock::monotonic() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As much of a worker as the others see: an ear, and answers.
pub struct Worker {
    link: Link,
    orders: watch::Receiver<Arc<Orders>>,
    asked: Arc<AtomicU64>,
    /// Lanes it has subscribed to.
    lanes: tokio::sync::Mutex<Vec<(Channel, Consumer)>>,
    ear: JoinHandle<Result<(), BrokerError>>,
}

impl Worker {
    pub async fn start(name: &str, lanes: Vec<LaneReport>) -> Self {
        Self::that(name, move |_| lanes.clone()).await
    }

    /// A worker whose lanes depend on the orders.
    pub async fn that(name: &str, lanes: impl Fn(&Orders) -> Vec<LaneReport> + Send + 'static) -> Self {
        let (link, publisher) = (link().await, publisher());
        let (tell, orders) = watch::channel(Arc::new(Orders::default()));
        let (ask, mut questions) = mpsc::channel::<Question>(8);
        let (asked, known, worker) = (Arc::new(AtomicU64::new(0)), orders.clone(), name.to_owned());
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let orders = Arc::clone(&known.borrow());
                let report = WorkerReport {
                    worker: worker.clone(),
                    host: "host-1".into(),
                    pid: 42,
                    version: "0.1.0".into(),
                    started_at: clock::wall(),
                    orders: orders.revision,
                    lanes: lanes(&orders),
                };
                publisher.publish(vec![question.answer(&report)]).await.unwrap();
            }
        });
        let (ears, name, ours) = (link.clone(), name.to_owned(), name.to_owned());
        let ear = tokio::spawn(async move { control::serve(&ears, &name, &tell, &ask).await });
        let probe = link.clone();
        let lanes = tokio::sync::Mutex::default();
        let worker = Self { link, orders, asked, lanes, ear };
        // It hears once its queue is bound; that shows in an answer to somebody.
        let mut asker = Asker::new(&probe).await.unwrap().unwrap();
        let end = clock::monotonic() + PATIENCE;
        let is_ours = |reports: &[WorkerReport]| reports.iter().any(|report| report.worker == ours);
        while !is_ours(&asker.status(Duration::from_millis(50), is_ours).await.unwrap()) {
            assert!(clock::monotonic() < end, "the worker {ours} never answers");
        }
        asker.close().await;
        worker.asked.store(0, Ordering::SeqCst);
        worker
    }

    /// Subscribes to a lane and holds on to what it is given.
    pub async fn subscribes(&self, to: &str) {
        let channel = self.link.channel().await.unwrap();
        Topology::Declare.lane(&channel, &Names::default(), &lane(to)).await.unwrap();
        let queue = names::lane_queue(&lane(to));
        channel.basic_qos(2, Default::default()).await.unwrap();
        let consuming = channel.basic_consume(queue.into(), "lane".into(), Default::default(), FieldTable::default());
        let consumer = consuming.await.unwrap();
        self.lanes.lock().await.push((channel, consumer));
    }

    pub fn orders(&self) -> Arc<Orders> {
        Arc::clone(&self.orders.borrow())
    }

    /// Waits until its orders are so.
    pub async fn hears(&self, so: impl Fn(&Orders) -> bool) {
        let mut orders = self.orders.clone();
        let heard = orders.wait_for(|orders| so(orders));
        tokio::time::timeout(PATIENCE, heard).await.expect("it never heard of it").unwrap();
    }

    /// Questions it has been asked.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub async fn loses_its_connection(self) {
        self.link.close().await;
        tokio::time::timeout(PATIENCE, self.ear).await.expect("it never ends").unwrap().unwrap();
    }
}

pub fn job(lane_name: &str, id: &str, resources: &[&str]) -> Job {
    Job {
        id: JobId::new(id).unwrap(),
        lane: lane(lane_name),
        resources: resources.iter().map(|id| Resource::plain(id)).collect(),
        set: [("env".into(), "prod".into()), ("owner".into(), "alice".into())].into(),
        unset: ["temp".into()].into(),
        extras: Extras::none(),
    }
}

/// The dead letter of all resources of a job.
pub fn dead_letter(of: &Job, code: &str) -> DeadLetter {
    let failure = |resource: &Resource| ItemFailure {
        resource: resource.clone(),
        code: code.into(),
        message: format!("{} could not be tagged", resource.id),
        request_id: None,
        attempts: 3,
        applied_keys: Vec::new(),
        line: Some(7),
    };
    DeadLetter {
        version: VERSION,
        id: stable_id(of, "0"),
        failures: of.resources.iter().map(failure).collect(),
        replay: of.extras.replay.clone(),
        job: of.clone(),
    }
}

/// Dead letters as workers and the broker make them.
pub struct Letters {
    channel: Channel,
}

impl Letters {
    pub async fn of(link: &Link) -> Self {
        Self { channel: raw_channel(link).await }
    }

    fn properties(id: &str) -> BasicProperties {
        let now = u64::try_from(clock::wall().as_second()).unwrap();
        BasicProperties::default().with_message_id(id.into()).with_timestamp(now)
    }

    /// The queue of a lane.
    pub async fn lane(&self, name: &str) {
        Topology::Declare.lane(&self.channel, &Names::default(), &lane(name)).await.unwrap();
    }

    pub async fn dead(&self, letter: &DeadLetter) {
        let properties = Self::properties(&letter.id).with_content_type("application/json".into());
        let body = serde_json::to_vec(letter).unwrap();
        put(&self.channel, names::DEAD, letter.job.lane.as_str(), properties, &body).await;
    }

    pub async fn raw(&self, id: &str, lane: &str, code: &str, body: &[u8]) {
        let mut headers = FieldTable::default();
        let fields = [
            ("tagmill-code", code),
            ("tagmill-message", "what was wrong"),
            ("tagmill-lane", lane),
            ("tagmill-source", "csv:a.csv"),
            ("tagmill-line", "7"),
        ];
        for (name, value) in fields {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties =
            Self::properties(id).with_headers(headers).with_content_type("application/octet-stream".into());
        put(&self.channel, names::DEAD, lane, properties, body).await;
    }

    /// A job for a lane without a queue.
    pub async fn unrouted(&self, key: &str, body: &[u8]) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let id = format!("unrouted-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        put(&self.channel, names::JOBS, key, Self::properties(&id), body).await;
    }

    /// A message that was handed out too often: a lane's queue with a small limit, as far as the broker is concerned.
    pub async fn poison(&self, lane_name: &str, body: &[u8]) {
        let queue = names::lane_queue(&lane(lane_name));
        let mut arguments = FieldTable::default();
        for (name, value) in [
            ("x-queue-type", AMQPValue::LongString("quorum".into())),
            ("x-delivery-limit", AMQPValue::LongInt(1)),
            ("x-dead-letter-exchange", AMQPValue::LongString(names::POISON.into())),
        ] {
            arguments.insert(name.into(), value);
        }
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        self.channel.queue_declare(queue.clone().into(), durable, arguments).await.unwrap();
        let bind = self.channel.queue_bind(
            queue.clone().into(),
            names::JOBS.into(),
            lane_name.into(),
            Default::default(),
            FieldTable::default(),
        );
        bind.await.unwrap();
        put(&self.channel, names::JOBS, lane_name, Self::properties("poison"), body).await;
        for _ in 0..2 {
            let got = self.channel.basic_get(queue.clone().into(), Default::default()).await.unwrap();
            let requeue = BasicNackOptions { requeue: true, ..Default::default() };
            self.channel.basic_nack(got.unwrap().delivery.delivery_tag, requeue).await.unwrap();
        }
        until("the poison is where it belongs", async || {
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let queue = self.channel.queue_declare(names::POISON.into(), passive, FieldTable::default()).await;
            queue.unwrap().message_count() > 0
        })
        .await;
    }
}

/// Takes all jobs out of a lane.
pub async fn taken(link: &Link, of: &LaneName) -> Vec<Job> {
    let channel = raw_channel(link).await;
    let queue = names::lane_queue(of);
    let mut consumer = channel
        .basic_consume(queue.as_str().into(), "taken".into(), Default::default(), FieldTable::default())
        .await
        .unwrap();
    let mut jobs = Vec::new();
    loop {
        let next = std::future::poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx));
        let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(300), next).await else { break };
        let delivery = delivery.unwrap();
        let id = delivery.properties.message_id().clone().unwrap();
        let read = parse::job(&delivery.data, &parse::Defaults::default()).unwrap();
        assert_eq!(read.id.as_str(), id.as_str(), "the message's name is the job's");
        assert_eq!(delivery.routing_key.as_str(), of.as_str());
        channel.basic_ack(delivery.delivery_tag, Default::default()).await.unwrap();
        jobs.push(read);
    }
    channel.close(200, "bye".into()).await.unwrap();
    jobs
}

/// What everything is called in a fleet without a prefix of its own: fixed, because other programs rely on it.
pub mod names {
    use tagmill::{broker::rabbitmq::Names, job::LaneName};

    pub const CONTROL: &str = "tagmill.control";
    pub const DEAD: &str = "tagmill.dead";
    pub const DIRECT: &str = "tagmill.direct";
    pub const JOBS: &str = "tagmill.jobs";
    pub const LEASE: &str = "tagmill.lease";
    pub const ORDERS: &str = "tagmill.orders";
    pub const POISON: &str = "tagmill.poison";
    pub const RECEIPTS: &str = "tagmill.receipts";
    pub const UNROUTED: &str = "tagmill.unrouted";

    pub fn urgent_queue(lane: &LaneName) -> String {
        Names::default().urgent_queue(lane)
    }

    pub fn lane_queue(lane: &LaneName) -> String {
        Names::default().lane_queue(lane)
    }
}
