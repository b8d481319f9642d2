//! The jobs of a test, and the tags that they lead to, worked out the slow way.

use crate::{
    amqp::Outgoing,
    fleet::{Fleet, Lane},
    support::Tags,
};
use std::collections::{BTreeMap, BTreeSet};

/// Jobs in the order of their publication, and what must come of them.
#[derive(Default)]
pub struct Truth {
    pub messages: Vec<Outgoing>,
    pub items: u64,
    /// Tags by lane.
    wanted: BTreeMap<String, Tags>,
    /// Resources that must be dead, by lane, as the jobs name them.
    poison: BTreeMap<String, BTreeSet<String>>,
    /// Items that must be dead.
    pub dead: u64,
}

impl Truth {
    /// A job for these resources. Those whose id begins with `gone` cannot be tagged.
    pub fn job(&mut self, lane: &Lane, id: &str, resources: &[String], set: &[(&str, String)]) {
        self.messages.push(Outgoing {
            lane: lane.name.clone(),
            id: id.to_owned(),
            body: body(lane, id, resources, set, ""),
        });
        self.items += resources.len() as u64;
        for resource in resources {
            if resource.starts_with("gone") {
                self.dead += 1;
                self.poison.entry(lane.name.clone()).or_default().insert(resource.clone());
                continue;
            }
            let tags = self.wanted.entry(lane.name.clone()).or_default().entry(lane.shown(resource)).or_default();
            tags.extend(set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        }
    }

    /// The clouds hold exactly what the jobs lead to.
    #[track_caller]
    pub fn holds(&self, fleet: &Fleet) {
        for lane in &fleet.lanes {
            let (found, nothing) = (fleet.tags(lane), Tags::new());
            let wanted = self.wanted.get(&lane.name).unwrap_or(&nothing);
            assert_eq!(found.len(), wanted.len(), "{}: resources", lane.name);
            for (resource, tags) in wanted {
                assert_eq!(found.get(resource), Some(tags), "{}: {resource}", lane.name);
            }
        }
    }

    /// Exactly the poison is dead, by id.
    #[track_caller]
    pub fn only_poison_is_dead(&self, fleet: &Fleet) {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for letter in fleet.home.dead_letters() {
            let lane = letter["job"]["lane"].as_str().unwrap_or_else(|| panic!("{letter}")).to_owned();
            for failure in letter["failures"].as_array().unwrap() {
                let resource = &failure["resource"];
                let id = resource.as_str().or(resource["id"].as_str()).unwrap();
                found.entry(lane.clone()).or_default().insert(id.rsplit('/').next().unwrap().to_owned());
            }
        }
        assert_eq!(found, self.poison);
    }
}

/// A job message as a person would write it; `more` is JSON that goes before the end.
pub fn body(lane: &Lane, id: &str, resources: &[String], set: &[(&str, String)], more: &str) -> Vec<u8> {
    let resources: Vec<String> = resources.iter().map(|id| lane.resource(id)).collect();
    let set: BTreeMap<&str, &String> = set.iter().map(|(key, value)| (*key, value)).collect();
    let (name, set, resources) = (&lane.name, serde_json::to_string(&set).unwrap(), resources.join(","));
    format!(r#"{{"version":1,"id":"{id}","lane":"{name}","set":{set},"resources":[{resources}]{more}}}"#).into_bytes()
}
