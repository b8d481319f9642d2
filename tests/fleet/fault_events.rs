//! Creation events of three clouds: posted in a burst, some of them twice, they end as tags with the right owner.

use crate::{
    fleet::{Fleet, Lane},
    http::Http,
    rabbit::free_port,
    support::until,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tagmill::{sim::Api, worker::clock};

const ACCOUNT: &str = "123456789012";

fn lanes() -> Vec<Lane> {
    let lane = |name: &str, api, account: &str| Lane {
        rate: 20.0,
        more: format!("account_id: \"{account}\""),
        ..Lane::new(name, api)
    };
    vec![
        lane("aws", Api::AwsTagging, ACCOUNT),
        lane("ecs", Api::AlibabaEcs, "1234567890123456"),
        lane("tms", Api::HuaweiTms, "d0"),
    ]
}

/// The event of one new resource: where it is posted, its body, and what must be tagged in the cloud, by whom.
fn event(n: usize) -> (&'static str, Value, (&'static str, String), String) {
    let owner = format!("user-{}", n % 7);
    match n % 3 {
        0 => {
            let id = format!("i-{n:08}");
            let body = json!({"version":"0","id":format!("e-{n}"),"detail-type":"AWS API Call via CloudTrail","source":"aws.ec2",
                "account":ACCOUNT,"region":"us-east-1","time":"2026-11-28T06:00:00Z",
                "detail":{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"us-east-1",
                    "recipientAccountId":ACCOUNT,"userIdentity":{"type":"IAMUser","userName":owner},
                    "responseElements":{"instancesSet":{"items":[{"instanceId":id}]}}}});
            ("/v1/events/aws", body, ("aws", format!("arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{id}")), owner)
        }
        1 => {
            let id = format!("i-bp{n}");
            let body = json!({"specversion":"1.0","id":format!("e-{n}"),"source":"acs.ecs","type":"ecs:ActionTrail:ApiCall",
                "data":{"eventName":"RunInstances","eventRW":"Write","serviceName":"Ecs","acsRegion":"cn-hangzhou",
                    "recipientAccountId":"1234567890123456","userIdentity":{"type":"ram-user","userName":owner},
                    "referencedResources":{"ACS::ECS::Instance":[id]}}});
            ("/v1/events/alibaba", body, ("ecs", format!("instance/{id}")), owner)
        }
        _ => {
            let id = format!("s-{n}");
            let body = json!({"cts":{"trace_id":format!("e-{n}"),"trace_name":"createServer","service_type":"ECS",
                "resource_id":id,"project_id":"p-1","domain_id":"d0","trace_rating":"normal","code":"200",
                "user":{"type":"User","name":owner}}});
            ("/v1/events/huawei", body, ("tms", format!("p-1/ecs/{id}")), owner)
        }
    }
}

