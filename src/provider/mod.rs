//! Every cloud behind one small trait: limits as data, a call to a request, a reply to fates.
//!
//! No async, no clock, no generics: time, nonce and credentials come in as arguments, so every request can be
//! compared byte for byte with a vector. A new cloud joins with its folder and one line in [`ALL`].

pub mod alibaba;
pub mod aws;
mod classify;
mod credential;
mod endpoint;
mod http;
pub mod huawei;
mod limits;
mod scrub;
mod signing;
mod xml;

pub use crate::call::{Answer, Blame, Call, Failure, Fate, Kind, Memo, Missing, Moment, Op};
pub use classify::{blame_by_status, by_status};
pub use credential::Credential;
pub use endpoint::Endpoint;
pub use http::{Fault, HttpReply, HttpRequest, LONGEST_WAIT, Method};
pub use limits::{Limits, Silence, Write};
pub use signing::Signed;

use crate::job::{Job, Resource};
use std::{borrow::Cow, fmt::Debug, time::Duration};

/// One tagging API of one cloud, at one account and region.
pub trait Provider: Send + Sync + Debug {
    /// The name used in the config, such as `huawei-tms`.
    fn name(&self) -> &'static str;

    /// What one call may carry, already lowered by the config.
    fn limits(&self) -> &Limits;

    /// Checks what can never work, before it is merged with other people's work.
    fn check(&self, job: &Job) -> Checked;

    /// The identity of a resource: two spellings of one resource give the same text.
    fn resource_key(&self, resource: &Resource) -> String;

    /// The identity of a tag key: the key itself, or its folded form where the cloud ignores case.
    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// Resources may share a call only when this text is equal (a project, a resource type).
    fn share_key(&self, resource: &Resource) -> String;

    /// How long a read may not show what an earlier owner of the lane wrote. A lane that may have had one makes no call
    /// before that time is over; zero where nothing is read.
    fn settles(&self) -> Duration {
        Duration::ZERO
    }

    /// The signed request of a call. `memo` is what an earlier reply of the same call left to remember.
    fn encode(&self, call: &Call, memo: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest;

    /// What a reply says of each item of the call.
    fn decode(&self, call: &Call, memo: Option<&Memo>, reply: &HttpReply) -> Answer;
}

/// What a provider finds wrong with a job before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Wrong for every resource of the job, such as a key the provider never accepts. One text per problem, field first.
    pub job: Vec<String>,
    /// Wrong for one resource: its index in the job and the problem.
    pub resources: Vec<(usize, String)>,
}

/// What a lane's config says to its provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The region in the cloud's own spelling.
    pub region: String,
    /// Replaces the cloud's endpoint: a test cloud, a proxy, a private endpoint. Scheme and host, no path.
    pub endpoint: Option<String>,
    /// Lowers the provider's resources per call.
    pub resources_per_call: Option<usize>,
    /// Lowers the provider's tags per call.
    pub tags_per_call: Option<usize>,
    /// TMS batch-delete sends an empty value with each key (some editions want it).
    pub delete_with_value: bool,
    /// Alibaba Cloud: sign with V1 (HMAC-SHA1) in place of V3.
    pub signature_v1: bool,
    /// AWS: the account that the lane's resources belong to, 12 digits. Resources of another are refused.
    pub account_id: Option<String>,
    /// `aws-s3`: the bucket stands in the path and not in the host. Left out: only with an endpoint of one's own, and for
    /// names that do not fit into a host.
    pub path_style: Option<bool>,
    /// `aws-s3`: what was written is read again before it is reported.
    pub verify: bool,
    /// `aws-tagging`: CloudFormation stacks may be tagged, although that updates them.
    pub allow_cloudformation_stacks: bool,
}

/// Makes a provider for one lane, or says which setting is wrong.
pub type Build = fn(&Settings) -> Result<Box<dyn Provider>, String>;

/// One row per provider: its name, how to make it, and what there is to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name used in the config.
    pub name: &'static str,
    /// Makes it for one lane.
    pub build: Build,
    /// Calls a second that are safe to start with where the config says nothing.
    pub default_rate: f64,
    /// The lane's region says where its resources are (false where one lane reaches the resources of all regions).
    pub regional: bool,
    /// What one call may carry before a config lowers it.
    pub limits: &'static Limits,
    /// The rest, in words.
    pub about: About,
}

/// A provider in words, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The API, its version and its operations.
    pub api: &'static str,
    /// How a request proves who sends it.
    pub auth: &'static str,
    /// Where the default rate comes from.
    pub rate_source: &'static str,
}

/// Every provider there is.
pub const ALL: &[Entry] = &[
    huawei::ENTRY,
    alibaba::RDS_ENTRY,
    alibaba::ECS_ENTRY,
    alibaba::TAG_ENTRY,
    aws::tagging::ENTRY,
    aws::s3::ENTRY,
    aws::backup::ENTRY,
    aws::ml::ENTRY,
];

/// The provider of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
