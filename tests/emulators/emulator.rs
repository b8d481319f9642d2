//! One emulator on a loopback port of its own, for as long as a test runs.

use crate::python::{python, succeeds};
use serde_json::Value;
use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tagmill::worker::clock;

/// Far beyond what a start takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Which one, and how it is started.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Its signature check is asleep until it is told.
    Moto,
    /// Checks signatures from the start, all but those of its root key.
    MiniStack,
}

/// A key pair that an emulator knows.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

/// A running emulator.
pub struct Emulator {
    python: PathBuf,
    process: Process,
    port: u16,
    /// Its home, so that nothing is left behind.
    folder: tempfile::TempDir,
    /// Whom questions are asked as.
    pub key: Key,
}

/// Ended with this value, on a panic too.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Emulator {
    /// None where there is no Python, or no network to install it from; says so.
    pub fn start(kind: Kind) -> Option<Self> {
        let python = match python() {
            Ok(python) => python,
            Err(why) => {
                // Not eprintln!, which the test harness swallows when a test passes.
                let line = format!("left out: {kind:?} cannot be run: {why}\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                return None;
            }
        };
        // A port that was free may be taken before the emulator has it.
        let mut last = String::new();
        for _ in 0..3 {
            match Self::launch(kind, python.clone()) {
                Ok(emulator) => return Some(emulator),
                Err(log) => last = log,
            }
        }
        panic!("{kind:?} does not start: {last}");
    }

    /// With what `script` makes, and a user who may do everything: neither verifies what its root key signs.
    pub fn with_user(kind: Kind, script: &str) -> Option<(Self, Key)> {
        let emulator = Self::start(kind)?;
        let made = emulator.ask(&format!("{script}\nanswer = user()"));
        let text = |n: usize| made[n].as_str().unwrap().to_owned();
        Some((emulator, Key { id: text(0), secret: text(1) }))
    }

    /// One try; the log when it does not come up.
    fn launch(kind: Kind, python: PathBuf) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(&python);
        // Nothing of the user's: an AWS_ACCESS_KEY_ID would become the root key.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", folder.path()).env("TMPDIR", folder.path()).current_dir(folder.path());
        let port_text = port.to_string();
        match kind {
            Kind::Moto => command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port_text]),
            Kind::MiniStack => command.args(["-m", "ministack"]).envs([
                ("BIND_HOST", "127.0.0.1"),
                ("AUTH", "true"),
                ("GATEWAY_PORT", &port_text),
                // Ports that are fixed and open to everybody.
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
            ]),
        };
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = Process(command.spawn().unwrap());
        let key = Key { id: "test".into(), secret: "test".into() };
        let mut emulator = Self { python, process, port, folder, key };
        if emulator.is_up(kind) { Ok(emulator) } else { Err(emulator.log()) }
    }

    /// Waits until it answers; false when it has ended or takes forever.
    fn is_up(&mut self, kind: Kind) -> bool {
        let health = match kind {
            Kind::Moto => "/moto-api/data.json",
            Kind::MiniStack => "/_ministack/health",
        };
        let end = clock::monotonic() + PATIENCE;
        while clock::monotonic() < end && self.process.0.try_wait().unwrap().is_none() {
            if self.http("GET", health, "").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// An unsigned request as text, for what is no API of AWS.
    pub fn http(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}",
            self.port
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Runs a script with boto3 (see `ask.py`); its `answer`.
    #[track_caller]
    pub fn ask(&self, script: &str) -> Value {
        let mut command = Command::new(&self.python);
        command.env_clear().env("HOME", self.folder.path()).args(["-c", include_str!("ask.py"), &self.url()]);
        command.args([&self.key.id, &self.key.secret, script]);
        let answer = succeeds(&mut command).unwrap_or_else(|why| panic!("{why}\n{script}\n{}", self.log()));
        serde_json::from_str(&answer).unwrap()
    }
}
