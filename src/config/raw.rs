//! The config as it is written: the source of the published JSON Schema and of the reference page.
//!
//! None of it has debug output: it can hold secrets. Reading goes through the tree of values, which can tell all mistakes at once; a test holds the two together.
#![allow(dead_code, reason = "the fields are read by the schema and by the test that compares the two")]

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The config of tagmill: a YAML file, `tagmill.yaml` unless said otherwise.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// RabbitMQ, for a fleet. Left out: the embedded queue under `state`.
    pub broker: Option<RawBroker>,
    /// Folder of the embedded queue and of local state. Default `./tagmill-state`.
    pub state: Option<PathBuf>,
    /// The HTTP server: submit, events, health, metrics, dashboard.
    pub server: Option<RawServer>,
    /// One entry per tagging API, account and region.
    #[schemars(length(min = 1))]
    pub lanes: Vec<RawLane>,
    /// Where cloud events come from, and how long they are remembered.
    pub events: Option<RawEvents>,
    /// Rules that turn cloud events into jobs. Every rule that is for an event makes jobs of it.
    pub rules: Option<Vec<RawRule>>,
    /// Events and the jobs that the rules have to make of them, for `tagmill rules test`.
    pub tests: Option<Vec<RawRuleTest>>,
}

/// An event, and what has to follow from it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRuleTest {
    /// What it shows, in words.
    pub name: String,
    /// How the event is read.
    pub source: RawEventSource,
    /// The event, as a section or as the text that comes.
    pub event: Option<serde_json::Value>,
    /// Or the file it stands in, from the folder of this one.
    pub file: Option<PathBuf>,
    /// Headers that come with it, for CloudEvents in binary form.
    pub headers: Option<BTreeMap<String, String>>,
    /// The jobs, in any order; left out: none.
    pub jobs: Option<Vec<RawWantedJob>>,
    /// Why nothing follows: `failed`, `internal`, `read_only`, `tagging` or `no_rule`.
    pub ignored: Option<String>,
    /// Rules that should have made a job and cannot: `no_ids`, `no_lane` or `rule_error`.
    pub trouble: Option<BTreeMap<String, String>>,
}

/// A job that has to follow from an event.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWantedJob {
    /// Its lane.
    pub lane: String,
    /// Its resources, in any order.
    #[schemars(length(min = 1))]
    pub resources: Vec<RawWantedResource>,
    /// Tags that it sets.
    pub set: Option<BTreeMap<String, String>>,
    /// Keys that it removes.
    pub unset: Option<Vec<String>>,
    /// Whether it replaces tags that are there. Default false.
    pub update: Option<bool>,
}

/// A resource of such a job.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawWantedResource {
    /// Its id, where that says it all.
    Id(String),
    /// Its id, and what else its provider has to know.
    Full(RawFullResource),
}

/// A resource with its type and project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFullResource {
    /// Its id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its project.
    pub project: Option<String>,
}

/// Where jobs come from in a fleet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBroker {
    /// `amqp://` or `amqps://`; a reference where it holds a password. Several nodes of a cluster with commas between.
    pub url: RawSecret,
    /// What `amqps://` needs beyond the system's certificates.
    pub tls: Option<RawBrokerTls>,
    /// `declare` makes exchanges and queues that are missing, `assert` only checks them. Default `declare`.
    pub topology: Option<RawTopology>,
    /// What the names of exchanges and queues begin with; fleets that share a vhost need different ones. Default
    /// `tagmill`.
    #[schemars(regex(pattern = r"^[a-z0-9._-]{1,64}$"))]
    pub prefix: Option<String>,
    /// What one lane holds at most of messages that are not done.
    pub window: Option<RawWindow>,
}

/// Files in PEM.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBrokerTls {
    /// Certificates of the authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate, with `key` beside it.
    pub certificate: Option<PathBuf>,
    /// The key of our certificate.
    pub key: Option<PathBuf>,
}

/// Whether tagmill makes its exchanges and queues.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawTopology {
    /// Make what is missing.
    Declare,
    /// Only check; for a user without the permission to configure.
    Assert,
}

/// What one lane holds at most; whichever comes first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWindow {
    /// Messages. Default 1000.
    #[schemars(range(min = 1, max = 2000))]
    pub messages: Option<u32>,
    /// Megabytes of messages. Default 64.
    #[schemars(range(min = 1, max = 4096))]
    pub megabytes: Option<u32>,
}

