//! Where requests go: a scheme and a host, written the way an HTTP client will send it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An endpoint without a path. Its host goes under the signature, so it must be what the client puts into `Host`:
/// lower case, and without a port that the scheme implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://` or `http://` and the host.
    pub base: String,
    /// `name`, `name:port` or `[address]:port`.
    pub host: String,
}

impl Endpoint {
    /// The endpoint of a cloud's own host name.
    pub fn of_host(host: &str) -> Self {
        Self { base: format!("https://{host}"), host: host.to_owned() }
    }

    /// Reads `http://host`, `https://host:port`, with or without one slash at the end. The error starts with `endpoint:`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("endpoint: {why}; write it as https://host or http://host:port"));
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => return wrong("the scheme is missing"),
        };
        let implied = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return wrong("the scheme is neither http nor https"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return wrong("it has a path or a query");
        }
        if authority.contains('@') {
            return wrong("it has a user name; credentials are set elsewhere");
        }
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (authority, None),
        };
        let Some(name) = host_name(name) else {
            return wrong("the host is not a name or an address");
        };
        let port = match port.map(str::parse::<u16>) {
            None => implied,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return wrong("the port is not a number from 1 to 65535"),
        };
        let host = if port == implied { name } else { format!("{name}:{port}") };
        Ok(Self { base: format!("{scheme}://{host}"), host })
    }
}

/// The host in the form clients send: names in lower case, addresses in their shortest form.
fn host_name(name: &str) -> Option<String> {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.is_empty() || name.len() > 253 || name.starts_with('.') || !name.bytes().all(plain) {
        return None;
    }
    // A last label of digits makes it an address, and clients rewrite odd ones ("127.1"): take only the plain form.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return name.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    Some(name.to_ascii_lowercase())
}

/// A region goes into host names and parameters: 1 to 64 characters of `a-z 0-9 -`. The error starts with `region:`.
pub fn check_region(region: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if region.is_empty() {
        return Err("region: missing".into());
    }
    if region.len() > 64 || region.starts_with('-') || !region.bytes().all(plain) {
        return Err("region: a region has 1 to 64 characters of a-z 0-9 -, such as cn-hangzhou".into());
    }
    Ok(())
}

/// The host of a URL, as it is signed: what stands between `://` and the next `/` or `?`.
pub(super) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Path and query of a URL, as they stand in it. No path is `/`.
pub(super) fn path_and_query(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    (if path.is_empty() { "/" } else { path }, query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_as_a_client_sends_it() {
        for (text, base) in [
            ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
            ("https://TMS.example.com/", "https://tms.example.com"),
            ("https://a-b.example:443", "https://a-b.example"),
            ("http://a.example:80/", "http://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("HTTP://[::1]:9001", "http://[::1]:9001"),
            ("https://[::1]", "https://[::1]"),
        ] {
            assert_eq!(Endpoint::parse(text).map(|e| e.base), Ok(base.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_endpoint_that_is_not_a_scheme_and_a_host_is_refused() {
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///",
            "https://a/b",
            "https://a//",
            "https://a?b",
            "https://u:p@a",
            "https://a:0",
            "https://a:99999",
            "https://a:",
            "https://a b",
            "https://a\r\nx: y",
            "https://127.1",
            "https://1.2.3.4.5",
            "https://[::1",
            "https://.",
            "https://é.example",
        ] {
            let problem = Endpoint::parse(text).expect_err(text);
            assert!(problem.starts_with("endpoint: "), "{problem}");
        }
    }

    #[test]
    fn a_region_cannot_smuggle_a_host() {
        assert_eq!(check_region("cn-north-4"), Ok(()));
        for region in ["", "CN-NORTH-4", "evil.example/", "a b", "-x", "a@b"] {
            assert!(check_region(region).is_err(), "{region:?}");
        }
    }

    #[test]
    fn a_url_comes_apart_into_host_path_and_query() {
        let url = "https://a.example:9/v1/x?b=1&a=2";
        assert_eq!((host_of(url), path_and_query(url)), ("a.example:9", ("/v1/x", "b=1&a=2")));
        assert_eq!(path_and_query("https://a.example?x=1"), ("/", "x=1"));
        assert_eq!(path_and_query("https://a.example"), ("/", ""));
    }
}
