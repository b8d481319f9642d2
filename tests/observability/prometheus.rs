//! A Prometheus of its own: a folder, a port, a scrape a second; ended with its test.

use crate::files::root;
use serde_json::Value;
use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A program of Prometheus, or a line that says that a test is left out.
pub fn tool(name: &str) -> Option<PathBuf> {
    if env::var("TAGMILL_TEST_NO_PROMETHEUS").is_ok_and(|value| value == "1") {
        eprintln!("LEFT OUT: TAGMILL_TEST_NO_PROMETHEUS=1 asks for it");
        return None;
    }
    if let Ok(folder) = env::var("TAGMILL_TEST_PROMETHEUS") {
        let path = Path::new(&folder).join(name);
        assert!(path.is_file(), "TAGMILL_TEST_PROMETHEUS: there is no {}", path.display());
        return Some(path);
    }
    let places = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let places = places.into_iter().chain([root().join("target/tools/prometheus")]);
    let found = places.map(|place| place.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("LEFT OUT: there is no {name} here; scripts/tools.sh gets it, where apt-get is");
    }
    found
}

pub struct Prometheus {
    process: Child,
    port: u16,
    // Removed after the process has ended.
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Asks these addresses every second, with these rules evaluated as often. None where there is no Prometheus.
    pub fn start(rules: &str, targets: &[String]) -> Option<Self> {
        let program = tool("prometheus")?;
        let folder = tempfile::tempdir().unwrap();
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\n\
             scrape_configs:\n  - job_name: tagmill\n    static_configs: [{{ targets: [{}] }}]\n",
            targets.join(", ")
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        fs::write(folder.path().join("rules.yml"), rules).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(program)
            .current_dir(folder.path())
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Some(Self { process, port, _folder: folder })
    }

    /// An answer of the API; None while it does not answer.
    pub fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        // Version 1.0: the answer comes in one piece, and ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    /// What an expression gives now: labels and values.
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        let answer = self.get(&format!("/api/v1/query?query={encoded}")).unwrap_or_default();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let number = |value: &Value| value[1].as_str().unwrap().parse().unwrap();
        let samples = answer["data"]["result"].as_array().unwrap();
        samples.iter().map(|sample| (sample["metric"].clone(), number(&sample["value"]))).collect()
    }
}
