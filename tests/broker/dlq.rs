//! The command that looks at dead letters: filters, questions, outputs, exit codes.

use crate::make::{bytes, dead_letter, head, job, lane, read_job};
use clap::Parser;
use std::{io::Cursor, path::Path};
use tagmill::{
    broker::{
        Broker, Deed, RawDeadLetter,
        embedded::{DeadFilter, Embedded},
    },
    cli::dlq::{self, Console, Outcome},
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    dlq: dlq::Dlq,
}

const EVIL: &str = "no \u{1b}[2J\u{7}such \u{9b}31m disk\u{202e}";

/// Two jobs with dead items, and one message that is no job.
async fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path()).unwrap();
    let work = [job("a", "1", &["r1", "r2"]), job("b", "2", &["r3"])];
    for (work, code) in work.iter().zip(["NotFound", "Denied"]) {
        queue.publish(&work.lane, vec![(work.resources.len() as u64, bytes(work))]).await.unwrap();
        let ticket = head(&queue, work.lane.as_str(), 1).await[0].ticket;
        let mut letter = dead_letter(work, &["r1", "r2", "r3"], code);
        letter.failures[0].message = EVIL.into();
        queue.commit(vec![Deed::DeadLetter(ticket, letter), Deed::Ack(ticket)]).await.unwrap();
    }
    queue.publish(&lane("a"), vec![(1, b"\xff\x1b[2J".to_vec())]).await.unwrap();
    let delivery = head(&queue, "a", 1).await.remove(0);
    let raw = RawDeadLetter {
        id: "raw-1".into(),
        lane: Some(lane("a")),
        code: "invalid".into(),
        message: EVIL.into(),
        source: None,
        line: Some(3),
        body: delivery.body,
    };
    queue.commit(vec![Deed::RawDeadLetter(delivery.ticket, raw), Deed::Ack(delivery.ticket)]).await.unwrap();
    dir
}

struct Said {
    outcome: Outcome,
    out: String,
    err: String,
}

impl Said {
    fn code(&self) -> u8 {
        match self.outcome {
            Outcome::Done(code) => code,
            Outcome::Replayed(..) => panic!("it was replayed"),
        }
    }
}

async fn dlq(state: &Path, args: &[&str], answer: Option<&str>) -> Said {
    let state = state.to_str().unwrap();
    let args = [&["dlq"], args, &["--state", state]].concat();
    let cli = Cli::try_parse_from(args).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut answer = answer.map(|answer| Cursor::new(answer.to_owned()));
    let ask = answer.as_mut().map(|answer| answer as &mut (dyn std::io::BufRead + Send));
    let outcome = dlq::run_on(cli.dlq, Console { out: &mut out, err: &mut err, ask }).await.unwrap();
    Said { outcome, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

async fn left(state: &Path) -> u64 {
    Embedded::open(state).unwrap().count_dead(DeadFilter::default()).await.unwrap().letters
}

#[tokio::test]
async fn nothing_a_cloud_said_reaches_the_terminal_raw() {
    let dir = filled().await;
    let id = {
        let queue = Embedded::open(dir.path()).unwrap();
        queue.dead_letters(DeadFilter::default(), None, 1).await.unwrap().found[0].id.clone()
    };
    for output in ["table", "json", "ndjson"] {
        for command in [&["list"][..], &["show", &id], &["show", "raw-1"], &["export"]] {
            let args: Vec<_> = command.iter().copied().chain(["--output", output]).collect();
            let said = dlq(dir.path(), &args, None).await;
            assert_eq!(said.code(), dlq::OK);
            let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!said.out.contains(raw) && !said.err.contains(raw), "{args:?}: {:?}", said.out);
            assert!(!said.out.is_empty());
        }
    }
}

#[tokio::test]
async fn a_list_is_a_table_a_document_or_a_document_a_line() {
    let dir = filled().await;
    let said = dlq(dir.path(), &["list"], None).await;
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("MESSAGE"));
    assert!(lines[1].contains("NotFound") && lines[2].contains("Denied") && lines[3].starts_with("raw-1"));
    assert_eq!(said.err, "3 dead letters with 4 items\n");
    let said = dlq(dir.path(), &["list", "--limit", "1"], None).await;
    assert_eq!(
        (said.out.lines().count(), said.err.as_str()),
        (2, "1 of 3 dead letters with 4 items: --limit shows more\n")
    );

    let said = dlq(dir.path(), &["list", "--output", "json", "--lane", "a"], None).await;
    let list: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!((&list[0]["message"], &list[0]["items"]), (&EVIL.into(), &2.into()));
    let said = dlq(dir.path(), &["list", "--output", "ndjson", "--code", "Denied"], None).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["job"], "2");
    let said = dlq(dir.path(), &["list", "--output", "json", "--older-than", "1d"], None).await;
    assert_eq!(said.out, "[]\n");
}

