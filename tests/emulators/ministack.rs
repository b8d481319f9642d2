//! MiniStack: signatures checked with its own code, regions of buckets, failures of single ARNs.

use crate::{
    emulator::{Emulator, Key, Kind},
    tagmill::Home,
};
use serde_json::json;

/// The account of its root key.
const ACCOUNT: &str = "000000000000";

#[test]
fn s3_merges_removes_and_leaves_alone() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::MiniStack,
        "bucket('merge', tags={'team': 'a', 'old': 'x', 'env': 'dev'}); bucket('empty'); bucket('emptied', tags={'old': 'x'}); \
         bucket('right', tags={'env': 'prod', 'team': 'b'}); bucket('system', tags={'aws:stack': 's', 'old': 'x'})",
    ) else {
        return;
    };
    let home = Home::new("aws-s3", &emulator, &key, "verify: true");
    let resources = ["merge", "empty", "right", "system", "missing"];
    let applied = home.apply(&[
        json!({"resources": resources, "set": {"env": "prod"}, "unset": ["old"]}),
        json!({"resources": ["emptied"], "unset": ["old"]}),
    ]);
    applied.comes_to(4, 1, 1);
    assert_eq!(applied.failures["missing"]["code"], "NoSuchBucket");
    let names = "['merge', 'empty', 'emptied', 'right', 'system']";
    assert_eq!(
        emulator.ask(&format!("answer = {{name: bucket_tags(name) for name in {names}}}")),
        json!({
            "merge": {"team": "a", "env": "prod"},
            "empty": {"env": "prod"},
            "emptied": null,
            "right": {"env": "prod", "team": "b"},
            "system": {"aws:stack": "s", "env": "prod"},
        })
    );
    // A folder of its own: what has just written would wait for reads to catch up.
    let again = Home::new("aws-s3", &emulator, &key, "");
    again
        .apply(&[json!({"resources": ["merge", "empty"], "set": {"env": "prod"}, "unset": ["old"]})])
        .comes_to(0, 2, 0);
}

#[test]
fn s3_finds_a_bucket_of_another_region() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::MiniStack,
        "bucket('here'); bucket('there-1', 'eu-central-1', {'team': 'a'}); bucket('there-2', 'ap-south-1')",
    ) else {
        return;
    };
    let home = Home::new("aws-s3", &emulator, &key, "verify: true");
    home.apply(&[json!({"resources": ["here", "there-1", "there-2"], "set": {"env": "prod"}})]).comes_to(3, 0, 0);
    assert_eq!(
        emulator.ask("answer = [bucket_tags('here'), bucket_tags('there-1', 'eu-central-1'), bucket_tags('there-2', 'ap-south-1')]"),
        json!([{"env": "prod"}, {"team": "a", "env": "prod"}, {"env": "prod"}])
    );
}

#[test]
fn s3_takes_every_character_that_a_tag_may_have() {
    let Some((emulator, key)) = Emulator::with_user(Kind::MiniStack, "bucket('odd')") else { return };
    let home = Home::new("aws-s3", &emulator, &key, "");
    let tags = json!({"a key+-=._:/@": "ä 日本 +-=._:/@", "empty": ""});
    home.apply(&[json!({"resources": ["odd"], "set": tags})]).comes_to(1, 0, 0);
    assert_eq!(emulator.ask("answer = bucket_tags('odd')"), tags);
}

#[test]
fn s3_writes_fifty_tags_and_no_more() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::MiniStack,
        "bucket('full', tags={f'k{n}': 'v' for n in range(49)}); bucket('over', tags={f'k{n}': 'v' for n in range(50)})",
    ) else {
        return;
    };
    let home = Home::new("aws-s3", &emulator, &key, "");
    let applied = home.apply(&[json!({"resources": ["full", "over"], "set": {"env": "prod"}})]);
    applied.comes_to(1, 0, 1);
    assert_eq!(applied.failures["over"]["code"], "tag_quota", "{applied:#?}");
    assert_eq!(emulator.ask("answer = [len(bucket_tags('full')), len(bucket_tags('over'))]"), json!([50, 50]));
}

#[test]
fn backup_tags_and_untags_by_arn() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::MiniStack,
        "backup = client('backup')
