//! What has to hold for every input: called by cargo-fuzz, and with random and mutated bytes by `tests/hostile`.

use jiff::Timestamp;
use tagmill::{
    event::{
        Decision, EVENTS_AT_ONCE, Event, EventName, Ids, LaneFacts, LaneSpec, Options, RuleSpec, Rules, Source, read,
        signature::{Expected, PublicKey},
    },
    job::{LaneName, parse},
};

/// Resources that one rule may make of one event: the ids of a path, for each row of the table that an event has.
const RESOURCES: usize = 3_000;

fn lanes() -> Vec<LaneFacts> {
    let lane = |name: &str, provider: &str, region: &str, account: Option<&str>| LaneFacts {
        name: LaneName::new(name).expect("a name"),
        provider: provider.to_owned(),
        region: region.to_owned(),
        regional: !matches!(provider, "aws-s3" | "huawei-tms"),
        account: account.map(str::to_owned),
    };
    vec![
        lane("tagging", "aws-tagging", "eu-west-1", Some("111122223333")),
        lane("buckets", "aws-s3", "us-east-1", None),
        lane("ecs", "alibaba-ecs", "cn-hangzhou", None),
        lane("rds", "alibaba-rds", "cn-hangzhou", Some("1234567890123456")),
        lane("tms", "huawei-tms", "cn-north-4", None),
    ]
}

fn spec(name: &str) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        sources: vec![Source::Aws, Source::Alibaba, Source::Huawei],
        events: Vec::new(),
        ids: None,
        when: None,
        lane: LaneSpec::Find { provider: None, account: None, region: None },
        set: vec![("owner".to_owned(), "{{ creator }}".to_owned())],
        unset: Vec::new(),
        update: false,
    }
}

/// Rules of every kind: from the table, with paths of their own, with templates for everything that may be one.
fn rules() -> Rules {
    let mut own = spec("own");
    own.sources = Source::ALL.to_vec();
    own.events = ["RunInstances", "CreateBucket", "createServer", "Create", "com.example.made"]
        .map(|name| EventName { service: None, name: name.to_owned() })
        .to_vec();
    own.ids = Some(Ids {
        path: "[id, resource_id, requestParameters.*, responseElements.*.items[].instanceId][]".to_owned(),
        id: Some("x/{{ id }}".to_owned()),
        kind: Some("{{ event.resource_type | default(service) }}".to_owned()),
    });
    own.lane = LaneSpec::Named("{{ 'tms' if cloud == 'huawei' else 'tagging' }}".to_owned());
    own.set = vec![
        ("name".to_owned(), "{{ event.resource_name | lower | default(resource.id) }}".to_owned()),
        ("who".to_owned(), "{{ event.userIdentity.arn | split('/') | last }}".to_owned()),
        ("agent".to_owned(), "{{ event.userAgent ~ event.userAgent }}".to_owned()),
    ];
    own.unset = vec!["temp".to_owned()];
    let mut when = spec("when");
    when.when = Some("creator is startingwith 'a' or event.code != 200 or 'x' in event.list".to_owned());
    Rules::compile(vec![spec("table"), own, when], Options::default()).expect("good rules")
}

