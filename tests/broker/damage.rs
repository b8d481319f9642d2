//! Damaged, foreign, full and forbidden state: a clear word, never a panic, never a silent new start.

use crate::{
    disk::Disk,
    embedded::all_dead,
    make::{bodies, bytes, dead_letter, head, job, lane},
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};
use tagmill::broker::{Broker, BrokerError, Deed, embedded::Embedded};

/// A state directory with something of everything in it, closed in good order.
async fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path()).unwrap();
    let work: Vec<_> = (0..300).map(|n| job("a", &format!("job-{n}"), &["r1", "r2"])).collect();
    queue.publish(&lane("a"), work.iter().map(|job| (2, bytes(job))).collect()).await.unwrap();
    let got = head(&queue, "a", 50).await;
    let deeds = got.iter().zip(&work).flat_map(|(delivery, job)| {
        [Deed::DeadLetter(delivery.ticket, dead_letter(job, &["r1"], "NotFound")), Deed::Ack(delivery.ticket)]
    });
    queue.commit(deeds.collect()).await.unwrap();
    dir
}

type Content = (Vec<String>, Vec<(String, Vec<u8>)>);

async fn content(queue: &Embedded) -> Content {
    (bodies(&head(queue, "a", 250).await), all_dead(queue).await)
}

fn refused(dir: &Path) -> String {
    match Embedded::open(dir) {
        Err(BrokerError::Storage(text)) => {
            assert!(text.contains(dir.to_str().unwrap()), "it says where: {text}");
            text
        }
        other => panic!("it should have been refused as storage: {other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_or_read_in_full_and_never_panics() {
    let dir = filled().await;
    let file = dir.path().join("queue.redb");
    let sound = std::fs::read(&file).unwrap();
    let expected = content(&Embedded::open(dir.path()).unwrap()).await;
    let size = sound.len();
    let mut refusals = 0;
    let mut check = async |damaged: &[u8], what: &str| {
        std::fs::write(&file, damaged).unwrap();
        match Embedded::open(dir.path()) {
            // A byte that holds nothing may change.
            Ok(queue) => assert_eq!(content(&queue).await, expected, "{what}"),
            Err(BrokerError::Storage(text)) => {
                assert!(text.contains("queue.redb") && text.contains("damaged"), "{what}: {text}");
                refusals += 1;
            }
            Err(other) => panic!("{what}: {other}"),
        }
    };
    for length in [1, 9, 100, 320, 512, 4095, 4096, 5000, size / 2, size - 4096, size - 1] {
        check(&sound[..length], &format!("cut to {length} of {size}")).await;
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut damaged = sound.clone();
        let at = random.usize(..size);
        damaged[at] ^= 1 << random.u32(..8);
        check(&damaged, &format!("bit flipped in byte {at}")).await;
    }
    for at in 0..128 {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xff;
        check(&damaged, &format!("byte {at} of the head inverted")).await;
    }
    for page in (0..size / 4096).step_by(11) {
        let mut damaged = sound.clone();
        damaged[page * 4096..][..4096].iter_mut().for_each(|byte| *byte = random.u8(..));
        check(&damaged, &format!("page {page} overwritten")).await;
    }
    assert!(refusals > 20, "only {refusals} were noticed");
}

#[test]
fn a_file_that_is_no_queue_is_refused() {
    for garbage in [&b""[..], b"hello", &[0; 10_000], &[0xff; 10_000]] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("queue.redb"), garbage).unwrap();
        assert!(refused(dir.path()).contains("damaged"));
        assert_eq!(std::fs::read(dir.path().join("queue.redb")).unwrap(), garbage, "it is left as it was");
    }
}

#[test]
fn a_queue_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Embedded::open(dir.path()).unwrap());
    let db = redb::Database::open(dir.path().join("queue.redb")).unwrap();
    let write = db.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 2).unwrap();
    write.commit().unwrap();
    drop(db);
    let text = refused(dir.path());
    assert!(text.contains("queue format 2") && text.contains("reads format 1"), "{text}");
}

#[test]
fn a_database_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = redb::Database::create(dir.path().join("queue.redb")).unwrap();
    let write = db.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<&str, u64>::new("theirs")).unwrap().insert("x", 2).unwrap();
    write.commit().unwrap();
    drop(db);
    assert!(refused(dir.path()).contains("not a queue of tagmill"));
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    std::fs::write(&file, "mine").unwrap();
    assert!(refused(&file).contains("is not a directory"));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(dir.path().join("probe"), "").is_ok() {
        eprintln!("not checked: permissions do not bind this user");
        return;
    }
    assert!(refused(dir.path()).contains("cannot be written"));
}

#[test]
fn a_half_made_queue_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("queue.redb.new"), "half").unwrap();
    assert!(Embedded::open(dir.path()).is_ok());
}

#[tokio::test]
async fn a_full_disk_fails_the_step_and_keeps_what_was_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let queue = Embedded::open_with(dir.path(), disk.opener()).unwrap();
    let message = |n: u64| (1, format!("{n} {}", "x".repeat(10_000)).into_bytes());
    queue.publish(&lane("a"), (0..20).map(message).collect()).await.unwrap();
    disk.limit(Some(disk.size()));
    let mut confirmed = 20;
    let error = loop {
        match queue.publish(&lane("a"), vec![message(confirmed)]).await {
            Ok(()) => confirmed += 1,
            Err(error) => break error.to_string(),
        }
        assert!(confirmed < 10_000, "the disk never filled up");
    };
    assert!(error.contains("no space left") && error.contains("queue.redb"), "{error}");
    // What was confirmed can be read while the disk is full, and every later step is refused in the same words.
    let error = queue.publish(&lane("a"), (0..500).map(message).collect()).await.unwrap_err().to_string();
    assert!(error.contains("no space left"), "{error}");
    assert_eq!(queue.backlog(&lane("a")).await.unwrap(), confirmed);
    // With room again the same process goes on.
    disk.limit(None);
    queue.publish(&lane("a"), vec![message(confirmed)]).await.unwrap();
    drop(queue);
    let queue = Embedded::open(dir.path()).unwrap();
    let got = head(&queue, "a", usize::try_from(confirmed).unwrap() + 1).await;
    for (n, delivery) in (0..).zip(&got) {
        assert_eq!(delivery.body, message(n).1);
    }
}

const HOLDS: &str = "TAGMILL_TEST_HOLDS";

/// Run as a second process by the test below.
#[test]
fn holding_a_state_directory() {
    let Ok(dir) = std::env::var(HOLDS) else { return };
    let _queue = Embedded::open(Path::new(&dir)).unwrap();
    println!("\nholding");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_second_process_is_told_who_has_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "damage::holding_a_state_directory", "--nocapture"])
        .env(HOLDS, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holding"));
    match Embedded::open(dir.path()) {
        Err(BrokerError::InUse(text)) => {
            assert!(text.contains(&format!("in use by process {}", holder.id())), "{text}");
        }
        other => panic!("it should have been in use: {other:?}"),
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    // A process that is gone holds nothing.
    assert!(Embedded::open(dir.path()).is_ok());
}

#[tokio::test]
async fn a_second_opening_in_one_process_is_refused_too() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path()).unwrap();
    assert!(matches!(Embedded::open(dir.path()), Err(BrokerError::InUse(_))));
    drop(queue);
    assert!(Embedded::open(dir.path()).is_ok());
}
