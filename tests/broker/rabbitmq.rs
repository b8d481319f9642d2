//! RabbitMQ under the suite of all brokers.

use crate::{behaviour::Harness, hands::Fleet};
use lapin::BasicProperties;
use tagmill::broker::rabbitmq::Rabbit;

/// A fleet of one worker.
pub struct RabbitHarness {
    // First, so that it is gone before its queues are deleted.
    rabbit: Rabbit,
    fleet: Fleet,
}

impl Harness for RabbitHarness {
    type Broker = Rabbit;

    async fn start() -> Self {
        let fleet = Fleet::start(10).await;
        Self { rabbit: fleet.worker("worker"), fleet }
    }

    fn broker(&self) -> &Rabbit {
        &self.rabbit
    }

    async fn publish(&self, name: &str, messages: Vec<Vec<u8>>) {
        self.fleet.publish(name, messages).await;
    }

    async fn reopen(self) -> Self {
        let Self { rabbit, fleet } = self;
        rabbit.close().await;
        drop(rabbit);
        Self { rabbit: fleet.worker("worker"), fleet }
    }

    async fn crash(self) -> Self {
        let Self { rabbit, fleet } = self;
        assert!(fleet.proxy.cut("tagmill worker") > 0);
        drop(rabbit);
        Self { rabbit: fleet.worker("worker"), fleet }
    }

    async fn dead_letters(&self) -> Vec<(String, Vec<u8>)> {
        let found = self.fleet.peek(self.fleet.names.dead()).await;
        found.into_iter().map(|(properties, body)| (id(&properties), body)).collect()
    }

    async fn replay(&self, wanted: &str) {
        let dead = self.fleet.names.dead();
        let body = self.fleet.remove(dead, |properties| id(properties) == wanted).await.unwrap();
        let letter: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let mut job = letter["job"].clone();
        job["replay"] = serde_json::json!({"of": wanted, "count": 1});
        let name = job["lane"].as_str().unwrap().to_owned();
        self.fleet.publish(&name, [serde_json::to_vec(&job).unwrap()]).await;
    }
}

fn id(properties: &BasicProperties) -> String {
    properties.message_id().as_ref().unwrap().to_string()
}

mod suite {
    crate::behaviours!(super::RabbitHarness);
}
