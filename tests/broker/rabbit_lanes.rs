//! Who has a lane on RabbitMQ, who has lost it, and what the next one gets.

use crate::{
    hands::Fleet,
    make::{bodies, bytes, job, lane, open, soon, take},
};
use std::{ops::Range, time::Duration};
use tagmill::broker::{
    Broker, BrokerError, Deed, Delivery, Feed, Ticket,
    rabbitmq::{LaneHeld, Rabbit, Settings, Topology, Window},
};
use tokio::time::Instant;

/// Long enough for a broker to hand over what it should not.
const SHORT: Duration = Duration::from_millis(150);
/// Nothing grows that old in a test.
const NEVER: Duration = Duration::from_hours(1);

fn numbered(range: Range<usize>) -> Vec<Vec<u8>> {
    range.map(|n| format!("message {n}").into_bytes()).collect()
}

fn texts(range: Range<usize>) -> Vec<String> {
    range.map(|n| format!("message {n}")).collect()
}

fn acks<'d>(of: impl IntoIterator<Item = &'d Delivery>) -> Vec<Deed> {
    of.into_iter().map(|delivery| Deed::Ack(delivery.ticket)).collect()
}

fn is_lost<T: std::fmt::Debug>(outcome: &Result<T, BrokerError>) -> bool {
    matches!(outcome, Err(BrokerError::LaneLost(..)))
}

/// Polls until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn held(rabbit: &Rabbit) -> LaneHeld {
    rabbit.held(&lane("a")).unwrap()
}