for name in ['v1', 'v2']:
    backup.create_backup_vault(BackupVaultName=name, BackupVaultTags={'team': 'a', 'old': 'x'})",
    ) else {
        return;
    };
    let arn = |name: &str| format!("arn:aws:backup:us-east-1:{ACCOUNT}:backup-vault:{name}");
    let home = Home::new("aws-backup", &emulator, &key, "");
    let applied = home.apply(&[
        json!({"resources": [arn("v1"), arn("v2"), arn("missing")], "set": {"env": "a/b c"}, "unset": ["old"]}),
    ]);
    applied.comes_to(2, 0, 1);
    assert_eq!(applied.failures[&arn("missing")]["code"], "ResourceNotFoundException");
    for name in ["v1", "v2"] {
        let tags = emulator.ask(&format!("answer = client('backup').list_tags(ResourceArn='{}')['Tags']", arn(name)));
        assert_eq!(tags, json!({"team": "a", "env": "a/b c"}), "{name}");
    }
}

#[test]
fn tagging_sends_twenty_arns_a_call_and_only_the_failed_ones_die() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::MiniStack,
        "sqs = client('sqs')\nfor n in range(43): sqs.create_queue(QueueName=f'q{n}', tags={'team': 'a', 'old': 'x'})",
    ) else {
        return;
    };
    let queue = |name: &str| format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}");
    let mut arns: Vec<String> = (0..43).map(|n| queue(&format!("q{n}"))).collect();
    let bad = [queue("missing"), format!("arn:aws:nosuch:us-east-1:{ACCOUNT}:thing/x")];
    // In the middle of calls with good ones.
    arns.insert(5, bad[0].clone());
    arns.insert(30, bad[1].clone());
    let home = Home::new("aws-tagging", &emulator, &key, "");
    let applied = home.apply(&[json!({"resources": arns, "set": {"env": "prod"}})]);
    applied.comes_to(43, 0, 2);
    assert_eq!(applied.ledger["calls"], 3, "{applied:#?}");
    for arn in &bad {
        assert_eq!(applied.failures[arn]["code"], "InvalidParameterException");
    }
    let good: Vec<&String> = arns.iter().filter(|arn| !bad.contains(arn)).collect();
    let untag = home.apply(&[json!({"resources": good, "unset": ["old"]})]);
    assert_eq!((&untag.ledger["tagged"], &untag.ledger["calls"]), (&json!(43), &json!(3)), "{untag:#?}");
    let tags = emulator.ask(&format!(
        "sqs = client('sqs'); answer = [sqs.list_queue_tags(QueueUrl=f'{{url}}/{ACCOUNT}/q{{n}}')['Tags'] for n in range(43)]"
    ));
    assert_eq!(tags, json!(vec![json!({"team": "a", "env": "prod"}); 43]));
}

#[test]
fn a_wrong_secret_and_an_unknown_key_are_seen_by_the_emulator_and_kill_nothing() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::MiniStack,
        "bucket('here'); client('backup').create_backup_vault(BackupVaultName='v1'); client('sqs').create_queue(QueueName='q1')",
    ) else {
        return;
    };
    let wrong = Key { secret: "wrong".into(), ..key.clone() };
    let unknown = Key { id: "AKIAUNKNOWN000000000".into(), ..key.clone() };
    let cases = [
        ("aws-s3", "here".to_owned()),
        ("aws-backup", format!("arn:aws:backup:us-east-1:{ACCOUNT}:backup-vault:v1")),
        ("aws-tagging", format!("arn:aws:sqs:us-east-1:{ACCOUNT}:q1")),
    ];
    for (provider, resource) in cases {
        for key in [&wrong, &unknown] {
            let home = Home::new(provider, &emulator, key, "");
            let applied = home.apply(&[json!({"resources": [resource], "set": {"env": "prod"}})]);
            // The lane is paused with its work: nothing tagged, nothing dead.
            let sums = ["tagged", "dead", "pending"].map(|name| applied.ledger[name].as_u64().unwrap());
            assert_eq!((applied.code, sums), (69, [0, 0, 1]), "{provider} as {}: {applied:#?}", key.id);
            assert!(applied.err.contains("paused"), "{applied:#?}");
        }
    }
}