#[test]
fn a_burst_of_creations_in_three_clouds_ends_as_tags_with_the_right_owner() {
    let Some(fleet) = Fleet::start(lanes()) else { return };
    let port = free_port();
    let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let more = format!(
        "server: {{ listen: 127.0.0.1:{port} }}\nrules:\n  - name: owner\n    source: [aws, alibaba, huawei]\n    set: {{ owner: \"{{{{ creator }}}}\", by: tagmill }}\n"
    );
    fleet.home.write("tagmill.yaml", &format!("{config}{more}"));
    let worker = fleet.worker();
    let http = Http::new(&fleet, port);
    until("it takes events", || http.get("/readyz").status == 200);
    let total = 1_000;
    let events: Vec<_> = (0..total).map(event).collect();
    let kind = [("content-type", "application/json")];
    let began = clock::monotonic();
    // Eight senders, every fifth event twice.
    let (jobs, duplicates) = fleet.runtime.block_on(async {
        let mut counts = (0, 0);
        for chunk in events.chunks(8) {
            let sending = chunk.iter().enumerate().map(|(n, (path, body, ..))| {
                let body = body.to_string().into_bytes();
                let http = &http;
                async move {
                    let mut told = vec![http.send_async("POST", path, &kind, body.clone()).await];
                    if n % 5 == 0 {
                        told.push(http.send_async("POST", path, &kind, body).await);
                    }
                    told
                }
            });
            for answer in join(sending.collect()).await.into_iter().flatten() {
                assert_eq!(answer.status, 202, "{answer:?}");
                let told = answer.json();
                counts.0 += told["jobs"].as_u64().unwrap();
                counts.1 += told["duplicates"].as_u64().unwrap();
            }
        }
        counts
    });
    let posted = began.elapsed();
    assert_eq!((jobs, duplicates), (total as u64, total as u64 / 8 * 2));
    let mut wanted: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for (_, _, (lane, resource), owner) in &events {
        wanted.entry(lane).or_default().insert(resource.clone(), owner.clone());
    }
    until("every resource is tagged", || {
        fleet.lanes.iter().all(|lane| fleet.tags(lane).len() == wanted[lane.name.as_str()].len())
    });
    let took = began.elapsed();
    for lane in &fleet.lanes {
        for (resource, tags) in fleet.tags(lane) {
            assert_eq!(Some(&tags["owner"]), wanted[lane.name.as_str()].get(&resource), "{resource}");
            assert_eq!(tags["by"], "tagmill");
        }
    }
    until("every job is shown as finished", || {
        let rules = http.get("/v1/rules").json();
        rules["rules"][0]["jobs"] == total && rules["rules"][0]["resources"] == total
    });
    assert!(fleet.home.dead_letters().is_empty());
    // Far fewer calls than events: those that wait share calls. A quiet lane sends at once, so never the bare minimum.
    let calls: u64 = fleet.lanes.iter().map(|lane| fleet.counts(lane).requests).sum();
    let recent = http.get("/v1/jobs/recent").json();
    let seconds: Vec<f64> =
        recent["jobs"].as_array().unwrap().iter().map(|job| job["seconds"].as_f64().unwrap()).collect();
    let most = seconds.iter().copied().fold(0.0, f64::max);
    println!(
        "{total} events posted in {posted:?}, tagged after {took:?} in {calls} calls; of the last {} jobs the slowest took {most:.3} s in its lane",
        seconds.len()
    );
    assert!(calls <= total as u64 / 2, "{calls} calls");
    drop(worker);
}

#[test]
fn raw_events_from_a_queue_of_the_broker_become_tags_and_what_is_no_event_is_dead_with_its_bytes() {
    let Some(fleet) = Fleet::start(lanes()) else { return };
    let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let more = "events: { queues: [{ queue: from-alibaba, source: alibaba }] }\nrules:\n  - { source: alibaba, set: { owner: \"{{ creator }}\" } }\n";
    fleet.home.write("tagmill.yaml", &format!("{config}server: {{ listen: 127.0.0.1:{} }}\n{more}", free_port()));
    let (path, body, (_, resource), owner) = event(1);
    assert_eq!(path, "/v1/events/alibaba");
    let garbage = b"\xff no event".to_vec();
    let bodies = [body.to_string().into_bytes(), garbage.clone(), body.to_string().into_bytes()];
    let url = fleet.node.url();
    fleet.runtime.block_on(crate::amqp::to_queue(&url, "from-alibaba", &bodies));
    let worker = fleet.worker();
    worker.says("a message is no event");
    let ecs = &fleet.lanes[1];
    until("the resource is tagged", || fleet.tags(ecs).get(&resource).is_some_and(|tags| tags["owner"] == owner));
    until("what is no event is dead", || fleet.home.dead_letters().len() == 1);
    let letter = fleet.home.dead_letters().remove(0);
    assert_eq!(letter["code"], "invalid_event", "{letter}");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, letter["body"].as_str().unwrap());
    assert_eq!(bytes.unwrap(), garbage);
    until("the queue is empty", || fleet.runtime.block_on(crate::amqp::depth(&url, "from-alibaba")) == 0);
    assert_eq!(fleet.counts(ecs).requests, 1, "the same event twice is one call");
    worker.interrupt();
    assert_eq!(worker.wait().code, 0);
    assert_eq!(fleet.runtime.block_on(crate::amqp::depth(&url, "from-alibaba")), 0, "nothing came back");
}

/// All of them at once.
async fn join<F: std::future::Future>(all: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(move |cx| {
        let mut pending = false;
        for (one, done) in &mut waiting {
            if done.is_none() {
                match one.as_mut().poll(cx) {
                    std::task::Poll::Ready(output) => *done = Some(output),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(waiting.iter_mut().filter_map(|(_, done)| done.take()).collect())
        }
    })
    .await
}
