//! Standing orders: no change is lost, whoever makes it and wherever it breaks off.

use crate::support::{address, lane, link, names, on_a_clean_broker, publisher, put, raw_channel, ready};
use jiff::Timestamp;
use lapin::BasicProperties;
use std::{collections::BTreeSet, time::Duration};
use tagmill::{
    broker::{
        BrokerError, CancelOrder, Orders,
        rabbitmq::{Link, orders},
    },
    worker::clock,
};

#[test]
fn eight_who_change_the_orders_at_once_lose_no_change() {
    on_a_clean_broker(|| async {
        let (shared, publisher) = (link().await, publisher());
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8 {
            // Some on connections of their own, some on one.
            let link = if n < 4 { Link::open(&address(), "own").await.unwrap() } else { shared.clone() };
            let publisher = publisher.clone();
            tasks.spawn(async move {
                for m in 0..5 {
                    let lanes = [lane(&format!("lane-{n}-{m}"))];
                    orders::register(&link, &publisher, clock::wall(), lanes).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let all = orders::read(&shared).await.unwrap();
        let expected: BTreeSet<_> = (0..8).flat_map(|n| (0..5).map(move |m| lane(&format!("lane-{n}-{m}")))).collect();
        assert_eq!((all.revision, all.lanes), (40, expected));
        assert_eq!(ready(&shared, names::ORDERS).await, 1);
    });
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        for _ in 0..3 {
            let orders = orders::register(&link, &publisher, clock::wall(), [lane("a"), lane("b")]).await.unwrap();
            assert_eq!(orders.revision, 1);
        }
    });
}

#[test]
fn orders_that_are_read_many_times_are_still_there() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let now = clock::wall();
        let changed = orders::change(&link, &publisher, now, |orders| orders.pause(&lane("a"), now)).await.unwrap();
        for _ in 0..50 {
            assert_eq!(orders::read(&link).await.unwrap(), changed);
        }
    });
}

/// The document of a change that broke off before the old one was removed.
async fn left_behind(link: &Link, orders: &Orders) {
    let channel = raw_channel(link).await;
    let body = serde_json::to_vec(orders).unwrap();
    put(&channel, names::DIRECT, names::ORDERS, BasicProperties::default(), &body).await;
}

#[test]
fn a_change_that_broke_off_leaves_two_documents_that_say_the_same_as_one() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let now = clock::wall();
        let before = orders::change(&link, &publisher, now, |orders| orders.pause(&lane("a"), now)).await.unwrap();
        let mut after = before.clone();
        after.resume(&lane("a"), now);
        after.revision += 1;
        left_behind(&link, &after).await;
        assert_eq!(orders::read(&link).await.unwrap(), after);
        assert_eq!(ready(&link, names::ORDERS).await, 2);
        // The next one cleans up, even if it has nothing else to say.
        let next = orders::change(&link, &publisher, now, |_| {}).await.unwrap();
        assert_eq!((next.revision, next.paused, next.resumed), (3, after.paused, after.resumed));
        assert_eq!(ready(&link, names::ORDERS).await, 1);
    });
}

#[test]
fn changes_given_up_at_any_moment_take_back_none_that_was_made() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let mut made = BTreeSet::new();
        for n in 0..60_u64 {
            let name = lane(&format!("lane-{n}"));
            let changing = orders::register(&link, &publisher, clock::wall(), [name.clone()]);
            // Every other one has all the time it wants.
            let patience = if n % 2 == 0 { Duration::from_micros(n * 250) } else { Duration::from_mins(1) };
            if let Ok(changed) = tokio::time::timeout(patience, changing).await {
                assert!(made.iter().all(|lane| changed.as_ref().unwrap().lanes.contains(lane)));
                made.insert(name);
            }
        }
        let all = orders::read(&link).await.unwrap().lanes;
        assert!(made.len() >= 30 && made.is_subset(&all), "{:?}", made.difference(&all).collect::<Vec<_>>());
    });
}

#[test]
fn old_orders_to_cancel_are_dropped_with_the_next_change() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let cancel = |at: i64| {
            let at = Timestamp::from_second(at).unwrap();
            move |orders: &mut Orders| {
                orders.cancelled.push(CancelOrder { lane: None, job: None, batch: Some("b".into()), at });
            }
        };
        let day = 86_400;
        let at = |day_number: i64| Timestamp::from_second(day_number * day).unwrap();
        orders::change(&link, &publisher, at(100), cancel(100 * day)).await.unwrap();
        orders::change(&link, &publisher, at(120), cancel(120 * day)).await.unwrap();
        let orders = orders::register(&link, &publisher, at(131), [lane("a")]).await.unwrap();
        assert_eq!(orders.cancelled.iter().map(|order| order.at).collect::<Vec<_>>(), [at(120)]);
    });
}

#[test]
fn a_document_that_cannot_be_read_is_told_and_pauses_stay() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let channel = raw_channel(&link).await;
        put(&channel, names::DIRECT, names::ORDERS, BasicProperties::default(), b"gibberish").await;
        let error = orders::read(&link).await.unwrap_err();
        assert!(matches!(&error, BrokerError::Storage(text) if text.contains("tagmill.orders")), "{error}");
        assert!(orders::register(&link, &publisher, clock::wall(), [lane("a")]).await.is_err());
        assert_eq!(ready(&link, names::ORDERS).await, 1, "it is not thrown away");
        let mut paused = Orders { revision: 1, ..Orders::default() };
        paused.pause(&lane("a"), clock::wall());
        left_behind(&link, &paused).await;
        assert_eq!(orders::read(&link).await.unwrap(), paused);
    });
}
