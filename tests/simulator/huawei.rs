//! Huawei Cloud: identity, limits, and what a batch does.

use crate::client::{Huawei, Reply, World, cloud, disks, start};
use reqwest::Method;
use serde_json::{Value, json};
use tagmill::sim::{Faults, well_known};

const CREATE: &str = "/v1.0/resource-tags/batch-create";

async fn as_sent(world: &World, how: &Huawei) -> Reply {
    world.huawei(how, Method::POST, CREATE, &disks(&["d-1"]).to_string()).await
}

#[tokio::test]
async fn a_signed_batch_is_carried_out_and_can_be_read_back() {
    let world = start(|_| {}).await;
    let body = json!({"project_id": "p-1",
        "resources": [{"resource_id": "a b/1", "resource_type": "disk"}, {"resource_id": "x", "resource_type": "vpcs"}],
        "tags": [{"key": "环境", "value": "开.发"}, {"key": "empty", "value": ""}]});
    let reply = world.create(&body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"failed_resources": []})));
    assert_eq!(reply.header("x-request-id").len(), 32);
    let tags = world.sim.tags("huawei-tms");
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["p-1/disk/a b/1", "p-1/vpcs/x"]);

    let read = "/v2.0/resources/x/tags?project_id=p-1&resource_type=vpcs";
    let reply = world.huawei(&Huawei::default(), Method::GET, read, "").await;
    assert_eq!(reply.json(), json!({"tags": [{"key": "empty", "value": ""}, {"key": "环境", "value": "开.发"}]}));
}

#[tokio::test]
async fn batch_delete_needs_keys_only_and_takes_away_just_those() {
    let world = start(|_| {}).await;
    let mut body = disks(&["d-1", "d-2"]);
    body["tags"] = json!([{"key": "env", "value": "dev"}, {"key": "team", "value": "a"}]);
    assert_eq!(world.create(&body).await.status, 200);
    body["tags"] = json!([{"key": "env"}, {"key": "absent", "value": ""}]);
    let reply =
        world.huawei(&Huawei::default(), Method::POST, "/v1.0/resource-tags/batch-delete", &body.to_string()).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"failed_resources": []})));
    let tags = world.sim.tags("huawei-tms");
    assert_eq!(json!(tags), json!({"disk/d-1": {"team": "a"}, "disk/d-2": {"team": "a"}}));
}

#[tokio::test]
async fn a_request_that_does_not_prove_who_sent_it_is_refused_and_changes_nothing() {
    let world = start(|_| {}).await;
    let cases = [
        (Huawei { secret: "wrong", ..Huawei::default() }, "APIGW.0301"),
        (Huawei { access: "NOBODY", ..Huawei::default() }, "APIGW.0301"),
        (Huawei { domain: None, ..Huawei::default() }, "APIGW.0301"),
        (Huawei { domain: Some("another"), ..Huawei::default() }, "APIGW.0301"),
        (Huawei { security_token: Some("unasked"), ..Huawei::default() }, "APIGW.0301"),
        (Huawei { off_by: -16 * 60, ..Huawei::default() }, "APIGW.0303"),
        (Huawei { off_by: 16 * 60, ..Huawei::default() }, "APIGW.0303"),
        (Huawei { token: Some("0.forged".into()), ..Huawei::default() }, "APIGW.0301"),
        (Huawei { token: Some("forged".into()), ..Huawei::default() }, "APIGW.0301"),
    ];
    for (how, code) in &cases {
        as_sent(&world, how).await.is(401, code);
    }
    world.send(Method::POST, CREATE, &[], disks(&["d-1"]).to_string().into()).await.unwrap().is(401, "APIGW.0301");
    assert!(world.sim.tags("huawei-tms").is_empty());
    assert_eq!(as_sent(&world, &Huawei { off_by: -14 * 60, ..Huawei::default() }).await.status, 200);
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.outcomes.auth, counts.outcomes.ok, counts.applied_calls), (7, 1, 1));
    assert_eq!(world.sim.unmatched(), 3, "an unknown key, an unreadable token and no identity belong to no account");
}

