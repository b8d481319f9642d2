//! The operator's commands, as an operator runs them.

use crate::support::{
    Letters, Worker, address, dead_letter, job, lane, link, names, on_a_clean_broker, publisher, put, raw_channel,
    ready, taken, until, url,
};
use lapin::BasicProperties;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tagmill::{
    broker::{
        Orders,
        rabbitmq::{
            Link, Lock,
            control::{LaneReport, LaneState},
            orders,
        },
    },
    worker::clock,
};

/// A folder with a config of lanes `desk-a` and `desk-b` on the broker.
struct Home(tempfile::TempDir);

#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self::with(&format!("broker: {{ url: \"{}\" }}\n", url()))
    }

    fn with(broker: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let lane = |name: &str, project: &str| {
            format!(
                "  - name: {name}\n    provider: huawei-tms\n    region: cn-north-4\n    credentials: {{ access_key: \
                 AK{project}, secret_key: {{ env: SECRET }}, domain_id: \"{project}\" }}\n"
            )
        };
        let config = format!("{broker}lanes:\n{}{}", lane("desk-a", "1"), lane("desk-b", "2"));
        std::fs::write(home.0.path().join("tagmill.yaml"), config).unwrap();
        home
    }

    fn start(&self, args: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_tagmill"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("SECRET", "s3cret")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    async fn run(&self, args: &[&str]) -> Done {
        let child = self.start(args);
        let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    async fn json(&self, args: &[&str]) -> Value {
        let done = self.run(&[args, &["--output", "json"]].concat()).await;
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{args:?}");
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}", done.out))
    }
}

fn active(name: &str, held: u64) -> LaneReport {
    LaneReport { state: LaneState::Active, held, ..LaneReport::waiting(lane(name)) }
}

async fn submit(link: &Link, to: &str, jobs: std::ops::Range<u32>) {
    let channel = raw_channel(link).await;
    for n in jobs {
        let body = serde_json::to_vec(&job(to, &format!("j{n}"), &["r1"])).unwrap();
        put(&channel, names::JOBS, to, BasicProperties::default(), &body).await;
    }
}

#[test]
fn status_without_a_worker_says_what_waits_and_that_nobody_works() {
    on_a_clean_broker(|| async {
        let (link, publisher, home) = (link().await, publisher(), Home::new());
        let on = Letters::of(&link).await;
        // A lane that left the config while its queue holds messages.
        for name in ["desk-a", "desk-c"] {
            on.lane(name).await;
        }
        orders::register(&link, &publisher, clock::wall(), [lane("desk-a"), lane("desk-c")]).await.unwrap();
        submit(&link, "desk-c", 0..3).await;
        on.dead(&dead_letter(&job("desk-a", "j1", &["r1"]), "X")).await;
        on.unrouted("desk-x", b"{}").await;
        let done = home.run(&["status"]).await;
        assert_eq!((done.code, done.err.as_str()), (0, ""));
        let expected = "\
lane    state         ready  held  oldest  calls/s  worker
desk-a  no worker         0     -       -        -  -
desk-b  not declared      -     -       -        -  -
desk-c  no worker         3     -       -        -  -       not in config; no worker

dead letters: 1; handed out too often: 0; for unknown lanes: 1
no worker has answered
";
        assert_eq!(done.out, expected);
        let status = home.json(&["status"]).await;
        assert_eq!((&status["dead"], &status["unrouted"], &status["workers"]), (&json!(1), &json!(1), &json!([])));
        let lanes = status["lanes"].as_array().unwrap();
        let row = |lane: &Value| (lane["name"].clone(), lane["in_config"].clone(), lane["ready"].clone());
        let expected = [
            (json!("desk-a"), json!(true), json!(0)),
            (json!("desk-b"), json!(true), Value::Null),
            (json!("desk-c"), json!(false), json!(3)),
        ];
        assert_eq!(lanes.iter().map(row).collect::<Vec<_>>(), expected);
        assert_eq!(lanes[2]["notes"], json!(["not in config", "no worker"]));
        // Looking changes nothing.
        assert_eq!(ready(&link, &names::lane_queue(&lane("desk-c"))).await, 3);
    });
}

#[test]
fn status_on_a_broker_that_nobody_has_used_makes_nothing() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        let channel = raw_channel(&link).await;
        let shared = [names::UNROUTED, names::POISON, names::DEAD, names::RECEIPTS, names::ORDERS, names::LEASE];
        for queue in shared {
            channel.queue_delete(queue.into(), Default::default()).await.unwrap();
        }
        for exchange in
            [names::UNROUTED, names::POISON, names::DEAD, names::RECEIPTS, names::JOBS, names::CONTROL, names::DIRECT]
        {
            channel.exchange_delete(exchange.into(), Default::default()).await.unwrap();
        }
        let done = home.run(&["status"]).await;
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.out.contains("dead letters: none declared"), "{}", done.out);
        let done = home.run(&["dlq", "list"]).await;
        assert_eq!((done.code, done.err.as_str()), (0, "0 dead letters with 0 items\n"));
        let mut gauge = tagmill::broker::rabbitmq::Gauge::new(&link);
        for queue in shared {
            assert_eq!(gauge.depth(queue).await.unwrap(), None, "{queue}");
        }
    });
}

