//! Lanes that get in each other's way: two of them on one account and API share its limit and have no common order.

use super::credentials::Credentials;
use super::lane::LaneConfig;
use super::lanes::Placed;
use super::read::Notes;
use std::collections::HashMap;

/// Replaces a whole tag set, so that two lanes on one bucket lose each other's tags.
const REPLACING: &str = "aws-s3";

/// What two lanes have alike when they can reach the same account and API.
#[derive(PartialEq, Eq, Hash)]
struct Reach<'l> {
    provider: &'static str,
    /// Nothing where one endpoint serves all regions.
    region: Option<&'l str>,
    endpoint: Option<&'l str>,
    credentials: &'l Credentials,
}

impl<'l> Reach<'l> {
    fn of(lane: &'l LaneConfig) -> Self {
        Self {
            provider: lane.provider.name,
            region: lane.provider.regional.then_some(lane.settings.region.as_str()),
            endpoint: lane.settings.endpoint.as_deref(),
            credentials: &lane.credentials,
        }
    }
}

/// Warns of lanes that can reach the same account and API; refuses them where they could destroy each other's work.
/// Of the lanes of one entry the first pair is told, with how many more there are.
pub(super) fn check(lanes: &[Placed], notes: &mut Notes) {
    let mut seen: HashMap<Reach<'_>, &LaneConfig> = HashMap::new();
    let mut pairs = Vec::new();
    for (place, lane) in lanes {
        match seen.entry(Reach::of(lane)) {
            std::collections::hash_map::Entry::Occupied(other) => pairs.push((place, *other.get(), lane)),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(lane);
            }
        }
    }
    for pairs in pairs.chunk_by(|(left, ..), (right, ..)| left == right) {
        let Some((place, other, lane)) = pairs.first() else { continue };
        let (name, other) = (&lane.name, &other.name);
        let more = if pairs.len() > 1 { format!(" (and {} more such pairs)", pairs.len() - 1) } else { String::new() };
        if lane.provider.name == REPLACING {
            let text = format!(
                "lanes {other} and {name} can reach the same buckets, and a write replaces all tags; make them one \
                lane{more}"
            );
            notes.error(place, "lanes", text);
        } else {
            let text = format!(
                "lanes {other} and {name} can reach the same account and API: they share its limit, and between them \
                there is no order{more}"
            );
            notes.warn(place, "lanes", text);
        }
    }
}
