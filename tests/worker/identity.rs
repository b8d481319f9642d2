//! Credentials that are refused, corrected, slow: nothing dies of them, and nobody has to start the worker anew.

use crate::world::{World, ready, stop, until, view};
use std::{path::PathBuf, time::Duration};
use tagmill::{job::LaneName, sim::well_known, worker::clock};

struct Key {
    folder: tempfile::TempDir,
}

impl Key {
    fn new(text: &str) -> Self {
        let key = Self { folder: tempfile::tempdir().unwrap() };
        key.write(text);
        key
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn secret(&self) -> String {
        format!("secret_key: {{file: '{}'}}", self.path().display())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_corrected_where_it_is_kept_is_noticed_and_nothing_has_died() {
    let world = World::new().await;
    let key = Key::new("mistyped");
    world.publish("a", "x", 20);
    let service = world.serve(&[world.lane_with("a", &key.secret(), "")]);
    let paused = || view(&service).status.paused;
    until("it is paused", || paused().is_some_and(|why| why.contains("refuses the credentials"))).await;
    let before = world.requests();
    // It looks again by itself, and stays paused while the key is wrong.
    until("it has tried again", || world.requests() > before && paused().is_some()).await;
    assert_eq!(world.receipts(), 0);
    key.write(well_known::HUAWEI_SECRET_KEY);
    until("receipts", || world.receipts() == 20).await;
    assert!(world.fake.state().dead.is_empty());
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_missing_at_the_start_is_noticed_when_it_comes() {
    let world = World::new().await;
    let key = Key::new("x");
    std::fs::remove_file(key.path()).unwrap();
    world.publish("a", "x", 20);
    let service = world.serve(&[world.lane_with("a", &key.secret(), "")]);
    until("it is paused", || view(&service).status.paused.is_some_and(|why| why.contains("could not be read"))).await;
    until("it holds its work", || view(&service).status.jobs == 20 && view(&service).status.paused.is_some()).await;
    assert_eq!((world.requests(), view(&service).status.counts.calls), (0, 0));
    key.write(well_known::HUAWEI_SECRET_KEY);
    until("receipts", || world.receipts() == 20).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_good_again_does_not_end_an_operators_pause() {
    let world = World::new().await;
    let key = Key::new("x");
    std::fs::remove_file(key.path()).unwrap();
    world.publish("a", "x", 5);
    let service = world.serve(&[world.lane_with("a", &key.secret(), "")]);
    until("it is paused", || view(&service).status.paused.is_some_and(|why| why.contains("could not be read"))).await;
    let lane = LaneName::new("a").unwrap();
    world.fake.order(|orders| orders.paused.extend([(lane.clone(), clock::wall())]));
    key.write(well_known::HUAWEI_SECRET_KEY);
    until("only the operator's pause is left", || {
        view(&service).status.paused.as_deref() == Some("paused by the operator")
    })
    .await;
    assert_eq!(world.requests(), 0);
    world.fake.order(|orders| orders.paused.clear());
    until("receipts", || world.receipts() == 5).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_takes_long_holds_up_neither_orders_nor_the_end() {
    let world = World::new().await;
    world.publish("a", "x", 5);
    let service = world.serve(&[world.lane_with("a", "secret_key: {exec: [sleep, '3']}", "")]);
    ready(&service).await;
    let asked = clock::monotonic();
    stop(service).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
    assert_eq!((world.fake.left("a"), world.requests()), (5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_called_before_the_lane_knows_who_it_is() {
    let world = World::new().await;
    world.publish("a", "x", 5);
    let slowly = format!("secret_key: {{exec: [sh, -c, 'sleep 0.3; echo {}']}}", well_known::HUAWEI_SECRET_KEY);
    let service = world.serve(&[world.lane_with("a", &slowly, "")]);
    until("receipts", || world.receipts() == 5).await;
    let counts = view(&service).status.counts;
    assert_eq!((counts.calls, counts.retries), (1, 0), "no call was made for want of a credential");
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_opened_again_goes_on_with_the_credential_it_had() {
    let world = World::new().await;
    let key = Key::new(well_known::HUAWEI_SECRET_KEY);
    let service = world.serve(&[world.lane_with("a", &key.secret(), "")]);
    ready(&service).await;
    world.publish("a", "x", 1);
    until("a receipt", || world.receipts() == 1).await;
    std::fs::remove_file(key.path()).unwrap();
    world.fake.lose("a");
    world.publish("a", "y", 1);
    until("another", || world.receipts() == 2).await;
    stop(service).await;
}