#[tokio::test]
async fn a_temporary_key_needs_its_security_token() {
    let world = start(|clouds| cloud(clouds, "huawei-tms").security_token = Some("session".into())).await;
    as_sent(&world, &Huawei::default()).await.is(401, "APIGW.0301");
    as_sent(&world, &Huawei { security_token: Some("old"), ..Huawei::default() }).await.is(401, "APIGW.0301");
    let right = Huawei { security_token: Some("session"), ..Huawei::default() };
    assert_eq!(as_sent(&world, &right).await.status, 200);
}

fn ask(password: &str, scope: &Value) -> Value {
    json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "domain": {"name": well_known::HUAWEI_DOMAIN}, "name": well_known::HUAWEI_USER, "password": password}}},
        "scope": scope}})
}

async fn token(world: &World, scope: &Value) -> Huawei {
    let reply = world.post("/v3/auth/tokens?nocatalog=true", &ask(well_known::HUAWEI_PASSWORD, scope)).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    Huawei { token: Some(reply.header("x-subject-token").to_owned()), ..Huawei::default() }
}

fn domain() -> Value {
    json!({"domain": {"name": well_known::HUAWEI_DOMAIN}})
}

#[tokio::test]
async fn a_token_with_domain_scope_opens_the_service_until_it_is_ended() {
    let world = start(|_| {}).await;
    let how = token(&world, &domain()).await;
    assert!(how.token.as_ref().unwrap().len() >= 2000);
    assert_eq!(as_sent(&world, &how).await.status, 200);
    world.sim.set_faults("huawei-tms", Faults { token_epoch: 1, ..Faults::default() }).unwrap();
    as_sent(&world, &how).await.is(401, "APIGW.0307");
    assert_eq!(as_sent(&world, &token(&world, &domain()).await).await.status, 200);
    assert_eq!(world.sim.counts("huawei-tms").tokens_issued, 2);
}

#[tokio::test]
async fn a_token_past_its_lifetime_must_be_renewed() {
    let world = start(|clouds| cloud(clouds, "huawei-tms").token_ttl_s = 0).await;
    as_sent(&world, &token(&world, &domain()).await).await.is(401, "APIGW.0307");
}

#[tokio::test]
async fn a_token_of_another_scope_or_for_a_wrong_password_does_not_open_the_service() {
    let world = start(|_| {}).await;
    as_sent(&world, &token(&world, &json!({"project": {"name": "cn-north-4"}})).await).await.is(401, "TMS.0003");
    let cases = [
        (ask("wrong", &domain()), 401),
        (ask(well_known::HUAWEI_PASSWORD, &Value::Null), 400),
        (ask(well_known::HUAWEI_PASSWORD, &json!({"domain": {"name": "another"}})), 401),
        (json!({}), 400),
    ];
    for (body, status) in &cases {
        let reply = world.post("/v3/auth/tokens", body).await;
        assert_eq!(reply.status, *status);
        assert_eq!(reply.json()["error"]["code"], *status, "the identity service's codes are numbers");
    }
}

#[tokio::test]
async fn the_identity_service_names_the_account_of_a_key() {
    let world = start(|_| {}).await;
    let how = Huawei { domain: None, ..Huawei::default() };
    let reply = world.huawei(&how, Method::GET, "/v3/auth/domains", "").await;
    assert_eq!(reply.json()["domains"][0]["id"], well_known::HUAWEI_DOMAIN_ID);
    let how = Huawei { secret: "wrong", ..how };
    world.huawei(&how, Method::GET, "/v3/auth/domains", "").await.is(401, "APIGW.0301");
    assert_eq!(world.sim.counts("huawei-tms").requests, 0, "not a tagging call");
}

