//! The fleet as the HTTP API of a worker or an ingest tells it: nothing of the broker or the config is needed.

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};

/// One answer: a look at the fleet takes the server up to two seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// An answer is no longer than that: a thousand lanes are less than a megabyte.
const LONGEST: usize = 16_000_000;

/// Where to ask, and as whom.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// Ask the HTTP API here and not the broker, such as http://127.0.0.1:9464
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The environment variable that holds the token for it, with the scope `read`
    #[arg(long, value_name = "NAME", requires = "url", conflicts_with = "token_file")]
    token_env: Option<String>,
    /// The file that holds the token for it
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
}

/// A server to ask.
pub(super) struct Remote {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Source {
    /// The server that is named; none where the broker is asked.
    pub(super) fn remote(&self) -> anyhow::Result<Option<Remote>> {
        let Some(url) = &self.url else { return Ok(None) };
        let token = match (&self.token_env, &self.token_file) {
            (Some(name), _) => {
                Some(std::env::var(name).with_context(|| format!("the variable {name} holds no token"))?)
            }
            (None, Some(file)) => {
                Some(std::fs::read_to_string(file).with_context(|| format!("no token in {}", file.display()))?)
            }
            (None, None) => None,
        };
        // A redirect would carry the token elsewhere.
        let client =
            reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        let token = token.map(|token| token.trim().to_owned());
        Ok(Some(Remote { client, url: format!("{}/v1/lanes", url.trim_end_matches('/')), token }))
    }
}

impl Remote {
    /// The document of the fleet.
    pub(super) async fn look(&self) -> anyhow::Result<Value> {
        let mut request = self.client.get(&self.url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut reply =
            request.send().await.map_err(reqwest::Error::without_url).context("the server did not answer")?;
        let status = reply.status();
        let mut body = Vec::new();
        while let Some(part) = reply.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + part.len() > LONGEST {
                bail!("the server's answer is too long");
            }
            body.extend_from_slice(&part);
        }
        let document: Option<Value> = serde_json::from_slice(&body).ok();
        if !status.is_success() {
            let why = document.as_ref().and_then(|told| told.get("detail")).and_then(Value::as_str).unwrap_or_default();
            bail!("the server says {status}: {}", crate::cli::report::plain(why));
        }
        match document {
            Some(document) if document.get("lanes").is_some_and(Value::is_array) => Ok(document),
            _ => bail!("the server's answer is no list of lanes: is that a tagmill server?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    /// A server that answers once, and what it was asked.
    async fn asked(status: &'static str, body: &'static str) -> (anyhow::Result<Value>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let reply =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            stream.write_all(reply.as_bytes()).await.unwrap();
            String::from_utf8_lossy(head.get(..read).unwrap()).into_owned()
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t0ken\n").unwrap();
        let source = Source { url: Some(url), token_env: None, token_file: Some(file.path().into()) };
        let looked = source.remote().unwrap().unwrap().look().await;
        (looked, server.await.unwrap())
    }

    #[tokio::test]
    async fn it_asks_for_the_lanes_with_the_token_of_the_file() {
        let (looked, request) = asked("200 OK", r#"{"lanes":[]}"#).await;
        assert_eq!(looked.unwrap(), serde_json::json!({"lanes": []}));
        assert!(request.starts_with("GET /v1/lanes HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer t0ken\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_servers_words_without_the_token() {
        let (looked, _) = asked("401 Unauthorized", r#"{"detail":"no such token"}"#).await;
        let said = format!("{:#}", looked.unwrap_err());
        assert!(said.contains("401") && said.contains("no such token") && !said.contains("t0ken"), "{said}");
    }

    #[tokio::test]
    async fn what_is_no_fleet_is_not_shown_as_an_empty_one() {
        for body in ["<html>", "{}", r#"{"lanes":3}"#] {
            assert!(asked("200 OK", body).await.0.is_err(), "{body}");
        }
    }
}