/// The HTTP server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawServer {
    /// Address and port. Default `127.0.0.1:9464`. Beyond this machine only with tokens.
    pub listen: Option<String>,
    /// Who may do what. Left out: whoever reaches the address may do all.
    pub tokens: Option<Vec<RawToken>>,
    /// How much it takes.
    pub limits: Option<RawServerLimits>,
}

/// A bearer token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawToken {
    /// Whose it is; it stands in the log beside every change.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub name: String,
    /// The token; better a reference.
    pub secret: RawSecret,
    /// What it allows.
    #[schemars(length(min = 1))]
    pub scopes: Vec<RawScope>,
}

/// What a token allows.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawScope {
    /// To look.
    Read,
    /// To pause and resume lanes, to replay and discard dead letters.
    Operate,
    /// To hand in jobs and events.
    Ingest,
}

/// How much the server takes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawServerLimits {
    /// Megabytes of a request's body at most. Default 8.
    #[schemars(range(min = 1, max = 64))]
    pub body_megabytes: Option<u32>,
    /// Requests at the same time. Default 64.
    #[schemars(range(min = 1, max = 10_000))]
    pub concurrency: Option<u32>,
    /// One request, such as `10s` (the default).
    pub timeout: Option<String>,
}

/// Where cloud events come from, and how long they are remembered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEvents {
    /// How long an event is remembered, so that it is taken once. Default `24h`.
    pub dedup: Option<String>,
    /// How long after an event "not found" means "not there yet". Default `15m`.
    pub grace: Option<String>,
    /// Huawei Cloud: project ids and their regions.
    pub regions: Option<BTreeMap<String, String>>,
    /// Alibaba Cloud: how the sender of events over HTTP is known.
    pub alibaba: Option<RawAlibabaEvents>,
    /// Queues of the broker that hold raw events.
    pub queues: Option<Vec<RawEventQueue>>,
}

/// How the sender of Alibaba Cloud's events is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAlibabaEvents {
    /// Check its signature. Default false.
    pub verify: Option<bool>,
    /// The address that events are sent to, as the console has it: it is part of what is signed.
    pub url: Option<String>,
    /// The token that the console sends along. Without it any customer's EventBridge could send.
    pub token: Option<RawSecret>,
    /// Regions whose EventBridge may send. Left out: any.
    pub regions: Option<Vec<String>>,
}

/// A queue of the broker that holds raw events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEventQueue {
    /// Its name. It is there already: whoever sends to it has made it.
    pub queue: String,
    /// How its events are read.
    pub source: RawEventSource,
}

/// Who an event came from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawEventSource {
    /// Amazon EventBridge.
    Aws,
    /// EventBridge of Alibaba Cloud.
    Alibaba,
    /// Cloud Trace Service of Huawei Cloud.
    Huawei,
    /// Anything else that speaks CloudEvents.
    CloudEvents,
}

/// Which jobs follow from which events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// Its name, unique among the rules. Default `rule-1` and so on.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub name: Option<String>,
    /// The clouds it is for.
    pub source: RawOneOrMany<RawEventSource>,
    /// Names such as `RunInstances` or `ec2:RunInstances`. Left out: every creation that `tagmill rules list` knows.
    pub event: Option<RawOneOrMany<String>>,
    /// Where the ids stand in the record (JMESPath). Left out: as `tagmill rules list` says.
    pub ids: Option<RawIds>,
    /// A condition (minijinja expression) over `event`, `creator`, `account`, `region`, ...
    pub when: Option<String>,
    /// Where its jobs go. Left out: to the lane of the event's account and region.
    pub lane: Option<RawRuleLane>,
    /// Tags to set: values are templates (minijinja). One that does not resolve is left out.
    pub set: Option<BTreeMap<String, String>>,
    /// Keys to remove.
    pub unset: Option<RawOneOrMany<String>>,
    /// Replace tags that are there, where the API can tell. Default false.
    pub update: Option<bool>,
}

/// One, or a list.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawOneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

/// Where ids stand, and how the resources are named.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawIds {
    /// The path alone: ids are in the form that the provider wants.
    Path(String),
    /// More than that.
    Full(RawFullIds),
}