#[tokio::test]
async fn what_is_beyond_the_limits_is_refused_with_its_own_code_and_changes_nothing() {
    let world = start(|clouds| cloud(clouds, "huawei-tms").resource_types = Some(vec!["disk".into()])).await;
    let tag = |key: &str, value: &str| json!([{"key": key, "value": value}]);
    let many = |n: usize| (0..n).map(|n| json!({"key": format!("k{n}"), "value": ""})).collect::<Vec<_>>();
    let ids = |n: usize| {
        (0..n).map(|n| json!({"resource_id": format!("d-{n}"), "resource_type": "disk"})).collect::<Vec<_>>()
    };
    let cases: Vec<(&str, Value, &str)> = vec![
        ("resources", json!(ids(51)), "TMS.0002"),
        ("resources", json!([]), "TMS.0002"),
        ("resources", json!([ids(1)[0], ids(1)[0]]), "TMS.0002"),
        ("resources", json!([{"resource_id": "", "resource_type": "disk"}]), "TMS.0013"),
        ("resources", json!([{"resource_id": "x", "resource_type": "Disk"}]), "TMS.5027"),
        ("resources", json!([{"resource_id": "x"}]), "TMS.0002"),
        ("project_id", json!(""), "TMS.2011"),
        ("tags", json!(many(11)), "TMS.0002"),
        ("tags", json!([]), "TMS.0012"),
        ("tags", tag("", "v"), "TMS.0009"),
        ("tags", tag(&"k".repeat(37), "v"), "TMS.0009"),
        ("tags", tag("a.b", "v"), "TMS.0009"),
        ("tags", tag("a b", "v"), "TMS.0009"),
        ("tags", tag("k", &"v".repeat(44)), "TMS.0016"),
        ("tags", tag("k", "a/b"), "TMS.0010"),
        ("tags", json!([{"key": "k"}]), "TMS.0010"),
        ("tags", json!([{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]), "TMS.0009"),
    ];
    for (field, value, code) in cases {
        let mut body = disks(&["d-1"]);
        body[field] = value;
        world.create(&body).await.is(400, code);
    }
    world.huawei(&Huawei::default(), Method::POST, CREATE, "{").await.is(400, "TMS.0002");
    world.huawei(&Huawei::default(), Method::PUT, CREATE, "{}").await.is(405, "TMS.0002");
    world.huawei(&Huawei::default(), Method::POST, "/v1.0/resource-tags/x", "{}").await.is(404, "APIGW.0101");
    assert!(world.sim.tags("huawei-tms").is_empty());

    let longest = json!({"resources": ids(50), "tags": [{"key": "k".repeat(36), "value": "v".repeat(43)}]});
    assert_eq!(world.create(&longest).await.json(), json!({"failed_resources": []}));
    let most = json!({"resources": ids(1), "tags": many(10)});
    assert_eq!(world.create(&most).await.json(), json!({"failed_resources": []}));
    assert_eq!(world.sim.tags("huawei-tms").len(), 50);
}

#[tokio::test]
async fn a_batch_lists_the_resources_that_failed_and_does_the_others() {
    let world = start(|clouds| {
        let huawei = cloud(clouds, "huawei-tms");
        huawei.tags_per_resource = Some(2);
        huawei.faults = serde_json::from_value(json!({
            "unknown": ["gone-*"], "denied": ["locked"],
            "failed_items": [{"id": "odd", "code": "EVS.5400", "message": "odd"}],
            "late": [{"id": "new", "after_ms": 3_600_000, "code": "TMS.0005"}],
        }))
        .unwrap();
    })
    .await;
    let reply = world.disks(&["a", "gone-1", "locked", "odd", "new", "b"]).await;
    let failed = reply.json();
    let codes: Vec<_> = failed["failed_resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            (
                f["resource_id"].as_str().unwrap(),
                f["resource_type"].as_str().unwrap(),
                f["error_code"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("gone-1", "disk", "TMS.0005"),
        ("locked", "disk", "TMS.0004"),
        ("odd", "disk", "EVS.5400"),
        ("new", "disk", "TMS.0005"),
    ];
    assert_eq!((reply.status, codes.as_slice()), (200, expected.as_slice()));
    assert_eq!(world.sim.tags("huawei-tms").keys().collect::<Vec<_>>(), ["disk/a", "disk/b"]);

    let mut body = disks(&["a", "c"]);
    body["tags"] = json!([{"key": "x", "value": ""}, {"key": "y", "value": ""}]);
    let reply = world.create(&body).await.json();
    assert_eq!(reply["failed_resources"][0]["resource_id"], "a", "a would hold three tags, c holds two");
    assert_eq!(reply["failed_resources"].as_array().unwrap().len(), 1);
    assert_eq!(world.disks(&["gone-2"]).await.status, 200, "a 200 may hold nothing but failures");
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.outcomes.partial, counts.applied_items, counts.failed_items), (3, 3, 6));
    assert_eq!(counts.applied_calls, 2, "the last call did nothing");
}
