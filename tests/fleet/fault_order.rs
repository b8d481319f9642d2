//! Three values for one key of one resource, in three jobs, with kills between: the last one stands.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    truth::Truth,
};
use std::time::Duration;
use tagmill::sim::{Api, Faults, Slow};

#[test]
fn the_last_of_three_values_stands_on_every_resource_whoever_is_killed_in_between() {
    let faults = Faults {
        error_500: 0.05,
        reset_after: 0.05,
        slow: Slow { probability: 0.3, min_ms: 50, max_ms: 400 },
        ..Faults::default()
    };
    let lanes: Vec<Lane> = [("tms", Api::HuaweiTms), ("rds", Api::AlibabaRds)]
        .into_iter()
        .map(|(name, api)| Lane { faults: faults.clone(), ..Lane::new(name, api) })
        .collect();
    let Some(fleet) = Fleet::start(lanes) else { return };
    let mut rng = fastrand::Rng::with_seed(9);
    let mut truth = Truth::default();
    let mut n = 0;
    for round in 0..3 {
        for lane in &fleet.lanes {
            // Jobs of several sizes over the same resources, cut in another way each time.
            let mut left: Vec<String> = (0..1200).map(|r| format!("r-{r}")).collect();
            rng.shuffle(&mut left);
            while !left.is_empty() {
                let size = [1, 1, 3, 40, 200][rng.usize(..5)].min(left.len());
                let resources = left.split_off(left.len() - size);
                let value = format!("{round}-{}", rng.usize(..4));
                n += 1;
                truth.job(lane, &format!("job-{n}"), &resources, &[("owner", value)]);
            }
        }
    }
    let jobs = truth.messages.len();
    let mut workers = vec![fleet.worker(), fleet.worker()];
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    for kill in 1..=6 {
        fleet.runtime.block_on(receipts.wait_for(jobs * kill / 8, Duration::from_mins(3)));
        workers.remove(0).kill();
        workers.push(fleet.worker());
    }
    fleet.runtime.block_on(receipts.wait_for(jobs, Duration::from_mins(3)));
    truth.holds(&fleet);
    assert_eq!(receipts.sum(|receipt| receipt.dead), 0);
}