#[test]
fn status_with_a_worker_shows_what_it_holds_and_how_it_is() {
    on_a_clean_broker(|| async {
        let (link, publisher, home) = (link().await, publisher(), Home::new());
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        submit(&link, "desk-a", 0..5).await;
        let mut working = active("desk-a", 2);
        (working.pending, working.in_flight, working.rate, working.ceiling) = (2, 1, 1.5, 10.0);
        (working.oldest_seconds, working.waiting) = (Some(200), 1);
        let mut sick = active("desk-b", 0);
        sick.paused = Some("the key is \u{1b}[31mwrong".into());
        let worker = Worker::start("w1", vec![working, sick]).await;
        worker.subscribes("desk-a").await;
        worker.subscribes("desk-b").await;
        let standby = Worker::start("w2", vec![LaneReport::waiting(lane("desk-a"))]).await;
        standby.subscribes("desk-a").await;
        let now = clock::wall();
        orders::register(&link, &publisher, now, ["desk-a", "desk-b"].map(lane)).await.unwrap();
        let done = home.run(&["status"]).await;
        assert_eq!((done.code, done.err.as_str()), (0, ""));
        let (table, workers) = done.out.split_once("worker w1: ").unwrap();
        let expected = "\
lane    state    ready  held  oldest      calls/s  worker
desk-a  working      3     2  3m 20s  1.5 of 10.0  w1      1 items wait for a retry
desk-b  paused       0     0       -   0.0 of 0.0  w1      the key is  [31mwrong

dead letters: 0; handed out too often: 0; for unknown lanes: 0
";
        assert_eq!(table, expected);
        assert!(workers.starts_with("host-1, process 42, version 0.1.0, up "), "{workers}");
        assert!(workers.contains("1 of 2 lanes at work\nworker w2: "), "{workers}");
        let status = home.json(&["status"]).await;
        assert_eq!(status["lanes"][0]["worker"], "w1");
        assert_eq!(status["lanes"][0]["consumers"], 1);
        assert_eq!(status["lanes"][1]["paused"], json!({"since": null, "why": "the key is \u{1b}[31mwrong"}));
        assert_eq!(status["workers"][1]["worker"], "w2");
        let lines = home.run(&["status", "--output", "ndjson"]).await.out;
        assert_eq!(lines.lines().count(), 2);
    });
}

#[test]
fn a_pause_is_told_with_what_the_worker_did_and_a_resume_too() {
    on_a_clean_broker(|| async {
        let home = Home::new();
        let worker = Worker::that("w1", |orders: &Orders| {
            let mut report = active("desk-a", 2);
            report.paused = orders.paused.contains_key(&lane("desk-a")).then(|| "paused by the operator".into());
            vec![report]
        })
        .await;
        worker.subscribes("desk-a").await;
        let done = home.run(&["pause", "desk-a", "desk-b"]).await;
        assert_eq!((done.code, done.out.as_str()), (0, ""), "{done:?}");
        let expected = "\
desk-a: paused; worker w1 has stopped calling
desk-b: paused; no worker has the lane now, the next one will find it paused
";
        assert_eq!(done.err, expected);
        assert!(worker.orders().paused.contains_key(&lane("desk-b")));
        let status = home.json(&["status"]).await;
        assert_eq!(status["lanes"][0]["state"], "paused");
        assert!(status["lanes"][0]["paused"]["since"].is_string(), "{status}");
        let done = home.run(&["pause", "desk-a"]).await;
        assert!(done.err.starts_with("desk-a: paused (since "), "{}", done.err);
        let done = home.run(&["resume", "--all"]).await;
        let expected = "desk-a: resumed; worker w1 goes on\ndesk-b: resumed; no worker has the lane now\n";
        assert_eq!((done.code, done.err.as_str()), (0, expected));
        assert!(worker.orders().paused.is_empty());
        assert_eq!(worker.orders().resumed.len(), 2);
    });
}

#[test]
fn a_worker_that_does_not_follow_is_told_and_the_order_stands() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        let mut busy = active("desk-a", 2);
        busy.in_flight = 3;
        let worker = Worker::start("w1", vec![busy]).await;
        worker.subscribes("desk-a").await;
        let done = home.run(&["pause", "desk-a"]).await;
        assert_eq!(done.code, 0);
        assert!(done.err.contains("worker w1 has not said so within 5s"), "{}", done.err);
        assert!(orders::read(&link).await.unwrap().paused.contains_key(&lane("desk-a")));
    });
}

