//! The unit as systemd itself judges it.

use super::files::{path, text};
use std::process::Command;

/// Of ten; what is left is the network, which a worker needs.
const EXPOSURE: &str = "15";

/// `systemd-analyze`, or nothing where there is none.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    // It wants the programs of the unit to be there: `true` stands for them.
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("tagmill-worker.service");
    let text = text("deploy/systemd/tagmill-worker.service").replace("/usr/local/bin/tagmill", "/bin/true");
    std::fs::write(&unit, text).unwrap();
    match Command::new("systemd-analyze").args(arguments).arg(&unit).output() {
        Ok(said) => {
            let text = [said.stdout, said.stderr].concat();
            Some((said.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            eprintln!("left out: systemd-analyze cannot be run: {error}");
            None
        }
    }
}

#[test]
fn systemd_understands_the_unit() {
    let Some((good, said)) = analyze(&["verify", "--man=no"]) else { return };
    assert!(good && !said.contains("tagmill-worker.service:"), "{said}");
}

#[test]
fn the_unit_is_shut_in() {
    let threshold = format!("--threshold={EXPOSURE}");
    let Some((good, said)) = analyze(&["security", "--offline=true", "--no-pager", &threshold]) else { return };
    assert!(good, "{said}");
}

#[test]
fn every_secret_that_the_config_reads_is_loaded_by_the_unit() {
    let unit = text("deploy/systemd/tagmill-worker.service");
    let config = text("deploy/systemd/tagmill.yaml");
    let mut read = 0;
    for (_, rest) in config
        .match_indices("/run/credentials/tagmill-worker.service/")
        .map(|(at, found)| config.split_at(at + found.len()))
    {
        let name: String = rest.chars().take_while(|each| each.is_alphanumeric() || *each == '_').collect();
        assert!(unit.contains(&format!("LoadCredential={name}:")), "{name}");
        read += 1;
    }
    assert_eq!(read, 2);
    assert!(path("deploy/systemd/tagmill.yaml").exists());
}
