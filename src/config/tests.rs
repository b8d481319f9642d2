//! What the config promises: every mistake at once with its line, no secret in any message, sensible defaults.

use super::load::parse_with;
use super::*;
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
server: { listen: "0.0.0.0:9464" }
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
rules:
  - { match: { source: x }, n: 1 }
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
    assert_eq!(config.server.unwrap().listen.port(), 9464);
    assert_eq!(config.rules, [serde_json::json!({"match": {"source": "x"}, "n": 1})]);
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
    assert_eq!(ali.credentials, Credentials::Environment);
    assert!(ali.settings.signature_v1);

    let least = read("lanes: [{name: a, provider: huawei-tms, region: x}]").unwrap();
    assert_eq!((least.state.as_path(), least.broker, least.server), (Path::new("./tagmill-state"), None, None));
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
    tagmill.yaml: 8 things are wrong:
      line 3: lanes[0].account_id: is for AWS only
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
    let with = |credentials: &str| {
        let text = format!("lanes:\n{}", lane("a", "huawei-tms", &format!(", credentials: {credentials}")));
        read(&text).map_or_else(|error| error.to_string(), |config| format!("{:?}", config.lanes[0].credentials))
    };
    let shown = [
        "{token: {exec: [get-token, --now]}}",
        "{username: {env: U}, password: {file: /p}, domain_name: d, iam_endpoint: 'https://iam.x'}",
        "{access_key: AK, secret_key: {env: SK}, security_token: {env: ST}}",
        "{access_key: AK}",
        "{token: {env: T}, username: u}",
        "{}",
        "{username: u, password: {env: P}}",
        "{token: {exec: get-token}}",
        "{token: {enw: T}}",
    ]
    .map(with);
    assert_snapshot!(shown.join("\n"), @r#"
    Token({exec: [get-token, ...]})
    Password { username: {env: U}, password: {file: /p}, domain_name: "d", iam_endpoint: Some("https://iam.x") }
    Keys { access_key: [plain, not shown], secret_key: {env: SK}, security_token: Some({env: ST}), domain_id: None }
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.secret_key: is missing
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials: name either access_key and secret_key, or username, password and domain_name, or token; leave credentials out for the environment variables of the cloud
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials: name either access_key and secret_key, or username, password and domain_name, or token; leave credentials out for the environment variables of the cloud
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.domain_name: is missing
    tagmill.yaml: one thing is wrong:
      line 2: lanes[0].credentials.token.exec: expected a list: the program and its arguments
    tagmill.yaml: 2 things are wrong:
      line 2: lanes[0].credentials.token.enw: unknown field; did you mean env?
      line 2: lanes[0].credentials.token: name exactly one of env, file and exec
    "#);
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
    let nonsense = "{x_: 5, broker: {x_: 1, tls: {x_: 1}, window: {x_: 1}}, server: {x_: 1}, lanes: [{x_: 1, credentials: {x_: 1, token: {x_: 1}}, \
        rate: {x_: 1}, limits: {x_: 1}, retry: {x_: 1}}]}";
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
    for bad in [
        "{}",
        "{lanes: []}",
        "{lanes: [{name: a, provider: b}]}",
        "{lanes: [{name: a b, provider: b, region: c}]}",
        "{lanes: [{name: a, provider: b, region: c, rate: {per_second: 0}}]}",
        "{lanes: [{name: a, provider: b, region: c, concurrency: 65}]}",
        "{lanes: [{name: a, provider: b, region: c, mode: aply}]}",
        "{lanes: [{name: a, provider: b, region: c, credentials: {token: {env: A, file: B}}}]}",
        "{lanes: [{name: a, provider: b, region: c}], more: 1}",
        "{broker: {url: 'amqp://h', prefix: 'Team A'}, lanes: [{name: a, provider: b, region: c}]}",
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
        changes in proptest::collection::vec((0..FULL.len(), "[a-z:{}\\[\\],\\- \n\"&*0-9.]"), 1..4)
    ) {
        let mut text = FULL.to_owned();
        for (at, with) in changes { text.replace_range(at..=at, &with); }
        let _ = read(&text);
    }
}
