//! The HTTP interface against its own OpenAPI document, by a fuzzer of others: schemathesis.
//!
//! Needs Python 3 and, once, the network. Where that cannot be had the test says that it is left out;
//! `TAGMILL_TEST_NO_SCHEMATHESIS=1` leaves it out too.

#[path = "../support/python.rs"]
mod environment;

use crate::{
    fleet::{Fleet, Lane},
    http::Http,
    rabbit::free_port,
    support::until,
};
use std::{path::Path, process::Command};
use tagmill::sim::Api;

const TOKEN: &str = "a-token-of-a-test";

#[test]
fn requests_made_from_the_document_find_nothing_wrong() {
    let packages = ["schemathesis==4.32.5"];
    let python = match environment::environment("schemathesis", &packages, "TAGMILL_TEST_NO_SCHEMATHESIS") {
        Ok(python) => python,
        Err(why) => return eprintln!("skipped: no schemathesis: {why}"),
    };
    let Some(mut fleet) = Fleet::start(vec![Lane::new("tms", Api::HuaweiTms)]) else { return };
    let port = free_port();
    let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let more = format!(
        "server:\n  listen: 127.0.0.1:{port}\n  tokens: [{{ name: all, secret: {{ env: T_ALL }}, scopes: [read, operate, ingest] }}]\nrules:\n  - {{ name: owner, source: [aws, alibaba, huawei], set: {{ owner: \"{{{{ creator }}}}\" }} }}\n"
    );
    fleet.home.write("tagmill.yaml", &format!("{config}{more}"));
    fleet.home.env("T_ALL", TOKEN);
    let ingest = fleet.home.start(&["ingest"]);
    ingest.says("listening");
    until("it is ready", || Http::new(&fleet, port).get("/readyz").status == 200);
    let run = Command::new(python.with_file_name("st"))
        .args(["run", &format!("http://127.0.0.1:{port}/openapi.json"), "--checks", "all"])
        // Hardly anything that fits the document's shape is an event of a cloud, or names a lane that is there.
        .args(["--exclude-checks", "positive_data_acceptance", "--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--max-examples", "20", "--generation-deterministic", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(fleet.home.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let lines: Vec<String> = said.lines().map(|line| line.chars().take(300).collect()).collect();
    assert!(run.status.success(), "{}", lines.join("\n"));
    assert!(said.contains("Tested: "), "{said:.2000}");
}
