//! Commands that need no cloud and no credentials: plan, validate, config init, schema, completions.

use crate::support::{Clouds, Home, lane};
use serde_json::json;

#[test]
fn a_plan_counts_items_resources_and_calls_and_sends_nothing() {
    let clouds = Clouds::start();
    let mut home = Home::new(&[
        lane("tms", &clouds.url(), "rate: { per_second: 2 }"),
        lane("ecs", &clouds.url(), "rate: { per_second: 10 }"),
    ]);
    // No credentials needed.
    home.without("HUAWEI_SECRET");
    home.without("ALIBABA_SECRET");
    let mut csv = "id,type,lane,env\n".to_owned();
    for n in 0..101 {
        csv += &format!("d-{n},disk,tms,prod\n");
    }
    // The same resources again: no more resources, and as they merge no more calls.
    for n in 0..20 {
        csv += &format!("d-{n},disk,tms,prod\n");
    }
    csv += "i-1,instance,ecs,prod\ni-2,disk,ecs,prod\n";
    home.write("all.csv", &csv);
    let plan = home.run(&["plan", "all.csv", "--output", "json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let wanted = json!({
        "items": 123, "resources": 103, "calls": 5, "eta_seconds": 1.5, "error_count": 0, "errors": [],
        "lanes": [
            {"name": "ecs", "provider": "alibaba-ecs", "items": 2, "resources": 2, "calls": 2, "eta_seconds": 0.2},
            {"name": "tms", "provider": "huawei-tms", "items": 121, "resources": 101, "calls": 3, "eta_seconds": 1.5},
        ],
    });
    assert_eq!(plan.json(), wanted);
    let table = home.run(&["plan", "all.csv"]);
    insta::assert_snapshot!(table.out, @r"
    lane   provider     items  resources  calls  time at rate
    ecs    alibaba-ecs      2          2      2          0.2s
    tms    huawei-tms     121        101      3          1.5s
    -----  -----------  -----  ---------  -----  ------------
    total                 123        103      5          1.5s
    ");
    assert_eq!(clouds.requests(), 0);
    assert!(!home.path("tagmill-state").exists(), "a plan leaves nothing behind");
}

#[test]
fn a_plan_lists_the_rows_that_will_be_refused() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("rows.csv", "id,type,env,cost centre\nd-1,disk,a,\n,disk,a,\nd-3,disk,a,7\nd-4,,a,\n");
    let plan = home.run(&["plan", "rows.csv", "--output", "json"]);
    assert_eq!(plan.code, 1, "{plan:?}");
    let plan = plan.json();
    assert_eq!((&plan["items"], &plan["calls"], &plan["error_count"]), (&1.into(), &1.into(), &3.into()));
    let told: Vec<_> =
        plan["errors"].as_array().unwrap().iter().map(|e| (&e["file"], &e["line"], &e["code"])).collect();
    let (file, code) = (json!("rows.csv"), json!("invalid"));
    assert_eq!(told, [(&file, &json!(3), &code), (&file, &json!(4), &code), (&file, &json!(5), &code)]);
    home.write("lanes.csv", "id,type,lane,env\nd-1,disk,tms,a\nd-2,disk,nowhere,a\n");
    assert_eq!(home.run(&["plan", "lanes.csv"]).code, 65);
}

#[test]
fn what_the_plan_says_is_what_apply_sends() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    let mut rng = fastrand::Rng::with_seed(4);
    let mut csv = "id,type,env,owner,app\n".to_owned();
    for n in 0..2000 {
        csv += &format!("d-{n},disk,e{},o{},a{}\n", rng.usize(..3), rng.usize(..30), rng.usize(..10));
    }
    home.write("rows.csv", &csv);
    let calls = home.run(&["plan", "rows.csv", "--output", "json"]).json()["calls"].as_u64().unwrap();
    let (done, ledger) = home.apply(&["rows.csv"]);
    assert_eq!(done.code, 0, "{done:?}");
    let sent = ledger["calls"].as_u64().unwrap();
    // Resources of calls on their way cannot be in other calls: with eight at a time that costs some.
    assert!(sent.abs_diff(calls) * 10 <= calls, "{calls} planned, {sent} sent");
}

