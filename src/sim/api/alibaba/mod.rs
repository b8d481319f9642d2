//! Alibaba Cloud: TagResources and UntagResources of RDS, ECS and Tag, under both signature schemes.
//!
//! One gateway, three products. What differs between them is data in `product`; RDS and ECS take numbered ids and
//! tags and answer all or nothing, Tag takes ARNs and a JSON object and reports failed resources one by one.

mod arn;
mod auth;
mod envelope;
mod parameters;
mod product;
pub(in crate::sim) mod sts;

use super::super::{
    call::{self, Exchange},
    cloud::{Cloud, World},
    config::Api,
    reply::Reply,
    request::Request,
    session::Keys,
};
use super::{Command, Dialect, Op, Refusal, Target, Trouble};
use crate::worker::clock;
use auth::Scheme;
use envelope::Format;
use jiff::Timestamp;
use parameters::Parameters;
use product::Product;

pub(in crate::sim) fn claims(request: &Request) -> bool {
    if request.header("x-acs-version").is_some() || request.header("x-acs-action").is_some() {
        return true;
    }
    let ours = |pairs: Vec<(String, String)>| {
        pairs.iter().any(|(name, value)| match name.as_str() {
            "AccessKeyId" | "SignatureNonce" => true,
            "Version" => product::by_version(value).is_some(),
            _ => false,
        })
    };
    request.path == "/" && (ours(request.query_pairs()) || ours(request.form_pairs()))
}

pub(in crate::sim) fn answer(world: &World, request: &Request) -> Exchange {
    let parameters = Parameters::of(request);
    let format = Format::asked(request, &parameters);
    match identify(world, request, parameters) {
        Ok((cloud, rpc)) => call::answer(cloud, request, &rpc),
        Err(why) => {
            world.count_unmatched();
            envelope::refusal(format, &why, &clock::nonce()).into()
        }
    }
}

/// One request to the gateway.
struct Rpc<'r> {
    request: &'r Request,
    product: &'static Product,
    action: String,
    parameters: Parameters,
    scheme: Scheme,
    keys: Keys,
    format: Format,
}

fn identify<'w, 'r>(
    world: &'w World,
    request: &'r Request,
    parameters: Parameters,
) -> Result<(&'w std::sync::Arc<Cloud>, Rpc<'r>), Refusal> {
    let named = |header: &str, parameter: &str| {
        request.header(header).or_else(|| parameters.get(parameter)).unwrap_or_default().to_owned()
    };
    let (action, version) = (named("x-acs-action", "Action"), named("x-acs-version", "Version"));
    let product = product::by_version(&version)
        .ok_or_else(|| Refusal::rejected(400, "InvalidVersion", "Specified parameter Version is not valid."))?;
    let scheme = Scheme::of(request, &parameters)?;
    let cloud = world
        .account(product.api, scheme.access_key())
        .ok_or_else(|| Refusal::auth(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."))?;
    let format = Format::asked(request, &parameters);
    let keys = Keys::of(world, cloud, scheme.access_key());
    Ok((cloud, Rpc { request, product, action, parameters, scheme, keys, format }))
}

impl Dialect for Rpc<'_> {
    fn authenticate(&self, _: &Cloud, now: Timestamp) -> Result<Option<String>, Refusal> {
        self.scheme.authenticate(&self.keys, self.request, &self.parameters, now).map(Some)
    }

    fn command(&self, cloud: &Cloud) -> Result<Command, Refusal> {
        let untag = match self.action.as_str() {
            "TagResources" => false,
            "UntagResources" => true,
            other => {
                let message = format!("Specified api is not found, please check your url and method: {other}");
                return Err(Refusal::rejected(404, "InvalidAction.NotFound", message));
            }
        };
        let region = self.region(cloud)?;
        let resources = match self.product.api {
            Api::AlibabaTag => arn::targets(self.product, &self.parameters, region, cloud)?,
            _ => parameters::targets(self.product, &self.parameters, cloud)?,
        };
        let op = match (untag, self.product.api) {
            (true, _) => parameters::untag(self.product, &self.parameters)?,
            (false, Api::AlibabaTag) => Op::Set(arn::tags(self.product, &self.parameters)?),
            (false, _) => Op::Set(parameters::tags(self.product, &self.parameters)?),
        };
        Ok(Command { resources, op })
    }

    fn all_or_nothing(&self) -> bool {
        self.product.api != Api::AlibabaTag
    }

    fn words(&self, trouble: &Trouble, _: &Cloud) -> Refusal {
        self.product.words(trouble)
    }

    fn refuse(&self, why: &Refusal, request_id: &str) -> Reply {
        envelope::refusal(self.format, why, request_id)
    }

    fn done(&self, _: &Command, failed: &[(&Target, Refusal)], _: &[(String, String)], id: &str) -> Reply {
        let reports = self.product.api == Api::AlibabaTag;
        envelope::done(self.format, &self.action, reports.then_some(failed), id)
    }
}

impl Rpc<'_> {
    fn region(&self, cloud: &Cloud) -> Result<&str, Refusal> {
        let region = self.parameters.get("RegionId").unwrap_or_default();
        if region.is_empty() {
            return Err(self.product.missing("RegionId"));
        }
        if cloud.config.region.as_deref().is_some_and(|served| served != region) {
            return Err(Refusal::rejected(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."));
        }
        Ok(region)
    }
}
