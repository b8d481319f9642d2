//! Alibaba Cloud: `alibaba-rds`, `alibaba-ecs` and `alibaba-tag`, three APIs with one signer and one classifier.

mod api;
mod arn;
mod check;
mod classify;
mod decode;
mod encode;
mod endpoints;
pub mod sign;
pub mod sts;

pub use api::{ECS_RATE, RDS_RATE, TAG_RATE};

use super::endpoint::{Endpoint, check_region};
use super::{
    About, Answer, Call, Checked, Credential, Entry, HttpReply, HttpRequest, Limits, Memo, Moment, Provider, Settings,
};
use crate::job::{Job, Resource};
use api::{Address, Api};
use std::borrow::Cow;

/// The names in the config.
pub const RDS: &str = "alibaba-rds";
/// See [`RDS`].
pub const ECS: &str = "alibaba-ecs";
/// See [`RDS`].
pub const TAG: &str = "alibaba-tag";

/// How all three are signed.
const AUTH: &str = "ACS3-HMAC-SHA256, or V1 with `signature: v1`";

/// The row of RDS 2014-08-15 in the list of providers.
pub const RDS_ENTRY: Entry = Entry {
    name: RDS,
    build: build_rds,
    default_rate: RDS_RATE,
    regional: true,
    limits: &api::RDS.limits,
    about: About {
        api: "RDS 2014-08-15, TagResources and UntagResources",
        auth: AUTH,
        rate_source: "shown per account in the Quota Center only",
    },
};

/// The row of ECS 2014-05-26 in the list of providers.
pub const ECS_ENTRY: Entry = Entry {
    name: ECS,
    build: build_ecs,
    default_rate: ECS_RATE,
    regional: true,
    limits: &api::ECS.limits,
    about: About {
        api: "ECS 2014-05-26, TagResources and UntagResources",
        auth: AUTH,
        rate_source: "shown per account in the Quota Center only",
    },
};

/// The row of Tag 2018-08-28 in the list of providers.
pub const TAG_ENTRY: Entry = Entry {
    name: TAG,
    build: build_tag,
    default_rate: TAG_RATE,
    regional: true,
    limits: &api::TAG.limits,
    about: About {
        api: "Tag 2018-08-28, TagResources and UntagResources",
        auth: AUTH,
        rate_source: "the quota page allows 1000 a second per region and account; this is a quiet start",
    },
};

/// One of the three APIs for one lane.
#[derive(Debug)]
struct Tagger {
    api: &'static Api,
    region: String,
    endpoint: Endpoint,
    limits: Limits,
    signature_v1: bool,
}

/// Makes `alibaba-rds` for a lane. The error lists every wrong setting, each with its field's name.
pub fn build_rds(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    build(&api::RDS, settings)
}

/// Makes `alibaba-ecs` for a lane, with errors as in [`build_rds`].
pub fn build_ecs(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    build(&api::ECS, settings)
}

/// Makes `alibaba-tag` for a lane, with errors as in [`build_rds`].
pub fn build_tag(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    build(&api::TAG, settings)
}

fn build(api: &'static Api, settings: &Settings) -> Result<Box<dyn Provider>, String> {
    // The region is a parameter of every call, so it is needed even where the endpoint is given.
    let region = check_region(&settings.region);
    let limits = api.limits.clone().lowered(settings);
    let endpoint = match &settings.endpoint {
        Some(endpoint) => Endpoint::parse(endpoint),
        None => Ok(Endpoint::of_host(&endpoints::host(api.product, &settings.region))),
    };
    match (region, endpoint, limits) {
        (Ok(()), Ok(endpoint), Ok(limits)) => Ok(Box::new(Tagger {
            api,
            region: settings.region.clone(),
            endpoint,
            limits,
            signature_v1: settings.signature_v1,
        })),
        (region, endpoint, limits) => {
            let problems = [region.err(), endpoint.err(), limits.err()];
            Err(problems.into_iter().flatten().collect::<Vec<_>>().join("; "))
        }
    }
}

impl Provider for Tagger {
    fn name(&self) -> &'static str {
        self.api.name
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn check(&self, job: &Job) -> Checked {
        check::check(self.api, &self.region, job)
    }

    /// Type and id, or the ARN with its region filled in. The account of an ARN stays as written: `*` means the
    /// caller's own, and who that is only the cloud knows.
    fn resource_key(&self, resource: &Resource) -> String {
        match &self.api.address {
            Address::Id { .. } => format!("{}\u{1f}{}", self.api.kind_of(resource), resource.id),
            Address::Arn => arn::resolved(&resource.id, &self.region),
        }
    }

    /// ECS refuses keys that differ only in case, RDS documents them as equal; the Tag service takes both, but what
    /// it tags are the same resources. So they are one key everywhere.
    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        check::folded(key)
    }

    /// `ResourceType` is one per call; ARNs may mix.
    fn share_key(&self, resource: &Resource) -> String {
        match &self.api.address {
            Address::Id { .. } => self.api.kind_of(resource).to_owned(),
            Address::Arn => String::new(),
        }
    }

    fn encode(&self, call: &Call, _memo: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest {
        let params = encode::params(self.api, &self.region, call);
        if self.signature_v1 {
            encode::request_v1(self.api, &self.endpoint, call.op, &params, credential, at)
        } else {
            encode::request_v3(self.api, &self.endpoint, call.op, &params, credential, at)
        }
    }

    fn decode(&self, call: &Call, _memo: Option<&Memo>, reply: &HttpReply) -> Answer {
        decode::decode(self.api, call, reply)
    }
}
