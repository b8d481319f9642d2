//! `aws-s3`: bucket tags. A write replaces the whole set of a bucket, so it is read, merged and written.
//!
//! One call takes up to three requests, each a follow-up of the one before: GET, then PUT or DELETE, then with
//! `verify: true` a GET again. A bucket that has moved, or whose tags are used for access control, adds one more.
//! What the next request is stands in the memo (`step`); what is known of a bucket between calls in `memory`.

mod address;
mod classify;
mod decode;
mod encode;
mod memory;
mod set;
mod step;

use super::{
    AUTH,
    place::Place,
    rules::{self, Characters},
};
use crate::{
    job::{Job, Resource},
    provider::{
        About, Answer, Call, Checked, Credential, Entry, HttpReply, HttpRequest, Limits, Memo, Moment, Provider,
        Settings, Silence, Write,
    },
};
use address::Style;
use memory::{Memory, STALE_AT_MOST};
use std::time::Duration;

/// The name in the config.
pub const NAME: &str = "aws-s3";

/// Requests a second to start with. Nothing is published for bucket configuration.
pub const RATE: f64 = 5.0;

/// "PUT Bucket tagging", API version 2006-03-01.
const LIMITS: Limits = Limits {
    // One bucket a request.
    resources_per_call: 1,
    // 50 tags a bucket, and the request is the whole set.
    tags_per_call: 50,
    keys_per_call: 50,
    tags_per_resource: rules::TAGS_PER_RESOURCE,
    key_chars: rules::KEY_CHARS,
    value_chars: rules::VALUE_CHARS,
    // "This operation will overwrite the current tag set."
    write: Write::Replace,
    silence: Silence::AllOrNothing,
};

/// Its row in the list of providers.
pub const ENTRY: Entry = Entry {
    name: NAME,
    build,
    default_rate: RATE,
    // A bucket's name is enough to find it in any region, so the lane's region does not say where its resources are.
    regional: false,
    limits: &LIMITS,
    about: About {
        api: "S3 2006-03-01, GET, PUT and DELETE of bucket tags",
        auth: AUTH,
        rate_source: "nothing is published",
    },
};

/// The API for one lane.
#[derive(Debug)]
struct Buckets {
    place: Place,
    limits: Limits,
    style: Style,
    verify: bool,
    memory: Memory,
}

/// Makes the provider of a lane. The error lists every wrong setting, each with its field's name.
pub fn build(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    let limits = LIMITS.lowered(settings).and_then(|limits| {
        if limits.tags_per_call < LIMITS.tags_per_call {
            return Err("tags_per_call: a write to a bucket carries its whole set, so it cannot be cut".to_owned());
        }
        Ok(limits)
    });
    match (Place::of(settings), limits) {
        (Ok(place), Ok(limits)) => Ok(Box::new(Buckets {
            style: Style::of(settings),
            verify: settings.verify,
            memory: Memory::default(),
            place,
            limits,
        })),
        (place, limits) => Err([place.err(), limits.err()].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

impl Provider for Buckets {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn check(&self, job: &Job) -> Checked {
        let resources = job.resources.iter().enumerate();
        let resources =
            resources.filter_map(|(index, resource)| Some((index, address::problem(&self.place, &resource.id)?)));
        Checked { job: rules::check(job, Characters::Plain), resources: resources.collect() }
    }

    /// A bucket goes by its name or by its ARN.
    fn resource_key(&self, resource: &Resource) -> String {
        address::bucket(&resource.id).to_owned()
    }

    fn share_key(&self, _: &Resource) -> String {
        String::new()
    }

    fn settles(&self) -> Duration {
        STALE_AT_MOST
    }

    fn encode(&self, call: &Call, memo: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest {
        self.request(call, memo, credential, at)
    }

    fn decode(&self, call: &Call, memo: Option<&Memo>, reply: &HttpReply) -> Answer {
        self.answer(call, memo, reply)
    }
}

/// The bucket of a call; a call of nothing has an empty name.
fn bucket_of(call: &Call) -> &str {
    call.resources.first().map_or("", |resource| address::bucket(&resource.id))
}