#[test]
fn what_cannot_be_ordered_is_refused_with_what_to_do() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        for args in [&["pause", "desk-aa"][..], &["resume", "desk-aa"], &["cancel", "--lane", "desk-aa", "--yes"]] {
            let done = home.run(args).await;
            assert_eq!((done.code, done.out.as_str()), (2, ""), "{args:?}");
            assert!(done.err.contains("no lane desk-aa") && done.err.contains("did you mean desk-a?"), "{}", done.err);
        }
        for args in [&["pause"][..], &["cancel", "--yes"], &["cancel", "--lane", "desk-a"]] {
            let done = home.run(args).await;
            assert_eq!((done.code, done.out.as_str()), (2, ""), "{args:?} {done:?}");
        }
        assert_eq!(orders::read(&link).await.unwrap(), Orders::default());
        let embedded = Home::with("");
        for args in [&["pause", "desk-a"][..], &["resume", "--all"], &["status"]] {
            let done = embedded.run(args).await;
            assert_eq!(done.code, 78, "{args:?}");
            assert!(done.err.contains("the config names no broker"), "{}", done.err);
        }
        let done = embedded.run(&["cancel", "--batch", "b", "--yes"]).await;
        assert_eq!(done.code, 2);
        assert!(done.err.contains("need a broker"), "{}", done.err);
        let nowhere = Home::with("broker: { url: \"amqp://guest:guest@127.0.0.1:1\" }\n");
        for args in [&["status"][..], &["pause", "desk-a"], &["dlq", "list"], &["cancel", "--all-lanes", "--yes"]] {
            let done = nowhere.run(args).await;
            assert_eq!((done.code, done.out.as_str()), (69, ""), "{args:?}");
            assert!(done.err.contains("127.0.0.1:1") && !done.err.contains("guest:guest"), "{}", done.err);
        }
        let secretive = Home::with("broker: { url: { env: NO_SUCH_VARIABLE } }\n");
        let done = secretive.run(&["dlq", "list"]).await;
        assert_eq!(done.code, 78);
        assert!(done.err.contains("NO_SUCH_VARIABLE"), "{}", done.err);
    });
}

#[test]
fn a_cancel_is_an_order_that_stands() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        let before = clock::wall();
        let done = home.run(&["cancel", "--lane", "desk-a", "--batch", "b-1", "--yes"]).await;
        assert_eq!((done.code, done.out.as_str()), (0, ""));
        assert!(done.err.contains("everything of batch b-1 in lane desk-a"), "{}", done.err);
        assert!(done.err.contains("dlq list --code cancelled"), "{}", done.err);
        let done = home.run(&["cancel", "--all-lanes", "--yes"]).await;
        assert_eq!(done.code, 0);
        let orders = orders::read(&link).await.unwrap().cancelled;
        let seen: Vec<_> = orders.iter().map(|order| (order.lane.clone(), order.batch.as_deref())).collect();
        assert_eq!(seen, [(Some(lane("desk-a")), Some("b-1")), (None, None)]);
        assert!(orders.iter().all(|order| order.at >= before));
    });
}

#[test]
fn dlq_on_the_broker_lists_shows_exports_discards_and_replays() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        for n in 0..3 {
            on.dead(&dead_letter(&job("desk-a", &format!("j{n}"), &["r1", "r2"]), "NotFound")).await;
        }
        on.dead(&dead_letter(&job("desk-c", "nowhere", &["r1"]), "Denied")).await;
        on.raw("raw-1", "desk-b", "invalid", b"\xff\x1b[2J").await;
        let done = home.run(&["dlq", "list"]).await;
        assert_eq!((done.code, done.err.as_str()), (0, "5 dead letters with 8 items\n"));
        assert_eq!(done.out.lines().count(), 6);
        assert!(done.out.lines().nth(5).unwrap().starts_with("raw-1 "), "{}", done.out);
        let list = home.json(&["dlq", "list", "--code", "NotFound"]).await;
        let id = list[1]["id"].as_str().unwrap();
        let shown = home.json(&["dlq", "show", id]).await;
        assert_eq!((&shown["job"]["id"], &shown["failures"][1]["code"]), (&json!("j1"), &json!("NotFound")));
        let shown = home.run(&["dlq", "show", "raw-1"]).await;
        assert!(shown.out.contains("what was wrong") && !shown.out.contains('\u{1b}'), "{:?}", shown.out);
        assert_eq!(home.run(&["dlq", "show", "nobody"]).await.code, 2);
        let exported = home.run(&["dlq", "export"]).await.out;
        let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(exported.len(), 5);
        assert_eq!((&exported[4]["raw"], &exported[4]["body"]), (&json!(true), &json!("/xtbMko=")));
        let dry = home.json(&["dlq", "replay", "--dry-run"]).await;
        assert_eq!(dry, json!({"letters": 5, "items": 8, "raw": 1}));
        let asked = home.run(&["dlq", "replay"]).await;
        assert_eq!((asked.code, asked.out.as_str()), (2, ""));
        assert!(asked.err.contains("Replay 5 dead letters with 8 items?"), "{}", asked.err);
        assert_eq!(ready(&link, names::DEAD).await, 5);

        let done = home.run(&["dlq", "replay", "--yes", "--output", "json"]).await;
        assert_eq!(done.code, 1, "some are still dead: {done:?}");
        let expected = json!({
            "letters": 3, "items": 6, "lanes": [{"name": "desk-a", "letters": 3, "items": 6, "worker": false}],
            "left": {"no_lane": {"desk-c": 1}, "no_job": 1, "gone": 0},
        });
        assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap(), expected);
        let expected = "\
replayed as new work: 3 dead letters with 6 items
  lane desk-a: 3 dead letters with 6 items; no worker has it now, they wait for one
