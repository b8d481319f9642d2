//! Files with mistakes, files in every format, commands with mistakes.

use crate::support::{Clouds, Home, lane, sums};

const BAD: &str = "\
id,type,env,owner
d-1,disk,prod,ann
,disk,prod,ann
d-3,disk,prod
d-4,disk,,
d-5,disk,prod,\"bob
d-6,disk,prod,ann
";

#[test]
fn bad_rows_are_told_with_their_lines_and_dead_as_invalid_and_the_others_are_tagged() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("servers.csv", BAD);
    let (done, ledger) = home.apply(&["servers.csv"]);
    assert_eq!((done.code, sums(&ledger)), (1, [6, 2, 4, 0]), "{done:?}");
    insta::assert_snapshot!(done.err, @r"
    servers.csv:3: invalid: id: the cell is blank
    servers.csv:4: invalid: the row has 3 cells, the header has 4
    servers.csv:5: invalid: nothing to do: every tag cell is blank
    servers.csv:6: invalid: a quoted cell is never closed
    4 dead: `tagmill dlq list` shows why, `tagmill dlq replay` sends them again
    ");
    assert_eq!(clouds.tags("huawei-tms").into_keys().collect::<Vec<_>>(), ["disk/d-1", "disk/d-6"]);
    let letters = home.dead_letters();
    let told: Vec<_> = letters.iter().map(|letter| (letter["line"].as_u64(), letter["code"].as_str())).collect();
    assert_eq!(told, [3, 4, 5, 6].map(|line| (Some(line), Some("invalid"))));
}

#[test]
fn strict_sends_nothing_when_a_single_row_is_bad() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("servers.csv", BAD);
    let done = home.run(&["apply", "servers.csv", "--strict", "--output", "json"]);
    done.refused(65);
    assert!(done.err.contains("4 bad rows and --strict was given; nothing was sent"), "{}", done.err);
    // A row that only its cloud would refuse is as bad.
    home.write("cloud.csv", "id,type,env,cost centre\nd-1,disk,prod,7\n");
    home.run(&["apply", "cloud.csv", "--strict"]).refused(65);
    assert_eq!(clouds.requests(), 0);
    assert!(home.dead_letters().is_empty());
}

#[test]
fn a_key_that_tms_never_takes_is_dead_before_it_is_merged_with_good_ones() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("servers.csv", "id,type,env,cost centre\nd-1,disk,prod,\nd-2,disk,prod,7\nd-3,disk,prod,\n");
    let (done, ledger) = home.apply(&["servers.csv"]);
    assert_eq!((done.code, sums(&ledger)), (1, [3, 2, 1, 0]), "{done:?}");
    assert!(done.err.contains("servers.csv:3: invalid: set.cost centre: TMS takes"), "{}", done.err);
    assert_eq!(clouds.tags("huawei-tms").len(), 2);
    assert_eq!(clouds.requests(), 1, "the bad row cost no call");
    let failures = home.failures();
    assert_eq!((&failures["d-2"]["code"], &failures["d-2"]["attempts"]), (&"invalid".into(), &0.into()));
}

