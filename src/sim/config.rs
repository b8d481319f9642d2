//! The simulator's configuration: which clouds there are, who may call them, and what goes wrong in them.

use super::faults::Faults;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};

/// Everything `tagmill sim --config FILE` reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimConfig {
    /// Every chance decision follows from this number.
    #[serde(default)]
    pub seed: u64,
    /// The clouds: one entry per provider and account.
    pub clouds: Vec<CloudConfig>,
}

/// One provider at one account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudConfig {
    /// The name under which the inspection answers speak of it.
    pub name: String,
    /// Which API it speaks.
    pub provider: Api,
    /// The only region it serves. Left out, it serves every region.
    #[serde(default)]
    pub region: Option<String>,
    /// The access key that names the account.
    pub access_key: String,
    /// The secret that requests must be signed with.
    #[serde(deserialize_with = "secret")]
    pub secret_key: SecretString,
    /// The token that must come with the key, where the key is a temporary one.
    #[serde(default, deserialize_with = "some_secret")]
    pub security_token: Option<SecretString>,
    /// Huawei: what X-Domain-Id must say. Left out, any value will do, but there must be one.
    #[serde(default)]
    pub domain_id: Option<String>,
    /// Alibaba Tag and AWS: the account number in ARNs, and who owns the buckets. Left out, every number is taken. STS:
    /// whose the key is, and the account whose roles can be taken.
    #[serde(default)]
    pub account_id: Option<String>,
    /// STS: what must come with a request for a role of this account. Left out, nothing may.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Alibaba STS: the token of an identity provider that is given roles of this account.
    #[serde(default, deserialize_with = "some_secret")]
    pub oidc_token: Option<SecretString>,
    /// Huawei: who may get a token with a password.
    #[serde(default)]
    pub users: Vec<User>,
    /// Huawei: how long a token lives. STS: how long a session lives at most.
    #[serde(default = "a_day")]
    pub token_ttl_s: u64,
    /// The account's rate limit. Left out, there is none.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// How a throttled call is told when to come back. Left out, it is not told.
    #[serde(default)]
    pub retry_after: Option<RetryAfter>,
    /// Huawei: who says that there were too many requests.
    #[serde(default)]
    pub throttled_by: ThrottledBy,
    /// The most tags one resource may hold. Left out: 50 on AWS (10 on Machine Learning), no quota elsewhere.
    #[serde(default)]
    pub tags_per_resource: Option<usize>,
    /// The resource types that exist. Left out: all on Huawei, the documented ones on Alibaba Cloud.
    #[serde(default)]
    pub resource_types: Option<Vec<String>>,
    /// S3: where buckets are that are not in `region`; ids are patterns.
    #[serde(default)]
    pub bucket_regions: Vec<BucketRegion>,
    /// S3: how a request that was signed for another region is refused.
    #[serde(default)]
    pub wrong_region: WrongRegion,
    /// S3: buckets with access control by tags, which take tags through S3 Control only; patterns.
    #[serde(default)]
    pub abac: Vec<String>,
    /// S3: buckets of another account; patterns.
    #[serde(default)]
    pub foreign: Vec<String>,
    /// Tags that resources have from the start, AWS's own included.
    #[serde(default)]
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
}

/// Where some buckets are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketRegion {
    /// The pattern of their names.
    pub id: String,
    /// Their region.
    pub region: String,
}

/// How S3 says that a bucket is in another region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongRegion {
    /// 301 with `x-amz-bucket-region`.
    #[default]
    Redirect,
    /// 307 with `x-amz-bucket-region`, as for new buckets.
    Temporary,
    /// 400 with the region in the body, as the right host with the wrong signature does.
    Malformed,
    /// 301 without the region: only HEAD tells it.
    Silent,
}

/// The APIs that can be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Huawei Cloud Tag Management Service.
    HuaweiTms,
    /// Alibaba Cloud ApsaraDB RDS 2014-08-15.
    AlibabaRds,
    /// Alibaba Cloud Elastic Compute Service 2014-05-26.
    AlibabaEcs,
    /// Alibaba Cloud Tag 2018-08-28.
    AlibabaTag,
    /// AWS Resource Groups Tagging API 2017-01-26.
    AwsTagging,
    /// Amazon S3 bucket tags 2006-03-01, and S3 Control.
    AwsS3,
    /// AWS Backup 2018-11-15.
    AwsBackup,
    /// Amazon Machine Learning 2014-12-12.
    AwsMl,
}

/// Who runs an API: what its accounts, keys and roles have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    Alibaba,
    Aws,
    Huawei,
}

impl Api {
    pub(super) fn vendor(self) -> Vendor {
        match self {
            Self::HuaweiTms => Vendor::Huawei,
            Self::AlibabaRds | Self::AlibabaEcs | Self::AlibabaTag => Vendor::Alibaba,
            Self::AwsTagging | Self::AwsS3 | Self::AwsBackup | Self::AwsMl => Vendor::Aws,
        }
    }