/// Headers and bytes to events, and rules over them. The first byte says which source, and whether headers come first:
/// lines of `name: value` up to an empty one. Tells how many jobs that made.
pub fn event(bytes: &[u8]) -> usize {
    let Some((how, rest)) = bytes.split_first() else { return 0 };
    let source = Source::ALL[usize::from(*how) % Source::ALL.len()];
    let end = rest.windows(2).position(|two| two == b"\n\n").filter(|_| how & 0x80 != 0);
    let (head, body) = end.map_or((&b""[..], rest), |end| (&rest[..end], &rest[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    match read(source, &headers, body) {
        Err(refused) => {
            assert!(refused.to_string().len() < 2_000, "a long reason");
            0
        }
        Ok(events) => {
            assert!(events.len() <= EVENTS_AT_ONCE, "too many events");
            let rules = rules();
            events.iter().map(|event| decided(&rules, event)).sum()
        }
    }
}

/// What follows from an event is bounded, is the same a second time, and every job of it is one that a worker takes.
fn decided(rules: &Rules, event: &Event) -> usize {
    for word in [&event.id, &event.source, &event.name, &event.service] {
        assert!(word.len() <= 1_024 && !word.chars().any(char::is_control), "an odd word");
    }
    let decide = || rules.decide(event, &lanes(), Timestamp::UNIX_EPOCH);
    let decision = decide();
    assert_eq!(decision, decide(), "the same event decided twice");
    assert!(!format!("{event:?} {decision:?}").is_empty());
    jobs(&decision)
}

fn jobs(decision: &Decision) -> usize {
    for job in &decision.jobs {
        assert!((1..=RESOURCES).contains(&job.resources.len()), "{} resources", job.resources.len());
        let text = serde_json::to_vec(job).expect("a job is JSON");
        match parse::job(&text, &parse::Defaults::default()) {
            Ok(read) => assert_eq!(&read, job, "read back"),
            Err(problems) => panic!("a job that no worker takes: {problems:?}"),
        }
    }
    decision.jobs.len()
}

/// An event that is expensive to look at: a long text, a long list, many ids, many levels.
fn expensive() -> Event {
    let ids: Vec<String> = (0..900).map(|n| format!("{{\"instanceId\":\"i-{n}\"}}")).collect();
    let list = "1,".repeat(20_000);
    let body = format!(
        "{{\"source\":\"aws.ec2\",\"account\":\"111122223333\",\"region\":\"eu-west-1\",\"detail\":{{\
         \"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"RunInstances\",\
         \"userIdentity\":{{\"type\":\"IAMUser\",\"userName\":\"alice\"}},\
         \"responseElements\":{{\"instancesSet\":{{\"items\":[{}]}}}},\
         \"text\":\"{}\",\"list\":[{list}1],\"deep\":{}1{}}}}}",
        ids.join(","),
        "ab/".repeat(100_000),
        "[".repeat(100),
        "]".repeat(100),
    );
    read(Source::Aws, &[], body.as_bytes()).expect("an event").remove(0)
}

/// Whatever stands in a rule: the bytes are a path, a condition and templates, a line each. Tells how many jobs that
/// made, where it is a rule.
pub fn rule_text(text: &str) -> Option<usize> {
    let mut lines = text.splitn(6, '\n').map(str::to_owned);
    let mut spec = spec("r");
    spec.events = vec![EventName { service: None, name: "RunInstances".to_owned() }];
    spec.ids = lines.next().filter(|path| !path.is_empty()).map(|path| Ids { path, id: None, kind: None });
    spec.when = lines.next().filter(|when| !when.is_empty());
    spec.lane = LaneSpec::Named(lines.next().unwrap_or_default());
    if let Some(ids) = &mut spec.ids {
        ids.kind = lines.next().filter(|kind| !kind.is_empty());
    }
    spec.set = lines.next().map(|value| ("tag".to_owned(), value)).into_iter().collect();
    let rules = Rules::compile(vec![spec], Options::default()).ok()?;
    Some(jobs(&rules.decide(&expensive(), &lanes(), Timestamp::UNIX_EPOCH)))
}

/// See [`rule_text`].
pub fn rule(bytes: &[u8]) -> Option<usize> {
    rule_text(&String::from_utf8_lossy(bytes))
}

/// Headers of a signature, and a certificate behind them.
pub fn signature(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let now = Timestamp::from_second(1_767_225_600).expect("a time");
    for expected in [Expected::new(&[], None), Expected::new(&[], Some("token"))] {
        let Ok(claim) = expected.claim(&headers, now) else { continue };
        assert!(claim.certificate_url().starts_with("https://"), "an address in the clear");
        if let Ok(key) = PublicKey::from_pem(body.as_bytes()) {
            assert!(claim.check(&key, &["https://tags.example.com/"], body.as_bytes()).is_err(), "a forgery");
        }
    }
    let _ = PublicKey::from_pem(bytes);
}
