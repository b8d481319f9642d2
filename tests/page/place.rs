//! A fleet with a page, and somebody who has opened it.

use crate::{
    browser::{Browser, ENTER},
    fleet::{Fleet, Lane},
    http::Http,
    rabbit::free_port,
    support::{Running, until},
};
use serde_json::{Value, json};
use std::fs;
use tagmill::sim::{Api, Faults};

pub const OPERATOR: &str = "a-token-of-an-operator";
pub const VIEWER: &str = "a-token-of-a-viewer";

pub struct Place {
    // The browser ends before what it looks at.
    pub browser: Browser,
    pub worker: Option<Running>,
    pub fleet: Fleet,
    pub port: u16,
}

impl Place {
    /// Two lanes, one of which does not know what is called `gone-*`; tokens for somebody who may act and somebody who may
    /// look. None where this machine has no browser or no broker.
    pub fn new() -> Option<Self> {
        let browser = Browser::start()?;
        let faults = Faults { unknown: vec!["gone-*".into()], ..Faults::default() };
        let lanes = vec![Lane { faults, ..Lane::new("disks", Api::HuaweiTms) }, Lane::new("machines", Api::AlibabaEcs)];
        let mut fleet = Fleet::start(lanes)?;
        fleet.home.env("OPERATOR", OPERATOR);
        fleet.home.env("VIEWER", VIEWER);
        let port = free_port();
        let config = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
        let server = format!(
            "server:\n  listen: 127.0.0.1:{port}\n  tokens:\n    \
             - {{ name: operator, secret: {{ env: OPERATOR }}, scopes: [read, operate, ingest] }}\n    \
             - {{ name: viewer, secret: {{ env: VIEWER }}, scopes: [read] }}\n\
             rules:\n  - {{ name: owner, source: huawei, lane: disks, set: {{ owner: \"{{{{ creator }}}}\" }} }}\n"
        );
        fleet.home.write("tagmill.yaml", &format!("{config}{server}"));
        let mut place = Self { browser, worker: None, fleet, port };
        place.start();
        Some(place)
    }

    /// Starts the worker, and waits until it takes jobs.
    pub fn start(&mut self) {
        self.worker = Some(self.fleet.worker());
        let http = self.http();
        until("it takes jobs", || http.get("/readyz").status == 200);
    }

    pub fn http(&self) -> Http<'_> {
        let mut http = Http::new(&self.fleet, self.port);
        http.token = Some(OPERATOR);
        http
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Opens the page and signs in.
    pub fn visit(&self, path: &str, token: &str) {
        self.browser.open(&self.url(path));
        self.browser.write("#sign-in input", token);
        self.browser.press(&[ENTER]);
        self.browser.says("#link", "live");
    }

    /// Hands in a job of disks, and waits for what becomes of it.
    #[track_caller]
    pub fn job(&self, id: &str, disks: &[&str]) {
        let resources: Vec<Value> = disks.iter().map(|id| json!({"id": id, "type": "disk"})).collect();
        let job = json!({"id": id, "lane": "disks", "set": {"env": "prod"}, "resources": resources});
        let http = self.http();
        let answer = http.post("/v1/jobs", &job);
        assert_eq!(answer.status, 202, "{answer:?}");
        until("the job is finished", || {
            let recent = http.get("/v1/jobs/recent").json();
            recent["jobs"].as_array().unwrap().iter().any(|job| job["id"] == id)
        });
    }

    pub fn letters(&self) -> u64 {
        self.http().get("/v1/dead-letters").json()["count"]["letters"].as_u64().unwrap()
    }
}
