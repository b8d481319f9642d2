//! The data of the suite: samples, tables, vectors, and how they become calls.

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tagmill::{
    job::{Extras, Job, JobId, LaneName, Resource},
    provider::{ALL, Answer, Call, Credential, Entry, HttpReply, Memo, Moment, Op, Provider, Settings},
};

/// A file of this suite.
pub fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON file of this suite.
pub fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// One provider with a call it could make and the replies that mean success.
pub struct Sample {
    pub entry: &'static Entry,
    pub settings: Settings,
    pub provider: Box<dyn Provider>,
    pub resources: Vec<Resource>,
    pub set: Vec<(Arc<str>, Arc<str>)>,
    pub success: Vec<String>,
    /// The reply before the one that ends the call, where the API takes two: status and body.
    pub before: Option<(u16, String)>,
}

impl Sample {
    /// Every provider there is, each with its row of `samples.json`.
    pub fn all() -> Vec<Self> {
        let rows = json("samples.json");
        ALL.iter().map(|entry| Self::of(entry, &rows[entry.name])).collect()
    }

    fn of(entry: &'static Entry, row: &Value) -> Self {
        let region = row["region"].as_str().unwrap_or_else(|| panic!("samples.json has no row for {}", entry.name));
        let settings = Settings { region: region.into(), ..Settings::default() };
        let provider = (entry.build)(&settings).unwrap();
        let resources = row["resources"].as_array().unwrap().iter().map(resource).collect();
        let pairs = row["set"].as_object().unwrap();
        let set = pairs.iter().map(|(key, value)| (key.as_str().into(), value.as_str().unwrap().into())).collect();
        let success = row["success"].as_array().unwrap().iter().map(|body| body.as_str().unwrap().into()).collect();
        let before = row.get("before");
        let before =
            before.map(|reply| (reply["status"].as_u64().unwrap() as u16, reply["body"].as_str().unwrap().into()));
        Self { entry, settings, provider, resources, set, success, before }
    }

    /// The provider with other settings.
    pub fn with(&self, change: impl FnOnce(&mut Settings)) -> Result<Box<dyn Provider>, String> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        (self.entry.build)(&settings)
    }

    /// What the provider remembers before the reply that ends this call.
    pub fn memo(&self, call: &Call) -> Option<Memo> {
        let (status, body) = self.before.as_ref()?;
        match self.provider.decode(call, None, &reply(*status, &[], body.as_bytes())) {
            Answer::FollowUp(memo) => Some(memo),
            answer => panic!("{}: {answer:?} in place of a follow-up", self.entry.name),
        }
    }

    /// What a reply that ends the call says of it.
    pub fn decode(&self, call: &Call, reply: &HttpReply) -> Answer {
        self.provider.decode(call, self.memo(call).as_ref(), reply)
    }

    pub fn call(&self, op: Op) -> Call {
        let tags = match op {
            Op::Set => self.set.clone(),
            Op::Unset => self.set.iter().map(|(key, _)| (key.clone(), "".into())).collect(),
        };
        Call { op, resources: self.resources.clone(), tags, also_unset: Vec::new(), only_missing: Vec::new() }
    }

    /// A job of the sample's resources.
    pub fn job(&self, set: &[(&str, &str)], unset: &[&str]) -> Job {
        Job {
            id: JobId::new("job-1").unwrap(),
            lane: LaneName::new("lane").unwrap(),
            resources: self.resources.clone(),
            set: set.iter().map(|&(key, value)| (key.into(), value.into())).collect::<BTreeMap<_, _>>(),
            unset: unset.iter().map(|&key| key.into()).collect(),
            extras: Extras::none(),
        }
    }
}

/// The sample of one provider.
pub fn sample(name: &str) -> Sample {
    Sample::all().into_iter().find(|sample| sample.entry.name == name).unwrap()
}

fn resource(value: &Value) -> Resource {
    let text = |name: &str| value[name].as_str().map(Arc::from);
    Resource { id: text("id").unwrap(), kind: text("type"), project: text("project") }
}

pub fn at(now: &str, nonce: &str) -> Moment {
    Moment { now: now.parse::<Timestamp>().unwrap(), nonce: nonce.into() }
}

pub fn key(access: &str, secret: &str, token: Option<&str>, account: Option<&str>) -> Credential {
    Credential::Key {
        access_key: access.into(),
        secret_key: SecretString::from(secret),
        security_token: token.map(SecretString::from),
        account: account.map(str::to_owned),
    }
}

pub fn reply(status: u16, headers: &[(&str, &str)], body: &[u8]) -> HttpReply {
    let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    HttpReply { status, headers, body: body.to_vec() }
}
