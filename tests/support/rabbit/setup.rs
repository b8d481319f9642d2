//! How a node is to be: its configuration, plugins and TLS, said before it starts.

use super::{
    certificates::Certificates, cluster::Cluster, epmd::Epmd, installation::Installation, node::Node,
    shared::nodes_are_left_out,
};
use std::sync::Arc;

/// What the TLS listener wants from clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Whoever trusts the server may talk to it.
    Optional,
    /// Only who shows a certificate of the test's authority.
    Required,
}

/// A node as it comes with RabbitMQ, plus what is asked for here.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub(super) config: Vec<String>,
    pub(super) plugins: Vec<String>,
    pub(super) tls: Option<ClientCertificate>,
}

impl Setup {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lines of `rabbitmq.conf`, such as `consumer_timeout = 60000`.
    #[must_use]
    pub fn with_config(mut self, lines: &[&str]) -> Self {
        self.config.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Plugins to enable. One that listens needs its port in the configuration: see `free_port`.
    #[must_use]
    pub fn with_plugins(mut self, names: &[&str]) -> Self {
        self.plugins.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// An `amqps` listener beside the plain one; `Node::certificates` has what a client needs.
    #[must_use]
    pub fn with_tls(mut self, clients: ClientCertificate) -> Self {
        self.tls = Some(clients);
        self
    }

    /// One node, up and answering.
    pub async fn start(self) -> Option<Node> {
        let installation = self.find()?;
        let epmd = Arc::new(Epmd::start(&installation));
        let mut node = Node::new(1, self, installation, epmd);
        node.boot().await;
        Some(node)
    }

    /// `count` nodes in one cluster, all up and answering.
    pub async fn start_cluster(self, count: usize) -> Option<Cluster> {
        let installation = self.find()?;
        Some(Cluster::new(count, &self, &installation).await)
    }

    fn find(&self) -> Option<Installation> {
        if nodes_are_left_out() {
            return None;
        }
        if self.tls.is_some() && !Certificates::can_be_made() {
            eprintln!("skipped: a TLS listener needs the command openssl to make certificates, and it is not there");
            return None;
        }
        match Installation::find() {
            Ok(installation) => Some(installation),
            Err(missing) => panic!(
                "this test starts a RabbitMQ node of its own, and there is {missing}. Install rabbitmq-server, name \
                 the folder of its scripts in TAGMILL_RABBITMQ_SBIN, or leave such tests out: TAGMILL_TEST_NO_NODES=1"
            ),
        }
    }
}
