//! The HTTP server as the config names it: where it listens, who may do what, and how much it takes.

use super::read::{Notes, Section};
use super::secret::Secret;
use super::tree::{Shape, Tree};
use crate::job::suggest;
use std::net::SocketAddr;
use std::time::Duration;

const FIELDS: [&str; 3] = ["listen", "tokens", "limits"];
const TOKEN: [&str; 3] = ["name", "secret", "scopes"];
const LIMITS: [&str; 3] = ["body_megabytes", "concurrency", "timeout"];

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port. Beyond this machine only with tokens.
    pub listen: SocketAddr,
    /// Who may do what; without any, whoever reaches the address may do all.
    pub tokens: Vec<Token>,
    /// How much it takes.
    pub limits: ServerLimits,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is; it stands in the log beside every change.
    pub name: String,
    /// The token, or where it is kept.
    pub secret: Secret,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To look.
    Read,
    /// To pause and resume lanes, to replay and discard dead letters.
    Operate,
    /// To hand in jobs and events.
    Ingest,
}

impl Scope {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("read", Self::Read), ("operate", Self::Operate), ("ingest", Self::Ingest)];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, scope)| *scope == self).map_or("", |(name, _)| name)
    }
}

/// How much the server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Megabytes (a million bytes) of a request's body at most.
    pub body_megabytes: u32,
    /// Requests at the same time.
    pub concurrency: u32,
    /// One request, from its head to its answer.
    pub timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { body_megabytes: 8, concurrency: 64, timeout: Duration::from_secs(10) }
    }
}

impl Default for Server {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9464));
        Self { listen, tokens: Vec::new(), limits: ServerLimits::default() }
    }
}

impl Server {
    pub(super) fn read(outer: &Section<'_>, notes: &mut Notes) -> Option<Self> {
        let section = outer.section("server", &FIELDS, notes)?;
        let usual = Self::default();
        let listen = if section.has("listen") {
            section.parsed("listen", notes, |text| {
                text.parse().map_err(|_| "expected an address and a port such as 127.0.0.1:9464".to_owned())
            })
        } else {
            Some(usual.listen)
        };
        let tokens = section.list("tokens", notes).unwrap_or_default();
        let read: Vec<Option<Token>> = tokens
            .iter()
            .enumerate()
            .map(|(n, tree)| token(tree, &format!("{}[{n}]", section.at("tokens")), notes))
            .collect();
        let tokens: Vec<Token> = read.iter().flatten().cloned().collect();
        for (n, token) in tokens.iter().enumerate() {
            if tokens.iter().take(n).any(|other| other.name == token.name) {
                section.error("tokens", notes, format!("two tokens are called {}", token.name));
            }
        }
        let listen = listen?;
        if !listen.ip().is_loopback() && read.is_empty() {
            let text = "without tokens only this machine may be listened on (127.0.0.1): add server.tokens";
            section.error("listen", notes, text);
        }
        Some(Self { listen, tokens, limits: limits(&section, notes) })
    }
}

fn limits(section: &Section<'_>, notes: &mut Notes) -> ServerLimits {
    let usual = ServerLimits::default();
    let Some(limits) = section.section("limits", &LIMITS, notes) else { return usual };
    ServerLimits {
        body_megabytes: limits.whole("body_megabytes", 1, 64, notes).unwrap_or(usual.body_megabytes),
        concurrency: limits.whole("concurrency", 1, 10_000, notes).unwrap_or(usual.concurrency),
        timeout: limits.time("timeout", Duration::from_mins(5), notes).unwrap_or(usual.timeout),
    }
}

fn token(tree: &Tree, path: &str, notes: &mut Notes) -> Option<Token> {
    let section = Section::open(tree, path, &TOKEN, notes)?;
    for name in TOKEN.into_iter().filter(|name| !section.has(name)) {
        section.error(name, notes, "is missing");
    }
    let name = section.parsed("name", notes, |text| {
        let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(text.to_owned()) } else { Err("a name has at most 64 characters of a-z A-Z 0-9 . _ -".into()) }
    });
    let secret = section.get("secret").and_then(|tree| Secret::read(tree, &section.at("secret"), notes));
    if let Some(Secret::Plain(_)) = secret {
        notes.warn(section.place_of("secret"), &section.at("secret"), "is written out; better name an env or a file");
    }
    let mut scopes = Vec::new();
    for tree in section.list("scopes", notes).unwrap_or_default() {
        let known = Scope::NAMES.iter().find(|(name, _)| matches!(&tree.shape, Shape::Text(text) if text == name));
        match (known, &tree.shape) {
            (Some((_, scope)), _) => scopes.push(*scope),
            (None, Shape::Text(text)) => {
                let hint = suggest::hint(text, Scope::NAMES.iter().map(|(name, _)| *name));
                notes.error(&tree.place, &section.at("scopes"), format!("there are read, operate and ingest{hint}"));
            }
            _ => notes.error(&tree.place, &section.at("scopes"), "there are read, operate and ingest"),
        }
    }
    if matches!(section.get("scopes").map(|tree| &tree.shape), Some(Shape::List(all)) if all.is_empty()) {
        section.error("scopes", notes, "is empty: there are read, operate and ingest");
    }
    Some(Token { name: name?, secret: secret?, scopes })
}
