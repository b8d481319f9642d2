//! A secret as the config names it, and the secret itself only when it is needed.

use super::read::{Notes, Section};
use super::tree::{Shape, Tree};
use secrecy::SecretString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest secret, in bytes.
const LONGEST: u64 = 64 * 1024;
/// How long a program may take to print one.
const PATIENCE: Duration = Duration::from_secs(15);

/// A secret, or where it is kept. Two secrets are equal when they are written alike.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Secret {
    /// The value itself.
    Plain(String),
    /// An environment variable.
    Env(String),
    /// A file, read anew at each use.
    File(PathBuf),
    /// A program and its arguments.
    Exec(Vec<String>),
}

/// Why a secret could not be had. Names where it is kept, never what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

/// Looks up one environment variable.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("[plain, not shown]"),
            Self::Env(name) => write!(f, "{{env: {name}}}"),
            Self::File(path) => write!(f, "{{file: {}}}", path.display()),
            // Arguments can hold a secret; the program cannot.
            Self::Exec(command) => write!(f, "{{exec: [{}, ...]}}", command.first().map_or("", |program| program)),
        }
    }
}

impl Secret {
    /// The file it is kept in, if it is in one.
    pub fn file(&self) -> Option<&Path> {
        if let Self::File(path) = self { Some(path) } else { None }
    }

    /// The secret itself. White space around the content of a file or a program's output is dropped.
    pub fn resolve(&self, env: Environment<'_>) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Plain(text) => text.clone(),
            Self::Env(name) => {
                env(name).ok_or_else(|| SecretError(format!("the environment variable {name} is not set")))?
            }
            Self::File(path) => from_file(path)?,
            Self::Exec(command) => from_program(command, PATIENCE)?,
        };
        let text = if matches!(self, Self::Plain(_)) { &text } else { text.trim() };
        if text.is_empty() {
            return Err(SecretError(format!("the secret in {self:?} is empty")));
        }
        Ok(text.into())
    }

    /// Reads one as the config writes it.
    pub(super) fn read(tree: &Tree, path: &str, notes: &mut Notes) -> Option<Self> {
        if let Shape::Map(_) = tree.shape {
            let section = Section::open(tree, path, &["env", "file", "exec"], notes)?;
            let named = ["env", "file", "exec"].iter().filter(|name| section.has(name)).count();
            if named != 1 {
                notes.error(&tree.place, path, "name exactly one of env, file and exec");
                return None;
            }
            if section.has("exec") {
                let Some(Shape::List(list)) = section.get("exec").map(|tree| &tree.shape) else {
                    section.error("exec", notes, "expected a list: the program and its arguments");
                    return None;
                };
                let words: Option<Vec<String>> = list
                    .iter()
                    .map(|word| match &word.shape {
                        Shape::Text(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect();
                return match words {
                    Some(words) if words.first().is_some_and(|program| !program.is_empty()) => Some(Self::Exec(words)),
                    _ => {
                        section.error("exec", notes, "expected the program and its arguments, each as text in quotes");
                        None
                    }
                };
            }
            return section
                .text("env", notes)
                .map(|name| Self::Env(name.to_owned()))
                .or_else(|| section.text("file", notes).map(|file| Self::File(file.into())));
        }
        match &tree.shape {
            Shape::Text(text) if !text.is_empty() => Some(Self::Plain(text.clone())),
            Shape::Text(_) => {
                notes.error(&tree.place, path, "is empty");
                None
            }
            _ => {
                let quotes = if tree.kind() == "a number" { "; put it in quotes" } else { "" };
                let kind = tree.kind();
                let text =
                    format!("expected {{env: NAME}}, {{file: PATH}}, {{exec: [...]}} or text, found {kind}{quotes}");
                notes.error(&tree.place, path, text);
                None
            }
        }
    }
}

fn from_file(path: &Path) -> Result<String, SecretError> {
    let wrong = |why: String| SecretError(format!("the secret file {} cannot be read: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > LONGEST { Err(wrong("it is longer than 64 KB".into())) } else { Ok(text) }
}

fn from_program(command: &[String], patience: Duration) -> Result<String, SecretError> {
    let (program, arguments) = command.split_first().ok_or_else(|| SecretError("exec names no program".into()))?;
    let wrong = |why: String| SecretError(format!("the secret program {program} {why}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| wrong(format!("cannot be started: {error}")))?;
    let output = child.stdout.take();
    let (done, waiting) = mpsc::channel();
    // Reading can block for ever, so it gets a thread that nobody has to wait for.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.map(|output| output.take(LONGEST + 1).read_to_string(&mut text));
        // Nobody listens any more once the time is up.
        let _ = done.send(read.is_some_and(|read| read.is_ok()).then_some(text));
    });
    let text = waiting.recv_timeout(patience).ok();
    let status = text.as_ref().and_then(|_| ended(&mut child));
    let (Some(text), Some(status)) = (text, status) else {
        // It may end by itself at this very moment; then there is nothing to kill.
        let _ = child.kill();
        let _ = child.wait();
        return Err(wrong("did not end in time".into()));
    };
    match text {
        Some(text) if text.len() as u64 > LONGEST => Err(wrong("printed more than 64 KB".into())),
        _ if !status.success() => Err(wrong(format!("failed ({status})"))),
        None => Err(wrong("printed something that is not text".into())),
        Some(text) => Ok(text),
    }
}

/// How a program ended that has closed its output. Most end right then; one that lingers gets a moment.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..100 {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => std::thread::park_timeout(Duration::from_millis(10)),
            Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn get(secret: &Secret) -> Result<String, String> {
        let env = |name: &str| (name == "SET").then(|| "from env".to_owned());
        secret.resolve(&env).map(|s| s.expose_secret().to_owned()).map_err(|e| e.to_string())
    }

    fn exec(words: &[&str]) -> Secret {
        Secret::Exec(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn a_secret_comes_from_where_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (full, blank) = (dir.path().join("full"), dir.path().join("blank"));
        std::fs::write(&full, " from file\n").unwrap();
        std::fs::write(&blank, "\n").unwrap();
        assert_eq!(get(&Secret::Plain(" as it is ".into())), Ok(" as it is ".into()));
        assert_eq!(get(&Secret::Env("SET".into())), Ok("from env".into()));
        assert_eq!(get(&Secret::File(full)), Ok("from file".into()));
        assert_eq!(get(&exec(&["echo", "a; b", "$HOME"])), Ok("a; b $HOME".into()), "no shell is involved");

        let not_set = get(&Secret::Env("NOT_SET".into())).unwrap_err();
        assert_eq!(not_set, "the environment variable NOT_SET is not set");
        assert!(get(&Secret::File(blank)).unwrap_err().ends_with("is empty"));
        assert!(get(&Secret::File("/no/such".into())).unwrap_err().contains("/no/such cannot be read"));
        assert!(get(&exec(&["false"])).unwrap_err().contains("the secret program false failed"));
        assert!(get(&exec(&["no-such-program"])).unwrap_err().contains("cannot be started"));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let command = ["sleep", "600"].map(str::to_owned);
        let error = from_program(&command, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "the secret program sleep did not end in time");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!("{:?} {:?}", Secret::Plain("SECRET".into()), exec(&["vault", "--token=SECRET"]));
        assert_eq!(shown, "[plain, not shown] {exec: [vault, ...]}");
    }
}
