//! The house keeps its order: who may import whom, what the pure rooms never name, and that every file says its purpose.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod source;

use source::{Path, Source};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path as File, PathBuf},
};

/// One room: a folder of `src/`, what it may import of ours, and whether it is pure (no I/O, no clock, no chance).
struct Room {
    name: &'static str,
    pure: bool,
    may: &'static [&'static str],
}

/// Who may import whom. Data walks broker -> job -> plan -> lane -> provider -> http and back, so imports walk upwards
/// in this table: a row names rows above it, nothing else.
const ROOMS: &[Room] = &[
    // The nouns. Everybody speaks them, so they can depend on nobody.
    Room { name: "job", pure: true, may: &[] },
    // What lane and provider say to each other; the reason why neither has to know the other.
    Room { name: "call", pure: true, may: &["job"] },
    // Tables and calls; which cloud it is comes in as limits.
    Room { name: "plan", pure: true, may: &["job", "call"] },
    // The machine of one lane. It must run in virtual time with any cloud, so it knows no provider.
    Room { name: "lane", pure: true, may: &["job", "call", "plan"] },
    // A cloud's wire format. A provider that knew the lane could not be tested by one suite for all.
    Room { name: "provider", pure: true, may: &["job", "call"] },
    // Cloud events to jobs.
    Room { name: "event", pure: true, may: &["job"] },
    // Names the numbers of all the others; what it counts is handed to it.
    Room { name: "telemetry", pure: false, may: &["job", "call"] },
    // Proves a config, which takes knowing the providers' names, limits and credentials.
    // and rules, whose paths and templates only `event` can check.
    Room { name: "config", pure: false, may: &["job", "provider", "event"] },
    // Rows of a file to jobs; the provider checks what a row names.
    Room { name: "file", pure: false, may: &["job", "provider"] },
    // Where jobs come from and documents go: two implementations of one interface, neither knows a lane.
    Room { name: "broker", pure: false, may: &["job"] },
    // The simulated clouds are a second implementation, written from the clouds' documents: sharing code with the
    // providers would let one misreading pass on both sides.
    Room { name: "sim", pure: false, may: &[] },
    // The one place that joins the others. It never needs the simulator: to it that is a cloud like any other.
    Room {
        name: "worker",
        pure: false,
        may: &["job", "call", "plan", "lane", "provider", "event", "telemetry", "config", "file", "broker"],
    },
    // What an operator does to a fleet, for commands and the server alike; it never works a lane.
    Room { name: "fleet", pure: false, may: &["job", "event", "config", "broker"] },
    // HTTP in front of the broker and the fleet. Of the worker it knows no more than how it is.
    Room { name: "server", pure: false, may: &["job", "event", "telemetry", "config", "broker", "worker", "fleet"] },
    // Commands: arguments to a call of anything.
    Room {
        name: "cli",
        pure: false,
        may: &[
            "job",
            "call",
            "plan",
            "lane",
            "provider",
            "event",
            "telemetry",
            "config",
            "file",
            "broker",
            "sim",
            "worker",
            "fleet",
            "server",
        ],
    },
];

/// The one reader of real time and of chance, for every room that is not pure.
const CLOCK: &str = "worker::clock";

/// What a pure room never names: a way out of the process (a log is one), or a clock.
const IMPURE: &[&str] = &[
    "tokio",
    "lapin",
    "reqwest",
    "axum",
    "redb",
    "tracing",
    "tracing_subscriber",
    "opentelemetry",
    "hyper",
    "hyper_util",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime",
];

/// Addresses are data: reading one opens nothing.
const ADDRESSES: &[&str] = &["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &File, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file under `src/`: its name from the root of the repository, and its text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root().join("src"), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("a file of ours").to_str().expect("a plain name").to_owned();
            (name, fs::read_to_string(path).expect("a text"))
        })
        .collect()
}

/// The folders right under `src/`.
fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("src")).expect("src");
    let folders = entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().to_str().expect("a plain name").to_owned()).collect()
}

