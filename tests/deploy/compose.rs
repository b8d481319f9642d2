//! docker-compose.yml: hardened throughout, nothing reachable from outside, no secret in a file of the repository.

use super::files::{path, text, texts, value};
use serde_json::Value;
use std::process::Command;

#[test]
fn each_service_is_shut_in() {
    let compose = value("docker-compose.yml");
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(service["healthcheck"]["test"].is_array(), "{name}");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        assert!(service["privileged"].is_null() && service["network_mode"].is_null(), "{name}");
        for volume in texts(&service["volumes"]) {
            assert!(!volume.starts_with('.') || volume.ends_with(":ro"), "{name}: {volume}");
        }
    }
}

#[test]
fn prometheus_and_grafana_come_only_when_asked_for() {
    let compose = value("docker-compose.yml");
    for (name, service) in compose["services"].as_object().unwrap() {
        let asked_for = texts(&service["profiles"]) == ["observability"];
        assert_eq!(asked_for, ["prometheus", "grafana"].contains(&name.as_str()), "{name}");
    }
}

#[test]
fn every_file_that_is_mounted_is_there() {
    let compose = value("docker-compose.yml");
    for service in compose["services"].as_object().unwrap().values() {
        for volume in texts(&service["volumes"]) {
            let from = volume.split(':').next().unwrap();
            assert!(!from.starts_with('.') || path(from).exists(), "{from}");
        }
    }
}

#[test]
fn secrets_are_files_that_the_script_makes_and_git_leaves_alone() {
    let compose = value("docker-compose.yml");
    assert!(text(".gitignore").lines().any(|line| line == "/deploy/compose/secrets/"));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("secrets");
    let make = || {
        let script = path("scripts/compose-secrets.sh");
        let made = Command::new("bash").arg(script).arg(&folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    make();
    let read =
        |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for secret in compose["secrets"].as_object().unwrap().values() {
        let file = secret["file"].as_str().unwrap();
        let name = file.strip_prefix("./deploy/compose/secrets/").unwrap();
        assert!(read(name).len() >= 48, "{name}");
    }
    let users: Value = serde_json::from_str(&read("rabbitmq_users.json")).unwrap();
    let password = users["users"][0]["password"].as_str().unwrap();
    assert_eq!(read("amqp_url"), format!("amqp://tagmill:{password}@rabbitmq:5672/tagmill"));
    let before = read("amqp_url");
    make();
    assert_eq!(read("amqp_url"), before, "a second run leaves all as it is");
}

#[test]
fn each_service_names_secrets_that_there_are_and_the_config_reads_no_others() {
    let compose = value("docker-compose.yml");
    let known = compose["secrets"].as_object().unwrap();
    let worker = texts(&compose["services"]["worker"]["secrets"]);
    for name in &worker {
        assert!(known.contains_key(*name), "{name}");
    }
    for line in text("deploy/compose/worker.yaml").lines().filter(|line| !line.trim_start().starts_with('#')) {
        if let Some((_, rest)) = line.split_once("/run/secrets/") {
            let name: String = rest.chars().take_while(|each| each.is_alphanumeric() || *each == '_').collect();
            assert!(worker.contains(&name.as_str()), "{name}");
        }
    }
}
