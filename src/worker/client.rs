//! The only way out: a plain request over HTTP, under a deadline, its answer read whole.

use crate::provider::{Fault, HttpReply, HttpRequest, Method};
use std::time::Duration;

/// Answers larger than this are not read on: the largest real one (50 failures of a call) has some 20 KB.
const REPLY_BYTES: usize = 8 << 20;

/// One connection pool for all lanes.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client that follows no redirect (a signature is for one host) and retries nothing (that is the lane's).
    pub fn new() -> Result<Self, String> {
        Self::build(builder().connect_timeout(Duration::from_secs(5)))
    }

    /// The same for services on this machine: past every proxy, and quick to see that nobody is there.
    pub(super) fn near() -> Result<Self, String> {
        Self::build(builder().no_proxy().connect_timeout(Duration::from_secs(1)))
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<Self, String> {
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    /// Sends a request and reads its answer, all within `timeout`.
    pub async fn send(&self, request: HttpRequest, timeout: Duration) -> Result<HttpReply, Fault> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.0.request(method, &request.url).timeout(timeout).body(request.body);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(|error| fault(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
            if body.len() + chunk.len() > REPLY_BYTES {
                return Err(Fault::Broken);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply { status, headers, body })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("tagmill/", env!("CARGO_PKG_VERSION")))
}

fn fault(error: &reqwest::Error) -> Fault {
    if error.is_connect() {
        Fault::Connect
    } else if error.is_timeout() {
        Fault::Timeout
    } else {
        Fault::Broken
    }
}