/// `src/plan/table.rs` is the module `plan::table`, `src/plan/mod.rs` is `plan`.
fn module(file: &str) -> Vec<String> {
    let name = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Vec<String> = name.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// What is wrong with one file: `file:line: edge` and why.
fn wrong_edges(file: &str, text: &str) -> Vec<String> {
    let module = module(file);
    let Some(own) = module.first() else { return Vec::new() };
    let Some(room) = ROOMS.iter().find(|room| room.name == own) else {
        return vec![format!("{file}:1: the room `{own}` has no row in ROOMS: say what it may import and why")];
    };
    let paths = Source::new(text).paths(&module);
    let mut wrong = Vec::new();
    for path in &paths {
        let line = path.line;
        if path.ours
            && let Some(why) = wrong_edge(room, path)
        {
            wrong.push(format!("{file}:{line}: {own} -> {}: {why}", path.text()));
        }
        if room.pure
            && !path.ours
            && let Some(what) = impure(path)
        {
            wrong.push(format!("{file}:{line}: {own} names {}: a pure room never names {what}", path.text()));
        }
    }
    wrong
}

fn wrong_edge(room: &Room, path: &Path) -> Option<String> {
    let to = path.parts.first()?;
    if to == "*" {
        return Some("a glob of the whole crate hides who is imported".to_owned());
    }
    let known = ROOMS.iter().any(|room| room.name == to);
    let clock = !room.pure && path.is_in(CLOCK);
    if !known || to == room.name || room.may.contains(&to.as_str()) || clock {
        return None;
    }
    Some(format!("not an allowed edge ({} may import: {})", room.name, room.may.join(", ")))
}

fn impure(path: &Path) -> Option<&'static str> {
    let anywhere = |what: &str| {
        let parts: Vec<&str> = what.split("::").collect();
        path.parts.windows(parts.len()).any(|window| window.iter().eq(parts.iter()))
    };
    if ADDRESSES.iter().any(|address| path.is_in(address)) {
        return None;
    }
    IMPURE.iter().copied().find(|what| match *what {
        "Instant::now" | "SystemTime" => anywhere(what),
        // A word of that name that leads nowhere is a variable or a field.
        what if !what.contains("::") => path.is_in(what) && path.parts.len() > 1,
        what => path.is_in(what),
    })
}

#[test]
fn rooms_import_only_what_the_table_allows_and_pure_rooms_name_no_io() {
    let sources = sources();
    let mut test_only = BTreeSet::new();
    for (file, text) in &sources {
        let folder = file.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned();
        for name in Source::new(text).test_modules {
            test_only.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]);
        }
    }
    let checked: Vec<_> = sources.iter().filter(|(file, _)| !test_only.contains(file)).collect();
    assert!(checked.len() > 100, "only {} files were found", checked.len());
    let wrong: Vec<String> = checked.iter().flat_map(|(file, text)| wrong_edges(file, text)).collect();
    assert!(wrong.is_empty(), "{} wrong edges:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_table_of_rooms_is_a_staircase() {
    for (at, room) in ROOMS.iter().enumerate() {
        let above: BTreeSet<&str> = ROOMS[..at].iter().map(|room| room.name).collect();
        for name in room.may {
            assert!(above.contains(name), "{} may import {name}, which is not above it", room.name);
            let pure = ROOMS.iter().any(|other| other.name == *name && other.pure);
            assert!(!room.pure || pure, "{} is pure and may import {name}, which is not", room.name);
        }
    }
}

#[test]
fn every_file_begins_with_its_purpose() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(file, _)| file).collect();
    assert!(silent.is_empty(), "the first line does not say the purpose (`//! ...`): {silent:#?}");
}

/// Folders that a document names in backquotes, such as `src/plan/`.
fn named_folders(document: &str) -> BTreeSet<String> {
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with("src/") && text.ends_with('/')).map(str::to_owned).collect()
}

/// The first folder under `src/`: `src/provider/huawei/` is a part of `src/provider/`.
fn room_of(folder: &str) -> &str {
    folder.split('/').nth(1).unwrap_or_default()
}

