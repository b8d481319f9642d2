//! A browser of a test's own, spoken to as the WebDriver standard says.

use crate::{rabbit::free_port, support::until};
use serde_json::{Value, json};
use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::runtime::Runtime;

/// What the standard calls an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Without these Chromium looks for its maker's hosts at every start.
const QUIET: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";
pub const LEFT: &str = "\u{e012}";

pub struct Browser {
    runtime: Runtime,
    client: reqwest::Client,
    driver: Child,
    session: String,
    /// Removed after the process has ended.
    profile: tempfile::TempDir,
}

fn is_there(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

impl Browser {
    /// None, and a line that says so, where this machine has no browser or was told to do without.
    pub fn start() -> Option<Self> {
        if env::var("TAGMILL_TEST_NO_BROWSER").is_ok_and(|value| value == "1") {
            eprintln!("LEFT OUT: TAGMILL_TEST_NO_BROWSER=1 asks for it");
            return None;
        }
        if !is_there("chromedriver") || !is_there("chromium") {
            eprintln!(
                "LEFT OUT: there is no chromium with chromedriver here; scripts/tools.sh installs Debian's as root"
            );
            return None;
        }
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Self { runtime: Runtime::new().unwrap(), client, driver, session: base.clone(), profile };
        until("the driver answers", || browser.is_up());
        let mut args: Vec<String> = QUIET.iter().map(ToString::to_string).collect();
        args.push(format!("--user-data-dir={}", browser.profile.path().display()));
        let always = json!({
            "browserName": "chrome", "goog:chromeOptions": {"args": args}, "goog:loggingPrefs": {"browser": "ALL"},
        });
        let made = browser.send("POST", "/session", &json!({"capabilities": {"alwaysMatch": always}}));
        browser.session = format!("{base}/session/{}", made["sessionId"].as_str().unwrap());
        browser.size(1280, 900);
        Some(browser)
    }

    fn is_up(&self) -> bool {
        let asked = self.client.get(format!("{}/status", self.session));
        self.runtime.block_on(async { asked.send().await }).is_ok_and(|reply| reply.status().is_success())
    }

    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.session));
        if method == "POST" {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let text = self.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() });
        let value = serde_json::from_str::<Value>(&text).unwrap()["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default())),
            None => Ok(value),
        }
    }

    pub fn open(&self, url: &str) {
        self.send("POST", "/url", &json!({ "url": url }));
    }

    pub fn size(&self, width: u32, height: u32) {
        // A window of a browser has a least width; a device of this size is what the page sees.
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.send("POST", "/goog/cdp/execute", &command);
    }

    /// What a function body returns in the page; a promise is waited for.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.send("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    fn element(&self, css: &str) -> Result<String, String> {
        let found = self.try_send("POST", "/element", &json!({"using": "css selector", "value": css}))?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Clicks as a person would: where it is hidden or covered, that fails, and is tried again for a while.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let mut last = String::new();
        let clicked = || {
            let id = self.element(css)?;
            self.try_send("POST", &format!("/element/{id}/click"), &json!({}))
        };
        until(&format!("{css} can be clicked"), || match clicked() {
            Ok(_) => true,
            Err(error) => {
                last = error;
                last.is_empty()
            }
        });
    }

    /// Writes into a field that is empty.
    #[track_caller]
    pub fn write(&self, css: &str, text: &str) {
        until(&format!("{css} takes text"), || {
            self.element(css).is_ok_and(|id| {
                self.try_send("POST", &format!("/element/{id}/value"), &json!({ "text": text })).is_ok()
            })
        });
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let steps: Vec<Value> = keys
            .iter()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        self.send("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": steps}]}));
    }

    /// The text of an element as it is seen; empty where it is not there or hidden.
    pub fn text(&self, css: &str) -> String {
        let found = self.element(css).and_then(|id| self.try_send("GET", &format!("/element/{id}/text"), &Value::Null));
        found.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether somebody sees it.
    pub fn shows(&self, css: &str) -> bool {
        let found =
            self.element(css).and_then(|id| self.try_send("GET", &format!("/element/{id}/displayed"), &Value::Null));
        found.is_ok_and(|shown| shown == true)
    }

    /// Waits until an element holds a text.
    #[track_caller]
    pub fn says(&self, css: &str, text: &str) {
        let mut last = String::new();
        let mut tries = 0;
        until(&format!("{css} says {text:?}"), || {
            last = self.text(css);
            tries += 1;
            if tries % 100 == 0 {
                eprintln!("{css} says {last:?}");
            }
            last.contains(text)
        });
    }

    /// What the console holds that is worth a word, but for refused requests: those have a test of their own.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.send("POST", "/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        let text = severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned());
        text.filter(|text| !text.contains("Failed to load resource")).collect()
    }

    /// A picture of the page into the folder that TAGMILL_TEST_PICTURES names, for whoever wants to look.
    pub fn picture(&self, name: &str) {
        let Some(folder) = env::var_os("TAGMILL_TEST_PICTURES") else { return };
        let coded = self.send("GET", "/screenshot", &Value::Null);
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, coded.as_str().unwrap());
        fs::create_dir_all(&folder).unwrap();
        fs::write(Path::new(&folder).join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_send("DELETE", "", &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
