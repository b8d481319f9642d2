//! moto: the second opinion, with signatures checked by botocore's own signer.

use crate::{
    emulator::{Emulator, Kind},
    tagmill::Home,
};
use serde_json::json;

/// The account it plays.
const ACCOUNT: &str = "123456789012";

/// From now on every call is verified, or none is.
fn check_signatures(emulator: &Emulator, on: bool) {
    let answer = emulator.http("POST", "/moto-api/reset-auth", if on { "0" } else { "inf" }).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn s3_merges_removes_and_leaves_alone() {
    let Some((emulator, key)) = Emulator::with_user(Kind::Moto,
        "bucket('merge', tags={'team': 'a', 'old': 'x', 'env': 'dev'}); bucket('empty'); bucket('emptied', tags={'old': 'x'})
bucket('right', tags={'env': 'prod', 'none': ''})",
    ) else {
        return;
    };
    check_signatures(&emulator, true);
    let home = Home::new("aws-s3", &emulator, &key, "verify: true");
    let applied = home.apply(&[
        json!({"resources": ["merge", "empty", "right", "missing"], "set": {"env": "prod"}, "unset": ["old"]}),
        json!({"resources": ["emptied"], "unset": ["old"]}),
        json!({"resources": ["empty"], "set": {"a key+-=._:/@": "ä 日本 +-=._:/@", "blank": ""}}),
    ]);
    applied.comes_to(4, 1, 1);
    assert_eq!(applied.failures["missing"]["code"], "NoSuchBucket");
    check_signatures(&emulator, false);
    assert_eq!(
        emulator.ask("answer = {name: bucket_tags(name) for name in ['merge', 'empty', 'emptied', 'right']}"),
        json!({
            "merge": {"team": "a", "env": "prod"},
            "empty": {"env": "prod", "a key+-=._:/@": "ä 日本 +-=._:/@", "blank": ""},
            "emptied": null,
            "right": {"env": "prod", "none": ""},
        })
    );
}

#[test]
fn backup_tags_and_untags_by_arn() {
    let Some((emulator, key)) = Emulator::with_user(
        Kind::Moto,
        "for name in ['v1', 'v2']: client('backup').create_backup_vault(BackupVaultName=name, BackupVaultTags={'team': 'a', 'old': 'x'})",
    ) else {
        return;
    };
    check_signatures(&emulator, true);
    let arn = |name: &str| format!("arn:aws:backup:us-east-1:{ACCOUNT}:backup-vault:{name}");
    let home = Home::new("aws-backup", &emulator, &key, "");
    let applied =
        home.apply(&[json!({"resources": [arn("v1"), arn("v2")], "set": {"env": "a/b c"}, "unset": ["old"]})]);
    applied.comes_to(2, 0, 0);
    check_signatures(&emulator, false);
    for name in ["v1", "v2"] {
        let tags = emulator.ask(&format!("answer = client('backup').list_tags(ResourceArn='{}')['Tags']", arn(name)));
        assert_eq!(tags, json!({"team": "a", "env": "a/b c"}), "{name}");
    }
}

#[test]
fn tagging_sends_twenty_arns_a_call() {
    let Some((emulator, key)) =
        Emulator::with_user(Kind::Moto, "for n in range(45): bucket(f'bucket-{n}', tags={'team': 'a', 'old': 'x'})")
    else {
        return;
    };
    check_signatures(&emulator, true);
    let buckets: Vec<String> = (0..45).map(|n| format!("arn:aws:s3:::bucket-{n}")).collect();
    let home = Home::new("aws-tagging", &emulator, &key, "");
    let asked = emulator.log().matches("\"POST / ").count();
    let applied = home.apply(&[json!({"resources": buckets, "set": {"env": "prod"}})]);
    applied.comes_to(45, 0, 0);
    assert_eq!(applied.ledger["calls"], 3, "{applied:#?}");
    assert_eq!(emulator.log().matches("\"POST / ").count() - asked, 3, "{}", emulator.log());
    home.apply(&[json!({"resources": buckets, "unset": ["old"]})]).comes_to(45, 0, 0);
    check_signatures(&emulator, false);
    let tags = emulator.ask("answer = [bucket_tags(f'bucket-{n}') for n in range(45)]");
    assert_eq!(tags, json!(vec![json!({"team": "a", "env": "prod"}); 45]));
}

#[test]
fn tagging_finds_the_one_that_sinks_a_whole_call() {
    let Some((emulator, key)) = Emulator::with_user(Kind::Moto, "for n in range(19): bucket(f'bucket-{n}')") else {
        return;
    };
    check_signatures(&emulator, true);
    let missing = "arn:aws:s3:::missing".to_owned();
    let mut buckets: Vec<String> = (0..19).map(|n| format!("arn:aws:s3:::bucket-{n}")).collect();
    buckets.insert(7, missing.clone());
    let home = Home::new("aws-tagging", &emulator, &key, "");
    // Here a 404 for the whole call; the real API names the bucket in its map.
    let applied = home.apply(&[json!({"resources": buckets, "set": {"env": "prod"}})]);
    applied.comes_to(19, 0, 1);
    assert_eq!(applied.failures[&missing]["code"], "NoSuchBucket");
    check_signatures(&emulator, false);
    let tags = emulator.ask("answer = [bucket_tags(f'bucket-{n}') for n in range(19)]");
    assert_eq!(tags, json!(vec![json!({"env": "prod"}); 19]));
}

#[test]
fn tagging_gives_up_on_a_service_that_stays_broken_and_tags_the_others() {
    let Some((emulator, key)) = Emulator::with_user(Kind::Moto, "bucket('good')") else { return };
    check_signatures(&emulator, true);
    let queue = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:q1");
    let home = Home::new("aws-tagging", &emulator, &key, "");
    // moto cannot tag queues this way and says InternalServiceException, which may pass on the real API.
    let applied = home.apply(&[json!({"resources": [queue, "arn:aws:s3:::good"], "set": {"env": "prod"}})]);
    applied.comes_to(1, 0, 1);
    assert_eq!(applied.failures[&queue]["code"], "InternalServiceException");
    assert_eq!(applied.ledger["calls"], 3, "tried three times: {applied:#?}");
    check_signatures(&emulator, false);
    assert_eq!(emulator.ask("answer = bucket_tags('good')"), json!({"env": "prod"}));
}
