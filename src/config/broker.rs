//! The broker of a fleet as the config names it: where it is, how it is trusted, and how much a worker takes at a time.

use super::read::{Notes, Section};
use super::secret::Secret;
use super::tree::Tree;
use std::path::PathBuf;

const FIELDS: [&str; 5] = ["url", "tls", "topology", "prefix", "window"];

/// Characters of a prefix at most: names made of it have to fit into 255 bytes.
const PREFIX_LENGTH: usize = 64;

/// The broker of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// `amqp://` or `amqps://`, or where that is kept; several nodes of a cluster with commas between them.
    pub url: Secret,
    /// What `amqps://` needs beyond the system's certificates.
    pub tls: BrokerTls,
    /// Whether tagmill makes its exchanges and queues or only checks them.
    pub topology: Topology,
    /// What the names of exchanges and queues begin with; several fleets share a vhost by having different ones.
    pub prefix: String,
    /// What one lane holds at most.
    pub window: Window,
}

/// Files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerTls {
    /// Certificates of the authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Whether tagmill makes its exchanges and queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// Makes what is missing.
    #[default]
    Declare,
    /// Only checks that it is there.
    Assert,
}

/// What one lane holds at most of messages that are not done; whichever comes first. Its rate bounds it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Messages; 1 to 2,000.
    pub messages: u32,
    /// Megabytes (a million bytes) of messages.
    pub megabytes: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { messages: 1_000, megabytes: 64 }
    }
}

impl Broker {
    pub(super) fn read(outer: &Section<'_>, notes: &mut Notes) -> Option<Self> {
        let section = outer.section("broker", &FIELDS, notes)?;
        let url = url(&section, notes);
        let tls = tls(&section, notes);
        let topology = section.parsed("topology", notes, |text| match text {
            "declare" => Ok(Topology::Declare),
            "assert" => Ok(Topology::Assert),
            _ => Err("expected declare or assert".into()),
        });
        let prefix = section.parsed("prefix", notes, prefix).unwrap_or_else(|| "tagmill".to_owned());
        let window = section.section("window", &["messages", "megabytes"], notes);
        let whole = |name: &str, most: u32, usual: u32, notes: &mut Notes| {
            window.as_ref().and_then(|window| window.whole(name, 1, most, notes)).unwrap_or(usual)
        };
        let usual = Window::default();
        let window = Window {
            messages: whole("messages", 2_000, usual.messages, notes),
            megabytes: whole("megabytes", 4_096, usual.megabytes, notes),
        };
        Some(Self { url: url?, tls, topology: topology.unwrap_or_default(), prefix, window })
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if (1..=PREFIX_LENGTH).contains(&text.len()) && text.chars().all(good) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected 1 to {PREFIX_LENGTH} characters of a-z 0-9 . _ -"))
    }
}

fn url(section: &Section<'_>, notes: &mut Notes) -> Option<Secret> {
    let Some(tree) = section.get("url") else {
        section.error("url", notes, "is missing");
        return None;
    };
    let url = Secret::read(tree, &section.at("url"), notes)?;
    if let Secret::Plain(text) = &url {
        check(text, tree, section, notes)?;
    }
    Some(url)
}

fn check(text: &str, tree: &Tree, section: &Section<'_>, notes: &mut Notes) -> Option<()> {
    for node in text.split(',').map(str::trim) {
        let Some(rest) = node.strip_prefix("amqp://").or_else(|| node.strip_prefix("amqps://")) else {
            section.error("url", notes, "expected amqp:// or amqps://");
            return None;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        // guest is no secret: it works on the broker's own machine only.
        let is_secret = |user: &str| user.contains(':') && user != "guest:guest";
        if authority.rsplit_once('@').is_some_and(|(user, _)| is_secret(user)) {
            let text = "the password stands in the config; use {env: NAME}, {file: PATH} or {exec: [...]}";
            notes.warn(&tree.place, &section.at("url"), text);
        }
    }
    Some(())
}

fn tls(section: &Section<'_>, notes: &mut Notes) -> BrokerTls {
    let Some(tls) = section.section("tls", &["ca", "certificate", "key"], notes) else { return BrokerTls::default() };
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        if tls.has(one) && !tls.has(other) {
            tls.error(one, notes, format!("needs {other} beside it"));
        }
    }
    let mut path = |name: &str| tls.text(name, notes).map(PathBuf::from);
    BrokerTls { ca: path("ca"), certificate: path("certificate"), key: path("key") }
}
