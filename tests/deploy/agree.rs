//! What has to be the same in several files is the same.

use super::files::{path, seconds, text, texts, value};
use serde_json::Value;

/// The drain of `tagmill worker` where nothing else is said.
const DRAIN: u64 = 25;

#[test]
fn every_config_of_tagmill_is_a_good_one() {
    for name in ["deploy/compose/worker.yaml", "deploy/kubernetes/base/tagmill.yaml", "deploy/systemd/tagmill.yaml"] {
        let config = tagmill::config::load(&path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let server = config.server.unwrap_or_else(|| panic!("{name} has a server"));
        assert!(!server.tokens.is_empty(), "{name}: whoever reaches the port may do all");
    }
    let values = value("deploy/helm/tagmill/values.yaml");
    let config = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(config.path(), values["config"].to_string()).unwrap();
    tagmill::config::load(config.path()).unwrap_or_else(|error| panic!("values.yaml: {error}"));
    assert_eq!(values["config"], value("deploy/kubernetes/base/tagmill.yaml"), "the chart and kustomize begin alike");
}

#[test]
fn the_simulated_clouds_of_compose_are_those_of_the_examples() {
    assert_eq!(value("deploy/compose/clouds.yaml"), value("examples/clouds.yaml"));
}

#[test]
fn the_drain_is_what_these_files_think() {
    assert!(text("src/cli/worker.rs").contains(&format!("default_value = \"{DRAIN}s\"")));
}

#[test]
fn nothing_kills_a_worker_before_its_drain_is_over() {
    let compose = value("docker-compose.yml");
    assert!(seconds(&compose["services"]["worker"]["stop_grace_period"]) > DRAIN);
    let deployment = value("deploy/kubernetes/base/deployment.yaml");
    assert!(seconds(&deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]) > DRAIN);
    let values = value("deploy/helm/tagmill/values.yaml");
    assert!(seconds(&values["terminationGracePeriodSeconds"]) > seconds(&values["drain"]));
    let unit = text("deploy/systemd/tagmill-worker.service");
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(seconds(&Value::from(stop)) > DRAIN);
}

#[test]
fn one_version_stands_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let image = format!("tagmill:{version}");
    let compose = value("docker-compose.yml");
    for service in ["worker", "clouds"] {
        assert_eq!(compose["services"][service]["image"], Value::from(image.clone()), "{service}");
    }
    assert_eq!(value("deploy/helm/tagmill/Chart.yaml")["appVersion"], version);
    assert_eq!(value("deploy/kubernetes/base/kustomization.yaml")["images"][0]["newTag"], version);
    assert!(text("deploy/docker/Dockerfile").contains(&format!("ARG VERSION={version}")));
}

#[test]
fn images_have_a_version() {
    let compose = value("docker-compose.yml");
    let mut images: Vec<String> = compose["services"]
        .as_object()
        .unwrap()
        .values()
        .map(|each| each["image"].as_str().unwrap().to_owned())
        .collect();
    let dockerfile = text("deploy/docker/Dockerfile");
    let stages: Vec<&str> = dockerfile.lines().filter_map(|line| line.split(" AS ").nth(1)).collect();
    let from = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    images.extend(
        from.map(|from| from.split(' ').next().unwrap().to_owned()).filter(|from| !stages.contains(&from.as_str())),
    );
    assert!(images.len() > 6, "{images:?}");
    for image in images {
        let tag = image.rsplit('/').next().unwrap().split_once(':').map(|(_, tag)| tag);
        // Debian's release is in the name of the distroless image; its tags are `nonroot` and the like.
        let pinned = |tag: &str| {
            tag.starts_with(|first: char| first.is_ascii_digit() || first == 'v') || image.contains("debian12")
        };
        assert!(tag.is_some_and(pinned), "{image}");
    }
}

#[test]
fn the_image_builds_with_the_rust_that_the_crate_asks_for() {
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    assert!(text("deploy/docker/Dockerfile").contains(&format!("FROM rust:{wanted}.")));
}

