//! A folder with files in it, and the binary run in it.

use serde_json::Value;
use std::{
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};
use tagmill::worker::clock;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_mins(3);

/// Polls until something is so.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = clock::monotonic() + PATIENCE;
    while !so() {
        assert!(clock::monotonic() < end, "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A user's folder.
pub struct Home {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// A command on its way.
pub struct Running {
    child: Child,
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

/// What a pipe has said so far.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    pub fn env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn run(&self, args: &[&str]) -> Done {
        self.start(args).wait()
    }

    pub fn start(&self, args: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagmill"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Stream::read(child.stdout.take().unwrap());
        let err = Stream::read(child.stderr.take().unwrap());
        Running { child, out, err, what: args.join(" ") }
    }
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

impl Running {
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits until stderr holds a text.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        until(&format!("stderr of {:?} says {text:?}", self.what), || {
            let said = self.err.so_far();
            assert!(said.contains(text) || !self.has_ended(), "it ended, saying {said}");
            said.contains(text)
        });
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
            std::thread::park_timeout(Duration::from_millis(5));
        };
        Done { code: status.code().unwrap_or(-1), out: self.out.end(), err: self.err.end() }
    }
}

impl Done {
    /// The exit code, and stdout as one document on one line.
    #[track_caller]
    pub fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// The exit code, nothing on stdout, and a text on stderr.
    #[track_caller]
    pub fn refused(&self, code: i32, why: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert!(self.err.contains(why), "{}", self.err);
    }
}
