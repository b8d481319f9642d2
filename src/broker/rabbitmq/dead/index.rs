//! What is known of all dead letters without their bodies: one entry each, however often it was published.

use super::{
    reading::Place,
    seen::{Seen, look},
};
use crate::{
    broker::{DeadCount, DeadEntry, DeadFilter, Pick, rabbitmq::names::Names},
    job::stable_hash,
};
use jiff::Timestamp;
use lapin::message::Delivery;
use std::collections::{HashMap, HashSet};

/// All dead letters of a fleet at one time, in the order in which they came.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) letters: Vec<Letter>,
    /// Id and print to place.
    places: HashMap<String, usize>,
    ids: HashSet<String>,
    names: Names,
    pub(super) unseen: u64,
}

#[derive(Debug)]
pub(super) struct Letter {
    pub(super) entry: DeadEntry,
    /// The body of the last one, where there is more than one: the last one stands, in the place of the first.
    pub(super) last: Option<Vec<u8>>,
}

/// Some dead letters of an index.
#[derive(Clone, Debug)]
pub struct Picked {
    is_picked: Vec<bool>,
    count: DeadCount,
}

impl Picked {
    /// How many they are.
    pub fn count(&self) -> DeadCount {
        self.count
    }

    pub(super) fn has(&self, place: usize) -> bool {
        self.is_picked.get(place).copied().unwrap_or(false)
    }
}

impl Index {
    pub(super) fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    /// Those that pass, in their order; as many as the filter's limit.
    pub fn entries(&self, filter: &DeadFilter) -> impl Iterator<Item = &DeadEntry> {
        let limit = usize::try_from(filter.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        self.letters.iter().map(|letter| &letter.entry).filter(|entry| filter.takes(entry)).take(limit)
    }

    /// Those that are meant; the first id that nobody has, where there is one.
    pub fn pick(&self, pick: &Pick) -> Result<Picked, String> {
        let wanted: HashSet<&str> = match pick {
            Pick::Ids(ids) => {
                if let Some(id) = ids.iter().find(|id| !self.ids.contains(*id)) {
                    return Err(id.clone());
                }
                ids.iter().map(String::as_str).collect()
            }
            Pick::Matching(filter) => self.entries(filter).map(|entry| entry.id.as_str()).collect(),
        };
        let mut picked = Picked { is_picked: Vec::with_capacity(self.letters.len()), count: DeadCount::default() };
        for Letter { entry, .. } in &self.letters {
            let is_picked = wanted.contains(entry.id.as_str());
            picked.is_picked.push(is_picked);
            if is_picked {
                picked.count.letters += 1;
                picked.count.items += entry.items;
                picked.count.raw += u64::from(entry.raw);
            }
        }
        Ok(picked)
    }

    /// Messages that could not be looked at: start a worker, it makes dead letters of them.
    pub fn unseen(&self) -> u64 {
        self.unseen
    }

    pub(super) fn add(&mut self, place: Place, delivery: Delivery, now: Timestamp) {
        let Seen { mut entry, print } = look(&self.names, place, &delivery, now);
        let key = stable_hash(&[&entry.id, &print]);
        if let Some(known) = self.places.get(&key).and_then(|at| self.letters.get_mut(*at)) {
            entry.id.clone_from(&known.entry.id);
            *known = Letter { entry, last: Some(delivery.data) };
            return;
        }
        // Two jobs of one id are two jobs.
        if self.ids.contains(&entry.id) {
            entry.id = format!("{}-{}", entry.id, print.get(..12).unwrap_or(&print));
        }
        self.ids.insert(entry.id.clone());
        self.places.insert(key, self.letters.len());
        self.letters.push(Letter { entry, last: None });
    }

    /// The place of a message that was there when the index was made.
    pub(super) fn find(&self, place: Place, delivery: &Delivery, now: Timestamp) -> Option<usize> {
        let Seen { entry, print } = look(&self.names, place, delivery, now);
        self.places.get(&stable_hash(&[&entry.id, &print])).copied()
    }
}