#[test]
fn a_port_and_a_path_are_the_same_in_all_files() {
    let compose = value("docker-compose.yml");
    let worker = &compose["services"]["worker"];
    let dockerfile = text("deploy/docker/Dockerfile");
    assert!(dockerfile.contains("ENV TAGMILL_CONFIG=/etc/tagmill/tagmill.yaml"));
    assert!(texts(&worker["volumes"])[0].ends_with(":/etc/tagmill/tagmill.yaml:ro"));
    assert!(dockerfile.contains("EXPOSE 9464"));
    assert_eq!(texts(&worker["ports"]), ["127.0.0.1:9464:9464"]);
    let deployment = value("deploy/kubernetes/base/deployment.yaml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"], 9464);
    for listen in [
        value("deploy/compose/worker.yaml"),
        value("deploy/kubernetes/base/tagmill.yaml"),
        value("deploy/helm/tagmill/values.yaml")["config"].clone(),
    ] {
        assert_eq!(listen["server"]["listen"], "0.0.0.0:9464");
    }
    let scraped = &value("deploy/compose/prometheus.yml")["scrape_configs"][0];
    assert_eq!(scraped["static_configs"][0]["targets"][0], "worker:9464");
    assert_eq!(scraped["job_name"], "tagmill", "the alert TagmillDown looks for it");
    assert!(text("deploy/grafana/provisioning/datasources/prometheus.yml").contains("http://prometheus:9090"));
    let grafana = texts(&compose["services"]["grafana"]["volumes"]).join(" ");
    assert!(grafana.contains(":/var/lib/grafana/dashboards/tagmill:"));
    assert!(text("deploy/grafana/provisioning/dashboards/tagmill.yml").contains("/var/lib/grafana/dashboards/tagmill"));
}

#[test]
fn probes_ask_what_the_server_has() {
    let routes = text("src/server/routes.rs");
    for file in ["deploy/kubernetes/base/deployment.yaml", "deploy/helm/tagmill/templates/deployment.yaml"] {
        for probe in ["/startupz", "/livez", "/readyz"] {
            assert!(text(file).contains(&format!("path: {probe},")), "{file}: {probe}");
            assert!(routes.contains(probe), "{probe}");
        }
    }
}

#[test]
fn rules_and_dashboards_are_everywhere_the_same_files() {
    let rules = value("deploy/prometheus/rules/tagmill.yml");
    assert_eq!(value("deploy/kubernetes/overlays/observed/prometheusrule.yaml")["spec"], rules, "copy the groups over");
    assert_eq!(value("deploy/helm/tagmill/files/rules.yml"), rules);
    let names = |folder: &str| {
        let mut names: Vec<String> = std::fs::read_dir(path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let dashboards = names("deploy/grafana/dashboards");
    assert_eq!(names("deploy/helm/tagmill/files/dashboards"), dashboards);
    let listed = value("deploy/grafana/kustomization.yaml");
    let mut listed: Vec<&str> = texts(&listed["configMapGenerator"][0]["files"]);
    listed.sort_unstable();
    assert_eq!(listed, dashboards.iter().map(|name| format!("dashboards/{name}")).collect::<Vec<_>>());
}

#[test]
fn the_values_of_the_chart_are_as_their_schema_says_and_bad_ones_are_not() {
    let schema = value("deploy/helm/tagmill/values.schema.json");
    let schema = jsonschema::validator_for(&schema).unwrap();
    let values = value("deploy/helm/tagmill/values.yaml");
    let complaints: Vec<String> = schema.iter_errors(&values).map(|error| error.to_string()).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    for (at, bad) in [
        ("/image/tag", Value::from("latest")),
        ("/image/digest", Value::from("sha256:short")),
        ("/replicas", Value::from(-1)),
        ("/drain", Value::from("a while")),
        ("/config/server/tokens", Value::Array(Vec::new())),
        ("/config/lanes", Value::Array(Vec::new())),
        ("/secret/name", Value::from("")),
        ("/keda/maxReplicas", Value::from(1000)),
    ] {
        let mut values = values.clone();
        *values.pointer_mut(at).unwrap() = bad;
        assert!(!schema.is_valid(&values), "{at}");
    }
    let mut misspelt = values.clone();
    misspelt["replica"] = Value::from(2);
    assert!(!schema.is_valid(&misspelt), "a key that the chart does not know");
}
