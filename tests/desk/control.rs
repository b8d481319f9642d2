//! What reaches a worker: orders as they change, and questions.

use crate::support::{Worker, lane, link, names, on_a_clean_broker, publisher, put, raw_channel, until};
use lapin::BasicProperties;
use std::time::Duration;
use tagmill::{
    broker::rabbitmq::{
        control::{Asker, LaneReport, LaneState},
        orders,
    },
    worker::clock,
};

#[test]
fn a_pause_reaches_every_worker_at_once_and_whoever_comes_later() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let now = clock::wall();
        let early = [Worker::start("w1", vec![]).await, Worker::start("w2", vec![]).await];
        let began = clock::monotonic();
        let pause = |orders: &mut tagmill::broker::Orders| orders.pause(&lane("a"), now);
        let changed = orders::change(&link, &publisher, now, pause).await.unwrap();
        let late = Worker::start("w3", vec![]).await;
        for worker in early.iter().chain([&late]) {
            worker.hears(|orders| *orders == changed).await;
        }
        assert!(clock::monotonic() - began < Duration::from_secs(20), "not the news, but the look after 30 s");
    });
}

#[test]
fn orders_that_were_purged_stay_in_force_where_they_are_known() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let now = clock::wall();
        orders::register(&link, &publisher, now, [lane("a")]).await.unwrap();
        orders::change(&link, &publisher, now, |orders| orders.pause(&lane("a"), now)).await.unwrap();
        let worker = Worker::start("w1", vec![]).await;
        worker.hears(|orders| orders.paused.contains_key(&lane("a"))).await;
        raw_channel(&link).await.queue_purge(names::ORDERS.into(), Default::default()).await.unwrap();
        // A change that begins anew is heard all the same.
        orders::change(&link, &publisher, now, |orders| orders.pause(&lane("b"), now)).await.unwrap();
        worker.hears(|orders| orders.paused.contains_key(&lane("b"))).await;
        assert!(worker.orders().paused.contains_key(&lane("a")));
    });
}

#[test]
fn every_worker_answers_a_question_with_its_report() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let mut lane = LaneReport::waiting(lane("desk-a"));
        (lane.state, lane.held, lane.rate) = (LaneState::Active, 7, 1.5);
        let workers = [Worker::start("w2", vec![lane.clone()]).await, Worker::start("w1", vec![]).await];
        let mut asker = Asker::new(&link).await.unwrap().unwrap();
        let before = workers[1].asked();
        for _ in 0..3 {
            let reports = asker.status(Duration::from_secs(20), |reports| reports.len() == 2).await.unwrap();
            let names: Vec<_> = reports.iter().map(|report| report.worker.as_str()).collect();
            assert_eq!(names, ["w1", "w2"]);
            assert_eq!(reports[1].lanes, [lane.clone()]);
        }
        asker.close().await;
        assert_eq!(workers[1].asked() - before, 3);
    });
}

#[test]
fn nobody_answers_where_nobody_is_and_the_wait_has_an_end() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let mut asker = Asker::new(&link).await.unwrap().unwrap();
        assert!(asker.status(Duration::from_millis(200), |_| false).await.unwrap().is_empty());
        asker.close().await;
    });
}

#[test]
fn a_question_cannot_make_a_worker_write_into_another_queue() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let worker = Worker::start("w1", vec![]).await;
        let channel = raw_channel(&link).await;
        for (reply_to, body) in [
            (Some(names::ORDERS), r#"{"ask":"status"}"#),
            (None, r#"{"ask":"status"}"#),
            (Some("tagmill.tmp.answers.x"), r#"{"ask":"the weather"}"#),
            (Some("tagmill.tmp.answers.x"), "gibberish"),
            (Some("tagmill.tmp.answers.gone"), r#"{"ask":"status"}"#),
        ] {
            let properties = reply_to
                .map_or_else(BasicProperties::default, |name| BasicProperties::default().with_reply_to(name.into()));
            put(&channel, names::CONTROL, "", properties, body.as_bytes()).await;
        }
        // Only the last one is one; that nobody is there to hear the answer hurts nobody.
        until("the worker was asked", async || worker.asked() == 1).await;
        let mut asker = Asker::new(&link).await.unwrap().unwrap();
        assert_eq!(asker.status(Duration::from_secs(20), |reports| !reports.is_empty()).await.unwrap().len(), 1);
        assert_eq!(worker.asked(), 2);
    });
}

#[test]
fn the_ear_of_a_worker_ends_with_its_connection() {
    on_a_clean_broker(|| async {
        let worker = Worker::start("w1", vec![]).await;
        worker.hears(|_| true).await;
        worker.loses_its_connection().await;
    });
}
