//! A folder with a config, simulated clouds, and the binary run in it.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tagmill::{
    sim::{CloudConfig, Counts, Faults, Sim, SimConfig, well_known},
    worker::clock,
};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Simulated clouds in a runtime of their own.
pub struct Clouds {
    runtime: tokio::runtime::Runtime,
    sim: Option<Sim>,
}

impl Clouds {
    /// One cloud of each kind, without faults.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Vec<CloudConfig>)) -> Self {
        let mut config = SimConfig { seed: 7, ..SimConfig::default() };
        change(&mut config.clouds);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sim = runtime.block_on(Sim::start(config, "127.0.0.1:0".parse().unwrap())).unwrap();
        Self { runtime, sim: Some(sim) }
    }

    fn sim(&self) -> &Sim {
        self.sim.as_ref().unwrap()
    }

    pub fn url(&self) -> String {
        self.sim().url()
    }

    pub fn counts(&self, cloud: &str) -> Counts {
        self.sim().counts(cloud)
    }

    pub fn tags(&self, cloud: &str) -> Tags {
        self.sim().tags(cloud)
    }

    pub fn faults(&self, cloud: &str, faults: Faults) {
        self.sim().set_faults(cloud, faults).unwrap();
    }

    /// Requests of all clouds and of nobody.
    pub fn requests(&self) -> u64 {
        let clouds: u64 = self.sim().clouds().map(|(name, _)| self.counts(name).requests).sum();
        clouds + self.sim().unmatched()
    }
}

impl Drop for Clouds {
    fn drop(&mut self) {
        if let Some(sim) = self.sim.take() {
            self.runtime.block_on(sim.stop());
        }
    }
}

/// Tags by resource.
pub type Tags = BTreeMap<String, BTreeMap<String, String>>;

pub fn cloud<'c>(clouds: &'c mut [CloudConfig], name: &str) -> &'c mut CloudConfig {
    clouds.iter_mut().find(|cloud| cloud.name == name).unwrap()
}

/// A lane of the config: its name is its provider's without the cloud (`tms`, `rds`, `ecs`, `tag`, `tagging`, `s3`,
/// `backup`, `ml`). `more` is YAML.
pub fn lane(name: &str, url: &str, more: &str) -> String {
    let (provider, region, credentials) = match name {
        "tms" => (
            "huawei-tms",
            "cn-north-4",
            format!(
                "{{ access_key: {}, secret_key: {{ env: HUAWEI_SECRET }}, domain_id: \"{}\" }}",
                well_known::HUAWEI_ACCESS_KEY,
                well_known::HUAWEI_DOMAIN_ID
            ),
        ),
        "login" => (
            "huawei-tms",
            "cn-north-4",
            format!(
                "{{ username: {}, password: {{ env: HUAWEI_PASSWORD }}, domain_name: {}, iam_endpoint: \"{url}\" }}",
                well_known::HUAWEI_USER,
                well_known::HUAWEI_DOMAIN
            ),
        ),
        "tagging" | "s3" | "backup" | "ml" => (
            match name {
                "tagging" => "aws-tagging",
                "s3" => "aws-s3",
                "backup" => "aws-backup",
                _ => "aws-ml",
            },
            "us-east-1",
            format!("{{ access_key: {}, secret_key: {{ env: AWS_SECRET }} }}", well_known::AWS_ACCESS_KEY),
        ),
        _ => (
            match name {
                "rds" => "alibaba-rds",
                "ecs" => "alibaba-ecs",
                _ => "alibaba-tag",
            },
            "cn-hangzhou",
            format!("{{ access_key: {}, secret_key: {{ env: ALIBABA_SECRET }} }}", well_known::ALIBABA_ACCESS_KEY),
        ),
    };
    let rate = if more.contains("rate:") { "" } else { "    rate: { per_second: 400, burst: 20 }\n" };
    let more: String = more.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "  - name: {name}\n    provider: {provider}\n    region: {region}\n    credentials: {credentials}\n    \
         endpoint: {url}\n    concurrency: 8\n{rate}{more}"
    )
}

/// A user's folder.
pub struct Home {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Home {
    /// A folder with a config of these lanes, and the right secrets in the environment.
    pub fn new(lanes: &[String]) -> Self {
        let secrets = [
            ("HUAWEI_SECRET", well_known::HUAWEI_SECRET_KEY),
            ("HUAWEI_PASSWORD", well_known::HUAWEI_PASSWORD),
            ("ALIBABA_SECRET", well_known::ALIBABA_SECRET_KEY),
            ("AWS_SECRET", well_known::AWS_SECRET_KEY),
        ];
        let env = secrets.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let home = Self { dir: tempfile::tempdir().unwrap(), env };
        home.lanes(lanes);
        home
    }

    pub fn lanes(&self, lanes: &[String]) {
        self.write("tagmill.yaml", &format!("lanes:\n{}", lanes.concat()));
    }

