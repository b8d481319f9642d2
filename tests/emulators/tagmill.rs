//! The binary in a folder of its own, with one lane at an emulator.

use crate::emulator::{Emulator, Key};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

/// A folder with a config and jobs.
pub struct Home {
    folder: tempfile::TempDir,
    secret: String,
}

/// What an `apply` came to.
#[derive(Debug)]
pub struct Applied {
    pub code: i32,
    pub err: String,
    pub ledger: Value,
    /// Resource id to failure.
    pub failures: BTreeMap<String, Value>,
}

impl Home {
    /// A lane of a provider in us-east-1 that speaks to the emulator with this key; `more` is YAML.
    pub fn new(provider: &str, emulator: &Emulator, key: &Key, more: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), secret: key.secret.clone() };
        let more: String = more.lines().map(|line| format!("    {line}\n")).collect();
        let config = format!(
            "lanes:\n  - name: aws\n    provider: {provider}\n    region: us-east-1\n    \
             credentials: {{ access_key: {}, secret_key: {{ env: SECRET }} }}\n    endpoint: {}\n    concurrency: 4\n    \
             rate: {{ per_second: 200, burst: 20 }}\n{more}",
            key.id,
            emulator.url()
        );
        std::fs::write(home.folder.path().join("tagmill.yaml"), config).unwrap();
        home
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tagmill"))
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("SECRET", &self.secret)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Applies these jobs and reads back the ledger and the dead letters.
    pub fn apply(&self, jobs: &[Value]) -> Applied {
        let text: String = jobs.iter().map(|job| format!("{job}\n")).collect();
        std::fs::write(self.folder.path().join("jobs.ndjson"), text).unwrap();
        let (code, out, err) = self.run(&["apply", "--output", "json", "jobs.ndjson"]);
        let ledger = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {code} {out} {err}"));
        let (exported, letters, said) = self.run(&["dlq", "export"]);
        assert_eq!(exported, 0, "{said}");
        let letters = letters.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let failures = letters
            .flat_map(|letter| letter["failures"].as_array().cloned().unwrap_or_default())
            .map(|failure| {
                let resource = &failure["resource"];
                (resource.as_str().or(resource["id"].as_str()).unwrap().to_owned(), failure)
            })
            .collect();
        Applied { code, err, ledger, failures }
    }
}

impl Applied {
    /// tagged, unchanged, dead; and that nothing is left or lost.
    #[track_caller]
    pub fn comes_to(&self, tagged: u64, unchanged: u64, dead: u64) {
        let number = |name: &str| self.ledger[name].as_u64().unwrap();
        let sums = ["tagged", "unchanged", "dead", "pending"].map(number);
        assert_eq!(sums, [tagged, unchanged, dead, 0], "{self:#?}");
        assert_eq!(number("accepted"), tagged + unchanged + dead, "{self:#?}");
        assert_eq!(self.code, i32::from(dead > 0), "{self:#?}");
    }
}
