//! The simulator keeps its promises: checked from outside, over HTTP, with requests signed here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_collect,
    reason = "helpers of a test are a test: what fails in them fails it"
)]

mod alibaba;
mod aws;
mod client;
mod faults;
mod huawei;
mod inspect;
mod rate;
mod sign;
mod sts;

#[test]
fn the_example_in_the_guide_is_a_valid_configuration() {
    let guide = include_str!("../../docs/SIMULATOR.md");
    let example = guide.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = tagmill::sim::SimConfig::parse(example).unwrap();
    assert!(config.clouds.len() >= 4);
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused_with_every_reason() {
    let cloud =
        "{name: a, provider: huawei-tms, access_key: k, secret_key: s, rate: {per_second: 0}, faults: {error_500: 2}}";
    let twice = format!("clouds: [{cloud}, {cloud}]");
    let problem = tagmill::sim::SimConfig::parse(&twice).unwrap_err().to_string();
    for part in ["same name", "same provider and access_key", "per_second above 0", "error_500 is 2"] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    for wrong in ["clouds: []", "cloud: []", "clouds: [{name: a, provider: gcp, access_key: k, secret_key: s}]"] {
        assert!(tagmill::sim::SimConfig::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_configuration_never_shows_its_secrets() {
    let cloud = "{name: a, provider: huawei-tms, access_key: k, secret_key: hush1, security_token: hush2, \
        users: [{domain: d, name: n, password: hush3}]}";
    let config = tagmill::sim::SimConfig::parse(&format!("clouds: [{cloud}]")).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
}
