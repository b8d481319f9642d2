//! Exchanges and queues: what they are, and making them or making sure of them.

use super::{fault::answered, link::Link, names::Names};
use crate::{broker::BrokerError, job::LaneName};
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

/// Deliveries of a job before it is taken for poison. Large: each crash of a worker spends one for its whole window.
/// Finite: it keeps returned messages at the head of the queue on RabbitMQ 3.x.
const LANE_DELIVERIES: i32 = 1_000;
/// Deliveries of everything else: looking at a message counts as one.
const OTHER_DELIVERIES: i64 = 2_147_483_647;
/// Receipts kept for whoever wants to read them; the oldest go first.
const RECEIPTS_KEPT: i64 = 1_000_000;

/// Whether tagmill makes its exchanges and queues or finds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// Makes what is missing; an error where something is there with other arguments.
    #[default]
    Declare,
    /// Makes nothing; an error where something is missing. For users without the permission to configure.
    Assert,
}

/// A name for the wire. The library's own conversion panics on more than 255 bytes, which is what the wire allows.
pub fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name).map_err(|_| {
        let start: String = name.chars().take(60).collect();
        BrokerError::Refused(format!("{start}...: a name on the wire has 255 bytes at most"))
    })
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table<const N: usize>(fields: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.into(), value);
    }
    table
}

/// The arguments of a durable quorum queue of ours that is not a lane.
pub(super) fn quorum() -> FieldTable {
    table([("x-queue-type", text("quorum")), ("x-delivery-limit", AMQPValue::LongLongInt(OTHER_DELIVERIES))])
}

fn lane_arguments(names: &Names) -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-delivery-limit", AMQPValue::LongInt(LANE_DELIVERIES)),
        ("x-dead-letter-exchange", text(names.poison())),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

impl Topology {
    /// Everything that does not depend on a lane.
    pub async fn prepare(self, link: &Link) -> Result<(), BrokerError> {
        let names = link.names();
        let channel = link.channel().await?;
        let unrouted = || table([("alternate-exchange", text(names.unrouted()))]);
        let exchanges = [
            (names.unrouted(), ExchangeKind::Fanout, FieldTable::default()),
            (names.jobs(), ExchangeKind::Direct, unrouted()),
            // A lane that only older workers have declared has one queue; an urgent job must reach it all the same.
            (names.urgent(), ExchangeKind::Direct, table([("alternate-exchange", text(names.jobs()))])),
            (names.poison(), ExchangeKind::Fanout, FieldTable::default()),
            // A dead letter or a receipt whose queue somebody has deleted is caught too: nothing is ever unroutable.
            (names.dead(), ExchangeKind::Topic, unrouted()),
            (names.receipts(), ExchangeKind::Topic, unrouted()),
            (names.control(), ExchangeKind::Fanout, FieldTable::default()),
            (names.direct(), ExchangeKind::Direct, FieldTable::default()),
        ];
        for (name, kind, arguments) in exchanges {
            let options = match self {
                Self::Declare => ExchangeDeclareOptions { durable: true, ..Default::default() },
                Self::Assert => ExchangeDeclareOptions { passive: true, ..Default::default() },
            };
            let asked = channel.exchange_declare(short(name)?, kind, options, arguments);
            answered(&format!("declaring exchange {name}"), asked).await?;
        }
        let mut single = quorum();
        single.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        let mut receipts = quorum();
        receipts.insert("x-max-length".into(), AMQPValue::LongLongInt(RECEIPTS_KEPT));
        receipts.insert("x-overflow".into(), text("drop-head"));
        let mut one = quorum();
        one.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
        one.insert("x-overflow".into(), text("drop-head"));
        let queues = [
            (names.unrouted(), single, Some((names.unrouted(), ""))),
            (names.poison(), quorum(), Some((names.poison(), ""))),
            (names.dead(), quorum(), Some((names.dead(), "#"))),
            (names.receipts(), receipts, Some((names.receipts(), "#"))),
            (names.orders(), quorum(), Some((names.direct(), &**names.orders()))),
            (names.lease(), one, Some((names.direct(), &**names.lease()))),
        ];
        for (name, arguments, binding) in queues {
            let binding = binding.map(|(exchange, key)| (&**exchange, key));
            self.queue(&channel, name, arguments, binding).await?;
        }
        close(&channel).await;
        Ok(())
    }

    /// The two queues of a lane: of all its jobs, and of those that go ahead.
    pub async fn lane(self, channel: &Channel, names: &Names, lane: &LaneName) -> Result<(), BrokerError> {
        let binding = Some((&**names.jobs(), lane.as_str()));
        self.queue(channel, &names.lane_queue(lane), lane_arguments(names), binding).await?;
        let binding = Some((&**names.urgent(), lane.as_str()));
        self.queue(channel, &names.urgent_queue(lane), lane_arguments(names), binding).await
    }

    async fn queue(
        self,
        channel: &Channel,
        name: &str,
        arguments: FieldTable,
        binding: Option<(&str, &str)>,
    ) -> Result<(), BrokerError> {
        let what = format!("declaring queue {name}");
        if self == Self::Assert {
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            answered(&what, channel.queue_declare(short(name)?, passive, FieldTable::default())).await?;
            return Ok(());
        }
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        answered(&what, channel.queue_declare(short(name)?, durable, arguments)).await?;
        if let Some((exchange, key)) = binding {
            let none = FieldTable::default();
            let bind =
                channel.queue_bind(short(name)?, short(exchange)?, short(key)?, QueueBindOptions::default(), none);
            answered(&format!("binding queue {name}"), bind).await?;
        }
        Ok(())
    }
}

/// Closes a channel; what was handed out on it and is not acked goes back to the head of its queue, in order.
pub async fn close(channel: &Channel) {
    // Where it cannot be said, the connection is gone, and the channel with it.
    let _ = tokio::time::timeout(super::fault::PATIENCE, channel.close(200, "bye".into())).await;
}
