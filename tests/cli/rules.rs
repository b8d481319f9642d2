//! Rules tried on events: the shipped examples, a test that fails, an event explained.

use crate::support::Home;
use serde_json::Value;
use std::{fs, path::Path};

fn shipped(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).to_str().unwrap().to_owned()
}

#[test]
fn the_shipped_rules_make_of_the_shipped_events_what_their_tests_say() {
    let home = Home::new(&[]);
    let done = home.run(&["rules", "test", &shipped("events.yaml")]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.lines().count() >= 9 && done.out.lines().all(|line| line.starts_with("ok   ")), "{done:?}");
    assert!(done.err.ends_with("9 tests, 0 failed\n"), "{done:?}");
}

#[test]
fn a_test_that_fails_shows_what_is_different_and_ends_with_1() {
    let home = Home::new(&[]);
    let text = fs::read_to_string(shipped("events.yaml")).unwrap();
    let text = text.replace("file: events/", &format!("file: {}/", shipped("events")));
    let wrong = text
        .replacen("set: { owner: alice, created", "set: { owner: bob, created", 1)
        .replacen("ignored: failed", "ignored: tagging", 1)
        .replacen("trouble: { owner: no_lane }", "jobs: []", 1);
    home.write("wrong.yaml", &wrong);
    let done = home.run(&["rules", "test", "wrong.yaml"]);
    assert_eq!(done.code, 1, "{done:?}");
    insta::assert_snapshot!(done.out, @r"
    FAIL each instance of an order gets its owner
         - expected, + found:
           job in lane aws-prod
             on  arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718
             on  arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60719
             set created = 2026-11-28
         -   set owner = bob
         +   set owner = alice
    ok   a bucket goes to the lane of buckets, and two rules are for it
    FAIL a bucket that was not created is nobody's
         ignored: expected tagging, found failed
    ok   an instance gets its owner, and its disks too
    ok   a server in a project
    ok   a disk, as a CloudEvent
    ok   our own calls are no news
    FAIL an instance in an account that no lane is for is told, not guessed
         rule owner: no_lane: no lane of the config is for account 999900001111 and region eu-west-1
    ok   a table, by the path that its rule gives, twice
    ");
}

#[test]
fn tests_beside_a_config_are_about_that_config_and_what_a_provider_refuses_fails() {
    let home = Home::new(&[]);
    let text = fs::read_to_string(shipped("events.yaml")).unwrap();
    let (config, _) = text.split_once("\ntests:\n").unwrap();
    let bad = config.replace("ids: { path: responseElements.tableDescription.tableArn }", "ids: { path: awsRegion }");
    home.write("good.yaml", config);
    home.write("bad.yaml", &bad);
    home.write(
        "tests.yaml",
        "tests:\n  - name: a table\n    source: aws\n    event: '{\"id\":\"1\",\"account\":\"111122223333\",\
         \"region\":\"eu-west-1\",\"detail\":{\"eventSource\":\"dynamodb.amazonaws.com\",\"eventName\":\"CreateTable\",\
         \"awsRegion\":\"eu-west-1\",\"responseElements\":{\"tableDescription\":{\"tableArn\":\
         \"arn:aws:dynamodb:eu-west-1:111122223333:table/t\",\"billingModeSummary\":{\"billingMode\":\"X\"}}}}}'\n    \
         jobs:\n      - lane: aws-prod\n        resources: [arn:aws:dynamodb:eu-west-1:111122223333:table/t]\n        \
         set: { billing: x }\n",
    );
    let good = home.run(&["rules", "test", "tests.yaml", "--config", "good.yaml"]);
    assert_eq!(good.code, 0, "{good:?}");
    let bad = home.run(&["rules", "test", "tests.yaml", "--config", "bad.yaml"]);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("the provider of aws-prod refuses: eu-west-1: "), "{bad:?}");
}

#[test]
fn a_file_without_tests_or_with_a_misspelt_one_is_told() {
    let home = Home::new(&[]);
    home.write("none.yaml", "tests: []\n");
    home.write("odd.yaml", "tests:\n  - { name: a, source: aws, evnt: {} }\n");
    home.run(&["rules", "test", "none.yaml", "--config", &shipped("events.yaml")]).refused(65);
    let odd = home.run(&["rules", "test", "odd.yaml", "--config", &shipped("events.yaml")]);
    odd.refused(78);
    assert!(odd.err.contains("evnt"), "{odd:?}");
    home.run(&["rules", "test", "gone.yaml"]).refused(78);
}

#[test]
fn an_event_is_explained_step_by_step_whichever_cloud_it_is_from() {
    let home = Home::new(&[]);
    let config = shipped("events.yaml");
    for (file, cloud) in [
        ("aws-run-instances", "aws"),
        ("aws-create-bucket", "aws"),
        ("alibaba-run-instances", "alibaba"),
        ("huawei-create-server", "huawei"),
        ("huawei-create-volume", "huawei"),
    ] {
        let path = shipped(&format!("events/{file}.json"));
        let done = home.run(&["rules", "explain", &path, "--config", &config, "--output", "json"]);
        assert_eq!(done.code, 0, "{done:?}");
        let told = done.json();
        assert_eq!(told["event"]["cloud"], cloud, "{file}");
        let jobs = told["rules"].as_array().unwrap().iter().map(|rule| rule["jobs"].as_array().unwrap().len());
        assert!(jobs.sum::<usize>() >= 1, "{told}");
        assert_eq!(told["ignored"], Value::Null);
    }
    let failed = shipped("events/aws-create-bucket-failed.json");
    let done = home.run(&["rules", "explain", &failed, "--config", &config]);
    insta::assert_snapshot!(done.out, @r#"
    event 77ab77ab-30ec-4ef5-b5b7-e37a3ff52f03 of aws.s3 (aws)
      what     s3:CreateBucket
      account  111122223333
      region   eu-west-1
      creator  bob
      time     2026-11-28T06:03:10Z
      ignored  failed: the call it tells of failed
    rule owner: is for it, and makes no job: the event is ignored
      ids    requestParameters.bucketName -> invoices
      set    owner = bob
      set    created = 2026-11-28
    rule buckets: is for it, and makes no job: the event is ignored
      ids    requestParameters.bucketName -> invoices
      set    team = invoices
    rule tables: is for other events
    "#);
    home.write("no.json", "{\"a\":1}");
    home.run(&["rules", "explain", "no.json", "--config", &config]).refused(65);
    home.run(&["rules", "explain", &failed, "--config", &config, "--source", "azure"]).refused(2);
}

#[test]
fn the_table_of_creations_is_printed_in_every_form() {
    let home = Home::new(&[]);
    let rows = home.run(&["rules", "list", "--output", "json"]).json();
    let rows = rows.as_array().unwrap();
    assert!(rows.iter().any(|row| row["event"] == "ec2:RunInstances" && row["source"] == "aws"));
    assert_eq!(home.run(&["rules", "list"]).out.lines().count(), rows.len() + 1);
    assert_eq!(home.run(&["rules", "list", "--output", "ndjson"]).out.lines().count(), rows.len());
    assert_eq!(home.run(&["rules", "list", "--markdown"]).out.lines().count(), rows.len() + 2);
}
