//! Which bucket is meant, and under which URL it is found.

use crate::provider::{
    Settings,
    aws::{
        arn::Arn,
        place::{Place, partition},
    },
    signing::percent,
};

/// The name of a bucket that is given by name or by ARN.
pub(super) fn bucket(id: &str) -> &str {
    match Arn::parse(id) {
        Ok(arn) if arn.service == "s3" => arn.resource,
        _ => id,
    }
}

/// What is wrong with a bucket's name or ARN.
pub(super) fn problem(place: &Place, id: &str) -> Option<String> {
    if id.starts_with("arn:") {
        match place.arn(id) {
            Err(problem) => return Some(problem),
            Ok(arn) if arn.service != "s3" => return Some("id: neither a bucket nor the ARN of one".into()),
            Ok(_) => {}
        }
    }
    let name = bucket(id);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // Buckets of us-east-1 from before 2018 may have up to 255 characters, capitals and underscores.
    let good = (3..=255).contains(&name.len())
        && name.bytes().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !good {
        return Some("id: a bucket name has 3 to 63 characters of a-z 0-9 . -".into());
    }
    name.ends_with("--x-s3").then(|| "id: a directory bucket has no tags of this kind".into())
}

/// How a bucket is named in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// In the host, unless a certificate would not match the name.
    Host,
    /// In the path.
    Path,
}

impl Style {
    /// What the config says; an endpoint of one's own seldom has a host per bucket.
    pub(super) fn of(settings: &Settings) -> Self {
        if settings.path_style.unwrap_or(settings.endpoint.is_some()) { Self::Path } else { Self::Host }
    }
}

/// The URL of a bucket, with its path, without a query.
pub(super) fn url(place: &Place, style: Style, region: &str, bucket: &str) -> String {
    // A wildcard certificate matches one label, and host names know neither capitals nor underscores.
    let odd = bucket.bytes().any(|b| b == b'.' || b == b'_' || b.is_ascii_uppercase());
    let host = match &place.endpoint {
        Some(endpoint) => endpoint.base.clone(),
        None => format!("https://s3.{region}.{}", partition(region).1),
    };
    match host.split_once("://") {
        Some((scheme, host)) if style == Style::Host && !odd => format!("{scheme}://{bucket}.{host}/"),
        _ => format!("{host}/{bucket}"),
    }
}

/// The URL of a bucket's tags in S3 Control. With an endpoint of one's own the account is in the header alone.
pub(super) fn control_url(place: &Place, account: &str, region: &str, bucket: &str) -> String {
    let (partition, suffix) = partition(region);
    let host = match &place.endpoint {
        Some(endpoint) => endpoint.base.clone(),
        None => format!("https://{account}.s3-control.{region}.{suffix}"),
    };
    format!("{host}/v20180820/tags/{}", percent(&format!("arn:{partition}:s3:::{bucket}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(endpoint: Option<&str>) -> Place {
        let endpoint = endpoint.map(str::to_owned);
        Place::of(&Settings { region: "us-west-2".into(), endpoint, ..Settings::default() }).expect("a place")
    }

    #[test]
    fn a_bucket_is_in_the_host_where_its_name_fits_there() {
        for (bucket, found) in [
            ("plain-1", "https://plain-1.s3.us-west-2.amazonaws.com/"),
            ("my.bucket", "https://s3.us-west-2.amazonaws.com/my.bucket"),
            ("Old_Bucket", "https://s3.us-west-2.amazonaws.com/Old_Bucket"),
        ] {
            assert_eq!(url(&place(None), Style::Host, "us-west-2", bucket), found);
        }
        assert_eq!(
            url(&place(None), Style::Path, "cn-north-1", "plain"),
            "https://s3.cn-north-1.amazonaws.com.cn/plain"
        );
    }

    #[test]
    fn an_endpoint_of_ones_own_has_the_bucket_in_its_path_unless_told_otherwise() {
        let own = place(Some("http://127.0.0.1:9000"));
        assert_eq!(url(&own, Style::Path, "eu-west-1", "b"), "http://127.0.0.1:9000/b");
        assert_eq!(url(&own, Style::Host, "eu-west-1", "b"), "http://b.127.0.0.1:9000/");
        let style = |path_style, endpoint: Option<&str>| {
            Style::of(&Settings { path_style, endpoint: endpoint.map(str::to_owned), ..Settings::default() })
        };
        assert_eq!(style(None, None), Style::Host);
        assert_eq!(style(None, Some("http://a")), Style::Path);
        assert_eq!(style(Some(false), Some("http://a")), Style::Host);
        assert_eq!(style(Some(true), None), Style::Path);
    }
}
