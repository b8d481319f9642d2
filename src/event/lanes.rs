//! From an event to the lane that reaches its account and region.

use super::{Event, Source};
use crate::job::LaneName;

/// What is known of a lane of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneFacts {
    /// Its name.
    pub name: LaneName,
    /// Its provider.
    pub provider: String,
    /// Its region.
    pub region: String,
    /// Whether it reaches that region alone.
    pub regional: bool,
    /// Its account, where the config says.
    pub account: Option<String>,
}

/// Which lanes a rule may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted<'w> {
    pub(super) provider: Option<&'w str>,
    pub(super) account: Option<&'w str>,
    pub(super) region: Option<&'w str>,
}

impl LaneFacts {
    /// Whether it could reach what the event is about. A lane that does not say its account might.
    fn reaches(&self, event: &Event, wanted: &Wanted<'_>, provider: &str) -> bool {
        let account = wanted.account.or(event.account.as_deref());
        let region = wanted.region.or(event.region.as_deref());
        self.provider == provider
            && wanted.provider.is_none_or(|wanted| wanted == provider)
            && (!self.regional || region == Some(&*self.region))
            && self.account.as_deref().is_none_or(|mine| account == Some(mine))
    }
}

/// The lane of the first provider of these that has one, and which provider that was. Lanes that name the event's
/// account go before lanes that name none; of those there must be one only, or an event of one account could be carried
/// out in another.
pub(super) fn choose<'l>(
    lanes: &'l [LaneFacts],
    event: &Event,
    wanted: &Wanted<'_>,
    providers: impl IntoIterator<Item = &'l str>,
) -> Result<(usize, &'l LaneFacts), String> {
    let mut vague = None;
    for (index, provider) in providers.into_iter().enumerate() {
        let mut fits = lanes.iter().filter(|lane| lane.reaches(event, wanted, provider));
        if let Some(lane) = fits.clone().find(|lane| lane.account.is_some()) {
            return Ok((index, lane));
        }
        match (fits.next(), fits.next()) {
            (Some(lane), None) => vague = vague.or(Some((index, lane))),
            (Some(one), Some(other)) => {
                return Err(format!(
                    "lanes {} and {} may both be the one: say `account_id` in each, or name the lane in the rule",
                    one.name, other.name
                ));
            }
            (None, _) => {}
        }
    }
    vague.ok_or_else(|| {
        let word = |word: Option<&str>| word.unwrap_or("unknown").to_owned();
        let (account, region) = (word(event.account.as_deref()), word(event.region.as_deref()));
        format!("no lane of the config is for account {account} and region {region}")
    })
}

/// Whether a provider is of the cloud that an event came from.
pub(super) fn is_of(source: Source, provider: &str) -> bool {
    match source {
        Source::Aws => provider.starts_with("aws-"),
        Source::Alibaba => provider.starts_with("alibaba-"),
        Source::Huawei => provider.starts_with("huawei-"),
        Source::CloudEvents => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str, provider: &str, region: &str, account: Option<&str>) -> LaneFacts {
        LaneFacts {
            name: LaneName::new(name).unwrap(),
            provider: provider.into(),
            region: region.into(),
            regional: provider != "aws-s3",
            account: account.map(str::to_owned),
        }
    }

    fn event(account: &str, region: &str) -> Event {
        Event {
            cloud: Source::Aws,
            source: "aws.ec2".into(),
            id: "1".into(),
            service: "ec2".into(),
            name: "RunInstances".into(),
            time: None,
            account: Some(account.into()),
            region: Some(region.into()),
            project: None,
            creator: None,
            ignored: None,
            record: serde_json::Value::Null,
        }
    }

    fn chosen(lanes: &[LaneFacts], event: &Event) -> Result<String, String> {
        choose(lanes, event, &Wanted::default(), ["aws-s3", "aws-tagging"]).map(|(_, lane)| lane.name.to_string())
    }

    #[test]
    fn a_lane_that_names_the_account_goes_first_and_one_of_another_account_is_never_used() {
        let lanes = [
            lane("any", "aws-tagging", "eu", None),
            lane("a", "aws-tagging", "eu", Some("1")),
            lane("b", "aws-tagging", "eu", Some("2")),
            lane("us", "aws-tagging", "us", Some("1")),
        ];
        assert_eq!(chosen(&lanes, &event("1", "eu")).unwrap(), "a");
        assert_eq!(chosen(&lanes, &event("2", "eu")).unwrap(), "b");
        assert_eq!(chosen(&lanes, &event("3", "eu")).unwrap(), "any");
        assert!(chosen(&lanes[1..], &event("3", "eu")).unwrap_err().contains("account 3 and region eu"));
        assert!(chosen(&lanes, &event("2", "us")).is_err());
    }

    #[test]
    fn two_lanes_that_do_not_say_whose_they_are_are_not_guessed_between() {
        let lanes = [lane("x", "aws-tagging", "eu", None), lane("y", "aws-tagging", "eu", None)];
        assert!(chosen(&lanes, &event("1", "eu")).unwrap_err().starts_with("lanes x and y may both"));
    }

    #[test]
    fn the_best_provider_that_has_a_lane_is_taken_and_a_lane_of_all_regions_fits_every_region() {
        let lanes = [lane("t", "aws-tagging", "eu", Some("1")), lane("s3", "aws-s3", "us", Some("1"))];
        assert_eq!(chosen(&lanes, &event("1", "eu")).unwrap(), "s3");
        assert_eq!(chosen(&lanes[..1], &event("1", "eu")).unwrap(), "t");
        let vague = [lane("t", "aws-tagging", "eu", Some("1")), lane("s3", "aws-s3", "us", None)];
        assert_eq!(chosen(&vague, &event("1", "eu")).unwrap(), "t", "a sure lane before a vague one");
    }
}
