//! Bucket tags: what is read, what is written from it, and what never is.

use crate::data::{at, key, reply, sample};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tagmill::{
    job::Resource,
    provider::{Answer, Blame, Call, Failure, Fate, HttpReply, HttpRequest, Kind, Memo, Op, Provider, Settings},
};

/// One lane's provider, driven like a lane drives it, with a clock in seconds.
struct Lane {
    provider: Box<dyn Provider>,
    memo: Option<Memo>,
    now: i64,
}

fn lane(change: impl FnOnce(&mut Settings)) -> Lane {
    Lane { provider: sample("aws-s3").with(change).unwrap(), memo: None, now: 0 }
}

fn call(set: &[(&str, &str)], unset: &[&str]) -> Call {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    let resources = vec![Resource::plain("bucket")];
    if set.is_empty() {
        let gone: Vec<(&str, &str)> = unset.iter().map(|key| (*key, "")).collect();
        return Call { op: Op::Unset, resources, tags: pairs(&gone), also_unset: Vec::new(), only_missing: Vec::new() };
    }
    let also_unset = unset.iter().map(|&key| key.into()).collect();
    Call { op: Op::Set, resources, tags: pairs(set), also_unset, only_missing: Vec::new() }
}

fn tags(pairs: &[(&str, &str)]) -> HttpReply {
    let tags: String =
        pairs.iter().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")).collect();
    reply(200, &[], format!("<Tagging><TagSet>{tags}</TagSet></Tagging>").as_bytes())
}

fn error(status: u16, code: &str) -> HttpReply {
    reply(status, &[], format!("<Error><Code>{code}</Code><Message>words</Message></Error>").as_bytes())
}

fn moved(status: u16, code: &str, region: Option<&str>) -> HttpReply {
    let mut reply = error(status, code);
    reply.headers.extend(region.map(|region| ("x-amz-bucket-region".to_owned(), region.to_owned())));
    reply
}

impl Lane {
    fn ask(&self, call: &Call) -> HttpRequest {
        let moment = at(&jiff::Timestamp::from_second(1_700_000_000 + self.now).unwrap().to_string(), "n");
        self.provider.encode(call, self.memo.as_ref(), &key("ak", "sk", None, None), &moment)
    }

    /// Sends the next request of a call and answers it; a call that needs another one keeps its memo.
    fn step(&mut self, call: &Call, reply: &HttpReply) -> (HttpRequest, Answer) {
        let request = self.ask(call);
        let answer = self.provider.decode(call, self.memo.take().as_ref(), reply);
        if let Answer::FollowUp(memo) = &answer {
            self.memo = Some(memo.clone());
        }
        (request, answer)
    }

    /// Reads these tags and returns what is written, method first.
    fn write(&mut self, call: &Call, before: &[(&str, &str)]) -> (&'static str, BTreeMap<String, String>) {
        let (_, answer) = self.step(call, &tags(before));
        assert!(matches!(answer, Answer::FollowUp(_)), "{answer:?}");
        let request = self.ask(call);
        (request.method.as_str(), written(&request))
    }

    fn failure(&mut self, call: &Call, reply: &HttpReply) -> Failure {
        match self.step(call, reply).1 {
            Answer::Failure(failure) => failure,
            answer => panic!("{answer:?}"),
        }
    }
}