#[test]
fn the_file_map_names_every_folder_and_no_other() {
    let Ok(map) = fs::read_to_string(root().join("docs/ARCHITECTURE.md")) else {
        eprintln!("skipped: docs/ARCHITECTURE.md is not there yet, so there is no file map to check");
        return;
    };
    let named = named_folders(&map);
    let gone: Vec<_> = named.iter().filter(|folder| !root().join(folder).is_dir()).collect();
    assert!(gone.is_empty(), "docs/ARCHITECTURE.md names folders that do not exist: {gone:?}");
    let rooms: BTreeSet<&str> = named.iter().map(|folder| room_of(folder)).collect();
    let missing: Vec<_> = folders().into_iter().filter(|folder| !rooms.contains(folder.as_str())).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md does not name `src/<folder>/` of: {missing:?}");
}

/// The checks themselves: every spelling of a forbidden import is seen, and nothing else is.
mod checks {
    use super::*;

    #[test]
    fn a_forbidden_edge_is_seen_in_every_spelling_with_its_line() {
        for text in [
            "\nuse crate::provider::Call;",
            "\nuse crate::{job::Job, provider};",
            "\nuse super::super::provider::Call;",
            "\nuse super::{super::provider::Call, Caps};",
            "\nfn f() { crate::provider::all(); }",
            "\npub(crate) use {crate::provider::Call};",
            "\nfn f<'a>(c: char) -> bool { c == '\"' && crate::provider::is(&'a', c) }",
        ] {
            let wrong = wrong_edges("src/plan/table.rs", text);
            assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
            assert!(wrong[0].starts_with("src/plan/table.rs:2: plan -> provider"), "{wrong:?}");
        }
    }

    #[test]
    fn io_and_clocks_are_seen_in_pure_rooms_only() {
        for text in [
            "use std::{fs, sync::Arc};",
            "use std::fs::File;",
            "use std::net::{Ipv4Addr, TcpStream};",
            "use tokio::time::sleep;",
            "fn f() { std::thread::sleep(D); }",
            "use std::time::{Duration, Instant};",
            "fn f() { time::Instant::now(); }",
            "fn f() { let t: SystemTime = t(); }",
        ] {
            assert_eq!(wrong_edges("src/lane/mod.rs", text).len(), 1, "{text}");
            assert!(wrong_edges("src/worker/mod.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn comments_texts_tests_and_names_that_lead_nowhere_are_not_edges() {
        for text in [
            "// use crate::provider::Call;",
            "/* a /* nested */ use crate::provider::Call; */",
            r#"const A: &str = "crate::provider::Call \" std::fs::read";"#,
            r###"const A: &str = r##"crate::provider "# std::fs::read"##;"###,
            "#[cfg(test)]\nmod tests { use crate::provider::Call; fn f() { std::fs::read(A); } }",
            "#[cfg(test)]\nuse crate::{provider::Call};\nuse crate::job::Job;",
            "#[cfg(test)] pub fn f(a: [u8; 2]) -> u8 { crate::provider::f(a) }",
            "use crate::{job::Job, call::Call};",
            "use super::{Caps, merge::Cell};",
            "use std::net::{IpAddr, Ipv6Addr};",
            "fn f(redb: u8) -> u8 { redb + self.provider.hyper }",
        ] {
            assert_eq!(wrong_edges("src/plan/table.rs", text), Vec::<String>::new(), "{text}");
        }
        let source = Source::new("#[cfg(test)]\nmod tests;\nmod real;");
        assert_eq!(source.test_modules, ["tests"]);
    }

    #[test]
    fn the_simulator_reads_the_clock_and_nothing_else_of_ours() {
        assert!(wrong_edges("src/sim/mod.rs", "use crate::worker::clock;").is_empty());
        for text in ["use crate::worker::run;", "use crate::lane::Lane;", "use crate::provider::Op;", "use crate::*;"] {
            assert_eq!(wrong_edges("src/sim/mod.rs", text).len(), 1, "{text}");
        }
        assert_eq!(wrong_edges("src/plan/mod.rs", "use crate::worker::clock;").len(), 1);
        assert_eq!(wrong_edges("src/attic/mod.rs", "").len(), 1, "a room without a row");
    }

    #[test]
    fn folders_of_the_map_are_read_from_backquotes() {
        let named = named_folders("| `src/plan/` | pure |\n`src/provider/huawei/` and src/lane/, `src/main.rs`");
        assert_eq!(named, BTreeSet::from(["src/plan/".to_owned(), "src/provider/huawei/".to_owned()]));
        assert_eq!(room_of("src/provider/huawei/"), "provider");
    }
}
