//! Urgent jobs on RabbitMQ: they do not wait behind others, whoever has the lane gets them, and nobody ever sees a bell.

use crate::{
    hands::Fleet,
    make::{bodies, lane, open, soon, take},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tagmill::{
    broker::{
        Broker, Deed, Delivery, Feed,
        rabbitmq::{Message, Rabbit, unrouted},
    },
    job::Priority,
};
use tokio::time::Instant;

/// Long enough for a broker to hand over what it should not.
const SHORT: Duration = Duration::from_millis(300);
/// Urgent queues are looked at every five seconds where nobody rings.
const SOON: Duration = Duration::from_secs(3);
const NEVER: Duration = Duration::from_hours(1);

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("bulk {n}").into_bytes()).collect()
}

fn acks<'d>(of: impl IntoIterator<Item = &'d Delivery>) -> Vec<Deed> {
    of.into_iter().map(|delivery| Deed::Ack(delivery.ticket)).collect()
}

/// Publishes urgent jobs as everything of ours does.
async fn urgent(fleet: &Fleet, through: &Rabbit, lane: &str, texts: &[&str]) {
    let message = |text: &&str| {
        let (id, body) = ((*text).to_owned(), text.as_bytes().to_vec());
        Message::job(&fleet.names, lane.to_owned(), id, body, Priority::Event)
    };
    soon(through.publisher().publish(texts.iter().map(message).collect())).await.unwrap();
}