fn written(request: &HttpRequest) -> BTreeMap<String, String> {
    let body = String::from_utf8(request.body.clone()).unwrap();
    let pieces = body.split("<Key>").skip(1).map(|piece| {
        let (key, rest) = piece.split_once("</Key><Value>").unwrap();
        (key.to_owned(), rest.split_once("</Value>").unwrap().0.to_owned())
    });
    pieces.collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn finished(answer: &Answer) -> Fate {
    match answer {
        Answer::Finished(fates) if fates.len() == 1 => fates[0].clone(),
        other => panic!("{other:?} in place of one fate"),
    }
}

#[test]
fn a_write_is_the_whole_set_with_what_is_set_and_without_what_is_removed() {
    let before = [("aws:cloudformation:stack-name", "s"), ("env", "dev"), ("keep", "k"), ("old", "o")];
    let wanted = call(&[("env", "prod"), ("owner", "alice")], &["old", "absent"]);
    let after = [("aws:cloudformation:stack-name", "s"), ("env", "prod"), ("keep", "k"), ("owner", "alice")];
    assert_eq!(lane(|_| {}).write(&wanted, &before), ("PUT", map(&after)));
}

#[test]
fn a_bucket_without_tags_is_an_empty_set_and_a_missing_bucket_is_dead() {
    let mut lane = lane(|_| {});
    let wanted = call(&[("env", "prod")], &[]);
    let (request, answer) = lane.step(&wanted, &error(404, "NoSuchTagSet"));
    assert_eq!((request.method.as_str(), request.url.ends_with("?tagging")), ("GET", true));
    assert!(matches!(answer, Answer::FollowUp(_)));
    assert_eq!(written(&lane.ask(&wanted)), map(&[("env", "prod")]));
    assert_eq!(finished(&lane.step(&wanted, &reply(204, &[], b"")).1), Fate::Tagged);
    lane.now += 100;
    let failure = lane.failure(&wanted, &error(404, "NoSuchBucket"));
    assert_eq!((failure.kind, failure.code.as_str()), (Kind::Rejected, "NoSuchBucket"));
}

#[test]
fn nothing_left_is_deleted_and_what_aws_set_is_written_back() {
    let wanted = call(&[], &["env", "owner"]);
    assert_eq!(lane(|_| {}).write(&wanted, &[("env", "x"), ("owner", "y")]), ("DELETE", map(&[])));
    let system = ("aws:servicecatalog:x", "1");
    assert_eq!(lane(|_| {}).write(&wanted, &[system, ("env", "x")]), ("PUT", map(&[system])));
}

#[test]
fn what_is_right_already_is_not_written() {
    let before = [("env", "prod"), ("other", "x")];
    for wanted in [call(&[("env", "prod")], &["absent"]), call(&[], &["absent"])] {
        assert_eq!(finished(&lane(|_| {}).step(&wanted, &tags(&before)).1), Fate::Unchanged);
    }
    let none = lane(|_| {}).step(&call(&[], &["env"]), &error(404, "NoSuchTagSet")).1;
    assert_eq!(finished(&none), Fate::Unchanged);
}

#[test]
fn half_of_a_set_is_never_written_from() {
    let whole = tags(&[("env", "dev"), ("owner", "alice")]);
    let wanted = call(&[("k", "v")], &[]);
    for cut in 0..whole.body.len() {
        let failure = lane(|_| {}).failure(&wanted, &reply(200, &[], &whole.body[..cut]));
        assert_eq!((failure.kind, failure.code.as_str()), (Kind::Transient, "truncated"), "cut at {cut}");
    }
}

#[test]
fn the_fifty_first_tag_is_refused_after_the_read_and_tags_of_aws_do_not_count() {
    let keys: Vec<String> = (0..50).map(|n| format!("k{n:02}")).collect();
    let full: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    let failure = lane(|_| {}).failure(&call(&[("new", "v")], &[]), &tags(&full));
    assert_eq!((failure.kind, failure.blame, failure.code.as_str()), (Kind::Rejected, Blame::Unnamed, "tag_quota"));
    assert!(failure.message.contains("50") && failure.message.contains("51"), "{}", failure.message);
    let (method, after) = lane(|_| {}).write(&call(&[("k00", "w"), ("new", "v")], &["k01"]), &full);
    assert_eq!((method, after.len()), ("PUT", 50), "one comes, one goes");
    let system: Vec<(&str, &str)> = full[1..].iter().copied().chain([("aws:a", "1"), ("aws:b", "2")]).collect();
    assert_eq!(lane(|_| {}).write(&call(&[("new", "v")], &[]), &system).1.len(), 52);
}

#[test]
fn a_write_has_its_checksum_and_every_request_names_the_owner() {
    let mut lane = lane(|settings| settings.account_id = Some("111122223333".into()));
    let wanted = call(&[("env", "prod")], &[]);
    let named = |request: &HttpRequest, name: &str| {
        request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    let (get, _) = lane.step(&wanted, &error(404, "NoSuchTagSet"));
    let put = lane.ask(&wanted);
    for request in [&get, &put] {
        assert_eq!(named(request, "x-amz-expected-bucket-owner").as_deref(), Some("111122223333"));
        assert!(named(request, "authorization").unwrap().contains("x-amz-expected-bucket-owner"), "it is signed");
    }
    let digest = STANDARD.encode(Sha256::digest(&put.body));
    assert_eq!(named(&put, "x-amz-checksum-sha256"), Some(digest));
    assert!(named(&put, "authorization").unwrap().contains("x-amz-checksum-sha256"), "it is signed");
    assert_eq!(named(&get, "x-amz-checksum-sha256"), None);
}

#[test]
fn a_redirect_is_followed_once_by_its_region_signed_anew_and_remembered() {
    for redirect in [
        moved(301, "PermanentRedirect", Some("eu-west-1")),
        moved(307, "TemporaryRedirect", Some("eu-west-1")),
        moved(400, "IllegalLocationConstraintException", Some("eu-west-1")),
        error(400, "AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region><Code>"),
    ] {
        let mut lane = lane(|_| {});
        let wanted = call(&[("env", "prod")], &[]);
        let (first, answer) = lane.step(&wanted, &redirect);
        assert!(first.url.starts_with("https://bucket.s3.us-east-1.amazonaws.com/"), "{}", first.url);
        assert!(matches!(answer, Answer::FollowUp(_)), "{answer:?}");
        let (second, _) = lane.step(&wanted, &tags(&[]));
        assert_eq!(
            (second.method.as_str(), &*second.url),
            ("GET", "https://bucket.s3.eu-west-1.amazonaws.com/?tagging")
        );
        let authorization = &second.headers.iter().find(|(name, _)| name == "authorization").unwrap().1;
        assert!(authorization.contains("/eu-west-1/s3/aws4_request"), "{authorization}");
        let (put, _) = lane.step(&wanted, &reply(204, &[], b""));
        assert!(put.url.contains(".eu-west-1."), "{}", put.url);
        assert!(lane.ask(&wanted).url.contains(".eu-west-1."), "the next call goes there at once");
        let again = lane.step(&wanted, &moved(301, "PermanentRedirect", Some("us-west-2"))).1;
        assert!(matches!(again, Answer::FollowUp(_)), "a bucket may be made anew elsewhere");
        let failure = lane.failure(&wanted, &moved(301, "PermanentRedirect", Some("eu-west-1")));
        assert_eq!((failure.kind, failure.code.as_str()), (Kind::Rejected, "PermanentRedirect"), "but not for ever");
    }
}

#[test]
fn a_redirect_that_names_no_region_is_looked_up_once() {
    let wanted = call(&[("env", "prod")], &[]);
    let mut asked = lane(|_| {});
    asked.step(&wanted, &moved(301, "PermanentRedirect", None));
    let (head, answer) = asked.step(&wanted, &reply(403, &[("x-amz-bucket-region", "ap-south-1")], b""));
    assert_eq!((head.method.as_str(), head.url.contains('?')), ("HEAD", false));
    assert!(matches!(answer, Answer::FollowUp(_)));
    assert!(asked.ask(&wanted).url.contains(".ap-south-1."));
    let mut unknown = lane(|_| {});
    unknown.step(&wanted, &moved(301, "PermanentRedirect", None));
    assert_eq!(unknown.failure(&wanted, &reply(301, &[], b"")).kind, Kind::Rejected);
}

#[test]
fn a_region_from_a_reply_cannot_lead_out_of_the_cloud() {
    let wanted = call(&[("env", "prod")], &[]);
    for region in ["evil.example/x", "EU", "cn-north-1", "us-gov-west-1", "a b"] {
        let failure = lane(|_| {}).failure(&wanted, &moved(301, "PermanentRedirect", Some(region)));
        assert_eq!(failure.kind, Kind::Rejected, "{region}");
    }
    let new = lane(|_| {}).failure(&wanted, &moved(307, "TemporaryRedirect", Some("us-east-1")));
    assert_eq!((new.kind, new.blame), (Kind::Transient, Blame::State), "a new bucket is waited for");
}

#[test]
fn a_read_that_does_not_show_the_last_write_is_not_written_from() {
    let mut lane = lane(|_| {});
    let first = call(&[("env", "prod")], &["old"]);
    lane.write(&first, &[("old", "o"), ("keep", "k")]);
    assert_eq!(finished(&lane.step(&first, &reply(204, &[], b"")).1), Fate::Tagged);
    let second = call(&[("owner", "alice")], &[]);
    for seconds in [1, 30, 59] {
        lane.now = seconds;
        for stale in [&[("old", "o"), ("keep", "k")][..], &[("keep", "k")], &[("env", "prod"), ("old", "o")], &[]] {
            let failure = lane.failure(&second, &tags(stale));
            assert_eq!((failure.kind, failure.blame, failure.too_early), (Kind::Transient, Blame::State, true));
        }
    }
    let fresh = [("env", "prod"), ("keep", "k")];
    let after = map(&[("env", "prod"), ("keep", "k"), ("owner", "alice")]);
    assert_eq!(lane.write(&second, &fresh), ("PUT", after));
}

#[test]
fn after_a_minute_a_read_is_believed_again() {
    let mut lane = lane(|_| {});
    let first = call(&[("env", "prod")], &[]);
    lane.write(&first, &[]);
    lane.step(&first, &reply(204, &[], b""));
    lane.now = 61;
    assert_eq!(lane.write(&call(&[("owner", "a")], &[]), &[("env", "dev")]).1, map(&[("env", "dev"), ("owner", "a")]));
}

#[test]
fn a_write_that_was_refused_is_not_expected_in_a_read() {
    let mut lane = lane(|_| {});
    let first = call(&[("env", "prod")], &[]);
    lane.write(&first, &[]);
    assert_eq!(lane.failure(&first, &error(409, "OperationAborted")).kind, Kind::Transient);
    assert_eq!(lane.write(&call(&[("owner", "a")], &[]), &[]).1, map(&[("owner", "a")]));
}

#[test]
fn a_write_whose_reply_was_lost_counts_as_tagged_when_a_read_shows_it() {
    let mut lane = lane(|_| {});
    let first = call(&[("env", "prod")], &[]);
    lane.write(&first, &[]);
    // No reply: the lane starts the call again.
    lane.memo = None;
    assert_eq!(finished(&lane.step(&first, &tags(&[("env", "prod")])).1), Fate::Tagged);
    // And what was seen once has to be seen again.
    assert!(lane.failure(&call(&[("owner", "a")], &[]), &tags(&[])).too_early);
}

#[test]
fn verify_reads_again_and_waits_until_the_write_is_seen() {
    let mut lane = lane(|settings| settings.verify = true);
    let wanted = call(&[("env", "prod")], &[]);
    lane.write(&wanted, &[]);
    let (_, answer) = lane.step(&wanted, &reply(204, &[], b""));
    assert!(matches!(answer, Answer::FollowUp(_)), "{answer:?}");
    let (read, answer) = lane.step(&wanted, &tags(&[("env", "prod")]));
    assert_eq!((read.method.as_str(), finished(&answer)), ("GET", Fate::Tagged));

    lane.now = 100;
    let wanted = call(&[("env", "dev")], &[]);
    lane.write(&wanted, &[("env", "prod")]);
    lane.step(&wanted, &reply(204, &[], b""));
    assert!(lane.failure(&wanted, &tags(&[("env", "prod")])).too_early, "not seen yet");
    lane.now = 110;
    assert!(lane.failure(&wanted, &tags(&[("env", "prod")])).too_early, "still not seen");
    lane.now = 120;
    assert_eq!(finished(&lane.step(&wanted, &tags(&[("env", "dev")])).1), Fate::Tagged);
}

#[test]
fn verify_gives_a_bucket_that_somebody_else_writes_an_attempt_a_minute() {
    let mut lane = lane(|settings| settings.verify = true);
    let wanted = call(&[("env", "prod")], &[]);
    lane.write(&wanted, &[]);
    lane.step(&wanted, &reply(204, &[], b""));
    assert!(lane.failure(&wanted, &tags(&[])).too_early);
    lane.now = 61;
    let failure = lane.failure(&wanted, &tags(&[]));
    assert_eq!((failure.code.as_str(), failure.too_early), ("not_kept", false));
    assert_eq!(lane.write(&wanted, &[]).0, "PUT", "then it is written again");
}

#[test]
fn buckets_with_access_by_tags_are_written_through_s3_control() {
    let mut lane = lane(|settings| settings.account_id = Some("123456789012".into()));
    let wanted = call(&[("a", "b")], &["c"]);
    lane.write(&wanted, &[("c", "d")]);
    let (_, answer) = lane.step(&wanted, &error(403, "AccessDenied"));
    assert!(matches!(answer, Answer::FollowUp(_)), "{answer:?}");
    let (tag, _) = lane.step(&wanted, &reply(204, &[], b""));
    let base = "https://123456789012.s3-control.us-east-1.amazonaws.com/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Abucket";
    assert_eq!((tag.method.as_str(), tag.url.as_str()), ("POST", base));
    assert_eq!(written(&tag), map(&[("a", "b")]), "it merges, so it gets the call's own tags");
    let (untag, answer) = lane.step(&wanted, &reply(204, &[], b""));
    assert_eq!((untag.method.as_str(), untag.url), ("DELETE", format!("{base}?tagKeys=c")));
    assert_eq!(finished(&answer), Fate::Tagged);
    lane.now = 100;
    lane.step(&wanted, &tags(&[]));
    assert_eq!(lane.ask(&wanted).method.as_str(), "POST", "the next call goes there at once");
}

#[test]
fn where_s3_control_refuses_too_the_first_refusal_stands() {
    let wanted = call(&[("a", "b")], &[]);
    for (code, status, kind) in [("AccessDenied", 403, Kind::Denied), ("MethodNotAllowed", 405, Kind::Rejected)] {
        let mut lane = lane(|settings| settings.account_id = Some("123456789012".into()));
        lane.write(&wanted, &[]);
        lane.step(&wanted, &error(status, code));
        let failure = lane.failure(&wanted, &error(403, "AccessDenied"));
        assert_eq!((failure.kind, failure.code.as_str()), (kind, code));
        lane.write(&wanted, &[]);
        lane.step(&wanted, &error(status, code));
        assert_eq!(lane.failure(&wanted, &error(503, "SlowDown")).kind, Kind::Throttled, "what passes, passes");
    }
    let mut unknown = lane(|_| {});
    unknown.write(&wanted, &[]);
    assert_eq!(unknown.failure(&wanted, &error(403, "AccessDenied")).kind, Kind::Denied, "no account, no other way");
}

#[test]
fn a_bucket_is_one_whatever_it_is_called() {
    let sample = sample("aws-s3");
    let key = |id| sample.provider.resource_key(&Resource::plain(id));
    assert_eq!(key("bucket"), key("arn:aws:s3:::bucket"));
    let mut job = sample.job(&[("k", "v")], &[]);
    let good = ["bucket", "my.bucket", "arn:aws:s3:::bucket", "Old_Bucket"];
    let bad = [
        "b",
        "-bucket",
        "bucket/key",
        "arn:aws:s3:::bucket/key",
        "arn:aws-cn:s3:::bucket",
        "arn:aws:ec2:::x",
        "a--x-s3",
    ];
    job.resources = good.iter().chain(&bad).map(|id| Resource::plain(id)).collect();
    let found = sample.provider.check(&job);
    let at: Vec<usize> = found.resources.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, (good.len()..good.len() + bad.len()).collect::<Vec<_>>(), "{found:?}");
}

fn replies() -> impl Strategy<Value = HttpReply> {
    let status = prop::sample::select(vec![200, 204, 301, 307, 400, 403, 404, 405, 409, 500, 503]);
    let codes = ["NoSuchTagSet", "NoSuchBucket", "AccessDenied", "PermanentRedirect", "InvalidTag", "SlowDown", "Odd"];
    let body = prop_oneof![
        2 => prop::sample::select(codes.to_vec()).prop_map(|code| error(400, code).body),
        2 => prop::collection::vec(("[a-c]", "[x-z]?"), 0..4).prop_map(|pairs| {
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            tags(&pairs).body
        }),
        2 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let region = prop::option::of(prop::sample::select(vec!["eu-west-1", "us-east-1", "x/y"]));
    (status, region, body).prop_map(|(status, region, body)| {
        let headers: Vec<_> = region.iter().map(|region| ("x-amz-bucket-region", *region)).collect();
        reply(status, &headers, &body)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_row_of_replies_panics_goes_on_for_ever_or_is_called_done_without_a_success(
        replies in prop::collection::vec(replies(), 8..20), verify in any::<bool>(), unset in any::<bool>(),
    ) {
        let mut lane = lane(|settings| {
            settings.verify = verify;
            settings.account_id = Some("123456789012".into());
        });
        let wanted = if unset { call(&[], &["a", "b"]) } else { call(&[("a", "x"), ("b", "y")], &["c"]) };
        let mut in_a_row = 0;
        for reply in replies {
            let (request, answer) = lane.step(&wanted, &reply);
            match answer {
                Answer::FollowUp(_) => in_a_row += 1,
                Answer::Failure(failure) => {
                    prop_assert!(!failure.code.is_empty());
                    in_a_row = 0;
                }
                Answer::Finished(fates) => {
                    prop_assert_eq!(fates.len(), 1);
                    let empty = request.method.as_str() == "GET" && reply.status == 404;
                    prop_assert!(reply.is_success() || empty, "{:?} {:?}", request, reply);
                    in_a_row = 0;
                }
            }
            prop_assert!(in_a_row < 8, "a call is at most a redirect, a look-up, a read, a write and two of S3 Control");
        }
    }

    #[test]
    fn a_random_memo_is_answered_and_encoded_without_a_panic(memo in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut lane = lane(|_| {});
        lane.memo = Some(Memo(memo));
        let wanted = call(&[("a", "x")], &[]);
        lane.ask(&wanted);
        lane.step(&wanted, &tags(&[]));
    }
}