    pub fn env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub fn without(&mut self, name: &str) {
        self.env.remove(name);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The size of the state on disk.
    pub fn state_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.path("tagmill-state")).into_iter().flatten();
        files.map(|file| file.unwrap().metadata().map_or(0, |meta| meta.len())).sum()
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Done {
        self.start(args).wait()
    }

    /// `apply`, with its ledger.
    pub fn apply(&self, args: &[&str]) -> (Done, Value) {
        let done = self.run(&[&["apply", "--output", "json"], args].concat());
        let ledger = done.json();
        adds_up(&ledger);
        (done, ledger)
    }

    /// Every dead letter in full.
    pub fn dead_letters(&self) -> Vec<Value> {
        let done = self.run(&["dlq", "export"]);
        assert_eq!(done.code, 0, "{done:?}");
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Resource id to failure, over all dead letters that are jobs.
    pub fn failures(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for letter in self.dead_letters() {
            for failure in letter["failures"].as_array().into_iter().flatten() {
                let resource = &failure["resource"];
                let id = resource.as_str().or(resource["id"].as_str()).unwrap().to_owned();
                assert!(found.insert(id, failure.clone()).is_none(), "dead twice: {failure}");
            }
        }
        found
    }

    pub fn start(&self, args: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagmill"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Stream::read(child.stdout.take().unwrap());
        let err = Stream::read(child.stderr.take().unwrap());
        Running { child: Kept(child), out, err, what: args.join(" ") }
    }
}

/// What a pipe has said so far.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut piece) {
                sink.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn end(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8(std::mem::take(&mut *self.text.lock().unwrap())).unwrap()
    }
}

/// A process that does not outlive its test.
struct Kept(Child);

impl std::ops::Deref for Kept {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl std::ops::DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command on its way.
pub struct Running {
    child: Kept,
    out: Stream,
    err: Stream,
    what: String,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Done {
    /// -1 when a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Running {
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its process id.
    #[allow(dead_code, reason = "the tests of a fleet ask for it")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits until stderr holds a text.
    pub fn says(&self, text: &str) {
        let end = clock::monotonic() + PATIENCE;
        while !self.err.so_far().contains(text) {
            assert!(clock::monotonic() < end, "{:?} never says {text:?}: {}", self.what, self.err.so_far());
            pause();
        }
    }

    pub fn wait(mut self) -> Done {
        let end = clock::monotonic() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if clock::monotonic() > end {
                self.child.kill().unwrap();
                panic!("{:?} does not end; stderr: {}", self.what, self.err.so_far());
            }
            pause();
        };
        Done { code: status.code().unwrap_or(-1), out: self.out.end(), err: self.err.end() }
    }
}

impl Done {
    /// stdout as one document on one line and nothing else.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The exit code, and nothing on stdout.
    #[track_caller]
    pub fn refused(&self, code: i32) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
    }
}

/// A breath between two looks.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(3));
}

/// Polls until something is so.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end: Instant = clock::monotonic() + PATIENCE;
    while !so() {
        assert!(clock::monotonic() < end, "never happened: {what}");
        pause();
    }
}

/// Every line of a ledger adds up, and the lanes to the totals.
#[track_caller]
pub fn adds_up(ledger: &Value) {
    let number = |part: &Value, name: &str| part[name].as_u64().unwrap_or_else(|| panic!("no {name}: {part}"));
    let lanes = ledger["lanes"].as_array().unwrap();
    for part in lanes.iter().chain([ledger]) {
        let sum: u64 = ["tagged", "unchanged", "dead", "pending"].iter().map(|name| number(part, name)).sum();
        assert_eq!(number(part, "accepted"), sum, "{part}");
        assert!(number(part, "superseded") <= number(part, "tagged"), "{part}");
    }
    let fields = ["accepted", "tagged", "superseded", "unchanged", "dead", "pending", "calls", "throttled", "retries"];
    for name in fields {
        let sum: u64 = lanes.iter().map(|lane| number(lane, name)).sum();
        assert_eq!(number(ledger, name), sum, "{name}: {ledger}");
    }
}

/// accepted, tagged, dead, pending.
pub fn sums(ledger: &Value) -> [u64; 4] {
    ["accepted", "tagged", "dead", "pending"].map(|name| ledger[name].as_u64().unwrap())
}

/// Whether a folder or one of its files holds anything of these words; for secrets on disk.
pub fn holds(path: &Path, word: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), word));
    }
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// A CSV of disks with one tag.
pub fn disks(ids: impl IntoIterator<Item = String>) -> String {
    ids.into_iter().fold("id,type,env\n".to_owned(), |csv, id| csv + &format!("{id},disk,prod\n"))
}

impl Done {
    /// stdout as a JSON list, or as one document a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        match serde_json::from_str(&self.out) {
            Ok(Value::Array(list)) => list,
            _ => self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        }
    }
}