    /// The provider's name as the worker's config writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HuaweiTms => "huawei-tms",
            Self::AlibabaRds => "alibaba-rds",
            Self::AlibabaEcs => "alibaba-ecs",
            Self::AlibabaTag => "alibaba-tag",
            Self::AwsTagging => "aws-tagging",
            Self::AwsS3 => "aws-s3",
            Self::AwsBackup => "aws-backup",
            Self::AwsMl => "aws-ml",
        }
    }

    /// Whether keys that differ only in case are one key.
    pub(super) fn ignores_case(self) -> bool {
        matches!(self, Self::AlibabaRds | Self::AlibabaEcs | Self::AlibabaTag)
    }

    /// Whether it is one of AWS.
    pub(super) fn is_aws(self) -> bool {
        matches!(self, Self::AwsTagging | Self::AwsS3 | Self::AwsBackup | Self::AwsMl)
    }

    /// The most tags of a resource where the configuration says nothing: none is known outside of AWS.
    pub(super) fn quota(self) -> Option<usize> {
        match self {
            Self::AwsTagging | Self::AwsS3 | Self::AwsBackup => Some(50),
            Self::AwsMl => Some(10),
            _ => None,
        }
    }
}

/// One who may get a token with a password.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The account's name.
    pub domain: String,
    /// The user's name.
    pub name: String,
    /// The user's password.
    #[serde(deserialize_with = "secret")]
    pub password: SecretString,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Calls a second.
    pub per_second: f64,
    /// Calls at once.
    #[serde(default = "one")]
    pub burst: f64,
    /// How much the way here may bunch calls up before that counts against the caller.
    #[serde(default = "slack")]
    pub slack_ms: f64,
}

impl Rate {
    /// A limit with the usual slack.
    pub fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, slack_ms: slack() }
    }
}

/// How a throttled call is told when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `Retry-After` in seconds.
    Seconds(u64),
    /// `Retry-After` as an HTTP date so many seconds ahead.
    Date(u64),
    /// `x-acs-retry-after` in milliseconds (Alibaba Cloud), or `x-amz-retry-after` (AWS).
    Milliseconds(u64),
}

/// Who says that there were too many requests (Huawei Cloud).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottledBy {
    /// The service: 403 with TMS.0006.
    #[default]
    Service,
    /// The gateway before it: 429 with APIGW.0308.
    Gateway,
}

fn a_day() -> u64 {
    86_400
}

fn one() -> f64 {
    1.0
}

fn slack() -> f64 {
    25.0
}

fn secret<'de, D: Deserializer<'de>>(input: D) -> Result<SecretString, D::Error> {
    String::deserialize(input).map(SecretString::from)
}

fn some_secret<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(input)?.map(SecretString::from))
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// It is not what a configuration looks like.
    #[error("{0}")]
    Form(String),
    /// It contradicts itself; one text per problem.
    #[error("{}", .0.join("; "))]
    Sense(Vec<String>),
}

impl SimConfig {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// When it is not YAML of this form, names an unknown key, or contradicts itself.
    pub fn parse(yaml: &str) -> Result<Self, BadConfig> {
        let config: Self = serde_saphyr::from_str(yaml).map_err(|error| BadConfig::Form(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// What contradicts itself.
    ///
    /// # Errors
    /// With every problem there is.
    pub fn check(&self) -> Result<(), BadConfig> {
        let mut problems = Vec::new();
        let (mut names, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        if self.clouds.is_empty() {
            problems.push("there is no cloud".to_owned());
        }
        for cloud in &self.clouds {
            let mut say = |problem: String| problems.push(format!("cloud {:?}: {problem}", cloud.name));
            if cloud.name.is_empty() || cloud.access_key.is_empty() {
                say("name and access_key must not be empty".into());
            }
            if !names.insert(cloud.name.as_str()) {
                say("another cloud has the same name".into());
            }
            if !accounts.insert((cloud.provider.name(), cloud.access_key.as_str())) {
                say("another cloud has the same provider and access_key".into());
            }
            if let Some(rate) = &cloud.rate
                && !(rate.per_second > 0.0 && rate.per_second.is_finite() && rate.burst >= 1.0 && rate.slack_ms >= 0.0)
            {
                say("rate needs per_second above 0, burst of at least 1 and slack_ms of at least 0".into());
            }
            cloud.faults.problems().into_iter().for_each(|problem| say(format!("faults: {problem}")));
        }
        if problems.is_empty() { Ok(()) } else { Err(BadConfig::Sense(problems)) }
    }
}

impl CloudConfig {
    /// A cloud without limits and without faults.
    pub fn new(name: &str, provider: Api, access_key: &str, secret_key: &str) -> Self {
        Self {
            name: name.to_owned(),
            provider,
            region: None,
            access_key: access_key.to_owned(),
            secret_key: SecretString::from(secret_key),
            security_token: None,
            domain_id: None,
            account_id: None,
            external_id: None,
            oidc_token: None,
            users: Vec::new(),
            token_ttl_s: a_day(),
            rate: None,
            retry_after: None,
            throttled_by: ThrottledBy::default(),
            tags_per_resource: None,
            resource_types: None,
            bucket_regions: Vec::new(),
            wrong_region: WrongRegion::default(),
            abac: Vec::new(),
            foreign: Vec::new(),
            tags: BTreeMap::new(),
            faults: Faults::default(),
        }
    }
}
