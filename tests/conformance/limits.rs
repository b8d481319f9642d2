//! Limits and other settings: lowered at will, never raised, wrong ones named.

use crate::data::Sample;
use tagmill::provider::{ALL, Write, find};

#[test]
fn limits_can_be_lowered_to_one() {
    for sample in Sample::all() {
        let most = sample.provider.limits().clone();
        // A write that replaces carries the whole set, so its tags cannot be cut.
        let whole = most.write == Write::Replace;
        if whole {
            let problem = sample.with(|settings| settings.tags_per_call = Some(1)).unwrap_err();
            assert!(problem.starts_with("tags_per_call: "), "{}: {problem}", sample.entry.name);
        }
        let fewest = if whole { most.tags_per_call } else { 1 };
        for (resources, tags) in [(1, fewest), (most.resources_per_call, most.tags_per_call)] {
            let lowered = sample.with(|settings| {
                settings.resources_per_call = Some(resources);
                settings.tags_per_call = Some(tags);
            });
            let limits = lowered.unwrap().limits().clone();
            assert_eq!((limits.resources_per_call, limits.tags_per_call), (resources, tags), "{}", sample.entry.name);
            assert_eq!(limits.keys_per_call, most.keys_per_call.min(tags), "{}", sample.entry.name);
        }
    }
}

#[test]
fn limits_can_neither_be_raised_nor_be_zero() {
    for sample in Sample::all() {
        let most = sample.provider.limits().clone();
        for resources in [0, most.resources_per_call + 1, usize::MAX] {
            let problem = sample.with(|settings| settings.resources_per_call = Some(resources)).unwrap_err();
            assert!(problem.starts_with("resources_per_call: "), "{}: {problem}", sample.entry.name);
        }
        for tags in [0, most.tags_per_call + 1, usize::MAX] {
            let problem = sample.with(|settings| settings.tags_per_call = Some(tags)).unwrap_err();
            assert!(problem.starts_with("tags_per_call: "), "{}: {problem}", sample.entry.name);
        }
    }
}

#[test]
fn all_wrong_settings_are_named_at_once() {
    for sample in Sample::all() {
        let problems = sample.with(|settings| {
            settings.endpoint = Some("example.com/path".into());
            settings.resources_per_call = Some(0);
            settings.tags_per_call = Some(0);
        });
        let problems = problems.unwrap_err();
        for field in ["endpoint: ", "resources_per_call: ", "tags_per_call: "] {
            assert!(problems.contains(field), "{}: {problems}", sample.entry.name);
        }
    }
}

#[test]
fn a_region_that_would_be_a_host_is_refused() {
    for sample in Sample::all() {
        for region in ["evil.example/", "a b", "CN"] {
            let problem = sample.with(|settings| settings.region = region.into()).unwrap_err();
            assert!(problem.contains("region: "), "{}: {problem}", sample.entry.name);
        }
    }
}

#[test]
fn an_endpoint_of_ones_own_replaces_the_clouds() {
    use crate::data::{at, key};
    use tagmill::provider::Op;
    for sample in Sample::all() {
        for endpoint in ["http://127.0.0.1:9001", "http://127.0.0.1:9001/"] {
            let own = sample.with(|settings| settings.endpoint = Some(endpoint.into())).unwrap();
            let moment = at("2025-01-02T03:04:05Z", "n-1");
            let request = own.encode(&sample.call(Op::Set), None, &key("ak", "sk", None, None), &moment);
            assert!(request.url.starts_with("http://127.0.0.1:9001/"), "{}: {}", sample.entry.name, request.url);
        }
    }
}

#[test]
fn a_sample_is_a_call_within_limits_that_may_share_a_request() {
    for sample in Sample::all() {
        let limits = sample.provider.limits();
        assert!(sample.resources.len() <= limits.resources_per_call && sample.set.len() <= limits.tags_per_call);
        let share: Vec<_> = sample.resources.iter().map(|resource| sample.provider.share_key(resource)).collect();
        assert!(share.windows(2).all(|pair| pair[0] == pair[1]), "{}", sample.entry.name);
        let mut keys: Vec<_> = sample.resources.iter().map(|resource| sample.provider.resource_key(resource)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), sample.resources.len(), "{}", sample.entry.name);
    }
}

#[test]
fn every_provider_is_found_by_its_name_and_says_it() {
    for sample in Sample::all() {
        assert_eq!(sample.provider.name(), sample.entry.name);
        assert_eq!(find(sample.entry.name).map(|entry| entry.name), Some(sample.entry.name));
        assert!(sample.entry.default_rate > 0.0);
    }
    assert!(find("no-such-cloud").is_none());
}

#[test]
fn every_folder_of_providers_is_registered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/provider");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let cloud = format!("{}-", path.file_name().unwrap().to_str().unwrap());
            assert!(ALL.iter().any(|entry| entry.name.starts_with(&cloud)), "{cloud} has a folder and no line in ALL");
        }
    }
}
