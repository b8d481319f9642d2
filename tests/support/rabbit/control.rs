//! What an operator does to a node with rabbitmqctl, and two things only a test wants to know.

use super::{eventually, node::Node};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(1);

impl Node {
    /// Runs `rabbitmqctl --silent` with these arguments against this node and returns what it printed, trimmed.
    /// Panics if it fails.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        self.try_ctl(arguments).await.unwrap_or_else(|error| panic!("rabbitmqctl {arguments:?}: {error}"))
    }

    /// As `ctl`; what it complained about if it failed.
    pub async fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.script("rabbitmqctl");
        let output = tokio::time::timeout(PATIENCE, command.arg("--silent").args(arguments).output()).await;
        let output = output.map_err(|_| format!("not done after {PATIENCE:?}"))?.map_err(|error| error.to_string())?;
        let [said, complained] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if output.status.success() { Ok(said.trim().to_owned()) } else { Err(format!("{said}{complained}")) }
    }

    /// Raises the memory alarm (publishers are blocked) or ends it. Returns when the node says so itself.
    pub async fn alarm(&self, on: bool) {
        let limit: &[&str] = if on { &["absolute", "1"] } else { &["0.4"] };
        self.ctl(&[&["set_vm_memory_high_watermark"], limit].concat()).await;
        eventually("the memory alarm", PATIENCE, async || {
            let alarms = self.ctl(&["eval", "rabbit_alarm:get_alarms()."]).await;
            (alarms.contains("memory") == on).then_some(())
        })
        .await;
    }

    /// Makes sure that every queue declared so far survives `kill9`.
    ///
    /// A quorum queue's entry in the directory of Raft servers stays in memory for some seconds. Killed within these, the
    /// queue comes back without a leader, for ever (RabbitMQ 3.10 and 4.0, where `list_queues` still shows one), or
    /// empty (4.3), though its messages were confirmed. This writes out all such tables and waits for every leader.
    pub async fn settle(&self) {
        let leaders = "[{ok, _, _} = ra:members(amqqueue:get_pid(Q), 30000) \
                       || Q <- rabbit_amqqueue:list(), amqqueue:is_quorum(Q)]";
        let flush = "catch mnesia:sync_log(), [ok = dets:sync(T) || T <- dets:all()]";
        self.ctl(&["eval", &format!("{leaders}, {flush}, ok.")]).await;
    }

    /// The name of the node that leads a quorum queue of virtual host `/`, as the Raft members themselves see it.
    pub async fn leader_of(&self, queue: &str) -> Option<String> {
        assert!(!queue.contains(['"', '\\', '~']), "not a plain name: {queue}");
        let query = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\"/utf8>>)), \
             {{Name, _}} = amqqueue:get_pid(Q), \
             case ra:members([{{Name, N}} || N <- [node() | nodes()]], 1000) of \
             {{ok, _, {{_, Leader}}}} -> Leader; _ -> none end."
        );
        let said = self.ctl(&["eval", &query]).await;
        let leader = said.trim_matches('\'');
        leader.contains('@').then(|| leader.to_owned())
    }
}
