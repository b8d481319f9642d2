//! Certificates of EventBridge of Alibaba Cloud: fetched once, kept, and never from anywhere but where they belong.

use super::problem::Problem;
use crate::event::signature::{CERTIFICATE_BYTES, PublicKey};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// Certificates kept at most; each region has one.
const KEPT: usize = 64;
/// How long one may take to come.
const PATIENCE: Duration = Duration::from_secs(3);
/// When to come again while a certificate is not to be had.
const AGAIN: Duration = Duration::from_secs(10);

/// Certificates by address. The address has been checked by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    client: std::sync::OnceLock<Option<reqwest::Client>>,
    kept: Mutex<BTreeMap<String, Arc<PublicKey>>>,
}

impl Certificates {
    /// The key in the certificate at that address. Not having it is no fault of the sender.
    pub(super) async fn key(&self, url: &str) -> Result<Arc<PublicKey>, Problem> {
        let mut kept = self.kept.lock().await;
        if let Some(key) = kept.get(url) {
            return Ok(Arc::clone(key));
        }
        let away = |why: &str| {
            tracing::warn!(%url, why, "a certificate of EventBridge is not to be had");
            Problem::unavailable("the certificate that goes with the signature is not to be had", AGAIN)
        };
        let pem = self.fetch(url).await.map_err(|why| away(&why))?;
        let key = PublicKey::from_pem(&pem).map_err(|why| away(&why.to_string()))?;
        if kept.len() >= KEPT {
            kept.pop_first();
        }
        let key = Arc::new(key);
        kept.insert(url.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let make = || {
            let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).https_only(true);
            client.timeout(PATIENCE).build().ok()
        };
        let client = self.client.get_or_init(make).as_ref().ok_or("there is no HTTP client")?;
        let mut reply = client.get(url).send().await.map_err(|error| error.without_url().to_string())?;
        if !reply.status().is_success() {
            return Err(format!("status {}", reply.status().as_u16()));
        }
        let mut pem = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|error| error.without_url().to_string())? {
            pem.extend_from_slice(&chunk);
            if pem.len() > CERTIFICATE_BYTES {
                return Err("it is too long for a certificate".into());
            }
        }
        Ok(pem)
    }
}
