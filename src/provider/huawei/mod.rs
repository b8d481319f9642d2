//! Huawei Cloud: the Tag Management Service (`huawei-tms`), batch-create and batch-delete.

mod classify;
mod decode;
mod encode;
mod endpoints;
pub mod iam;
mod limits;
pub mod sign;
pub mod token;

use super::endpoint::Endpoint;
use super::{
    About, Answer, Call, Checked, Credential, Entry, HttpReply, HttpRequest, Limits, Memo, Moment, Provider, Settings,
};
use crate::job::{Job, Resource};

/// The name in the config.
pub const NAME: &str = "huawei-tms";

/// Calls a second to start with. Huawei publishes no number for TMS; other services were seen at far less than the
/// gateway's 200 a second, one of them at ten writes a minute.
pub const DEFAULT_RATE: f64 = 2.0;

/// Its row in the list of providers.
pub const ENTRY: Entry = Entry {
    name: NAME,
    build,
    default_rate: DEFAULT_RATE,
    // One endpoint serves all regions.
    regional: false,
    limits: &limits::LIMITS,
    about: About {
        api: "TMS v1.0, batch-create and batch-delete",
        auth: "SDK-HMAC-SHA256 with an AK/SK, or X-Auth-Token",
        rate_source: "nothing is published; the gateway is said to allow 200, other services were seen at ten writes a \
                      minute",
    },
};

/// TMS for one lane.
#[derive(Debug)]
struct Tms {
    endpoint: Endpoint,
    limits: Limits,
    delete_with_value: bool,
}

/// Makes the provider of a lane. The error lists every wrong setting, each with its field's name.
pub fn build(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    let endpoint = endpoints::tms(settings);
    let limits = limits::LIMITS.lowered(settings);
    match (endpoint, limits) {
        (Ok(endpoint), Ok(limits)) => {
            Ok(Box::new(Tms { endpoint, limits, delete_with_value: settings.delete_with_value }))
        }
        (endpoint, limits) => Err([endpoint.err(), limits.err()].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

/// The project of a resource; an empty one is none.
fn project(resource: &Resource) -> Option<&str> {
    resource.project.as_deref().filter(|project| !project.is_empty())
}

impl Provider for Tms {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn check(&self, job: &Job) -> Checked {
        limits::check(job)
    }

    /// Project, type and id, because an id is unique only within its type. The separator cannot be typed.
    fn resource_key(&self, resource: &Resource) -> String {
        let kind = resource.kind.as_deref().unwrap_or_default();
        [project(resource).unwrap_or_default(), kind, &resource.id].join("\u{1f}")
    }

    /// `project_id` is one per call; types may mix.
    fn share_key(&self, resource: &Resource) -> String {
        project(resource).unwrap_or_default().to_owned()
    }

    fn encode(&self, call: &Call, _memo: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest {
        encode::encode(&self.endpoint, self.delete_with_value, call, credential, at)
    }

    fn decode(&self, call: &Call, _memo: Option<&Memo>, reply: &HttpReply) -> Answer {
        decode::decode(call, reply)
    }
}
