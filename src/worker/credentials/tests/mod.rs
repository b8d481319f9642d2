//! Every source with a fake of its own: variables in a map, files in a folder, services on loopback.

mod alibaba;
mod aws;
mod huawei;
mod share;

use super::{
    Client, Wanted,
    around::Around,
    chain::{self, Found},
};
use crate::{
    config::{Base, Cloud, Credentials, Places, Role},
    provider::Credential,
};
use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::Request,
    http::{Response, StatusCode},
};
use secrecy::ExposeSecret as _;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// A request as a fake service saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `GET /path`, without the query.
    pub(super) fn what(&self) -> String {
        format!("{} {}", self.method, self.target.split('?').next().unwrap())
    }
}

/// An answer: status, headers, body.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);

pub(super) fn answer(status: u16, body: impl Into<String>) -> Answer {
    (status, Vec::new(), body.into())
}

/// A service on loopback that answers as it is told, and remembers.
pub(super) struct Service {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service {
    pub(super) async fn start(tell: impl Fn(&Seen) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let book = Arc::clone(&seen);
        let handler = move |request: Request| {
            let (tell, book) = (tell.clone(), Arc::clone(&book));
            async move {
                let (head, body) = request.into_parts();
                let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
                let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
                    (name.to_string(), value.to_str().unwrap().to_owned())
                };
                let seen = Seen {
                    method: head.method.to_string(),
                    target: head.uri.to_string(),
                    headers: head.headers.iter().map(header).collect(),
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let (status, headers, body) = tell(&seen);
                book.lock().unwrap().push(seen);
                let mut response = Response::new(axum::body::Body::from(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                for (name, value) in headers {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                response
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn whats(&self) -> Vec<String> {
        self.seen().iter().map(Seen::what).collect()
    }
}

/// An address where nobody listens.
pub(super) const NOBODY: &str = "http://127.0.0.1:9";

/// A user's surroundings.
pub(super) struct Home {
    dir: tempfile::TempDir,
    env: HashMap<String, String>,
    pub(super) wanted: Wanted,
}

impl Home {
    /// A user of a cloud who has nothing set up, on no machine of that cloud.
    pub(super) fn of(cloud: Cloud) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { metadata: Some(NOBODY.into()), sts: Some(NOBODY.into()), iam: Some(NOBODY.into()) };
        let credentials = Credentials { places, ..Credentials::default() };
        let env = HashMap::from([("HOME".to_owned(), dir.path().to_str().unwrap().to_owned())]);
        Self { dir, env, wanted: Wanted { cloud, site: String::new(), region: "cn-north-4".into(), credentials } }
    }

    pub(super) fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.into(), value.into());
        self
    }

    pub(super) fn without(&mut self, name: &str) -> &mut Self {
        self.env.remove(name);
        self
    }

    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    pub(super) fn base(&mut self, base: Base) -> &mut Self {
        self.wanted.credentials.base = base;
        self
    }

    pub(super) fn role(&mut self, role: Option<Role>) -> &mut Self {
        self.wanted.credentials.role = role;
        self
    }

    pub(super) fn places(&mut self) -> &mut Places {
        &mut self.wanted.credentials.places
    }

    pub(super) fn around(&self) -> Around {
        let env = self.env.clone();
        let around = Around::with(Client::new().unwrap(), move |name| env.get(name).cloned()).unwrap();
        around.impatient()
    }

    pub(super) async fn find(&self) -> Result<Found, String> {
        chain::find(&self.wanted, &self.around()).await
    }

    /// What was found, in a line: key, secret, token, account, end, place; or why nothing was. `HOME` is the home folder.
    pub(super) async fn told(&self) -> String {
        let text = match self.find().await {
            Ok(found) => format!("{} {} @ {}", shown(&found.credential), end(&found), found.place),
            Err(why) => why,
        };
        text.replace(self.dir.path().to_str().unwrap(), "HOME")
    }
}

fn end(found: &Found) -> String {
    found.expires_at.map_or_else(|| "-".to_owned(), |end| end.to_string())
}

/// Tests may look at secrets.
pub(super) fn shown(credential: &Credential) -> String {
    match credential {
        Credential::Key { access_key, secret_key, security_token, account } => {
            let token = security_token.as_ref().map_or("-", |token| token.expose_secret());
            let account = account.as_deref().unwrap_or("-");
            format!("{access_key}/{}/{token}/{account}", secret_key.expose_secret())
        }
        Credential::Token(token) => format!("token {}", token.expose_secret()),
    }
}
