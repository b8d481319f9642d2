//! What kustomize and Helm make of our files, against the schemas of Kubernetes and against what we promise.

use super::{
    files::{path, seconds, values},
    tools::{helm, programs},
};
use serde_json::Value;
use std::{path::Path, process::Command};

const EVERYTHING: [&str; 4] =
    ["serviceMonitor.enabled=true", "prometheusRule.enabled=true", "dashboards.enabled=true", "keda.enabled=true"];

fn kustomized(programs: &Path, overlay: &str) -> String {
    let folder = path("deploy/kubernetes/overlays").join(overlay);
    let made = Command::new(programs.join("kubectl")).arg("kustomize").arg(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

fn rendered(helm: &Path, set: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm);
    command.args(["template", "tagmill"]).arg(path("deploy/helm/tagmill"));
    for each in set {
        command.args(["--set", each]);
    }
    let made = command.output().unwrap();
    if made.status.success() {
        Ok(String::from_utf8(made.stdout).unwrap())
    } else {
        Err(String::from_utf8(made.stderr).unwrap())
    }
}

/// Every kind of Kubernetes itself, strictly; other operators' kinds have no schema there.
fn is_valid(programs: &Path, stream: &str) {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), stream).unwrap();
    let said = Command::new(programs.join("kubernetes-validate"))
        .args(["--strict", "--quiet"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|each| each["kind"] == kind).collect()
}

/// The promises on what a security team looks at.
fn is_restricted(objects: &[Value]) {
    let deployments = of_kind(objects, "Deployment");
    assert_eq!(deployments.len(), 1);
    let template = &deployments[0]["spec"]["template"];
    let pod = &template["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert!(seconds(&pod["terminationGracePeriodSeconds"]) > 25);
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        assert!(container["resources"]["requests"]["cpu"].is_string());
        assert!(container["resources"]["limits"]["memory"].is_string());
        let image = container["image"].as_str().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "http", "{probe}");
        }
    }
    // Whatever selects pods selects these, by all that it names.
    let labels = template["metadata"]["labels"].as_object().unwrap();
    for (kind, at) in [
        ("Service", "/spec/selector"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ("Deployment", "/spec/selector/matchLabels"),
    ] {
        let found = of_kind(objects, kind);
        assert_eq!(found.len(), 1, "{kind}");
        let selector =
            found[0].pointer(at).and_then(Value::as_object).unwrap_or_else(|| panic!("{kind} selects by label"));
        assert!(selector.len() >= 2, "{kind} selects too much");
        assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{kind}: {selector:?}");
    }
    assert!(of_kind(objects, "Secret").is_empty(), "secrets are made by others");
}

/// The value with one space for any white space.
fn squeezed(value: &Value) -> Value {
    match value {
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        Value::Array(all) => all.iter().map(squeezed).collect(),
        Value::Object(all) => Value::Object(all.iter().map(|(key, value)| (key.clone(), squeezed(value))).collect()),
        other => other.clone(),
    }
}

/// The promises on the operators' kinds, whose schemas are not at hand.
fn is_observed(objects: &[Value]) {
    let scaled = of_kind(objects, "ScaledObject");
    let trigger = &scaled[0]["spec"]["triggers"][0];
    assert_eq!(trigger["metadata"]["protocol"], "http");
    assert_eq!(trigger["metadata"]["excludeUnacknowledged"], "false");
    assert!(scaled[0]["spec"]["maxReplicaCount"].as_u64().unwrap() <= 3, "an account has one rate limit");
    let deployment = of_kind(objects, "Deployment")[0];
    assert_eq!(scaled[0]["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"]);
    assert!(deployment["spec"]["replicas"].is_null(), "KEDA says how many there are");
    let login = of_kind(objects, "TriggerAuthentication")[0];
    assert_eq!(trigger["authenticationRef"]["name"], login["metadata"]["name"]);
    let monitor = of_kind(objects, "ServiceMonitor")[0];
    assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
    assert!(monitor["spec"]["endpoints"][0]["authorization"]["credentials"]["key"].is_string());
    let service = of_kind(objects, "Service")[0];
    let labels = service["metadata"]["labels"].as_object().unwrap();
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{selector:?}");
    let job = monitor["spec"]["jobLabel"].as_str().unwrap();
    assert_eq!(labels[job], "tagmill", "TagmillDown looks for jobs that begin so");
    // Kustomize breaks long expressions elsewhere, which says the same.
    let rules = super::files::value("deploy/prometheus/rules/tagmill.yml");
    assert_eq!(squeezed(&of_kind(objects, "PrometheusRule")[0]["spec"]), squeezed(&rules));
    let maps = of_kind(objects, "ConfigMap");
    let dashboards = maps.iter().find(|map| map["metadata"]["labels"]["grafana_dashboard"] == "1").unwrap();
    for (name, text) in dashboards["data"].as_object().unwrap() {
        assert_eq!(
            text.as_str().unwrap().trim(),
            super::files::text(&format!("deploy/grafana/dashboards/{name}")).trim()
        );
    }
    assert_eq!(dashboards["data"].as_object().unwrap().len(), 3);
}

#[test]
fn kustomize_makes_restricted_workers() {
    let Some(programs) = programs() else { return };
    for overlay in ["minimal", "observed"] {
        let stream = kustomized(&programs, overlay);
        is_valid(&programs, &stream);
        let objects = values(&stream);
        is_restricted(&objects);
        if overlay == "observed" {
            is_observed(&objects);
        }
    }
}

#[test]
fn helm_makes_restricted_workers() {
    let (Some(programs), Some(helm)) = (programs(), helm()) else { return };
    for set in [&[] as &[&str], &EVERYTHING] {
        let stream = rendered(&helm, set).unwrap();
        is_valid(&programs, &stream);
        let objects = values(&stream);
        is_restricted(&objects);
        if !set.is_empty() {
            is_observed(&objects);
        }
    }
}

#[test]
fn helm_finds_no_fault_with_the_chart() {
    let Some(helm) = helm() else { return };
    let said = Command::new(helm).args(["lint", "--strict"]).arg(path("deploy/helm/tagmill")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn helm_refuses_values_that_would_hurt() {
    let Some(helm) = helm() else { return };
    for bad in ["image.tag=latest", "terminationGracePeriodSeconds=20", "config.server.tokens=null", "replica=3"] {
        assert!(rendered(&helm, &[bad]).is_err(), "{bad}");
    }
}

#[test]
fn another_config_is_another_rollout_of_the_chart() {
    let Some(helm) = helm() else { return };
    let sum = |set: &[&str]| {
        let objects = values(&rendered(&helm, set).unwrap());
        let deployment = of_kind(&objects, "Deployment")[0].clone();
        deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"].as_str().unwrap().to_owned()
    };
    assert_eq!(sum(&[]), sum(&["replicas=3"]));
    assert_ne!(sum(&[]), sum(&["config.lanes[0].name=other"]));
}

#[test]
fn a_role_of_the_cloud_is_an_annotation_of_the_service_account() {
    let Some(helm) = helm() else { return };
    let role = r"serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::123456789012:role/tagmill";
    let objects = values(&rendered(&helm, &[role]).unwrap());
    let account = of_kind(&objects, "ServiceAccount")[0];
    assert_eq!(
        account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        "arn:aws:iam::123456789012:role/tagmill"
    );
}
