//! Where the broker is and how to prove who is who: URLs and TLS. What is printed never holds a password.

use super::names::Names;
use lapin::{
    tcp::{OwnedIdentity, OwnedTLSConfig},
    uri::{AMQPScheme, AMQPUri},
};
use std::fmt;

/// Seconds between heartbeats at most: a cut is noticed after two of them, a lane is handed over after three.
pub const HEARTBEAT: u16 = 10;
/// How long one try to connect may take, in milliseconds.
const CONNECT_MS: u64 = 5_000;

/// One broker, or the nodes of a cluster.
#[derive(Clone)]
pub struct Address {
    /// Tried in this order.
    uris: Vec<AMQPUri>,
    tls: Tls,
    names: Names,
}

/// What `amqps://` needs beyond the system's own certificates. All of it PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates of the authorities to trust besides the system's.
    pub ca: Option<String>,
    /// Our certificate and its key, where the broker asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Address {
    /// Reads one URL, or several with commas between them. The error never repeats the text: it can hold a password.
    pub fn parse(text: &str, tls: Tls) -> Result<Self, String> {
        let mut uris = Vec::new();
        for part in text.split([',', ' ', '\n']).filter(|part| !part.is_empty()) {
            let mut uri: AMQPUri = part.parse().map_err(|_| {
                "the broker's URL cannot be read: expected amqp://user:password@host:port/vhost or amqps://..."
                    .to_owned()
            })?;
            // `amqp://host` and `amqp://host/` both mean the vhost `/` to the people who write them.
            if uri.vhost.is_empty() {
                "/".clone_into(&mut uri.vhost);
            }
            // Without a heartbeat of its own the client takes the server's 60 s, and a cut costs minutes.
            uri.query.heartbeat = Some(uri.query.heartbeat.filter(|wanted| *wanted > 0).unwrap_or(HEARTBEAT));
            uri.query.connection_timeout.get_or_insert(CONNECT_MS);
            uris.push(uri);
        }
        if uris.is_empty() {
            return Err("the broker's URL is empty".to_owned());
        }
        Ok(Self { uris, tls, names: Names::default() })
    }

    /// The same broker, and a fleet whose exchanges and queues have these names.
    #[must_use]
    pub fn with_names(self, names: Names) -> Self {
        Self { names, ..self }
    }

    /// What the fleet's exchanges and queues are called there.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Seconds between heartbeats that we ask for; the server may want fewer.
    pub fn heartbeat(&self) -> u16 {
        self.uris.iter().filter_map(|uri| uri.query.heartbeat).min().unwrap_or(HEARTBEAT)
    }

    pub(super) fn uris(&self) -> &[AMQPUri] {
        &self.uris
    }

    pub(super) fn tls(&self) -> OwnedTLSConfig {
        let identity = self.tls.identity.clone().map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key });
        OwnedTLSConfig { identity, cert_chain: self.tls.ca.clone() }
    }
}

/// One node, without the password.
pub(super) fn shown(uri: &AMQPUri) -> String {
    let scheme = match uri.scheme {
        AMQPScheme::AMQP => "amqp",
        AMQPScheme::AMQPS => "amqps",
    };
    let (user, host) = (&uri.authority.userinfo.username, &uri.authority.host);
    let vhost = if uri.vhost == "/" { String::new() } else { format!("/{}", uri.vhost) };
    format!("{scheme}://{user}@{host}:{}{vhost}", uri.authority.port)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uris.iter().map(shown).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ca, identity) = (self.ca.is_some(), self.identity.is_some());
        f.debug_struct("Tls").field("ca", &ca).field("identity", &identity).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let address = Address::parse("amqps://bob:s3cret@mq.example:5671/prod, amqp://mq2", Tls::default()).unwrap();
        assert_eq!(address.to_string(), "amqps://bob@mq.example:5671/prod, amqp://guest@mq2:5672");
        assert!(!format!("{address:?}").contains("s3cret"));
    }

    #[test]
    fn a_heartbeat_of_ten_seconds_is_asked_for_unless_the_url_says_another() {
        let heartbeat = |text| Address::parse(text, Tls::default()).unwrap().heartbeat();
        assert_eq!(heartbeat("amqp://a"), 10);
        assert_eq!(heartbeat("amqp://a?heartbeat=5"), 5);
        assert_eq!(heartbeat("amqp://a?heartbeat=0"), 10);
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        let error = Address::parse("http://bob:s3cret@mq", Tls::default()).unwrap_err();
        assert!(error.contains("expected amqp://") && !error.contains("s3cret"), "{error}");
        assert!(Address::parse(" ", Tls::default()).is_err());
    }

    #[test]
    fn the_root_path_is_the_default_vhost() {
        let address = Address::parse("amqp://a/,amqp://a,amqp://a/%2f,amqp://a/x", Tls::default()).unwrap();
        let vhosts: Vec<_> = address.uris().iter().map(|uri| uri.vhost.as_str()).collect();
        assert_eq!(vhosts, ["/", "/", "/", "x"]);
    }
}
