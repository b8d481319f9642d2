//! How `make test` comes by a broker: `scripts/broker.sh`, way by way, with the other ways closed.

use crate::rabbit::{Node, answers, nodes_are_left_out};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

/// Nobody listens here: the port is reserved.
const NOBODY: &str = "127.0.0.1:1";
/// Stands in for Docker: its one container is the broker at $ADDRESS, and it notes what it is asked for.
const DOCKER: &str = r#"#!/bin/sh
echo "$1 $2" >>"$CALLS"
case $1 in
    version) echo 99.0 ;;
    run) echo 0123456789abcdef ;;
    port) printf '%s\n[::1]:1\n' "$ADDRESS" ;;
    inspect) echo true ;;
esac
"#;

/// The script, told to run a command that prints the URL it got.
fn script(folder: &Path) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/broker.sh"));
    command.args(["sh", "-c", "echo \"url $TAGMILL_TEST_AMQP\"; exit 7"]);
    let path = std::env::join_paths(
        [folder.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    command.env("PATH", path.unwrap()).env("TMPDIR", folder);
    command.env("TAGMILL_TEST_PROBE", NOBODY).env("TAGMILL_RABBITMQ_SBIN", "/nowhere");
    for variable in ["TAGMILL_TEST_AMQP", "TAGMILL_TEST_NO_BROKER", "TAGMILL_TEST_IMAGE"] {
        command.env_remove(variable);
    }
    write_docker(folder, "#!/bin/sh\nexit 1\n");
    command
}

fn write_docker(folder: &Path, text: &str) {
    let file = folder.join("docker");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The URL that the command got, and what the script said. The exit code is the command's.
fn outcome(output: &Output) -> (String, String) {
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let [out, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    (out.strip_prefix("url ").unwrap().trim_end().to_owned(), said)
}

#[test]
fn without_any_broker_it_says_what_is_missing_and_sets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (url, said) = outcome(&script(folder.path()).output().unwrap());
    assert_eq!(url, "");
    for part in [NOBODY, "no engine answers", "/nowhere", "will fail", "TAGMILL_TEST_NO_BROKER=1 make test"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn it_takes_the_url_it_is_given_and_no_broker_when_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let given = script(folder.path()).env("TAGMILL_TEST_AMQP", "amqp://u:secret@h/v").output().unwrap();
    let (url, said) = outcome(&given);
    assert_eq!(url, "amqp://u:secret@h/v");
    assert!(!said.contains("secret"), "{said}");
    let (url, said) = outcome(&script(folder.path()).env("TAGMILL_TEST_NO_BROKER", "1").output().unwrap());
    assert_eq!(url, "");
    assert!(said.contains("skipped"), "{said}");
}

#[tokio::test]
async fn it_finds_a_broker_that_is_there_and_asks_docker_for_one_otherwise() {
    let Some(node) = Node::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = outcome(&script(folder.path()).env("TAGMILL_TEST_PROBE", node.address()).output().unwrap());
    assert_eq!(url, node.url());

    let mut command = script(folder.path());
    write_docker(folder.path(), DOCKER);
    let calls = folder.path().join("calls");
    let output = command.env("ADDRESS", node.address()).env("CALLS", &calls).output().unwrap();
    let (url, said) = outcome(&output);
    assert_eq!(url, node.url(), "{said}");
    let calls = fs::read_to_string(&calls).unwrap();
    assert!(calls.contains("run --detach"), "{calls}");
    assert!(calls.trim_end().ends_with("rm --force"), "the container is removed at the end: {calls}");

    node.ctl(&["change_password", "guest", "changed"]).await;
    let (url, said) = outcome(&script(folder.path()).env("TAGMILL_TEST_PROBE", node.address()).output().unwrap());
    assert_eq!(url, "", "a broker that does not let guest in is not taken: {said}");
}

#[tokio::test]
async fn it_starts_a_node_of_its_own_and_ends_it() {
    if nodes_are_left_out() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = script(folder.path());
    match std::env::var_os("TAGMILL_RABBITMQ_SBIN") {
        Some(scripts) => command.env("TAGMILL_RABBITMQ_SBIN", scripts),
        None => command.env_remove("TAGMILL_RABBITMQ_SBIN"),
    };
    let (url, said) = outcome(&command.env("TAGMILL_TEST_NO_INSTALL", "1").output().unwrap());
    let address = url.strip_prefix("amqp://guest:guest@").unwrap_or_else(|| panic!("{said}")).trim_end_matches("/%2f");
    assert!(!answers(address).await, "the node is gone");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["docker"], "and so is its folder");
}