/// Nothing is left for a worker who comes now.
async fn assert_empty(fleet: &Fleet) {
    let late = fleet.worker("late");
    let mut feed = soon(late.open_lane(&lane("a"))).await.unwrap();
    fleet.publish("a", [b"the end".to_vec()]).await;
    assert_eq!(bodies(&take(&mut feed, 1).await), ["the end"]);
    feed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_connection_loses_the_lane_and_nothing_stale_is_handed_over() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    fleet.publish("a", numbered(0..50)).await;
    let (mut feed, got) = open(&rabbit, "a", 10).await;
    until("all being held", || held(&rabbit).messages == 50).await;
    let waiting = soon(rabbit.open_lane(&lane("b"))).await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut feed = waiting;
        feed.next(1).await
    });
    fleet.proxy.cut("consuming");
    until("the loss being known", || feed.check().is_err()).await;
    // 40 messages have arrived and were never handed over. They are somebody else's now.
    assert!(is_lost(&soon(feed.next(1_000)).await));
    assert!(is_lost(&soon(feed.next(1_000)).await));
    assert!(is_lost(&soon(waiting).await.unwrap()), "a lane that waits is told too");
    // A settlement that comes late acks nothing.
    assert!(is_lost(&rabbit.commit(acks(&got)).await));
    assert!(is_lost(&rabbit.commit(acks(&got)).await));
    let (_feed, again) = open(&rabbit, "a", 50).await;
    assert_eq!(bodies(&again), texts(0..50));
    // Tickets of another life mean nothing in this one.
    assert!(is_lost(&rabbit.commit(acks(&got)).await));
    assert!(rabbit.commit(vec![Deed::Ack(Ticket(u64::MAX))]).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_worker_gets_nothing_until_the_first_closes_and_then_all_that_is_unacked() {
    let fleet = Fleet::start(10).await;
    let (first, second) = (fleet.worker("one"), fleet.worker("two"));
    fleet.publish("a", numbered(0..30)).await;
    let (feed, got) = open(&first, "a", 30).await;
    let mut waiting = soon(second.open_lane(&lane("a"))).await.unwrap();
    first.commit(acks(got.iter().step_by(2))).await.unwrap();
    assert!(tokio::time::timeout(SHORT, waiting.next(10)).await.is_err());
    assert_eq!((held(&first).is_active, held(&second).is_active), (true, false));
    feed.close().await;
    let odd: Vec<_> = texts(0..30).into_iter().skip(1).step_by(2).collect();
    assert_eq!(bodies(&take(&mut waiting, 15).await), odd);
    assert!(held(&second).is_active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acked_before_a_lane_is_closed_does_not_come_again() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    fleet.publish("a", numbered(0..300)).await;
    let (feed, got) = open(&rabbit, "a", 300).await;
    // Every other one: the broker has to be told of each by itself, and keeps most of that in the channel for a while.
    rabbit.commit(acks(got.iter().step_by(2))).await.unwrap();
    feed.close().await;
    let (feed, left) = open(&rabbit, "a", 150).await;
    assert_eq!(bodies(&left), texts(0..300).into_iter().skip(1).step_by(2).collect::<Vec<_>>());
    rabbit.commit(acks(&left)).await.unwrap();
    feed.close().await;
    assert_empty(&fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_grow_old_are_renewed_and_keep_their_tickets_and_their_order() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker_with("w", 200, Duration::from_millis(300));
    fleet.publish("a", numbered(0..100)).await;
    let (feed, got) = open(&rabbit, "a", 100).await;
    rabbit.commit(acks(got.iter().take(10).chain(&got[40..50]))).await.unwrap();
    // Nobody asks for messages: a paused lane does not. New ones come in between all the time.
    let (mut renewals, mut oldest, mut published) = (0, Duration::ZERO, 100);
    let end = Instant::now() + Duration::from_secs(20);
    while renewals < 3 {
        assert!(Instant::now() < end, "{renewals} renewals, the oldest message is {oldest:?} old");
        let now = held(&rabbit).oldest.unwrap();
        renewals += usize::from(now < oldest);
        oldest = now;
        if published < 190 {
            fleet.publish("a", numbered(published..published + 1)).await;
            published += 1;
        }
        feed.check().unwrap();
    }
    let left: Vec<_> =
        texts(0..published).into_iter().enumerate().filter(|(n, _)| *n >= 10 && !(40..50).contains(n)).collect();
    // Tickets are as good as ever: these are acked, and no others.
    let some = [&got[10], &got[55], &got[99]];
    rabbit.commit(acks(some)).await.unwrap();
    feed.close().await;
    let calm = fleet.worker_with("calm", 200, NEVER);
    let left: Vec<_> = left.into_iter().filter(|(n, _)| ![10, 55, 99].contains(n)).map(|(_, text)| text).collect();
    let (feed, again) = open(&calm, "a", left.len()).await;
    assert_eq!(bodies(&again), left);
    calm.commit(acks(&again)).await.unwrap();
    feed.close().await;
    assert_empty(&fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_of_large_messages_is_opened_again_with_a_smaller_window() {
    let fleet = Fleet::start(10).await;
    let window = Window { messages: 60, bytes: 100_000 };
    let rabbit = Rabbit::start(Settings { window, ..fleet.settings("w") });
    let large = |n: usize| format!("{n:04}{}", "x".repeat(9_996)).into_bytes();
    fleet.publish("a", (0..100).map(large)).await;
    let (feed, _) = open(&rabbit, "a", 1).await;
    until("all that it may hold being held", || held(&rabbit).messages == 60).await;
    until("the lane being too heavy", || feed.wants_reopening().is_some()).await;
    assert_eq!((held(&rabbit).prefetch, held(&rabbit).bytes), (60, 600_000));
    feed.close().await;
    // A window is a promise about memory; the order is one about work, and holds whoever takes what is left.
    let mut expected = 0;
    for owner in 0..4 {
        let (feed, got) = open(&rabbit, "a", 5).await;
        assert_eq!(held(&rabbit).prefetch, 7, "owner {owner}");
        assert!(held(&rabbit).messages <= 7);
        assert!(feed.wants_reopening().is_none());
        let numbers: Vec<_> = got.iter().map(|delivery| delivery.body[..4].to_vec()).collect();
        let right: Vec<_> = (expected..expected + 5).map(|n| large(n)[..4].to_vec()).collect();
        assert_eq!(numbers, right, "owner {owner}");
        rabbit.commit(acks(&got[..3])).await.unwrap();
        expected += 3;
        if owner % 2 == 0 {
            feed.close().await;
        } else {
            fleet.proxy.cut("consuming");
            until("the loss being known", || feed.check().is_err()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_with_whatever_window_the_order_is_the_one_of_arrival() {
    let fleet = Fleet::start(10).await;
    fleet.publish("a", numbered(0..400)).await;
    let mut next = 0;
    // More than fits, fewer, one, all: each owner leaves a part of the line at its end.
    for (round, window) in [150_u16, 40, 33, 1, 200, 64, 5, 90, 12].into_iter().enumerate() {
        let rabbit = fleet.worker_with("w", window, NEVER);
        let take = usize::from(window).min(60);
        let (feed, got) = open(&rabbit, "a", take).await;
        assert_eq!(bodies(&got), texts(next..next + take), "round {round}, window {window}");
        let done = take / 2;
        rabbit.commit(acks(&got[..done])).await.unwrap();
        next += done;
        match round % 3 {
            0 => feed.close().await,
            1 => drop(feed),
            _ => assert!(fleet.proxy.cut("tagmill w") > 0),
        }
    }
    let rabbit = fleet.worker("last");
    let (_feed, got) = open(&rabbit, "a", 400 - next).await;
    assert_eq!(bodies(&got), texts(next..400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_dies_in_the_middle_of_a_renewal_leaves_the_order_as_it_was() {
    for window in [10, 20, 50] {
        let fleet = Fleet::start(10).await;
        fleet.publish("a", numbered(0..40)).await;
        // It had renewed 7 of its 20.
        fleet.half_renew("a", 20, 7).await;
        let rabbit = fleet.worker_with("w", window, NEVER);
        let take = usize::from(window).min(40);
        let (feed, got) = open(&rabbit, "a", take).await;
        assert_eq!(bodies(&got), texts(0..take), "window {window}");
        // And it is right at the broker too.
        drop(feed);
        let (_feed, got) = open(&rabbit, "a", take).await;
        assert_eq!(bodies(&got), texts(0..take), "window {window}, a second time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_not_proved_any_more_forbids_every_call() {
    let fleet = Fleet::start(1).await;
    let rabbit = fleet.worker("w");
    fleet.publish("a", numbered(0..3)).await;
    let (mut feed, _) = open(&rabbit, "a", 1).await;
    feed.check().unwrap();
    // The lane's own connection is as good as ever; the broker just hears nothing of us on the other.
    fleet.proxy.silence("publishing");
    until("the lease running out", || !rabbit.lease().is_fresh()).await;
    assert!(is_lost(&feed.check()));
    assert!(is_lost(&soon(feed.next(1)).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_loses_its_lane_and_no_other() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    fleet.publish("a", numbered(0..1)).await;
    fleet.publish("b", numbered(0..2)).await;
    let (mut feed, _) = open(&rabbit, "a", 1).await;
    let (mut other, _) = open(&rabbit, "b", 1).await;
    fleet.delete_lane("a").await;
    assert!(is_lost(&soon(feed.next(1)).await));
    // Nor does a lane that cannot be opened.
    let poor = Rabbit::start(Settings { topology: Topology::Assert, ..fleet.settings("poor") });
    let mut kept = soon(poor.open_lane(&lane("c"))).await.unwrap();
    let refused = soon(poor.open_lane(&lane("a"))).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("topology: declare"), "{refused}");
    fleet.publish("c", numbered(0..1)).await;
    assert_eq!(bodies(&take(&mut kept, 1).await), texts(0..1));
    other.check().unwrap();
    assert_eq!(bodies(&take(&mut other, 1).await), texts(1..2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_many_items_fits_alone_and_the_prefetch_follows_the_rate() {
    let fleet = Fleet::start(10).await;
    let rates = [(lane("a"), 0.05)].into();
    let rabbit = Rabbit::start(Settings { rates, ..fleet.settings("w") });
    let resources: Vec<String> = (0..100_000).map(|n| format!("i-{n:020}")).collect();
    let huge = bytes(&job("a", "huge", &resources.iter().map(String::as_str).collect::<Vec<_>>()));
    fleet.publish("a", [b"small".to_vec(), huge.clone(), b"small".to_vec()]).await;
    let mut feed = soon(rabbit.open_lane(&lane("a"))).await.unwrap();
    until("all being held", || held(&rabbit).messages == 3).await;
    let sizes = [
        soon(feed.next(1_000)).await.unwrap(),
        soon(feed.next(1_000)).await.unwrap(),
        soon(feed.next(1_000)).await.unwrap(),
    ];
    assert_eq!(
        sizes.map(|page| page.iter().map(|delivery| delivery.body.len()).collect::<Vec<_>>()),
        [vec![5], vec![huge.len()], vec![5]]
    );
    assert_eq!(held(&rabbit).prefetch, 30);
}

/// On the lane `a`, of these two the second is the better owner.
const WORSE_AND_BETTER: [&str; 2] = ["w0", "w2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ 4, which lets a better owner in, and takes six seconds"]
async fn a_lane_makes_room_for_a_better_owner() {
    let fleet = Fleet::start(10).await;
    let [worse, better] = WORSE_AND_BETTER.map(|name| fleet.worker_with(name, 20, NEVER));
    fleet.publish("a", numbered(0..50)).await;
    let (feed, got) = open(&worse, "a", 20).await;
    let mut waiting = soon(better.open_lane(&lane("a"))).await.unwrap();
    worse.commit(acks(&got[..10])).await.unwrap();
    // It gets nothing new any more; nothing but that says why.
    until("the lane wanting to be given away", || feed.wants_reopening().is_some()).await;
    assert_eq!(held(&worse).messages, 10);
    feed.close().await;
    assert_eq!(bodies(&take(&mut waiting, 20).await), texts(10..30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ 4, which lets a better owner in"]
async fn a_lane_that_was_somebody_elses_for_a_while_begins_anew() {
    let fleet = Fleet::start(10).await;
    let [worse, better] = WORSE_AND_BETTER.map(|name| fleet.worker_with(name, 20, NEVER));
    fleet.publish("a", numbered(0..1)).await;
    let (mut feed, got) = open(&worse, "a", 1).await;
    worse.commit(acks(&got)).await.unwrap();
    let mut best = soon(better.open_lane(&lane("a"))).await.unwrap();
    fleet.publish("a", numbered(1..5)).await;
    assert_eq!(bodies(&take(&mut best, 4).await), texts(1..5));
    assert!(fleet.proxy.cut("tagmill w2 consuming") > 0);
    assert!(is_lost(&soon(feed.next(10)).await));
    let (_feed, got) = open(&worse, "a", 4).await;
    assert_eq!(bodies(&got), texts(1..5));
}
