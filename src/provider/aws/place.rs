//! Where a lane works: region, partition, host names, account. Source: the partition table of the vendor's SDK.

use super::arn::Arn;
use crate::provider::{
    Settings,
    endpoint::{Endpoint, check_region},
};

/// Regions by the start of their name, with the partition and the suffix of host names. The first that fits counts.
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
];

/// Partition and host suffix of a region.
pub(super) fn partition(region: &str) -> (&'static str, &'static str) {
    let known = PARTITIONS.iter().find(|(start, ..)| region.starts_with(start));
    known.map_or(("aws", "amazonaws.com"), |(_, partition, suffix)| (partition, suffix))
}

/// Where a lane works.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) region: String,
    /// The account the lane's resources belong to, where the config says so.
    pub(super) account: Option<String>,
    /// In place of AWS's own hosts.
    pub(super) endpoint: Option<Endpoint>,
}

impl Place {
    /// The place of a lane, or every wrong setting, the field's name first.
    pub(super) fn of(settings: &Settings) -> Result<Self, String> {
        let region = check_region(&settings.region);
        let endpoint = settings.endpoint.as_deref().map(Endpoint::parse).transpose();
        let account = match settings.account_id.as_deref() {
            Some(id) if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()) => {
                Err("account_id: an AWS account has 12 digits".to_owned())
            }
            account => Ok(account.map(str::to_owned)),
        };
        match (region, endpoint, account) {
            (Ok(()), Ok(endpoint), Ok(account)) => Ok(Self { region: settings.region.clone(), account, endpoint }),
            (region, endpoint, account) => {
                let problems = [region.err(), endpoint.err(), account.err()];
                Err(problems.into_iter().flatten().collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Scheme and host of a service: the lane's own endpoint, or `https://{prefix}.{region}.{suffix}`.
    pub(super) fn base(&self, prefix: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.base.clone(),
            None => format!("https://{prefix}.{}.{}", self.region, partition(&self.region).1),
        }
    }

    /// An ARN that this lane can reach, or what is wrong with it. AWS refuses the whole call for some of these.
    pub(super) fn arn<'a>(&self, id: &'a str) -> Result<Arn<'a>, String> {
        let arn =
            Arn::parse(id).map_err(|why| format!("id: {why}; an ARN is arn:aws:service:region:account:resource"))?;
        let (ours, _) = partition(&self.region);
        if arn.partition != ours {
            return Err(format!("id: its partition is {}, the lane's is {ours}", arn.partition));
        }
        // Global resources and buckets have no region in their ARN.
        if !arn.region.is_empty() && arn.region != self.region {
            return Err(format!("id: its region is {}, the lane's is {}", arn.region, self.region));
        }
        match &self.account {
            Some(ours) if !arn.account.is_empty() && arn.account != *ours => {
                Err(format!("id: its account is {}, the lane's is {ours}", arn.account))
            }
            _ => Ok(arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str, account: Option<&str>) -> Place {
        let account_id = account.map(str::to_owned);
        Place::of(&Settings { region: region.into(), account_id, ..Settings::default() }).expect("a place")
    }

    #[test]
    fn hosts_follow_the_partition() {
        for (region, base) in [
            ("us-east-1", "https://backup.us-east-1.amazonaws.com"),
            ("us-gov-west-1", "https://backup.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "https://backup.cn-north-1.amazonaws.com.cn"),
            ("us-isob-east-1", "https://backup.us-isob-east-1.sc2s.sgov.gov"),
            ("us-iso-east-1", "https://backup.us-iso-east-1.c2s.ic.gov"),
            ("eusc-de-east-1", "https://backup.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(place(region, None).base("backup"), base);
        }
    }

    #[test]
    fn an_arn_of_another_partition_region_or_account_is_out_of_reach() {
        let place = place("us-east-1", Some("123456789012"));
        for (arn, field) in [
            ("arn:aws-cn:ec2:us-east-1:123456789012:instance/i", "partition"),
            ("arn:aws:ec2:us-east-2:123456789012:instance/i", "region"),
            ("arn:aws:ec2:us-east-1:999999999999:instance/i", "account"),
            ("i-1", "begin"),
        ] {
            let problem = place.arn(arn).expect_err(arn);
            assert!(problem.starts_with("id: ") && problem.contains(field), "{problem}");
        }
        assert!(place.arn("arn:aws:ec2:us-east-1:123456789012:instance/i").is_ok());
        assert!(place.arn("arn:aws:s3:::bucket").is_ok());
    }

    #[test]
    fn an_account_has_twelve_digits() {
        for wrong in ["", "12345678901", "1234567890123", "12345678901x"] {
            let settings =
                Settings { region: "us-east-1".into(), account_id: Some(wrong.into()), ..Settings::default() };
            assert!(Place::of(&settings).is_err_and(|problem| problem.starts_with("account_id: ")), "{wrong}");
        }
    }
}