#[test]
fn an_unknown_lane_stops_everything_before_it_is_sent() {
    let clouds = Clouds::start();
    let home = Home::new(&["tms", "ecs"].map(|name| lane(name, &clouds.url(), "")));
    home.write("rows.csv", "id,type,lane,env\nd-1,disk,tms,a\nd-2,disk,tsm,a\n");
    let done = home.run(&["apply", "rows.csv", "--output", "json"]);
    done.refused(65);
    insta::assert_snapshot!(done.err, @r"
    rows.csv:3: unknown_lane: lane: there is no lane tsm; did you mean tms? (lanes: tms, ecs)
    1 row with a lane that is not in the config; nothing was sent
    ");
    let done = home.run(&["apply", "rows.csv", "--lane", "rds"]);
    done.refused(65);
    insta::assert_snapshot!(done.err, @"--lane: there is no lane rds (lanes: tms, ecs)");
    assert_eq!(clouds.requests(), 0);
    assert!(home.dead_letters().is_empty());
}

#[test]
fn files_that_give_nothing_end_with_65_and_words() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("empty.csv", "");
    home.write("header.csv", "id,type,env\n");
    home.write("no-id.csv", "ID,type,env\nd-1,disk,a\n");
    home.write("prose.txt", "Dear all,\n\nplease tag the servers.\n");
    home.write("binary.csv", "\0\u{1}\u{2}\0");
    std::fs::create_dir(home.path("folder")).unwrap();
    let mut told = String::new();
    for file in ["empty.csv", "header.csv", "no-id.csv", "prose.txt", "binary.csv", "folder", "missing.csv"] {
        let done = home.run(&["apply", file, "--output", "json"]);
        done.refused(65);
        told += &done.err;
    }
    insta::assert_snapshot!(told, @r"
    empty.csv: the file is empty
    there are no rows in the files
    no-id.csv: header: there is no id column; ID is taken for a tag, the column must be called id in lower case
    prose.txt: not a format we know: jobs as NDJSON, a CSV with a header that has an id column, or the JSON of aws resourcegroupstaggingapi get-resources; --format overrules what we see
    binary.csv: header: column 1: the key holds a control character
    folder: cannot be read: Is a directory (os error 21)
    missing.csv: cannot be read: No such file or directory (os error 2)
    ");
    // Nothing readable in it, but rows: they are dead letters, and there was nothing to do.
    home.write("rows.csv", "id,type,env\n,disk,a\n,disk,b\n");
    let (done, ledger) = home.apply(&["rows.csv"]);
    assert_eq!((done.code, sums(&ledger)), (65, [2, 0, 2, 0]), "{done:?}");
    assert_eq!(clouds.requests(), 0);
}

#[test]
fn a_wrong_config_ends_with_78_and_all_its_mistakes() {
    let home = Home::new(&[]);
    home.write("rows.csv", "id,type,env\nd-1,disk,a\n");
    home.write(
        "tagmill.yaml",
        "lanes:\n  - name: a b\n    provider: huawei-tsm\n    regoin: cn-north-4\n  - name: x\n    provider: \
         alibaba-ecs\n    region: cn-hangzhou\n    rate: { per_second: 0 }\n    limits: { resources_per_call: 51 }\n",
    );
    for command in [&["apply", "rows.csv"][..], &["plan", "rows.csv"], &["validate"], &["dlq", "replay", "--yes"]] {
        let done = home.run(command);
        done.refused(78);
        insta::allow_duplicates! {
            insta::assert_snapshot!(done.err, @r"
            tagmill.yaml: 6 things are wrong:
              line 2: lanes[0].region: is missing
              line 2: lanes[0].name: a lane name has 1 to 120 characters of a-z A-Z 0-9 . _ -
              line 3: lanes[0].provider: there is no provider huawei-tsm; did you mean huawei-tms?
              line 4: lanes[0].regoin: unknown field; did you mean region?
              line 8: lanes[1].rate.per_second: must be a number above 0
              line 9: lanes[1].limits.resources_per_call: alibaba-ecs takes at most 50; limits can only be lowered
            ");
        }
    }
    let done = home.run(&["apply", "rows.csv", "--config", "none.yaml"]);
    done.refused(78);
    insta::assert_snapshot!(done.err, @"none.yaml: there is no such file; `tagmill config init` writes one to start from");
}

#[test]
fn a_command_that_is_not_one_ends_with_2() {
    let home = Home::new(&[]);
    home.write("rows.csv", "id,type,env\nd-1,disk,a\n");
    for wrong in [
        &["apply"][..],
        &["aply", "rows.csv"],
        &["apply", "rows.csv", "--no-such-flag"],
        &["apply", "rows.csv", "--set", "no-equals-sign"],
        &["apply", "rows.csv", "--lane", "not a lane"],
        &["dlq"],
        &["dlq", "replay", "id-1", "--code", "x"],
        &["schema", "nothing"],
    ] {
        home.run(wrong).refused(2);
    }
    let help = home.run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("130 interrupted"), "{}", help.out);
}

#[test]
fn every_format_of_job_files_is_read() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tag", &clouds.url(), "")]);
    let arn = |n: usize| format!("arn:acs:ecs:cn-hangzhou:1:instance/i-{n}");
    let job = |n: usize, more: &str| format!("{{\"resources\":[\"{}\"],\"set\":{{\"env\":\"nd\"}}{more}}}\n", arn(n));
    home.write("jobs.ndjson", &(job(1, "") + &job(2, ",\"id\":\"j-2\",\"unset\":[\"temp\"]")));
    home.write("rows.csv", &format!("id,tag:lane,env\n{},red,csv\n", arn(3)));
    let mappings: Vec<_> = (4..7).map(|n| serde_json::json!({"ResourceARN": arn(n), "Tags": []})).collect();
    home.write("list.json", &serde_json::json!({"ResourceTagMappingList": mappings}).to_string());
    home.write("bare.csv", &format!("id\n{}\n", arn(7)));

    let (done, ledger) = home.apply(&["jobs.ndjson", "rows.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [3, 3, 0, 0]), "{done:?}");
    let (done, ledger) = home.apply(&["list.json", "bare.csv", "--set", "env=list", "--unset", "temp"]);
    assert_eq!((done.code, sums(&ledger)), (0, [4, 4, 0, 0]), "{done:?}");
    let tags = clouds.tags("alibaba-tag");
    let env: Vec<&str> = (1..8).map(|n| tags[&arn(n)]["env"].as_str()).collect();
    assert_eq!(env, ["nd", "nd", "csv", "list", "list", "list", "list"]);
    assert_eq!(tags[&arn(3)]["lane"], "red");
    // A list says which, not what.
    let done = home.run(&["apply", "list.json"]);
    done.refused(65);
    assert!(done.err.contains("--set key=value"), "{}", done.err);
}

#[test]
fn rows_of_one_resource_take_effect_in_file_order() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("rows.csv", "id,type,env,temp\nd-1,disk,a,x\nd-1,disk,b,<remove>\nd-1,disk,c,\nd-1,disk,,<empty>\n");
    let (done, ledger) = home.apply(&["rows.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [4, 4, 0, 0]), "{done:?}");
    let tags = &clouds.tags("huawei-tms")["disk/d-1"];
    assert_eq!((tags["env"].as_str(), tags["temp"].as_str()), ("c", ""));
}