#[tokio::test]
async fn an_export_holds_valid_jobs_and_every_byte_of_what_is_none() {
    let dir = filled().await;
    let said = dlq(dir.path(), &["export"], None).await;
    let lines: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = read_job(lines[0]["job"].to_string().as_bytes()).unwrap();
    assert_eq!((first.id.as_str(), first.resources.len()), ("1", 2));
    assert_eq!(lines[2]["body"], "/xtbMko=");
    assert_eq!(lines[2]["raw"], true);
}

#[tokio::test]
async fn a_replay_asks_first_and_leaves_the_jobs_in_a_run_of_their_own() {
    let dir = filled().await;
    let said = dlq(dir.path(), &["replay", "--lane", "a"], None).await;
    assert_eq!(said.code(), dlq::USAGE);
    assert!(said.err.contains("overwrite newer values") && said.err.contains("add --yes"), "{}", said.err);
    let said = dlq(dir.path(), &["replay", "--lane", "a"], Some("n\n")).await;
    assert_eq!((said.code(), left(dir.path()).await), (dlq::OK, 3));
    let said = dlq(dir.path(), &["replay", "--dry-run"], None).await;
    assert_eq!((said.out.as_str(), left(dir.path()).await), ("3 dead letters with 4 items\n", 3));

    let said = dlq(dir.path(), &["replay"], Some("y\n")).await;
    let Outcome::Replayed(queue, run) = said.outcome else { panic!("{}", said.err) };
    assert!(said.err.contains("Replay 3 dead letters with 4 items?"));
    assert!(said.err.contains("1 cannot be replayed"));
    assert_eq!(queue.totals(run).await.unwrap().sum().pending, 3);
    assert_eq!(queue.count_dead(DeadFilter::default()).await.unwrap().raw, 1);
    drop(queue);

    let said = dlq(dir.path(), &["replay", "raw-1", "--yes"], None).await;
    assert_eq!(said.code(), dlq::DEAD);
    let queue = Embedded::open(dir.path()).unwrap();
    assert_eq!(queue.unfinished_runs().await.unwrap().len(), 1, "a run without jobs is not left behind");
}

#[tokio::test]
async fn a_discard_removes_what_was_picked() {
    let dir = filled().await;
    let said = dlq(dir.path(), &["discard", "--job", "2", "--yes", "--output", "json"], None).await;
    assert_eq!((said.code(), said.out.as_str()), (dlq::OK, "{\"items\":1,\"letters\":1,\"raw\":0}\n"));
    assert_eq!(dlq(dir.path(), &["discard", "raw-1", "nobody", "--yes"], None).await.code(), dlq::USAGE);
    assert_eq!(left(dir.path()).await, 2);
    assert_eq!(dlq(dir.path(), &["discard", "raw-1", "--yes"], None).await.code(), dlq::OK);
    assert_eq!(left(dir.path()).await, 1);
}

#[tokio::test]
async fn state_that_cannot_be_used_is_told_and_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("mistyped");
    let said = dlq(&state, &["list"], None).await;
    assert_eq!((said.code(), said.out.as_str()), (dlq::UNAVAILABLE, ""));
    assert!(said.err.contains("there is no queue in") && !state.exists());
    let held = Embedded::open(dir.path()).unwrap();
    let said = dlq(dir.path(), &["list"], None).await;
    assert_eq!(said.code(), dlq::UNAVAILABLE);
    assert!(said.err.contains(&format!("in use by process {}", std::process::id())), "{}", said.err);
    drop(held);
}

#[test]
fn ages_are_checked_when_they_are_read() {
    for good in ["90s", "30m", "2h", "7d", "4w", "1h 30m", "99999d"] {
        assert!(Cli::try_parse_from(["dlq", "list", "--older-than", good]).is_ok(), "{good}");
    }
    for bad in ["", "7", "d", "-7d", "soon", "9999999999999999999d", "9223372036854775807w"] {
        assert!(Cli::try_parse_from(["dlq", "list", "--newer-than", bad]).is_err(), "{bad}");
    }
    assert!(Cli::try_parse_from(["dlq", "list", "--lane", "no spaces"]).is_err());
    assert!(Cli::try_parse_from(["dlq", "discard", "id", "--lane", "a"]).is_err());
}
