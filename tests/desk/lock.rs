//! One holder at a time, and none that is dead.

use crate::support::{address, link, on_a_clean_broker};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tagmill::broker::{
    BrokerError,
    rabbitmq::{Link, Lock},
};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_lock_has_one_holder_on_one_connection_and_on_many() {
    on_a_clean_broker(|| async {
        let shared = link().await;
        let holders = Arc::new(AtomicU32::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..6 {
            let link = if n % 2 == 0 { shared.clone() } else { Link::open(&address(), "own").await.unwrap() };
            let holders = Arc::clone(&holders);
            tasks.spawn(async move {
                for _ in 0..5 {
                    let lock = Lock::take(&link, "test").await.unwrap();
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1, "two hold it");
                    lock.release().await;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
}

#[test]
fn a_lock_that_is_held_is_told_with_what_to_do() {
    on_a_clean_broker(|| async {
        let (one, other) = (link().await, link().await);
        let held = Lock::take(&one, "test").await.unwrap();
        let free = Lock::take(&other, "another").await.unwrap();
        for link in [&one, &other] {
            let error = Lock::take_within(link, "test", SHORT).await.unwrap_err();
            let BrokerError::InUse(text) = &error else { panic!("{error:?}") };
            assert!(text.contains("tagmill.tmp.lock.test") && text.contains("try again"), "{text}");
            assert!(link.is_up(), "an error of one channel is not the loss of the connection");
        }
        free.release().await;
        held.release().await;
        Lock::take_within(&other, "test", SHORT).await.unwrap().release().await;
    });
}

#[test]
fn a_lock_goes_with_its_connection() {
    on_a_clean_broker(|| async {
        let (one, other) = (link().await, link().await);
        let held = Lock::take(&one, "test").await.unwrap();
        one.close().await;
        Lock::take_within(&other, "test", Duration::from_secs(10)).await.unwrap().release().await;
        drop(held);
    });
}

#[test]
fn a_lock_that_is_dropped_or_given_up_halfway_is_free() {
    on_a_clean_broker(|| async {
        let (one, other) = (link().await, link().await);
        drop(Lock::take(&one, "test").await.unwrap());
        Lock::take_within(&other, "test", Duration::from_secs(10)).await.unwrap().release().await;
        for millis in 0..20 {
            // Given up while it was being taken, at one moment or another; its connection lives on.
            let taking = tokio::time::timeout(Duration::from_micros(200 * millis), Lock::take(&one, "test"));
            drop(taking.await);
            Lock::take_within(&other, "test", Duration::from_secs(10)).await.unwrap().release().await;
        }
    });
}