/// Where ids stand, and how the resources are named.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFullIds {
    /// JMESPath in the record.
    pub path: String,
    /// The id as the provider wants it: a template with `id`.
    pub id: Option<String>,
    /// The type as the provider wants it: a template with `id`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// Where the jobs of a rule go.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawRuleLane {
    /// A lane's name, or a template that makes one.
    Name(String),
    /// Which lanes may be found.
    Find(RawFindLane),
}

/// Which lanes may be found.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFindLane {
    /// Only lanes of this provider.
    pub provider: Option<String>,
    /// In place of the event's account.
    pub account: Option<String>,
    /// In place of the event's region.
    pub region: Option<String>,
}

/// One tagging API at one account and region: one credential, one rate limit, one queue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLane {
    /// 1 to 120 characters of a-z A-Z 0-9 . _ - and, with `for_each`, placeholders such as `<account>`.
    #[schemars(regex(pattern = r"^([A-Za-z0-9._-]|<[^<>]+>){1,120}$"))]
    pub name: String,
    /// Makes this entry many lanes: one per combination of the values of these lists. `<account>` in any text of the
    /// entry stands for the value of the list `account`.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z][a-z0-9_]*$"}))]
    pub for_each: Option<BTreeMap<String, RawList>>,
    /// Combinations of `for_each` that are no lanes.
    pub exclude: Option<Vec<BTreeMap<String, RawExcluded>>>,
    /// The tagging API, such as `huawei-tms` or `aws-tagging`.
    pub provider: String,
    /// The region in the cloud's own spelling.
    pub region: String,
    /// Left out: the cloud's usual chain of sources.
    pub credentials: Option<RawCredentials>,
    /// Calls a second. Left out: what is safe for the API.
    pub rate: Option<RawRate>,
    /// Calls in flight at once. Default 2.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: Option<u32>,
    /// Lowers what one call may carry.
    pub limits: Option<RawLimits>,
    /// When to give up on an item.
    pub retry: Option<RawRetry>,
    /// Replaces the cloud's endpoint: a test cloud, a proxy, a private endpoint. Scheme and host, no path.
    pub endpoint: Option<String>,
    /// `apply`, or `observe`: plan and log, send nothing. Default `apply`.
    pub mode: Option<RawMode>,
    /// How long one call may take, such as `9s` (the default). Below `10s` with a broker.
    pub timeout: Option<String>,
    /// Alibaba Cloud: the signature's version. Default `v3`.
    pub signature: Option<RawSignature>,
    /// Huawei Cloud: batch-delete sends an empty value with each key, as some editions want it.
    pub delete_with_value: Option<bool>,
    /// The account the resources belong to: events of that account find the lane by it. AWS: resources of another
    /// account are refused. In quotes: an account may begin with 0.
    #[schemars(regex(pattern = r"^([A-Za-z0-9-]{1,64}|.*<[^<>]+>.*)$"))]
    pub account_id: Option<String>,
    /// `aws-s3`: the bucket in the path (`true`) or in the host (`false`). Left out: in the host, with `endpoint` in the path.
    pub path_style: Option<bool>,
    /// `aws-s3`: read again what was written before it is reported; one more request a write. Default false.
    pub verify: Option<bool>,
    /// `aws-tagging`: tag CloudFormation stacks too, although that updates them. Default false.
    pub allow_cloudformation_stacks: Option<bool>,
}

/// The values of a list.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawList {
    /// The values themselves.
    Values(#[schemars(length(min = 1))] Vec<RawValue>),
    /// A file they stand in.
    File(RawListFile),
}

/// A file of values, one a line (.txt), in a column (.csv), or as a list (.yaml, .json).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawListFile {
    /// Its path, from the folder of the config.
    pub file: PathBuf,
    /// The column of a .csv file. Default: the name of the list. The others can be used as `<list.column>`.
    pub column: Option<String>,
}

/// One value: text, or a whole number such as an account's.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawValue {
    /// Text.
    Text(String),
    /// A whole number without a leading zero.
    Number(u64),
}

/// One value of a list, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawExcluded {
    /// One.
    One(RawValue),
    /// Several.
    Several(Vec<RawValue>),
}

