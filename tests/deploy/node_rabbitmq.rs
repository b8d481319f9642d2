//! A node that begins with our definitions: its least-privilege user can do tagmill's work and no more.

use super::{
    files::{path, text, value},
    rabbit::Setup,
};
use std::{
    path::Path,
    process::{Command, Output},
};

/// The binary with this config, whose broker is where `AMQP_URL` says.
fn tagmill(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tagmill"))
        .args(arguments)
        .env("TAGMILL_CONFIG", folder.join("tagmill.yaml"))
        .env("AMQP_URL", url)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_our_definitions_lets_the_user_work_under_the_prefix_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // As in the container: our definitions and the secret with the user in one folder.
    let secrets = folder.join("secrets");
    let made = Command::new("bash").arg(path("scripts/compose-secrets.sh")).arg(&secrets).output().unwrap();
    assert!(made.status.success());
    let definitions = folder.join("definitions");
    std::fs::create_dir(&definitions).unwrap();
    std::fs::copy(path("deploy/rabbitmq/definitions.json"), definitions.join("10-tagmill.json")).unwrap();
    std::fs::copy(secrets.join("rabbitmq_users.json"), definitions.join("20-users.json")).unwrap();
    let config =
        text("deploy/rabbitmq/rabbitmq.conf").replace("/etc/rabbitmq/definitions", definitions.to_str().unwrap());
    let lines: Vec<&str> = config.lines().collect();
    let Some(node) = Setup::new().with_config(&lines).start().await else { return };

    let users = node.ctl(&["list_users", "--formatter", "json"]).await;
    let users: serde_json::Value = serde_json::from_str(&users).unwrap();
    assert_eq!(users.as_array().unwrap().len(), 1, "no user `guest` is left: {users}");
    assert_eq!(users[0]["tags"].as_array().unwrap().len(), 0, "no administrator: {users}");

    let url = std::fs::read_to_string(secrets.join("amqp_url")).unwrap().replace("rabbitmq:5672", &node.address());
    let lanes = "lanes: [{ name: one, provider: huawei-tms, region: cn-north-4 }]\n";
    let config = |broker: &str| {
        let text = format!("broker: {{ url: {{ env: AMQP_URL }}{broker} }}\n{lanes}");
        std::fs::write(folder.join("tagmill.yaml"), text).unwrap();
    };
    let jobs = folder.join("jobs.csv");
    std::fs::write(&jobs, "id,type,project,env\nd-1,disk,p-1,prod\n").unwrap();
    let submit = ["submit", jobs.to_str().unwrap()];

    config("");
    let sent = tagmill(folder, &url, &submit);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let status = tagmill(folder, &url, &["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["lanes"][0]["ready"], 1, "{status}");

    // The same user, one name beside the prefix.
    config(", prefix: elsewhere");
    let refused = tagmill(folder, &url, &submit);
    assert!(!refused.status.success(), "it must not make what is not ours");
}

#[test]
fn the_policy_for_newer_brokers_is_on_all_queues_of_lanes_and_says_what_the_page_says() {
    let policies = value("deploy/rabbitmq/policies-4.3.json");
    let policy = &policies["policies"][0];
    assert_eq!(policy["pattern"], r"^tagmill\.(lane|urgent)\.");
    assert!(text("docs/RABBITMQ.md").contains("consumer-disconnected-timeout: 10000"));
    assert_eq!(policy["definition"]["consumer-disconnected-timeout"], 10000);
    assert_eq!(value("deploy/rabbitmq/definitions.json")["policies"], serde_json::json!([]), "older brokers refuse it");
}
