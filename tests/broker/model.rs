//! Any sequence of publishing, working and crashing, against a model in memory.

use crate::{
    disk::Disk,
    make::{head, lane},
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tagmill::broker::{Broker, Deed, Mark, Ticket, embedded::Embedded};

const LANES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Act {
    Publish {
        lane: usize,
        count: u8,
    },
    /// Acks some of the first messages, by bit, and marks an item of some others.
    Commit {
        lane: usize,
        acks: u16,
        marks: u16,
    },
    Reopen,
    Kill,
    /// Loses an arbitrary part of what was not synced.
    CutPower {
        seed: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..LANES.len(), 1..20_u8).prop_map(|(lane, count)| Act::Publish { lane, count }),
        6 => (0..LANES.len(), any::<u16>(), any::<u16>())
            .prop_map(|(lane, acks, marks)| Act::Commit { lane, acks, marks }),
        1 => Just(Act::Reopen),
        1 => Just(Act::Kill),
        2 => any::<u64>().prop_map(|seed| Act::CutPower { seed }),
    ]
}

/// The messages of each lane in order, with the marked items of each.
type Model = [Vec<(String, BTreeMap<u32, bool>)>; 2];

async fn check(queue: &Embedded, model: &Model) -> Result<[Vec<Ticket>; 2], TestCaseError> {
    let mut tickets = [Vec::new(), Vec::new()];
    for (n, name) in LANES.into_iter().enumerate() {
        prop_assert_eq!(queue.backlog(&lane(name)).await.unwrap(), model[n].len() as u64);
        let got = head(queue, name, model[n].len()).await;
        for (delivery, (body, marks)) in got.iter().zip(&model[n]) {
            prop_assert_eq!(&String::from_utf8_lossy(&delivery.body), body);
            let expected: Vec<_> =
                marks.iter().map(|(item, superseded)| (*item, Mark::Tagged { superseded: *superseded })).collect();
            prop_assert_eq!(&delivery.marks, &expected);
            tickets[n].push(delivery.ticket);
        }
    }
    Ok(tickets)
}

async fn play(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Disk::default();
    let mut queue = Embedded::open_with(dir.path(), disk.opener()).unwrap();
    let mut model = Model::default();
    let mut published = 0;
    for act in acts {
        let tickets = check(&queue, &model).await?;
        match act {
            Act::Publish { lane: n, count } => {
                let names: Vec<_> = (0..count).map(|k| format!("message {}", published + u32::from(k))).collect();
                published += u32::from(count);
                let messages = names.iter().map(|name| (1, name.clone().into_bytes())).collect();
                queue.publish(&lane(LANES[n]), messages).await.unwrap();
                model[n].extend(names.into_iter().map(|name| (name, BTreeMap::new())));
            }
            Act::Commit { lane: n, acks, marks } => {
                let bit = |bits: u16, at: usize| at < 16 && bits >> at & 1 == 1;
                let mut deeds = Vec::new();
                for (at, ticket) in tickets[n].iter().enumerate() {
                    if bit(marks, at) {
                        let superseded = bit(acks, at + 1);
                        deeds.push(Deed::Mark(*ticket, vec![(u32::from(acks % 7), Mark::Tagged { superseded })]));
                        model[n][at].1.insert(u32::from(acks % 7), superseded);
                    }
                    if bit(acks, at) {
                        deeds.push(Deed::Ack(*ticket));
                    }
                }
                queue.commit(deeds).await.unwrap();
                let mut at = 0;
                model[n].retain(|_| {
                    at += 1;
                    !bit(acks, at - 1)
                });
            }
            Act::Reopen | Act::Kill | Act::CutPower { .. } => {
                let mut file = None;
                match act {
                    Act::Kill => disk.kill(),
                    Act::CutPower { seed } => {
                        let mut random = fastrand::Rng::with_seed(seed);
                        disk.cut_power(|_| random.bool());
                    }
                    _ => {}
                }
                if !matches!(act, Act::Reopen) {
                    file = Some(std::fs::read(disk.path()).unwrap());
                }
                drop(queue);
                if let Some(left) = file {
                    // Closing has written more than the kill left.
                    std::fs::write(disk.path(), left).unwrap();
                }
                disk = Disk::default();
                queue = Embedded::open_with(dir.path(), disk.opener()).unwrap();
            }
        }
    }
    check(&queue, &model).await.map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_work_and_crashes_leaves_what_the_model_says(acts in prop::collection::vec(act(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts))?;
    }
}
