//! What the config promises: every mistake at once with its line, no secret in any message, sensible defaults.

use super::load::parse_with;
use super::*;
use crate::event::{LaneSpec, Source};
use insta::assert_snapshot;
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse_with(text, Path::new("tagmill.yaml"), variables, &fake::CATALOG)
}

fn read(text: &str) -> Result<Config, ConfigError> {
    read_with(text, &[])
}

fn wrong(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn warnings(text: &str) -> String {
    read(text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const FULL: &str = r#"
broker:
  url: { env: AMQP_URL }
  tls: { ca: /etc/ca.pem, certificate: /etc/me.pem, key: /etc/me.key }
  topology: assert
  prefix: team-a.tagmill
  window: { messages: 500, megabytes: 16 }
state: /var/lib/tagmill
server:
  listen: "0.0.0.0:9464"
  tokens: [{ name: ci, secret: { env: CI_TOKEN }, scopes: [read, ingest] }]
  limits: { body_megabytes: 2, concurrency: 8, timeout: 5s }
lanes:
  - name: huawei-prod
    provider: huawei-tms
    region: cn-north-4
    credentials: { access_key: { env: HW_AK }, secret_key: { file: /run/secrets/hw_sk }, domain_id: "0a1b" }
    rate: { per_second: 0.5, burst: 2 }
    concurrency: 3
    limits: { resources_per_call: 20, tags_per_call: 5 }
    retry: { max_attempts: 4, give_up_after: 90s }
    endpoint: http://127.0.0.1:9001
    mode: observe
    timeout: 500ms
    delete_with_value: true
  - name: ali
    provider: alibaba-ecs
    region: eu-central-1
    signature: v1
events:
  dedup: 2h
  grace: 5m
  regions: { "0706": cn-north-4 }
  alibaba: { verify: true, url: https://tagmill.example.com/v1/events/alibaba, token: { env: T }, regions: [cn-hangzhou] }
  queues: [{ queue: my-events, source: alibaba }]
rules:
  - { name: owner, source: [huawei, alibaba], set: { owner: "{{ creator }}" } }
  - source: alibaba
    event: rds:CreateDBInstance
    ids: { path: referencedResources, id: "{{ id }}", type: INSTANCE }
    when: creator is defined
    lane: { provider: alibaba-rds, account: "1", region: eu-central-1 }
    set: { team: x }
    unset: [temp]
    update: true
  - { source: huawei, event: createServer, lane: huawei-prod, set: { a: b } }
"#;

#[test]
fn a_full_config_is_read_field_by_field_and_defaults_fill_the_rest() {
    let config = read(FULL).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let broker = config.broker.unwrap();
    assert_eq!(broker.url, Secret::Env("AMQP_URL".into()));
    assert_eq!((broker.topology, broker.tls.ca), (Topology::Assert, Some("/etc/ca.pem".into())));
    assert_eq!((&*broker.prefix, broker.window), ("team-a.tagmill", Window { messages: 500, megabytes: 16 }));
    assert_eq!(config.state, Path::new("/var/lib/tagmill"));
    let server = config.server.unwrap();
    assert_eq!(server.listen.port(), 9464);
    assert_eq!(server.limits, ServerLimits { body_megabytes: 2, concurrency: 8, timeout: Duration::from_secs(5) });
    assert_eq!((&*server.tokens[0].name, &*server.tokens[0].scopes), ("ci", &[Scope::Read, Scope::Ingest][..]));
    let events = &config.events;
    assert_eq!((events.dedup, events.grace), (Duration::from_hours(2), Duration::from_mins(5)));
    assert_eq!((&*events.queues[0].queue, &*events.regions["0706"]), ("my-events", "cn-north-4"));
    assert!(events.alibaba.verify);
    assert_eq!(config.rules.names().collect::<Vec<_>>(), ["owner", "rule-2", "rule-3"]);
    let rules: Vec<_> = config.rules.specs().collect();
    assert_eq!(rules[0].sources, [Source::Huawei, Source::Alibaba]);
    assert!(rules[1].update && !rules[0].update);
    assert_eq!(rules[2].lane, LaneSpec::Named("huawei-prod".into()));
    let [huawei, ali] = &*config.lanes else { panic!("two lanes") };
    assert_eq!((huawei.name.as_str(), huawei.provider.name), ("huawei-prod", "huawei-tms"));
    assert_eq!(huawei.settings.endpoint.as_deref(), Some("http://127.0.0.1:9001"));
    assert_eq!((huawei.settings.resources_per_call, huawei.settings.tags_per_call), (Some(20), Some(5)));
    assert!(huawei.settings.delete_with_value && !huawei.settings.signature_v1);
    assert_eq!(huawei.rate, Rate { per_second: 0.5, burst: 2 });
    assert_eq!(huawei.retry, Retry { max_attempts: 4, give_up_after: Duration::from_secs(90) });
    assert_eq!((huawei.concurrency, huawei.mode, huawei.timeout), (3, Mode::Observe, Duration::from_millis(500)));

    assert_eq!(ali.rate, Rate { per_second: 2.5, burst: 1 }, "the provider's own");
    assert_eq!(ali.retry, Retry { max_attempts: 8, give_up_after: Duration::from_hours(6) });
    assert_eq!((ali.concurrency, ali.mode, ali.timeout), (2, Mode::Apply, Duration::from_secs(9)));
    assert_eq!(ali.credentials, Credentials::default());
    assert!(ali.settings.signature_v1);

    let least = read("lanes: [{name: a, provider: huawei-tms, region: x}]").unwrap();
    assert_eq!((least.state.as_path(), least.broker, least.server), (Path::new("./tagmill-state"), None, None));
    assert_eq!(least.events, Events::default());
    assert!(least.rules.is_empty());
}

#[test]
fn an_aws_lane_has_settings_of_its_own_and_nobody_else_has_them() {
    let config = read(
        r#"
lanes:
  - name: buckets
    provider: aws-s3
    region: us-east-1
    account_id: "012345678901"
    path_style: false
    verify: true
    credentials: { access_key: { env: A }, secret_key: { env: S }, security_token: { env: T } }
  - { name: all, provider: aws-tagging, region: us-east-1, allow_cloudformation_stacks: true }
"#,
    )
    .unwrap();
    let [buckets, all] = &*config.lanes else { panic!("two lanes") };
    assert_eq!(buckets.settings.account_id.as_deref(), Some("012345678901"));
    assert_eq!((buckets.settings.path_style, buckets.settings.verify), (Some(false), true));
    assert!(all.settings.allow_cloudformation_stacks && !buckets.settings.allow_cloudformation_stacks);
    assert_eq!((all.settings.path_style, all.settings.verify, all.settings.account_id.as_deref()), (None, false, None));

    let text = wrong(
        r#"
lanes:
  - { name: a, provider: alibaba-ecs, region: x, account_id: "012345678901", verify: true, path_style: true }
  - { name: b, provider: aws-tagging, region: x, account_id: 12345678901, verify: true }
  - { name: c, provider: aws-s3, region: x, account_id: "1234", allow_cloudformation_stacks: yes please }
"#,
    );
    assert_snapshot!(text, @r#"
    tagmill.yaml: 7 things are wrong:
      line 3: lanes[0].path_style: is for aws-s3 only
      line 3: lanes[0].verify: is for aws-s3 only
      line 4: lanes[1].verify: is for aws-s3 only
      line 4: lanes[1].account_id: expected text, found a number; put it in quotes
      line 5: lanes[2].allow_cloudformation_stacks: is for aws-tagging only
      line 5: lanes[2].account_id: an AWS account has 12 digits; write them in quotes
      line 5: lanes[2].allow_cloudformation_stacks: expected true or false, found text
    "#);
}

#[test]
fn many_mistakes_are_told_at_once_each_with_its_line() {
    let text = wrong(
        r"
brokr: { url: amqp://localhost }
server: { listen: nine }
lanes:
  - name: a b
    provider: huawei-tsm
    regoin: cn-north-4
  - name: twice
    provider: huawei-tms
    region: cn-north-4
    credentials: { access_key: { env: A, file: B }, secret_key: 12 }
    rate: { per_second: 0, burst: 0 }
    concurrency: 65
    limits: { resources_per_call: 0 }
    retry: { max_attempts: 0, give_up_after: 6 }
    endpoint: tms.example.com
    mode: aply
    timeout: 9
    signature: v1
  - name: twice
    provider: alibaba-ecs
    region: 5
    credentials: { username: u, password: SECRET }
    rate: { per_second: .inf }
    limits: { resources_per_call: 51 }
    delete_with_value: yes please
  - name: far
    provider: alibaba-ecs
    region: nowhere-1
  - name: greedy
    provider: alibaba-ecs
    region: x
    limits: { resources_per_call: 51, tags_per_call: 11 }
  - five
rules: 5
",
    );
    assert!(!text.contains("SECRET"));
    assert_snapshot!(text, @r"
    tagmill.yaml: 31 things are wrong:
      line 2: brokr: unknown field; did you mean broker?
      line 3: server.listen: expected an address and a port such as 127.0.0.1:9464
      line 5: lanes[0].region: is missing
      line 5: lanes[0].name: a lane name has 1 to 120 characters of a-z A-Z 0-9 . _ -
      line 6: lanes[0].provider: there is no provider huawei-tsm; did you mean huawei-tms?
      line 7: lanes[0].regoin: unknown field; did you mean region?
      line 11: lanes[1].credentials.access_key: name exactly one of env, file and exec
      line 11: lanes[1].credentials.secret_key: expected {env: NAME}, {file: PATH}, {exec: [...]} or text, found a number; put it in quotes
      line 12: lanes[1].rate.burst: must be at least 1
      line 12: lanes[1].rate.per_second: must be a number above 0
      line 13: lanes[1].concurrency: must be from 1 to 64
      line 14: lanes[1].limits.resources_per_call: must be at least 1
      line 15: lanes[1].retry.max_attempts: must be from 1 to 1000
      line 15: lanes[1].retry.give_up_after: the unit is missing; write 500ms, 90s, 15m, 6h or 7d
      line 16: lanes[1].endpoint: expected http:// or https:// and a host, without a path
      line 17: lanes[1].mode: is either apply or observe
      line 18: lanes[1].timeout: the unit is missing; write 500ms, 90s, 15m, 6h or 7d
      line 19: lanes[1].signature: is for Alibaba Cloud only
      line 20: lanes[2].name: twice is the name of lanes[1] already
      line 22: lanes[2].region: expected text, found a number; put it in quotes
      line 23: lanes[2].credentials.username: is for Huawei Cloud only
      line 23: lanes[2].credentials.password: is for Huawei Cloud only
      line 23: lanes[2].credentials.domain_name: is missing
      line 24: lanes[2].rate.per_second: must be a number above 0
      line 26: lanes[2].delete_with_value: expected true or false, found text
      line 26: lanes[2].delete_with_value: is for Huawei Cloud only
      line 28: lanes[3].provider: the region nowhere-1 has no such API
      line 33: lanes[4].limits.resources_per_call: alibaba-ecs takes at most 50; limits can only be lowered
      line 33: lanes[4].limits.tags_per_call: alibaba-ecs takes at most 10; limits can only be lowered
      line 34: lanes[5]: expected a section, found text
      line 35: rules: expected a list, found a number
    ");
}

#[test]
fn everything_that_is_wrong_with_server_events_and_rules_is_told_with_its_line() {
    let text = wrong(
        r#"
lanes: [{ name: tms, provider: huawei-tms, region: cn-north-4 }]
server:
  listen: 0.0.0.0:9464
  limits: { concurrency: 0 }
events: { dedup: 1y, alibaba: { verify: true }, queues: [{ queue: q, source: ali }] }
rules:
  - { name: a, source: hauwei, set: { owner: "{{ creator" } }
  - { name: a, source: huawei, event: createServer, set: { n: 5 }, lane: tmss }
  - source: huawei
    event: createThing
    when: "a =="
    lane: { provider: aws-s4 }
    set: { owner: "{{ creator }}" }
  - { name: b, source: huawei, event: createThing, ids: "a[", unset: [x], set: { x: y } }
"#,
    );
    assert_snapshot!(text, @r"
    tagmill.yaml: 17 things are wrong:
      line 4: server.listen: without tokens only this machine may be listened on (127.0.0.1): add server.tokens
      line 5: server.limits.concurrency: must be from 1 to 10000
      line 6: events.dedup: expected a length of time such as 500ms, 90s, 15m, 6h or 7d
      line 6: events.alibaba.token: is missing: the signature says that EventBridge sent it, the token that it was yours; set the same one in the console
      line 6: events.alibaba.url: is missing: the address that events are sent to is part of what is signed
      line 6: events.queues[0].source: there is no source ali; known are aws, alibaba, huawei, cloudevents
      line 8: rules[0].source: there is no source hauwei; did you mean huawei?; known are aws, alibaba, huawei, cloudevents
      line 8: rules[0].set.owner: unexpected end of input, expected end of variable block
      line 9: rules[1].set.n: expected text, found a number; put it in quotes
      line 9: rules[1].lane: there is no such lane; did you mean tms?
      line 9: rules[1].name: another rule has this name
      line 11: rules[2].event: createThing is not in the table of creations (`tagmill rules list`): say where its ids stand with `ids`
      line 12: rules[2].when: unexpected end of input, expected expression
      line 13: rules[2].lane.provider: there is no provider aws-s4; did you mean aws-s3?
      line 15: rules[3].unset: x is also in `set`
      line 15: rules[3].lane: with `ids` of your own say the provider, or the lane
      line 15: rules[3].ids: no JMESPath: Parse error: Expected number, ':', or '*' -- found Eof (line 0, column 2)
    ");
    let text = wrong(
        r"
lanes: [{ name: tms, provider: huawei-tms, region: cn-north-4 }]
server:
  listen: 0.0.0.0:9464
  tokens:
    - { name: a, secret: PLAIN-SECRET, scopes: [reed] }
    - { name: a b, scopes: [] }
",
    );
    assert!(!text.contains("PLAIN-SECRET"));
    assert_snapshot!(text, @"
    tagmill.yaml: 4 things are wrong:
      line 6: server.tokens[0].scopes: there are read, operate and ingest; did you mean read?
      line 7: server.tokens[1].secret: is missing
      line 7: server.tokens[1].name: a name has at most 64 characters of a-z A-Z 0-9 . _ -
      line 7: server.tokens[1].scopes: is empty: there are read, operate and ingest
    ");
}

#[test]
fn what_is_no_config_at_all_is_told_without_showing_the_file() {
    assert_snapshot!(wrong(""), @r"
    tagmill.yaml: one thing is wrong:
      lanes: there are none; name at least one lane
    ");
    assert_snapshot!(wrong("lanes: []"), @r"
    tagmill.yaml: one thing is wrong:
      line 1: lanes: there are none; name at least one lane
    ");
    assert_snapshot!(wrong("[]"), @r"
    tagmill.yaml: one thing is wrong:
      line 1: expected a section, found a list
    ");
    assert_snapshot!(wrong("lanes: [\nsecret_key: SECRET"), @"tagmill.yaml: not YAML: unclosed bracket '[' at line 1, column 8");
    assert_snapshot!(wrong("state: a\nstate: SECRET"), @r"
    tagmill.yaml: 2 things are wrong:
      line 1: lanes: there are none; name at least one lane
      line 2: state: is there twice
    ");
    let missing = load(Path::new("no/such.yaml")).unwrap_err();
    assert_snapshot!(missing, @"no/such.yaml: there is no such file; `tagmill config init` writes one to start from");
}

fn lane(name: &str, provider: &str, more: &str) -> String {
    format!("  - {{name: {name}, provider: {provider}, region: r-1{more}}}\n")
}

#[test]
fn a_secret_that_stands_in_the_config_is_warned_of() {
    let keys = lane("a", "huawei-tms", ", credentials: {access_key: AK, secret_key: SECRET}");
    let text = warnings(&format!("broker: {{url: 'amqp://u:SECRET@h/'}}\nlanes:\n{keys}"));
    assert!(!text.contains("SECRET"));
    assert_snapshot!(text, @r"
    line 1: broker.url: the password stands in the config; use {env: NAME}, {file: PATH} or {exec: [...]}
    line 3: lanes[0].credentials.secret_key: the secret stands in the config; use {env: NAME}, {file: PATH} or {exec: [...]}
    ");
    assert_eq!(warnings(&format!("broker: {{url: 'amqp://u@h/'}}\nlanes:\n{}", lane("a", "huawei-tms", ""))), "");
    let broker = |fields: &str| format!("broker: {{url: 'amqp://h'{fields}}}\nlanes:\n{}", lane("a", "huawei-tms", ""));
    assert_eq!(read(&broker("")).unwrap().broker.unwrap().prefix, "tagmill");
    assert!(wrong(&broker(", prefix: Team A")).contains("line 1: broker.prefix: expected 1 to 64 characters"));
    let config = read(&format!("lanes:\n{keys}")).unwrap();
    assert!(!format!("{config:?}").contains("SECRET"));
}

#[test]
fn lanes_that_get_in_each_others_way_are_warned_of_and_refused_where_it_destroys() {
    let two = |provider: &str, more: &str| format!("lanes:\n{}{}", lane("a", provider, ""), lane("b", provider, more));
    assert_snapshot!(warnings(&two("aws-tagging", "")), @"line 3: lanes: lanes a and b can reach the same account and API: they share its limit, and between them there is no order");
    assert_eq!(warnings(&two("aws-tagging", ", endpoint: 'http://x'")), "");
    assert_eq!(warnings(&two("aws-tagging", ", credentials: {access_key: {env: A}, secret_key: {env: B}}")), "");
    assert_snapshot!(wrong(&two("aws-s3", "")), @r"
    tagmill.yaml: one thing is wrong:
      line 3: lanes: lanes a and b can reach the same buckets, and a write replaces all tags; make them one lane
    ");
}

#[test]
fn with_a_broker_a_call_must_end_before_the_lane_can_have_another_owner() {
    let lanes = |timeout: &str| {
        let [a, b] = ["a", "b"].map(|name| lane(name, "huawei-tms", &format!(", timeout: {timeout}")));
        format!("lanes:\n{a}{}", b.replace("region: r-1", "region: 5"))
    };
    let broker = "broker: {url: amqp://mq}\n";
    assert_snapshot!(wrong(&(broker.to_owned() + &lanes("10s"))), @r"
    tagmill.yaml: 3 things are wrong:
      line 3: lanes[0].timeout: must be below 10s with a broker: a worker that is cut off notices it after 10s, and another may take its lanes over
      line 4: lanes[1].region: expected text, found a number; put it in quotes
      line 4: lanes[1].timeout: must be below 10s with a broker: a worker that is cut off notices it after 10s, and another may take its lanes over
    ");
    assert!(!wrong(&(broker.to_owned() + &lanes("9999ms"))).contains("timeout"));
    assert!(!wrong(&lanes("10s")).contains("timeout"));
}

#[test]
fn every_form_of_credentials_is_read_and_no_mixture() {
    let with = |provider: &str, credentials: &str| {
        let text = format!("lanes:\n{}", lane("a", provider, &format!(", credentials: {credentials}")));
        read(&text).map_or_else(|error| error.to_string(), |config| format!("{:?}", config.lanes[0].credentials))
    };
    let huawei = [
        "{token: {exec: [get-token, --now]}}",
        "{username: {env: U}, password: {file: /p}, domain_name: d, iam_endpoint: 'https://iam.x'}",
        "{access_key: AK, secret_key: {env: SK}, security_token: {env: ST}}",
        "{credentials_file: /etc/hw}",
        "{source: container}",
        "{metadata_endpoint: 'http://127.0.0.1:1', sts_endpoint: 'http://127.0.0.1:2'}",
        "{access_key: AK}",
        "{token: {env: T}, username: u}",
        "{}",
        "{username: u, password: {env: P}}",
        "{token: {exec: get-token}}",
        "{token: {enw: T}}",
        "{profile: x}",
        "{assume_role: {role_arn: 'acs:ram::1:role/x'}}",
        "{source: uri}",
    ]
    .map(|text| with("huawei-tms", text));
    assert_snapshot!(huawei.join("\n"), @r#"
    Credentials { base: Token({exec: [get-token, ...]}), role: None, places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: Password { username: {env: U}, password: {file: /p}, domain_name: "d" }, role: None, places: Places { sts: None, iam: Some("https://iam.x"), metadata: None } }
    Credentials { base: Keys { access_key: [plain, not shown], secret_key: {env: SK}, security_token: Some({env: ST}), domain_id: None }, role: None, places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: File { profile: None, file: Some("/etc/hw") }, role: None, places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: Only(Container), role: None, places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: Chain, role: None, places: Places { sts: Some("http://127.0.0.1:2"), iam: None, metadata: Some("http://127.0.0.1:1") } }
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.secret_key: is missing
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials: name one of: access_key and secret_key; username, password and domain_name; token; profile or credentials_file; source. Leave credentials out for the usual chain of the cloud
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials: name one of: access_key and secret_key; username, password and domain_name; token; profile or credentials_file; source. Leave credentials out for the usual chain of the cloud
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.domain_name: is missing
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.token.exec: expected a list: the program and its arguments
    tagmill.yaml: 2 things are wrong:
      line 2: lanes[0].credentials.token.enw: unknown field; did you mean env?
      line 2: lanes[0].credentials.token: name exactly one of env, file and exec
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.profile: is for AWS and Alibaba Cloud only
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.assume_role: is for AWS and Alibaba Cloud only
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.source: expected one of environment, file, web_identity, container, instance
    "#);
    let aws = [
        "{profile: prod}",
        "{assume_role: {role_arn: 'arn:aws:iam::111122223333:role/tagger', external_id: x-1, session_name: me, source_profile: base, duration: 1h}}",
        "{source: instance, assume_role: {role_arn: 'arn:aws:iam::111122223333:role/tagger'}}",
        "{access_key: AK, secret_key: {env: SK}, assume_role: {role_arn: 'arn:aws:iam::111122223333:role/tagger'}, sts_endpoint: 'http://x'}",
        "{profile: a, source: file}",
        "{profile: a, assume_role: {role_arn: 'arn:aws:iam::1:role/x', source_profile: b}}",
        "{assume_role: {role_arn: tagger, session_name: a b, duration: 5m, sesion: x}}",
        "{assume_role: {}}",
        "{assume_role: 5}",
        "{token: {env: T}}",
        "{source: cloud}",
    ]
    .map(|text| with("aws-tagging", text));
    assert_snapshot!(aws.join("\n"), @r#"
    Credentials { base: File { profile: Some("prod"), file: None }, role: None, places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: File { profile: Some("base"), file: None }, role: Some(Role { arn: "arn:aws:iam::111122223333:role/tagger", external_id: Some("x-1"), session_name: "me", duration: Some(3600s) }), places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: Only(Instance), role: Some(Role { arn: "arn:aws:iam::111122223333:role/tagger", external_id: None, session_name: "tagmill", duration: None }), places: Places { sts: None, iam: None, metadata: None } }
    Credentials { base: Keys { access_key: [plain, not shown], secret_key: {env: SK}, security_token: None, domain_id: None }, role: Some(Role { arn: "arn:aws:iam::111122223333:role/tagger", external_id: None, session_name: "tagmill", duration: None }), places: Places { sts: Some("http://x"), iam: None, metadata: None } }
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials: name one of: access_key and secret_key; username, password and domain_name; token; profile or credentials_file; source. Leave credentials out for the usual chain of the cloud
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.assume_role: source_profile says who we are, and so does the rest; keep one
    tagmill.yaml: 4 things are wrong:
      line 2: lanes[0].credentials.assume_role.sesion: unknown field; known here: role_arn, external_id, session_name, source_profile, duration
      line 2: lanes[0].credentials.assume_role.role_arn: expected arn:aws:iam::ACCOUNT:role/NAME or acs:ram::ACCOUNT:role/NAME
      line 2: lanes[0].credentials.assume_role.session_name: has 2 to 64 characters of a-z A-Z 0-9 . @ - _
      line 2: lanes[0].credentials.assume_role.duration: must be from 15m to 12h
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.assume_role.role_arn: is missing
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.assume_role: expected a section, found a number
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.token: is for Huawei Cloud only
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.source: expected one of environment, file, web_identity, container, instance
    "#);
}

/// The names of the lanes of a config, in their order.
fn names(text: &str) -> Vec<String> {
    read(text).unwrap_or_else(|error| panic!("{error}")).lanes.iter().map(|lane| lane.name.to_string()).collect()
}

const MANY: &str = "
lanes:
  - name: aws-<account>-<region>
    for_each: { account: [111122223333, '044455556666'], region: [eu-central-1, us-east-1] }
    exclude:
      - { account: '044455556666', region: us-east-1 }
    provider: aws-tagging
    region: <region>
    endpoint: https://<account>.example.com
    credentials: { access_key: { env: AK_<account> }, secret_key: { exec: [vault, read, 'aws/<account>'] } }
  - { name: alone, provider: huawei-tms, region: x }
";

#[test]
fn one_entry_stands_for_every_combination_of_its_lists_less_the_excluded() {
    let config = read(MANY).unwrap();
    let lane = |lane: &LaneConfig| {
        let endpoint = lane.settings.endpoint.as_deref().unwrap_or("-");
        format!("{} {} {endpoint} {:?}", lane.name, lane.settings.region, lane.credentials)
    };
    assert_snapshot!(config.lanes.iter().map(lane).collect::<Vec<_>>().join("\n"), @r"
    aws-111122223333-eu-central-1 eu-central-1 https://111122223333.example.com Credentials { base: Keys { access_key: {env: AK_111122223333}, secret_key: {exec: [vault, ...]}, security_token: None, domain_id: None }, role: None, places: Places { sts: None, iam: None, metadata: None } }
    aws-111122223333-us-east-1 us-east-1 https://111122223333.example.com Credentials { base: Keys { access_key: {env: AK_111122223333}, secret_key: {exec: [vault, ...]}, security_token: None, domain_id: None }, role: None, places: Places { sts: None, iam: None, metadata: None } }
    aws-044455556666-eu-central-1 eu-central-1 https://044455556666.example.com Credentials { base: Keys { access_key: {env: AK_044455556666}, secret_key: {exec: [vault, ...]}, security_token: None, domain_id: None }, role: None, places: Places { sts: None, iam: None, metadata: None } }
    alone x - Credentials { base: Chain, role: None, places: Places { sts: None, iam: None, metadata: None } }
    ");
    let expected = Expansion {
        line: Some(3),
        template: "aws-<account>-<region>".into(),
        lists: vec![("account".into(), 2), ("region".into(), 2)],
        excluded: 1,
        first: 0,
        lanes: 3,
    };
    assert_eq!(config.expansions, [expected]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn lists_come_from_files_beside_the_config() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.txt", "\u{feff}# the first ones\none\n\n two # the second\n");
    write("a.csv", "id,owner\n 012345678901 ,\"Smith, Ann\"\n210987654321,bob\n");
    write("a.yaml", "- 111122223333\n- 012345678901\n");
    write("a.json", r#"["one", 2]"#);
    write("empty.txt", "# none\n");
    write("twice.csv", "account\na\nb\na\n");
    write("hole.csv", "account,x\na,1\n,2\n");
    write("float.yaml", "- a\n- 1.5\n");
    let read = |list: &str, name: &str| {
        let text = format!(
            "lanes:\n  - {{name: '{name}', provider: huawei-tms, region: x, endpoint: 'https://<account>.x', for_each: {{account: {list}}}}}\n"
        );
        match parse_with(&text, &dir.path().join("tagmill.yaml"), [], &fake::CATALOG) {
            Ok(config) => config.lanes.iter().map(|lane| lane.name.to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string().replace(dir.path().to_str().unwrap(), "DIR"),
        }
    };
    let told = [
        read("{file: a.txt}", "l-<account>"),
        read("{file: a.csv, column: id}", "l-<account>"),
        read("{file: a.yaml}", "l-<account>"),
        read("{file: a.json}", "l-<account>"),
        read("{file: a.csv, column: id}", "l-<account.id>"),
        read("{file: a.csv, column: id}", "l-<account.owner>"),
        read("{file: a.csv, column: id}", "l-<account.team>"),
        read("{file: a.txt}", "l-<account.team>"),
        read("{file: a.csv}", "l-<account>"),
        read("{file: none.txt}", "l-<account>"),
        read("{file: empty.txt}", "l-<account>"),
        read("{file: twice.csv}", "l-<account>"),
        read("{file: hole.csv}", "l-<account>"),
        read("{file: float.yaml}", "l-<account>"),
        read("{file: a.txt, column: id}", "l-<account>"),
        read("{file: a.xls}", "l-<account>"),
        read("{fiel: a.txt}", "l-<account>"),
    ];
    assert_snapshot!(told.join("\n"), @r"
    l-one l-two
    l-012345678901 l-210987654321
    l-111122223333 l-012345678901
    l-one l-2
    l-012345678901 l-210987654321
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].name: a lane name has 1 to 120 characters of a-z A-Z 0-9 . _ - (lane l-Smith, Ann)
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].name: there is no column team; the list account has id, owner
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].name: there is no column team; the list account has no columns
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account.file: DIR/a.csv: there is no column account; there are id, owner
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account.file: DIR/none.txt: cannot be read: No such file or directory (os error 2)
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account: has no values
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account: a is there twice, as values 1 and 3
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account.file: DIR/hole.csv: line 3: account: is empty
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account.file: DIR/float.yaml: line 2: expected text, found a number; put it in quotes
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account.column: is for a .csv file
    DIR/tagmill.yaml: one thing is wrong:
      line 2: lanes[0].for_each.account.file: the name of a list file ends in .txt, .csv, .yaml, .yml or .json
    DIR/tagmill.yaml: 2 things are wrong:
      line 2: lanes[0].for_each.account.fiel: unknown field; did you mean file?
      line 2: lanes[0].for_each.account.file: is missing
    ");
}

#[test]
fn what_is_wrong_with_a_list_or_a_placeholder_is_told_once_with_its_line() {
    let entry = |name: &str, more: &str| {
        format!(
            "lanes:\n  - name: {name}\n    provider: aws-tagging\n    region: r-1\n    {}\n",
            more.replace('\n', "\n    ")
        )
    };
    let lists = "for_each: { account: [a, b], region: [x, y] }";
    let told = [
        entry("l-<account>", lists),
        entry("l-<account>-<regoin>", lists),
        entry("'l-{account}-<region>'", lists),
        entry("l-<account>-<region>", &format!("{lists}\nendpoint: {{region}}")),
        entry("l-<account>-<region>", &format!("{lists}\nexclude:\n  - {{account: [a, b]}}")),
        entry("l-<account>-<region>", &format!("{lists}\nexclude:\n  - {{acount: a}}\n  - {{}}\n  - 5")),
        entry("l-<account>-<region>", "exclude: [{account: a}]"),
        entry("l", "for_each: 5"),
        entry("l", "for_each: {}"),
        entry("l-<a>", "for_each: {Account: [a], a: [], b: 5, c: [1.5, true, -1, ''], d: [x, y, x]}"),
        entry("l-<a>-<b>", "for_each: {a: [x y, z], b: [1, 2]}\nmode: aply\ntimeout: 9"),
    ]
    .map(|text| wrong(&text));
    assert_snapshot!(told.join("\n"), @r"
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].name: l-a is the name of two lanes of this entry; put <region> into it (and 1 more)
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].name: for_each has no list regoin; did you mean region?
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].name: a placeholder is written <account>, not {account}
    tagmill.yaml: one thing is wrong:
      line 6: lanes[0].endpoint: a placeholder is written <region>, not {region}
    tagmill.yaml: one thing is wrong:
      line 5: lanes[0].exclude: leaves no lane of this entry
    tagmill.yaml: 4 things are wrong:
      line 7: lanes[0].exclude[0].acount: unknown field; did you mean account?
      line 7: lanes[0].exclude[0]: names no list of for_each; it would exclude everything
      line 8: lanes[0].exclude[1]: names no list of for_each; it would exclude everything
      line 9: lanes[0].exclude[2]: expected a section, found a number
    tagmill.yaml: one thing is wrong:
      line 5: lanes[0].exclude: needs for_each beside it
    tagmill.yaml: one thing is wrong:
      line 5: lanes[0].for_each: expected lists by name, found a number
    tagmill.yaml: one thing is wrong:
      line 5: lanes[0].for_each: names no list
    tagmill.yaml: 8 things are wrong:
      line 5: lanes[0].for_each.Account: the name of a list has a-z, 0-9 and _, and starts with a letter
      line 5: lanes[0].for_each.a: has no values
      line 5: lanes[0].for_each.b: expected a list, or {file: PATH}, found a number
      line 5: lanes[0].for_each.c[0]: expected text, found a number; put it in quotes
      line 5: lanes[0].for_each.c[1]: expected text, found true or false; put it in quotes
      line 5: lanes[0].for_each.c[2]: expected text, found a number; put it in quotes
      line 5: lanes[0].for_each.c[3]: is empty
      line 5: lanes[0].for_each.d: x is there twice, as values 1 and 3
    tagmill.yaml: 3 things are wrong:
      line 2: lanes[0].name: a lane name has 1 to 120 characters of a-z A-Z 0-9 . _ - (lane l-x y-1 and 1 more)
      line 6: lanes[0].mode: is either apply or observe (lane l-x y-1 and 3 more)
      line 7: lanes[0].timeout: the unit is missing; write 500ms, 90s, 15m, 6h or 7d (lane l-x y-1 and 3 more)
    ");
    let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let text = entry("<a><b>", &format!("for_each: {{a: [{0}], b: [{0}]}}", many.join(", ")));
    assert_snapshot!(wrong(&text), @r"
    tagmill.yaml: one thing is wrong:
      line 5: lanes[0].for_each: gives 160000 lanes; at most 100000 can come from one entry
    ");
}

#[test]
fn a_name_that_comes_twice_is_told_wherever_it_comes_from() {
    let text = "lanes:\n  - {name: l-a, provider: huawei-tms, region: x}\n  - {name: l-<x>, provider: alibaba-ecs, region: x, for_each: {x: [a, b]}}\n  - {name: l-b, provider: huawei-tms, region: x}\n";
    assert_snapshot!(wrong(text), @r"
    tagmill.yaml: 2 things are wrong:
      line 3: lanes[1].name: l-a is the name of lanes[0] already
      line 4: lanes[2].name: l-b is the name of lanes[1] already
    ");
    assert_eq!(names(&text.replace("l-<x>", "m-<x>")), ["l-a", "m-a", "m-b", "l-b"]);
}

#[test]
fn a_bracket_is_a_placeholder_only_around_a_name_and_never_in_a_secret() {
    let with = |secret: &str| {
        format!(
            "lanes:\n  - name: l-<x>\n    provider: aws-tagging\n    region: r-1\n    for_each: {{ x: [a] }}\n    credentials: {{ access_key: 'a<b <X> <x', secret_key: {secret} }}\n"
        )
    };
    let key = |text: &str| read(text).unwrap().lanes[0].credentials.base.clone();
    let Base::Keys { access_key, secret_key, .. } = key(&with("'p<x><y>'")) else { panic!() };
    assert_eq!(access_key, Secret::Plain("a<b <X> <x".into()));
    assert_eq!(secret_key, Secret::Plain("p<x><y>".into()), "a plain secret stays as it is");
    let Base::Keys { secret_key, .. } = key(&with("{ file: /run/<x> }")) else { panic!() };
    assert_eq!(secret_key, Secret::File("/run/a".into()));
}

#[test]
fn lanes_of_one_entry_that_share_an_account_are_warned_of_once() {
    let text = "lanes:\n  - {name: l-<a>, provider: huawei-tms, region: x, for_each: {a: [1, 2, 3, 4]}}\n";
    assert_snapshot!(warnings(text), @"line 2: lanes: lanes l-1 and l-2 can reach the same account and API: they share its limit, and between them there is no order (and 2 more such pairs)");
}

#[test]
fn a_variable_overrules_the_entry_and_a_stale_exclusion_is_warned_of() {
    let config = read_with(MANY, &[("TAGMILL__LANES__0__CONCURRENCY", "5")]).unwrap();
    assert_eq!(config.lanes.iter().map(|lane| lane.concurrency).collect::<Vec<_>>(), [5, 5, 5, 2]);
    let stale = MANY.replace("- { account: '044455556666'", "- { account: [gone, '044455556666']");
    assert_snapshot!(warnings(&stale), @"line 6: lanes[0].exclude[0].account: gone is no value of the list account");
    assert_eq!(names(&stale), names(MANY));
}

#[test]
fn ten_times_the_lanes_take_ten_times_as_long_and_not_a_hundred() {
    let list = |count: usize| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>().join(", ");
    let time = |accounts: usize| {
        let text = MANY.replace("111122223333, '044455556666'", &format!("{}, '044455556666'", list(accounts - 1)));
        let text = text.replace("eu-central-1, us-east-1]", &format!("us-east-1, {}]", list(16)));
        let run = |_| {
            let start = crate::worker::clock::monotonic();
            assert_eq!(names(&text).len(), accounts * 17 - 1 + 1);
            start.elapsed()
        };
        (0..3).map(run).min().unwrap()
    };
    let (few, many) = (time(50), time(500));
    assert!(many < few * 50, "850 lanes take {few:?}, 8,500 take {many:?}");
}

#[test]
fn the_environment_overrules_the_file() {
    let text = format!("state: a\nlanes:\n{}", lane("a", "huawei-tms", ""));
    let config = read_with(
        &text,
        &[
            ("TAGMILL__STATE", "b"),
            ("TAGMILL__LANES__0__RATE__PER_SECOND", "7.5"),
            ("TAGMILL__LANES__0__CONCURRENCY", "5"),
            ("TAGMILL__SERVER__LISTEN", "127.0.0.1:1"),
            ("TAGMILL_LOG", "debug"),
            ("OTHER", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.state, Path::new("b"));
    assert_eq!((config.lanes[0].rate.per_second, config.lanes[0].concurrency), (7.5, 5));
    assert_eq!(config.server.unwrap().listen.port(), 1);
    let wrong = read_with(
        &text,
        &[("TAGMILL__STAET", "b"), ("TAGMILL__LANES__9__NAME", "x"), ("TAGMILL__LANES__0__CONCURRENCY", "many")],
    );
    assert_snapshot!(wrong.unwrap_err(), @r"
    tagmill.yaml: 3 things are wrong:
      TAGMILL__LANES__9__NAME: names no setting; write it as TAGMILL__STATE or TAGMILL__LANES__0__ENDPOINT
      TAGMILL__STAET: staet: unknown field; did you mean state?
      TAGMILL__LANES__0__CONCURRENCY: lanes[0].concurrency: expected a whole number, found text
    ");
}

/// The paths of all fields the schema knows, `[]` for the entries of a list.
fn paths(schema: &serde_json::Value, node: &serde_json::Value, at: &str, out: &mut Vec<String>) {
    if let Some(reference) = node["$ref"].as_str() {
        return paths(schema, schema.pointer(&reference[1..]).unwrap(), at, out);
    }
    for part in node["anyOf"].as_array().into_iter().flatten() {
        paths(schema, part, at, out);
    }
    if node["items"].is_object() {
        paths(schema, &node["items"], &format!("{at}[]"), out);
    }
    if node["additionalProperties"].is_object() {
        // A section whose fields have names of the user's choice.
        paths(schema, &node["additionalProperties"], &format!("{at}.any"), out);
    }
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        out.push(path.clone());
        paths(schema, field, &path, out);
    }
}

#[test]
fn the_schema_and_the_reader_know_the_same_fields() {
    let schema = raw::schema();
    let mut known = Vec::new();
    paths(&schema, &schema, "", &mut known);
    // What is below `tests` is read by `tagmill rules test`; the shipped example holds its reader against the schema.
    known.retain(|path| !path.starts_with("tests[]."));
    assert!(known.len() > 40, "{known:?}");
    for path in &known {
        // A config that holds nothing but this field: whatever else is missing, the field itself must be known.
        let mut text = "5".to_owned();
        for step in path.rsplit('.') {
            let (name, list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
            text = if list { format!("{{{name}: [{text}]}}") } else { format!("{{{name}: {text}}}") };
        }
        let told = read(&text).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(!told.contains("unknown field"), "{path}: {told}");
    }
    // And the other way round: what the reader names as known, the schema has.
    let nonsense = "{x_: 5, broker: {x_: 1, tls: {x_: 1}, window: {x_: 1}}, server: {x_: 1, tokens: [{x_: 1, secret: {x_: 1}}], limits: {x_: 1}}, events: {x_: 1, alibaba: {x_: 1, token: {x_: 1}}, queues: [{x_: 1}]}, \
        rules: [{x_: 1, ids: {x_: 1}, lane: {x_: 1}}], lanes: [{x_: 1, credentials: {x_: 1, token: {x_: 1}, assume_role: {x_: 1}}, \
        rate: {x_: 1}, limits: {x_: 1}, retry: {x_: 1}}, {for_each: {any: {x_: 1}}}]}";
    let told = wrong(nonsense);
    let mut names: Vec<&str> =
        told.split("known here: ").skip(1).flat_map(|rest| rest.lines().next().unwrap().split(", ")).collect();
    let mut fields: Vec<&str> =
        known.iter().map(|path| path.rsplit('.').next().unwrap().trim_end_matches("[]")).collect();
    for list in [&mut names, &mut fields] {
        list.sort_unstable();
        list.dedup();
    }
    assert_eq!(names, fields, "{told}");
}

#[test]
fn a_good_config_is_good_by_the_schema_too() {
    let schema = jsonschema::draft202012::new(&raw::schema()).unwrap();
    let good: serde_json::Value = serde_saphyr::from_str(FULL).unwrap();
    let told: Vec<String> = schema.iter_errors(&good).map(|error| error.to_string()).collect();
    assert!(told.is_empty(), "{told:?}");
    let _: raw::RawConfig = serde_saphyr::from_str(FULL).unwrap();
    let many: serde_json::Value = serde_saphyr::from_str(MANY).unwrap();
    let told: Vec<String> = schema.iter_errors(&many).map(|error| error.to_string()).collect();
    assert!(told.is_empty(), "{told:?}");
    for bad in [
        "{}",
        "{lanes: []}",
        "{lanes: [{name: a, provider: b}]}",
        "{lanes: [{name: a b, provider: b, region: c}]}",
        "{lanes: [{name: a, provider: b, region: c, rate: {per_second: 0}}]}",
        "{lanes: [{name: a, provider: b, region: c, concurrency: 65}]}",
        "{lanes: [{name: a, provider: b, region: c, mode: aply}]}",
        "{lanes: [{name: a, provider: b, region: c, credentials: {token: {env: A, file: B}}}]}",
        "{lanes: [{name: a, provider: alibaba-ecs, region: c, credentials: {}}]}",
        "{lanes: [{name: a, provider: alibaba-ecs, region: c, credentials: {source: nowhere}}]}",
        "{lanes: [{name: a, provider: alibaba-ecs, region: c, credentials: {assume_role: {}}}]}",
        "{lanes: [{name: a, provider: alibaba-ecs, region: c, credentials: {assume_role: {role_arn: x}}}]}",
        "{lanes: [{name: a, provider: b, region: c}], more: 1}",
        "{broker: {url: 'amqp://h', prefix: 'Team A'}, lanes: [{name: a, provider: b, region: c}]}",
        "{lanes: [{name: <x>, provider: huawei-tms, region: c, for_each: {}}]}",
        "{lanes: [{name: <x>, provider: huawei-tms, region: c, for_each: {x: []}}]}",
        "{lanes: [{name: <x>, provider: huawei-tms, region: c, for_each: {X: [a]}}]}",
        "{lanes: [{name: <x>, provider: huawei-tms, region: c, for_each: {x: {column: a}}}]}",
        "{lanes: [{name: <x>, provider: huawei-tms, region: c, for_each: {x: [a, b]}, exclude: [{x: {}}]}]}",
    ] {
        let value: serde_json::Value = serde_saphyr::from_str(bad).unwrap();
        assert!(!schema.is_valid(&value), "{bad}");
        assert!(read(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "[a-z:{}\\[\\],\\- \n\"'&*!|>#%@0-9.~<]{0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn a_good_config_with_a_few_characters_changed_never_panics(
        changes in proptest::collection::vec((0..FULL.len(), "[a-z:{}\\[\\],\\- \n\"&*0-9.<>]"), 1..4)
    ) {
        for whole in [FULL, MANY] {
            let mut text = whole.to_owned();
            for (at, with) in &changes {
                let at = at % whole.len();
                text.replace_range(at..=at, with);
            }
            let _ = read(&text);
        }
    }
}
