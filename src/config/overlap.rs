//! Lanes that get in each other's way: two of them on one account and API share its limit and have no common order.

use super::lane::LaneConfig;
use super::read::Notes;
use super::tree::Tree;

/// Replaces a whole tag set, so that two lanes on one bucket lose each other's tags.
const REPLACING: &str = "aws-s3";

/// Warns of lanes that can reach the same account and API; refuses them where they could destroy each other's work.
pub(super) fn check(lanes: &[(&Tree, LaneConfig)], notes: &mut Notes) {
    for (index, (tree, lane)) in lanes.iter().enumerate() {
        let Some((_, other)) = lanes.iter().take(index).find(|(_, other)| meet(lane, other)) else { continue };
        let (name, other) = (&lane.name, &other.name);
        if lane.provider.name == REPLACING {
            let text = format!(
                "lanes {other} and {name} can reach the same buckets, and a write replaces all tags; make them one lane"
            );
            notes.error(&tree.place, "lanes", text);
        } else {
            let text = format!(
                "lanes {other} and {name} can reach the same account and API: they share its limit, and between them \
                there is no order"
            );
            notes.warn(&tree.place, "lanes", text);
        }
    }
}

fn meet(left: &LaneConfig, right: &LaneConfig) -> bool {
    let same_place = !left.provider.regional || left.settings.region == right.settings.region;
    left.provider.name == right.provider.name
        && same_place
        && left.settings.endpoint == right.settings.endpoint
        && left.credentials == right.credentials
}