/// Waits until both queues of a lane are empty and nothing of them is held, bells included: the lane has been given up.
async fn is_empty(fleet: &Fleet, name: &str) {
    let queues = [fleet.names.lane_queue(&lane(name)), fleet.names.urgent_queue(&lane(name))];
    for queue in queues {
        assert_eq!(fleet.ready(&queue).await, 0, "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_job_does_not_wait_behind_a_window_full_of_others() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker_with("w", 20, NEVER);
    fleet.publish("a", numbered(500)).await;
    let (mut feed, got) = open(&rabbit, "a", 20).await;
    urgent(&fleet, &rabbit, "a", &["now"]).await;
    // Nothing is acked, so nothing else can come.
    let began = Instant::now();
    let next = soon(feed.next(100)).await.unwrap();
    assert_eq!(bodies(&next), ["now"]);
    assert!(began.elapsed() < SOON, "nobody had to look for it");
    assert_eq!(rabbit.held(&lane("a")).unwrap().messages, 21);
    rabbit.commit(acks(&next)).await.unwrap();
    rabbit.commit(acks(&got)).await.unwrap();
    // With room for both the urgent one is handed over first.
    urgent(&fleet, &rabbit, "a", &["again"]).await;
    let mut seen = Vec::new();
    while !seen.contains(&"again".to_owned()) {
        seen.extend(bodies(&soon(feed.next(1)).await.unwrap()));
    }
    assert!(seen.len() <= 22, "it came after {} others", seen.len() - 1);
    feed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_of_an_idle_lane_is_woken_and_never_sees_a_bell() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    let mut feed = soon(rabbit.open_lane(&lane("a"))).await.unwrap();
    for round in ["one", "two", "three"] {
        urgent(&fleet, &rabbit, "a", &[round]).await;
        let began = Instant::now();
        let got = take(&mut feed, 1).await;
        assert_eq!(bodies(&got), [round]);
        assert!(began.elapsed() < SOON, "a bell has rung: nobody had to look for it");
        assert_eq!(rabbit.held(&lane("a")).unwrap().messages, 1, "a bell counts for nothing");
        rabbit.commit(acks(&got)).await.unwrap();
    }
    assert!(tokio::time::timeout(SHORT, feed.next(10)).await.is_err());
    // The bell that was kept goes when the urgent queue is left.
    fleet.urgent_is_left("a").await;
    feed.close().await;
    is_empty(&fleet, "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_job_that_nobody_rang_for_is_found() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    let mut feed = soon(rabbit.open_lane(&lane("a"))).await.unwrap();
    fleet.publish_urgent("a", b"quiet").await;
    let got = take(&mut feed, 1).await;
    assert_eq!(bodies(&got), ["quiet"]);
    // The same where the lane holds other work that does not fill its window.
    rabbit.commit(acks(&got)).await.unwrap();
    fleet.urgent_is_left("a").await;
    fleet.publish("a", numbered(3)).await;
    let bulk = take(&mut feed, 3).await;
    fleet.publish_urgent("a", b"quiet too").await;
    assert_eq!(bodies(&take(&mut feed, 1).await), ["quiet too"]);
    rabbit.commit(acks(&bulk)).await.unwrap();
    feed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_dies_with_urgent_jobs_in_hand_gives_them_to_the_next_owner_with_the_bell() {
    let fleet = Fleet::start(10).await;
    let (first, second) = (fleet.worker("one"), fleet.worker("two"));
    let mut feed = soon(first.open_lane(&lane("a"))).await.unwrap();
    urgent(&fleet, &second, "a", &["e1", "e2"]).await;
    let got = take(&mut feed, 2).await;
    assert_eq!(bodies(&got), ["e1", "e2"]);
    let mut waiting = soon(second.open_lane(&lane("a"))).await.unwrap();
    assert!(tokio::time::timeout(SHORT, waiting.next(10)).await.is_err(), "the lane has an owner");
    first.commit(acks(&got[..1])).await.unwrap();
    let began = Instant::now();
    drop(feed);
    assert_eq!(bodies(&take(&mut waiting, 1).await), ["e2"]);
    assert!(began.elapsed() < SOON, "the bell came with it: nobody had to look for it");
    waiting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_stays_with_its_owner_while_urgent_jobs_are_in_hand() {
    let fleet = Fleet::start(10).await;
    let first = fleet.worker_with("one", 4, NEVER);
    fleet.publish("a", numbered(4)).await;
    let (mut feed, bulk) = open(&first, "a", 4).await;
    // No bell comes with it.
    fleet.publish_urgent("a", b"e").await;
    let event = take(&mut feed, 1).await;
    assert_eq!(bodies(&event), ["e"]);
    // The last of the ordinary queue. RabbitMQ 4 gives a lane away of which nothing is held.
    first.commit(acks(&bulk)).await.unwrap();
    feed.check().unwrap();
    assert_eq!(first.held(&lane("a")).unwrap().messages, 1);
    feed.close().await;
    let queues = [fleet.names.lane_queue(&lane("a")), fleet.names.urgent_queue(&lane("a"))];
    soon(async {
        while fleet.ready(&queues[0]).await + fleet.ready(&queues[1]).await < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(fleet.ready(&queues[0]).await, 1, "a bell was held in place of the jobs");
    let mut feed = soon(first.open_lane(&lane("a"))).await.unwrap();
    let event = take(&mut feed, 1).await;
    first.commit(acks(&event)).await.unwrap();
    fleet.urgent_is_left("a").await;
    feed.close().await;
    is_empty(&fleet, "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_jobs_that_grow_old_are_renewed_and_so_is_the_bell() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker_with("w", 200, Duration::from_millis(300));
    let mut feed = soon(rabbit.open_lane(&lane("a"))).await.unwrap();
    urgent(&fleet, &rabbit, "a", &["e1", "e2", "e3"]).await;
    let got = take(&mut feed, 3).await;
    let (mut renewals, mut oldest) = (0, Duration::ZERO);
    let end = Instant::now() + Duration::from_secs(20);
    while renewals < 3 {
        assert!(Instant::now() < end, "{renewals} renewals");
        let now = rabbit.held(&lane("a")).unwrap().oldest.unwrap();
        renewals += usize::from(now < oldest);
        oldest = now;
        tokio::time::sleep(Duration::from_millis(5)).await;
        feed.check().unwrap();
    }
    rabbit.commit(acks(&got[1..2])).await.unwrap();
    feed.close().await;
    let calm = fleet.worker("calm");
    let mut feed = soon(calm.open_lane(&lane("a"))).await.unwrap();
    assert_eq!(bodies(&take(&mut feed, 2).await), ["e1", "e3"]);
    feed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_older_workers_declared_the_lane_an_urgent_job_goes_to_its_queue() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    fleet.delete_urgent("a").await;
    urgent(&fleet, &rabbit, "a", &["e"]).await;
    // The job, and the bell.
    assert_eq!(fleet.ready(&fleet.names.lane_queue(&lane("a"))).await, 2);
    assert_eq!(fleet.ready(fleet.names.unrouted()).await, 0);
    // Whoever declares the lane has it whole.
    let mut feed = soon(rabbit.open_lane(&lane("a"))).await.unwrap();
    let got = take(&mut feed, 1).await;
    assert_eq!(bodies(&got), ["e"]);
    rabbit.commit(acks(&got)).await.unwrap();
    feed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_job_for_a_lane_that_nobody_has_is_one_dead_letter() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    urgent(&fleet, &rabbit, "nobody", &["e"]).await;
    let serving = unrouted::serve(fleet.link(), rabbit.publisher());
    let done = async {
        while fleet.ready(fleet.names.dead()).await == 0 || fleet.ready(fleet.names.unrouted()).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(SHORT).await;
    };
    tokio::select! {
        ended = serving => panic!("{ended:?}"),
        () = soon(done) => {}
    }
    let dead = fleet.peek(fleet.names.dead()).await;
    assert_eq!(dead.iter().map(|(_, body)| &**body).collect::<Vec<_>>(), [b"e"]);
}

/// Prints how long a message takes from its publication to the hands of the owner of an idle lane.
/// `cargo test --release --test broker -- --ignored --nocapture how_long`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: it prints figures"]
async fn how_long_a_job_takes_on_an_idle_lane() {
    let fleet = Fleet::start(10).await;
    let (rabbit, publisher) = (fleet.worker("w"), fleet.worker("p"));
    let mut feed = soon(rabbit.open_lane(&lane("a"))).await.unwrap();
    for (what, priority, leaves) in [
        ("ordinary", Priority::Bulk, false),
        ("urgent, one after the other", Priority::Event, false),
        ("urgent, the queue was left", Priority::Event, true),
    ] {
        let mut took = Vec::new();
        for n in 0..if leaves { 10 } else { 200 } {
            if leaves {
                fleet.urgent_is_left("a").await;
            }
            let (id, began) = (format!("{what} {n}"), Instant::now());
            let message = Message::job(&fleet.names, "a".into(), id.clone(), id.into_bytes(), priority);
            let publishing = publisher.publisher().begin(message).await.unwrap();
            let got = take(&mut feed, 1).await;
            took.push(began.elapsed());
            publishing.confirmed().await.unwrap();
            rabbit.commit(acks(&got)).await.unwrap();
        }
        took.sort();
        eprintln!("{what}: median {:?}, 99 of 100 within {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
    }
    feed.close().await;
}

/// Workers come and go in every way while both queues are filled: nothing is lost, nothing that was acked comes again,
/// never two owners at once, and what comes from one queue comes in its order in every ownership.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_its_owners_every_job_of_both_queues_is_handed_over_until_it_is_acked() {
    for seed in 0..3 {
        let fleet = Fleet::start(10).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        let publisher = fleet.worker("publisher");
        let (mut bulk, mut events) = (0, 0);
        let mut open: BTreeSet<String> = BTreeSet::new();
        for round in 0..12 {
            let more: usize = rng.usize(..30);
            fleet.publish("a", (bulk..bulk + more).map(|n| format!("b {n:05}").into_bytes())).await;
            open.extend((bulk..bulk + more).map(|n| format!("b {n:05}")));
            bulk += more;
            let more = rng.usize(1..5);
            let texts: Vec<String> = (events..events + more).map(|n| format!("e {n:05}")).collect();
            urgent(&fleet, &publisher, "a", &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
            open.extend(texts);
            events += more;

            let worker = fleet.worker_with(&format!("w{round}"), rng.u16(2..20), NEVER);
            let mut feed = soon(worker.open_lane(&lane("a"))).await.unwrap();
            let rival = fleet.worker(&format!("rival{round}"));
            let mut rival = soon(rival.open_lane(&lane("a"))).await.unwrap();
            let (mut last, mut hand): (BTreeMap<char, String>, Vec<Delivery>) = (BTreeMap::new(), Vec::new());
            for _ in 0..rng.usize(1..30) {
                let Ok(next) = tokio::time::timeout(Duration::from_millis(500), feed.next(rng.usize(1..8))).await
                else {
                    break;
                };
                for delivery in next.unwrap() {
                    let text = String::from_utf8(delivery.body.clone()).unwrap();
                    assert!(open.contains(&text), "seed {seed}: {text} was acked, or is a bell");
                    let kind = text.chars().next().unwrap();
                    let before = last.insert(kind, text.clone());
                    assert!(before.is_none_or(|before| before < text), "seed {seed}: {text} came late");
                    hand.push(delivery);
                }
                rng.shuffle(&mut hand);
                let some = hand.split_off(hand.len() - rng.usize(..=hand.len()));
                worker.commit(acks(&some)).await.unwrap();
                for delivery in &some {
                    open.remove(&*String::from_utf8_lossy(&delivery.body));
                }
            }
            let next = tokio::time::timeout(Duration::from_millis(1), rival.next(1)).await;
            assert!(hand.is_empty() || next.is_err(), "two owners");
            rival.close().await;
            if rng.bool() {
                feed.close().await;
            } else {
                fleet.proxy.cut("consuming");
            }
        }
        let last = fleet.worker("last");
        let mut feed = soon(last.open_lane(&lane("a"))).await.unwrap();
        while !open.is_empty() {
            let next = soon(feed.next(100)).await.unwrap();
            for delivery in &next {
                let text = String::from_utf8(delivery.body.clone()).unwrap();
                assert!(open.remove(&text), "seed {seed}: {text} was acked, or is a bell");
            }
            last.commit(acks(&next)).await.unwrap();
        }
        feed.close().await;
    }
}
