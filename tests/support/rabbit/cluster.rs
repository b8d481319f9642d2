//! Several nodes as one broker, for what only a cluster does: elections.

use super::{epmd::Epmd, eventually, installation::Installation, node::Node, setup::Setup};
use std::{sync::Arc, time::Duration};

const ELECTION: Duration = Duration::from_secs(30);

/// Nodes 0, 1, 2, ... with the names `n1@localhost`, `n2@localhost`, `n3@localhost`, ...
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// `count` plain nodes. `None` if this run leaves such tests out.
    pub async fn start(count: usize) -> Option<Self> {
        Setup::new().start_cluster(count).await
    }

    /// The first node boots alone, the others join it as they boot, so that none waits for one that is not there yet.
    pub(super) async fn new(count: usize, setup: &Setup, installation: &Installation) -> Self {
        let epmd = Arc::new(Epmd::start(installation));
        let mut nodes = Vec::new();
        for number in 1..=count {
            let mut setup = setup.clone();
            if number > 1 {
                setup = setup.with_config(&[
                    "cluster_formation.peer_discovery_backend = classic_config",
                    "cluster_formation.classic_config.nodes.1 = n1@localhost",
                    &format!("cluster_formation.classic_config.nodes.2 = n{number}@localhost"),
                ]);
            }
            nodes.push(Node::new(number, setup, installation.clone(), epmd.clone()));
        }
        nodes[0].boot().await;
        let mut cluster = Self { nodes };
        cluster.boot_from(1).await;
        let everybody = cluster.nodes.len();
        eventually("a cluster of all nodes", ELECTION, async || {
            let running = cluster.nodes[0].ctl(&["eval", "length([node() | nodes()])."]).await;
            (running == everybody.to_string()).then_some(())
        })
        .await;
        cluster
    }

    pub fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    pub fn node_mut(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    /// The URL of each node, whether it runs or not.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// Which node leads a quorum queue of virtual host `/`; waits for an election that goes on.
    pub async fn leader_of(&self, queue: &str) -> usize {
        let asked = self.nodes.iter().find(|node| node.pid().is_some()).expect("a node that runs");
        eventually("a leader of the queue", ELECTION, async || {
            let leader = asked.leader_of(queue).await?;
            self.nodes.iter().position(|node| node.name() == leader && node.pid().is_some())
        })
        .await
    }

    /// `kill9` for every node.
    pub fn kill9(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill9);
    }

    /// Starts all nodes that do not run, together: after the end of all of them none is up before it sees another.
    pub async fn restart(&mut self) {
        self.boot_from(0).await;
    }

    async fn boot_from(&mut self, first: usize) {
        let mut started = Vec::new();
        for node in self.nodes.iter_mut().skip(first).filter(|node| node.pid().is_none()) {
            node.launch();
            started.push(node);
        }
        for node in started {
            node.wait_until_up().await;
        }
    }
}
