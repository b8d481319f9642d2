//! AWS: the Tagging API, S3 with S3 Control, Backup, Machine Learning and STS, all signed with version 4.
//!
//! Three envelopes: JSON 1.1 (Tagging, Machine Learning), JSON over paths (Backup), XML (S3). Which service is meant is
//! in the scope of the signature; who calls is its access key.

mod auth;
mod backup;
mod ml;
mod rules;
mod s3;
pub(in crate::sim) mod sts;
mod tagging;
mod words;
mod xml;

use super::super::{
    call::{self, Exchange},
    cloud::{Cloud, World},
    config::Api,
    reply::Reply,
    request::Request,
    session::Keys,
    verify::aws::Scoped,
};
use super::{Command, Dialect, Refusal, Target, Trouble};
use crate::worker::clock;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

pub(in crate::sim) fn claims(request: &Request) -> bool {
    let signed = request.header("authorization").is_some_and(|text| text.starts_with("AWS4-"));
    signed || ["x-amz-target", "x-amz-date", "x-amz-content-sha256"].iter().any(|name| request.header(name).is_some())
}

pub(in crate::sim) fn answer(world: &World, request: &Request) -> Exchange {
    match identify(world, request) {
        Ok((cloud, call)) => call::answer(cloud, request, &call),
        Err((service, why)) => {
            world.count_unmatched();
            service.refusal(&why, &clock::nonce()).into()
        }
    }
}

/// A service, as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Tagging,
    Ml,
    Backup,
    S3,
    Control,
}

impl Service {
    /// The service that signatures name so. S3 Control signs as S3.
    fn of(name: &str, path: &str) -> Option<Self> {
        Some(match name {
            "tagging" => Self::Tagging,
            "machinelearning" => Self::Ml,
            "backup" => Self::Backup,
            "s3" if path.starts_with(s3::CONTROL) => Self::Control,
            "s3" => Self::S3,
            _ => return None,
        })
    }

    /// Who would answer a request that names nobody.
    fn guess(request: &Request) -> Self {
        match request.header("x-amz-target") {
            Some(target) if target.starts_with("AmazonML") => Self::Ml,
            Some(_) => Self::Tagging,
            None if request.header("x-amz-content-sha256").is_some() => Self::S3,
            None => Self::Backup,
        }
    }

    fn api(self) -> Api {
        match self {
            Self::Tagging => Api::AwsTagging,
            Self::Ml => Api::AwsMl,
            Self::Backup => Api::AwsBackup,
            Self::S3 | Self::Control => Api::AwsS3,
        }
    }

    /// A refusal in the service's envelope.
    fn refusal(self, why: &Refusal, id: &str) -> Reply {
        match self {
            Self::Tagging | Self::Ml => {
                let body = json!({"__type": why.code, "message": why.message});
                Reply::new(why.status, "application/x-amz-json-1.1", body.to_string()).with("x-amzn-requestid", id)
            }
            Self::Backup => Reply::json(why.status, &json!({"Code": why.code, "Message": why.message}))
                .with("x-amzn-errortype", format!("{}:http://internal.amazon.com/coral/", why.code))
                .with("x-amzn-requestid", id),
            Self::S3 => xml::error(why, id),
            Self::Control => xml::control_error(why, id),
        }
    }
}

type Found<'w, 'r> = (&'w Arc<Cloud>, Call<'r>);

fn identify<'w, 'r>(world: &'w World, request: &'r Request) -> Result<Found<'w, 'r>, (Service, Refusal)> {
    let guess = Service::guess(request);
    let scoped = Scoped::read(request).ok_or_else(|| (guess, auth::missing(guess)))?;
    let service = Service::of(&scoped.service, &request.path).ok_or_else(|| (guess, auth::wrong_scope(guess)))?;
    let cloud = world.account(service.api(), &scoped.access_key).ok_or_else(|| (service, auth::unknown(service)))?;
    let keys = Keys::of(world, cloud, &scoped.access_key);
    Ok((cloud, Call { request, service, scoped, keys }))
}

/// One request to AWS.
struct Call<'r> {
    request: &'r Request,
    service: Service,
    scoped: Scoped,
    keys: Keys,
}

impl Dialect for Call<'_> {
    fn authenticate(&self, _: &Cloud, now: Timestamp) -> Result<Option<String>, Refusal> {
        auth::authenticate(&self.keys, self.request, self.service, &self.scoped, now).map(|()| None)
    }

    fn command(&self, cloud: &Cloud) -> Result<Command, Refusal> {
        match self.service {
            Service::Tagging => tagging::command(self.request, &self.scoped.region, cloud),
            Service::Ml => ml::command(self.request),
            Service::Backup => backup::command(self.request, cloud),
            Service::S3 => s3::command(self.request, &self.scoped.region, cloud),
            Service::Control => s3::control(self.request, cloud),
        }
    }

    fn all_or_nothing(&self) -> bool {
        self.service != Service::Tagging
    }

    fn words(&self, trouble: &Trouble, _: &Cloud) -> Refusal {
        words::of(self.service, trouble)
    }

    fn refuse(&self, why: &Refusal, id: &str) -> Reply {
        self.service.refusal(why, id)
    }

    fn done(&self, command: &Command, failed: &[(&Target, Refusal)], found: &[(String, String)], id: &str) -> Reply {
        match self.service {
            Service::Tagging => tagging::done(failed, id),
            Service::Ml => ml::done(command, found, id),
            Service::Backup => backup::done(command, found, id),
            Service::S3 => s3::done(self.request, &self.scoped.region, command, found, id),
            Service::Control => xml::empty(204, id),
        }
    }
}