/// Who we are: a key pair, a Huawei Cloud login or token, a profile, or one source of the cloud's usual chain. Left out:
/// the whole chain. From there a role can be taken.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct RawCredentials {
    /// One source of the usual chain and no other.
    pub source: Option<RawSource>,
    /// AWS and Alibaba Cloud: a profile of the cloud's own files.
    pub profile: Option<String>,
    /// In place of the cloud's own files: for AWS one like ~/.aws/credentials, for Alibaba Cloud one like
    /// ~/.aliyun/config.json or ~/.alibabacloud/credentials.ini, for Huawei Cloud one like ~/.huaweicloud/credentials.
    pub credentials_file: Option<PathBuf>,
    /// The public half of a key pair.
    pub access_key: Option<RawSecret>,
    /// The secret half.
    pub secret_key: Option<RawSecret>,
    /// The token of a temporary key pair.
    pub security_token: Option<RawSecret>,
    /// Huawei Cloud: the account the key pair belongs to. Left out: looked up.
    pub domain_id: Option<String>,
    /// Huawei Cloud: the name of an IAM user.
    pub username: Option<RawSecret>,
    /// Huawei Cloud: its password.
    pub password: Option<RawSecret>,
    /// Huawei Cloud: the account's name.
    pub domain_name: Option<String>,
    /// Huawei Cloud: a token for `X-Auth-Token`.
    pub token: Option<RawSecret>,
    /// AWS and Alibaba Cloud: a role to take from there.
    pub assume_role: Option<RawAssumeRole>,
    /// Where roles are taken and callers named, in place of the cloud's own. Scheme and host, no path.
    pub sts_endpoint: Option<String>,
    /// Huawei Cloud: where to log in and where accounts are looked up.
    pub iam_endpoint: Option<String>,
    /// The metadata service of a machine, in place of the cloud's own.
    pub metadata_endpoint: Option<String>,
}

/// One source of a chain.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawSource {
    /// Environment variables.
    Environment,
    /// The cloud's own files.
    File,
    /// A token file that is exchanged for a key: IRSA, RRSA, federation.
    WebIdentity,
    /// AWS and Huawei Cloud: the container's own endpoint.
    Container,
    /// The metadata service of the machine.
    Instance,
    /// Alibaba Cloud: an address that hands out keys.
    Uri,
}

/// A role to take.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAssumeRole {
    /// `arn:aws:iam::ACCOUNT:role/NAME` or `acs:ram::ACCOUNT:role/NAME`.
    #[schemars(regex(pattern = r"^(arn:|acs:ram::).*:role/"))]
    pub role_arn: String,
    /// What the owner of the role has agreed on with you.
    pub external_id: Option<String>,
    /// The name of the session in the account's trail. Default `tagmill`.
    #[schemars(length(min = 2))]
    pub session_name: Option<String>,
    /// The profile the role is taken from. Left out: the usual chain, or what stands beside `assume_role`.
    pub source_profile: Option<String>,
    /// How long a session lasts, `15m` to `12h`. Left out: an hour.
    pub duration: Option<String>,
}

/// A value, or a reference to where it is kept.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawSecret {
    /// The value itself.
    Plain(String),
    /// A reference.
    Reference(RawReference),
}

/// Where a secret is kept: exactly one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct RawReference {
    /// An environment variable.
    pub env: Option<String>,
    /// A file; white space around its content is dropped.
    pub file: Option<PathBuf>,
    /// A program and its arguments, run without a shell; what it prints is the secret.
    pub exec: Option<Vec<String>>,
}

/// The ceiling of the call rate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRate {
    /// Calls a second; may be below 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub per_second: f64,
    /// Calls at once after a pause. Default 1.
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
}

/// What one call may carry. May only lower what the API allows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// Resources in one call.
    #[schemars(range(min = 1))]
    pub resources_per_call: Option<u32>,
    /// Tags in one call.
    #[schemars(range(min = 1))]
    pub tags_per_call: Option<u32>,
}

/// When to give up on an item, whichever comes first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRetry {
    /// Attempts. Default 8.
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// Time from the first attempt, such as `6h` (the default).
    pub give_up_after: Option<String>,
}

/// What a lane does.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawMode {
    /// Send calls.
    Apply,
    /// Plan and log, send nothing.
    Observe,
}

/// How Alibaba Cloud requests are signed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawSignature {
    /// HMAC-SHA1 in the query.
    V1,
    /// ACS3-HMAC-SHA256 in a header.
    V3,
}

/// The JSON Schema of the config.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawConfig).to_value()
}
