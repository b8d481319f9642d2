//! What a single-resource job over RabbitMQ costs in processor time, against a bare loop over the client library that
//! acks each message and publishes one confirmed message for it. Needs a broker; see `TAGMILL_TEST_AMQP`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails has nothing to say")]

use futures_core::Stream as _;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeleteOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};
use std::{collections::VecDeque, env, fs, pin::Pin};
use tagmill::{
    broker::{
        Broker, Deed, Feed,
        rabbitmq::{Address, Link, Names, Rabbit, Settings, Tls, Topology},
    },
    job::{JobId, LaneName, Receipt, VERSION},
};
use tokio::time::Instant;

const JOBS: usize = 20_000;
const WINDOW: u16 = 1_000;
const ROUNDS: usize = 3;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let url = env::var("TAGMILL_TEST_AMQP").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into());
    let address = Address::parse(&url, Tls::default()).unwrap();
    let names = Names::new(&format!("tagmill-bench.{}", uuid::Uuid::now_v7().simple())).unwrap();
    let lane = LaneName::new("bench").unwrap();
    let link = Link::open(&address.clone().with_names(names.clone()), "tagmill bench").await.unwrap();
    Topology::Declare.prepare(&link).await.unwrap();
    let channel = link.channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    Topology::Declare.lane(&channel, &names, &lane).await.unwrap();

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        fill(&channel, &names, &lane).await;
        bare.push(timed("bare loop", bare_loop(&address, &names, &lane)).await);
        purge(&channel, &names).await;
        fill(&channel, &names, &lane).await;
        ours.push(timed("tagmill", through_rabbit(&address, &names, &lane)).await);
        purge(&channel, &names).await;
    }
    println!("processor time per job, tagmill : bare loop = {:.2}", median(&mut ours) / median(&mut bare));
    clean(&channel, &names, &lane).await;
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Microseconds of this process, all threads, per job.
async fn timed(what: &str, work: impl Future<Output = ()>) -> f64 {
    let (cpu, began) = (cpu_micros(), Instant::now());
    work.await;
    let used = (cpu_micros() - cpu) / JOBS as f64;
    println!(
        "{what}: {used:.1} us of processor time per job, {:.0} jobs a second",
        JOBS as f64 / began.elapsed().as_secs_f64()
    );
    used
}

/// User and system time so far, from the kernel's count of hundredths of a second.
fn cpu_micros() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks * 10_000.0
}

fn job(n: usize) -> Vec<u8> {
    let text = format!(
        r#"{{"version":1,"id":"job-{n:08}","lane":"bench","set":{{"env":"prod","owner":"alice","team":"platform-{:02}"}},"resources":["acs:ecs:eu-central-1:1234567890123456:instance/i-{n:020}"],"source":"csv:servers.csv","created_at":"2026-11-22T00:00:00Z"}}"#,
        n % 100
    );
    text.into_bytes()
}

async fn fill(channel: &Channel, names: &Names, lane: &LaneName) {
    let mut flying = VecDeque::new();
    for n in 0..JOBS {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(format!("job-{n:08}").as_str().into())
            .with_timestamp(1_700_000_000);
        let options = BasicPublishOptions::default();
        let (exchange, key) = ((&**names.jobs()).into(), lane.as_str().into());
        flying.push_back(channel.basic_publish(exchange, key, options, &job(n), properties).await.unwrap());
        if flying.len() > 500 {
            assert_eq!(flying.pop_front().unwrap().await.unwrap(), Confirmation::Ack(None));
        }
    }
    for confirm in flying {
        assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
    }
}

/// The least that could be done: take, publish one message of 300 bytes, ack each when it is confirmed.
async fn bare_loop(address: &Address, names: &Names, lane: &LaneName) {
    let (consuming, publishing) =
        (Link::open(address, "bare").await.unwrap(), Link::open(address, "bare").await.unwrap());
    let (channel, out) = (consuming.channel().await.unwrap(), publishing.channel().await.unwrap());
    out.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel.basic_qos(WINDOW, BasicQosOptions::default()).await.unwrap();
    let queue = names.lane_queue(lane);
    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(queue.as_str().into(), "bare".into(), options, FieldTable::default()).await.unwrap();
    let (mut flying, body) = (VecDeque::new(), [b'x'; 300]);
    for _ in 0..JOBS {
        let next = std::future::poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx));
        let delivery = next.await.unwrap().unwrap();
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(delivery.properties.message_id().clone().unwrap());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let (exchange, key) = ((&**names.receipts()).into(), lane.as_str().into());
        let confirm = out.basic_publish(exchange, key, options, &body, properties).await.unwrap();
        flying.push_back((delivery, confirm));
        if flying.len() >= 500 {
            let (delivery, confirm) = flying.pop_front().unwrap();
            assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
            assert!(delivery.acker.ack(BasicAckOptions::default()).await.unwrap());
        }
    }
    for (delivery, confirm) in flying {
        assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
        assert!(delivery.acker.ack(BasicAckOptions::default()).await.unwrap());
    }
    channel.close(200, "bye".into()).await.unwrap();
    consuming.close().await;
    publishing.close().await;
}

/// The broker's side of a worker: take, make a receipt of each, commit.
async fn through_rabbit(address: &Address, names: &Names, lane: &LaneName) {
    let rabbit = Rabbit::start(Settings { names: names.clone(), ..Settings::new(address.clone(), "bench") });
    let mut feed = rabbit.open_lane(lane).await.unwrap();
    let mut done = 0;
    while done < JOBS {
        let got = feed.next(WINDOW.into()).await.unwrap();
        done += got.len();
        let deeds = got.iter().flat_map(|delivery| {
            [Deed::Receipt(delivery.ticket, receipt(lane, &delivery.id)), Deed::Ack(delivery.ticket)]
        });
        rabbit.commit(deeds.collect()).await.unwrap();
    }
    feed.close().await;
    rabbit.close().await;
}

fn receipt(lane: &LaneName, id: &str) -> Receipt {
    let job = JobId::new(id).unwrap();
    Receipt {
        version: VERSION,
        id: format!("receipt-of-{id}"),
        job,
        lane: lane.clone(),
        batch: None,
        accepted: 1,
        tagged: 1,
        superseded: 0,
        unchanged: 0,
        dead: 0,
        calls: 1,
        retries: 0,
        first_attempt: Some(jiff::Timestamp::UNIX_EPOCH),
        last_attempt: Some(jiff::Timestamp::UNIX_EPOCH),
        duration_ms: 0,
        trace: None,
        finished_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

async fn purge(channel: &Channel, names: &Names) {
    channel.queue_purge((&**names.receipts()).into(), QueuePurgeOptions::default()).await.unwrap();
}

async fn clean(channel: &Channel, names: &Names, lane: &LaneName) {
    let queues = [names.unrouted(), names.poison(), names.dead(), names.receipts(), names.orders(), names.lease()];
    for queue in queues
        .map(std::string::ToString::to_string)
        .into_iter()
        .chain([names.lane_queue(lane), names.urgent_queue(lane)])
    {
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
}