#[test]
fn a_new_config_is_a_good_config_and_is_never_overwritten() {
    let home = Home::new(&[]);
    std::fs::remove_file(home.path("tagmill.yaml")).unwrap();
    let missing = home.run(&["validate"]);
    missing.refused(78);
    assert!(missing.err.contains("tagmill config init"), "{}", missing.err);
    home.run(&["config", "init"]).refused(0);
    let fine = home.run(&["validate"]);
    fine.refused(0);
    assert!(fine.err.contains("tagmill.yaml: fine, 1 lane"), "{}", fine.err);
    home.write("tagmill.yaml", "mine");
    home.run(&["config", "init"]).refused(78);
    assert_eq!(std::fs::read_to_string(home.path("tagmill.yaml")).unwrap(), "mine");
}

#[test]
fn schemas_and_completions_are_printed() {
    let home = Home::new(&[]);
    for document in ["config", "job", "dead-letter", "receipt"] {
        let done = home.run(&["schema", document]);
        assert_eq!(done.code, 0, "{done:?}");
        let schema: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert!(schema["properties"].is_object(), "{document}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = home.run(&["completions", shell]);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
        assert!(done.out.contains("tagmill") && done.out.contains("apply"), "{shell}");
    }
}

const MANY: &str = "
lanes:
  - name: ecs-<account>-<region>
    for_each: { account: { file: accounts.csv, column: id }, region: [cn-hangzhou, cn-beijing] }
    exclude: [ { account: '1002', region: cn-beijing } ]
    provider: alibaba-ecs
    region: <region>
    credentials: { access_key: { env: AK_<account> }, secret_key: { file: /run/secrets/<account.owner> } }
  - { name: tms, provider: huawei-tms, region: cn-north-4 }
";

#[test]
fn an_expansion_is_shown_listed_and_planned_with() {
    let home = Home::new(&[]);
    home.write("tagmill.yaml", MANY);
    home.write("accounts.csv", "id,owner\n1001,ann\n1002,bob\n1003,cem\n");
    let shown = home.run(&["validate"]);
    shown.refused(0);
    insta::assert_snapshot!(shown.err, @r"
    tagmill.yaml: line 3: 3 account x 2 region - 1 excluded = 5 lanes: ecs-1001-cn-hangzhou, ecs-1001-cn-beijing, ecs-1002-cn-hangzhou, ... (--list names all)
    tagmill.yaml: fine, 6 lanes
    ");
    let listed = home.run(&["validate", "--list"]);
    insta::assert_snapshot!(listed.out, @r"
    lane                  provider     region       endpoint
    ecs-1001-cn-hangzhou  alibaba-ecs  cn-hangzhou
    ecs-1001-cn-beijing   alibaba-ecs  cn-beijing
    ecs-1002-cn-hangzhou  alibaba-ecs  cn-hangzhou
    ecs-1003-cn-hangzhou  alibaba-ecs  cn-hangzhou
    ecs-1003-cn-beijing   alibaba-ecs  cn-beijing
    tms                   huawei-tms   cn-north-4
    ");
    let lanes = home.run(&["validate", "--list", "--output", "json"]).json();
    assert_eq!(lanes.as_array().unwrap().len(), 6);
    assert_eq!(
        lanes[4],
        json!({"name": "ecs-1003-cn-beijing", "provider": "alibaba-ecs", "region": "cn-beijing", "endpoint": null})
    );
    assert_eq!(home.run(&["validate", "--list", "--output", "ndjson"]).json_lines()[5]["name"], "tms");

    home.write("rows.csv", "id,type,lane,region,env\ni-1,instance,ecs-1001-cn-beijing,cn-beijing,a\nd-1,disk,tms,,a\n");
    let plan = home.run(&["plan", "rows.csv", "--output", "json"]).json();
    assert_eq!((&plan["calls"], &plan["lanes"][0]["name"]), (&json!(2), &json!("ecs-1001-cn-beijing")));
    home.write("rows.csv", "id,type,lane,env\ni-1,instance,ecs-1002-cn-beijing,a\n");
    let plan = home.run(&["plan", "rows.csv", "--output", "json"]);
    assert_eq!(
        (plan.code, &plan.json()["errors"][0]["code"]),
        (65, &json!("unknown_lane")),
        "an excluded lane is none"
    );
    home.write("accounts.csv", "id,owner\n1001,ann\n1001,bob\n");
    let wrong = home.run(&["validate"]);
    wrong.refused(78);
    assert!(wrong.err.contains("line 4: lanes[0].for_each.account: 1001 is there twice"), "{}", wrong.err);
}
