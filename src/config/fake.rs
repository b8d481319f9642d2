//! Stand-ins for providers: what a config can be held against before and beside the real ones.

use super::valid::Catalog;
use crate::job::{Job, Resource};
use crate::provider::{
    About, Answer, Call, Checked, Credential, Entry, HttpReply, HttpRequest, Limits, Memo, Method, Moment, Provider,
    Settings, Silence, Write,
};

#[derive(Debug)]
struct Fake(Limits);

impl Provider for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn limits(&self) -> &Limits {
        &self.0
    }
    fn check(&self, _: &Job) -> Checked {
        Checked::default()
    }
    fn resource_key(&self, resource: &Resource) -> String {
        resource.id.to_string()
    }
    fn share_key(&self, _: &Resource) -> String {
        String::new()
    }
    fn encode(&self, _: &Call, _: Option<&Memo>, _: &Credential, _: &Moment) -> HttpRequest {
        HttpRequest { method: Method::Get, url: String::new(), headers: Vec::new(), body: Vec::new() }
    }
    fn decode(&self, call: &Call, _: Option<&Memo>, _: &HttpReply) -> Answer {
        let _ = call;
        unimplemented!("a config asks nobody")
    }
}

fn build(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    if settings.region == "nowhere-1" {
        return Err("the region nowhere-1 has no such API".into());
    }
    Ok(Box::new(Fake(LIMITS)))
}

const LIMITS: Limits = Limits {
    resources_per_call: 50,
    tags_per_call: 10,
    keys_per_call: 10,
    tags_per_resource: 20,
    key_chars: 128,
    value_chars: 256,
    write: Write::Merge,
    silence: Silence::Success,
};

const fn entry(name: &'static str, regional: bool) -> Entry {
    let about = About { api: "none", auth: "none", rate_source: "none" };
    Entry { name, build, default_rate: 2.5, regional, limits: &LIMITS, about }
}

static ALL: [Entry; 4] =
    [entry("huawei-tms", false), entry("alibaba-ecs", true), entry("aws-s3", false), entry("aws-tagging", true)];

pub(crate) const CATALOG: Catalog = Catalog {
    find: |name| ALL.iter().find(|entry| entry.name == name),
    names: || ALL.iter().map(|entry| entry.name).collect(),
};
