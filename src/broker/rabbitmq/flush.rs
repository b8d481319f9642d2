//! Making sure of acks before a channel is closed.

use super::{fault::answered, topology::short};
use crate::broker::BrokerError;
use lapin::{
    Channel,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};

/// The name of the consumer that is there for a moment.
const TAG: &str = "flush";

/// Waits until the queue has taken note of every ack that was sent on this channel.
///
/// There is no answer to an ack. A channel hands the first 32 on to a quorum queue and keeps the others back until those
/// are written; when it is closed then, the rest is forgotten and the messages are handed out again. Subscribing and
/// cancelling have answers that the queue itself gives, after all that came before: the first makes the channel hand on
/// what it kept, the second comes behind that. Whatever the consumer is given goes back when the channel is closed.
pub async fn flush(channel: &Channel, queue: &str) -> Result<(), BrokerError> {
    let what = format!("making sure of acks for queue {queue}");
    answered(&what, channel.basic_qos(1, BasicQosOptions::default())).await?;
    let none = FieldTable::default();
    let consuming = channel.basic_consume(short(queue)?, short(TAG)?, BasicConsumeOptions::default(), none);
    let consumer = answered(&what, consuming).await?;
    answered(&what, channel.basic_cancel(short(TAG)?, BasicCancelOptions::default())).await?;
    drop(consumer);
    Ok(())
}
