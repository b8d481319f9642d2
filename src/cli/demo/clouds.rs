//! The demo's simulated clouds with their faults, and the config of the lanes that call them.

use super::workload::{Lane, Poison, Workload, prefix};
use crate::sim::{Api, BucketRegion, CloudConfig, Faults, Rate, RetryAfter, SimConfig, Slow, well_known};
use std::path::Path;

/// What the user is told.
pub(super) const STORY: &str = "\
Five simulated accounts of three clouds on this machine check every signature and every limit. They allow fewer calls a
second than the lanes are set to, answer some calls with 500, 502 and 503, cut some answers short, break some connections,
fail single resources for a moment, and hold a few resources that can never be tagged.";

pub(super) fn config(workload: &Workload, seed: u64) -> SimConfig {
    let clouds = Lane::ALL.into_iter().map(|lane| cloud(lane, workload)).collect();
    SimConfig { seed, clouds }
}

fn cloud(lane: Lane, workload: &Workload) -> CloudConfig {
    let (api, key, secret) = match lane {
        Lane::Huawei => (Api::HuaweiTms, well_known::HUAWEI_ACCESS_KEY, well_known::HUAWEI_SECRET_KEY),
        Lane::Rds => (Api::AlibabaRds, well_known::ALIBABA_ACCESS_KEY, well_known::ALIBABA_SECRET_KEY),
        Lane::Tag => (Api::AlibabaTag, well_known::ALIBABA_ACCESS_KEY, well_known::ALIBABA_SECRET_KEY),
        Lane::Aws => (Api::AwsTagging, well_known::AWS_ACCESS_KEY, well_known::AWS_SECRET_KEY),
        Lane::Buckets => (Api::AwsS3, well_known::AWS_ACCESS_KEY, well_known::AWS_SECRET_KEY),
    };
    let with = |poison: Poison| {
        let mine = workload.poison().any(|server| server.lane == lane && server.poison == Some(poison));
        if mine { vec![format!("*{}-*", prefix(poison))] } else { Vec::new() }
    };
    let faults = Faults {
        error_500: 0.02,
        error_502: 0.01,
        error_503: 0.02,
        reset_before: 0.01,
        reset_after: 0.01,
        truncated: 0.01,
        transient_items: if lane == Lane::Rds { 0.0 } else { 0.002 },
        slow: Slow { probability: 0.02, min_ms: 100, max_ms: 600 },
        unknown: with(Poison::Unknown),
        poison_500: with(Poison::Breaks),
        denied: with(Poison::Denied),
        ..Faults::default()
    };
    let (allowed, retry_after) = match lane {
        Lane::Huawei => (28.0, RetryAfter::Seconds(1)),
        Lane::Rds | Lane::Tag | Lane::Aws => (22.0, RetryAfter::Milliseconds(400)),
        Lane::Buckets => (40.0, RetryAfter::Seconds(1)),
    };
    CloudConfig {
        rate: Some(Rate::new(allowed, 5.0)),
        retry_after: Some(retry_after),
        // Buckets of another region answer with a redirect.
        bucket_regions: vec![BucketRegion { id: "*7".into(), region: "eu-west-1".into() }],
        region: (lane == Lane::Buckets).then(|| "us-east-1".to_owned()),
        faults,
        ..CloudConfig::new(lane.name(), api, key, secret)
    }
}

/// The config a user would write, with the simulated clouds' address as endpoint.
pub(super) fn lanes(url: &str, dir: &Path) -> String {
    let state = serde_json::Value::from(dir.join("state").to_string_lossy());
    let (huawei_key, huawei_secret) = (well_known::HUAWEI_ACCESS_KEY, well_known::HUAWEI_SECRET_KEY);
    let domain = well_known::HUAWEI_DOMAIN_ID;
    let (aws_key, aws_secret) = (well_known::AWS_ACCESS_KEY, well_known::AWS_SECRET_KEY);
    let (alibaba_key, alibaba_secret) = (well_known::ALIBABA_ACCESS_KEY, well_known::ALIBABA_SECRET_KEY);
    format!(
        "\
state: {state}
lanes:
  - name: huawei-prod
    provider: huawei-tms
    region: cn-north-4
    credentials: {{ access_key: {huawei_key}, secret_key: {huawei_secret}, domain_id: \"{domain}\" }}
    rate: {{ per_second: 40, burst: 5 }}
    endpoint: {url}
  - name: alibaba-databases
    provider: alibaba-rds
    region: cn-hangzhou
    credentials: {{ access_key: {alibaba_key}, secret_key: {alibaba_secret} }}
    rate: {{ per_second: 30, burst: 5 }}
    endpoint: {url}
  - name: alibaba-all
    provider: alibaba-tag
    region: cn-hangzhou
    credentials: {{ access_key: {alibaba_key}, secret_key: {alibaba_secret} }}
    rate: {{ per_second: 30, burst: 5 }}
    endpoint: {url}
  - name: aws-all
    provider: aws-tagging
    region: us-east-1
    credentials: {{ access_key: {aws_key}, secret_key: {aws_secret} }}
    rate: {{ per_second: 30, burst: 5 }}
    endpoint: {url}
  - name: aws-buckets
    provider: aws-s3
    region: us-east-1
    credentials: {{ access_key: {aws_key}, secret_key: {aws_secret} }}
    rate: {{ per_second: 50, burst: 5 }}
    concurrency: 4
    endpoint: {url}
"
    )
}