1 dead letter stay: lane desk-c has no queue; add it to the config of a worker
1 dead letter cannot be replayed, they are no jobs: see dlq export
";
        assert_eq!(done.err, expected);
        assert_eq!(taken(&link, &lane("desk-a")).await.len(), 3);
        let done = home.run(&["dlq", "discard", "raw-1", "--yes"]).await;
        assert_eq!((done.code, done.err.as_str()), (0, "discarded: 1 dead letter with 1 item\n"));
        assert_eq!(home.json(&["dlq", "list"]).await[0]["job"], "nowhere");
        // A directory named beside it is another matter.
        let done = home.run(&["dlq", "list", "--state", "nowhere"]).await;
        assert_eq!((done.code, done.err.contains("there is no queue in nowhere")), (69, true));
    });
}

#[test]
fn a_replay_that_is_killed_again_and_again_loses_nothing() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        let all: BTreeSet<String> = (0..3000).map(|n| format!("j{n:04}")).collect();
        for id in &all {
            on.dead(&dead_letter(&job("desk-a", id, &["r1"]), "X")).await;
        }
        let queue = names::lane_queue(&lane("desk-a"));
        let mut sent: BTreeSet<String> = BTreeSet::new();
        for round in 0..4 {
            let mut child = home.start(&["dlq", "replay", "--yes"]);
            // In the middle of it: some are sent, others are not.
            until("it has begun", async || ready(&link, &queue).await > 0).await;
            child.kill().unwrap();
            child.wait().unwrap();
            let list = home.json(&["dlq", "list"]).await;
            let dead: BTreeSet<&str> =
                list.as_array().unwrap().iter().map(|dead| dead["job"].as_str().unwrap()).collect();
            sent.extend(taken(&link, &lane("desk-a")).await.iter().map(|job| job.id.to_string()));
            let lost: Vec<_> = all.iter().filter(|id| !sent.contains(*id) && !dead.contains(id.as_str())).collect();
            assert!(lost.is_empty(), "round {round}: neither dead nor sent: {lost:?}");
            let order: Vec<_> = list.as_array().unwrap().iter().map(|dead| dead["job"].as_str().unwrap()).collect();
            let breaks: Vec<_> = order.windows(2).filter(|pair| pair[0] > pair[1]).collect();
            assert!(
                breaks.is_empty(),
                "round {round}: another order in {} from {} on: {breaks:?}",
                order.len(),
                order[0]
            );
        }
        let done = home.run(&["dlq", "replay", "--yes"]).await;
        assert_eq!(done.code, 0, "{done:?}");
        sent.extend(taken(&link, &lane("desk-a")).await.iter().map(|job| job.id.to_string()));
        assert_eq!(sent, all);
        assert_eq!(ready(&link, names::DEAD).await, 0);
    });
}

#[test]
fn two_who_look_at_once_wait_for_each_other() {
    on_a_clean_broker(|| async {
        let (link, home) = (link().await, Home::new());
        let on = Letters::of(&link).await;
        for n in 0..50 {
            on.dead(&dead_letter(&job("desk-a", &format!("j{n}"), &["r1"]), "X")).await;
        }
        let held = Lock::take(&Link::open(&address(), "other").await.unwrap(), "dead").await.unwrap();
        let children = [home.start(&["dlq", "list"]), home.start(&["dlq", "list"])];
        until("both wait for the lock", async || {
            // Nothing was taken out meanwhile.
            assert_eq!(ready(&link, names::DEAD).await, 50);
            tokio::time::sleep(Duration::from_millis(300)).await;
            true
        })
        .await;
        held.release().await;
        for child in children {
            let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), err.as_str()), (Some(0), "50 dead letters with 50 items\n"));
        }
    });
}
