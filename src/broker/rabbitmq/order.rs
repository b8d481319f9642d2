//! The true order of messages that came back: found when a lane is taken over, before anything is handed on.
//!
//! The broker keeps what is given back in a line of its own, ahead of everything else, and appends to it. An owner
//! whose window is smaller than that of the owner before takes a part of the line; when it ends, its part goes to the
//! end of the line, and the next owner would see later messages first. The same happens when an owner ends in the
//! middle of a renewal. Seen on RabbitMQ 3.10.
//!
//! Whatever happened, the line is the true order begun at the wrong place: everybody takes from its front and appends
//! to its end. And the true beginning can be told: a message is never handed out less often than one behind it, so the
//! count falls along the true order and rises only where its end meets its beginning. So the line is turned, by giving
//! back from its front, until the true beginning is in front. Turning is all that is ever done to it, so that an end in
//! the middle leaves again the true order begun at some place.

use super::{
    arrival::{print, times},
    fault::PATIENCE,
    lane_channel::LaneChannel,
};
use lapin::message::Delivery as Arrived;
use std::{cmp::Reverse, collections::VecDeque};
use tokio::time::{Instant, timeout_at};

/// Messages given back at a time: RabbitMQ 3 mixes up more than 32.
pub(super) const CHUNK: usize = 32;
/// Messages turned at most while the beginning is looked for: more than any window ever was.
const TURNS: usize = 20_000;
/// Tries at putting in order what is in hand while new messages come in between.
pub(super) const PASSES: usize = 20;

/// What is known of a lane that was just taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Messages that came back are waiting behind those in hand: a message that is given back would come after them.
    pub(super) more_behind: bool,
}

/// Brings what a new owner was handed, and what the broker will hand on, into the true order.
pub(super) async fn settle(
    channel: &mut LaneChannel,
    prefetch: u16,
    arrived: &mut Vec<Arrived>,
) -> Result<Taken, String> {
    if arrived.first().is_none_or(|first| !first.redelivered) {
        return Ok(Taken { more_behind: false });
    }
    channel.caught_up(arrived).await?;
    let is_full = arrived.len() >= usize::from(prefetch) && arrived.iter().all(|one| one.redelivered);
    if is_full {
        return turn(channel, arrived).await;
    }
    if beginning(arrived.iter()).is_some() {
        arrived.sort_by_key(|one| Reverse(times(one)));
        put_right(channel, arrived).await?;
    }
    Ok(Taken { more_behind: false })
}

/// Where the count rises: the place of the true beginning, unless it is in front.
fn beginning<'a>(line: impl Iterator<Item = &'a Arrived> + Clone) -> Option<usize> {
    let counts = line.clone().map(times).zip(line.skip(1).map(|one| (one.redelivered, times(one))));
    let rises = |(before, (redelivered, count)): (u64, (bool, u64))| redelivered && count > before;
    Some(counts.map(rises).position(|rises| rises)? + 1)
}

/// Turns a line of which the end may not be in sight until its true beginning is in front.
async fn turn(channel: &mut LaneChannel, arrived: &mut Vec<Arrived>) -> Result<Taken, String> {
    let mut line: VecDeque<Arrived> = arrived.drain(..).collect();
    let mut start = beginning(line.iter()).and_then(|at| line.get(at)).map(|one| one.delivery_tag);
    let mut last = line.back().map_or(0, times);
    let (mut more_behind, mut turned) = (false, 0);
    while line.front().map(|one| one.delivery_tag) != start {
        if turned > TURNS {
            tracing::warn!("the order of messages that came back cannot be told; they are taken as they come");
            more_behind = true;
            break;
        }
        let before = line.iter().take_while(|one| Some(one.delivery_tag) != start).count();
        let given: Vec<Arrived> = line.drain(..before.min(CHUNK)).collect();
        let tags: Vec<u64> = given.iter().map(|one| one.delivery_tag).collect();
        channel.requeue(&tags).await?;
        let came = next_of_line(channel, given.len()).await?;
        // The same ones, unless there are others in the line before them.
        more_behind |= !came.iter().map(print).eq(given.iter().map(print));
        turned += given.len();
        for one in came {
            if start.is_none() && times(&one) > last {
                start = Some(one.delivery_tag);
            }
            last = times(&one);
            line.push_back(one);
        }
    }
    arrived.extend(line);
    Ok(Taken { more_behind })
}

/// Takes so many messages off the line.
async fn next_of_line(channel: &mut LaneChannel, count: usize) -> Result<Vec<Arrived>, String> {
    let end = Instant::now() + PATIENCE;
    let mut came = Vec::with_capacity(count);
    while came.len() < count {
        wait_for_more(channel, end, &mut came).await?;
    }
    if came.len() > count || came.iter().any(|one| !one.redelivered) {
        return Err("new messages came between messages that were given back".into());
    }
    Ok(came)
}

/// Makes the broker's order that of `messages`, whose numbers of delivery tell how far it is from it.
async fn put_right(channel: &mut LaneChannel, messages: &mut Vec<Arrived>) -> Result<(), String> {
    for _ in 0..PASSES {
        let Some(at) = misplaced(messages) else { return Ok(()) };
        let wrong = messages.split_off(at);
        // What is new in the meantime comes behind.
        let mut fresh = Vec::new();
        for chunk in wrong.chunks(CHUNK) {
            let given: Vec<(u64, u64)> = chunk.iter().map(|one| (one.delivery_tag, print(one))).collect();
            messages.append(&mut renew(channel, &given, &mut fresh).await?);
        }
        messages.append(&mut fresh);
    }
    Err("messages came faster than those that had come back could be put in order".into())
}

/// The first that was handed out before one ahead of it.
fn misplaced(messages: &[Arrived]) -> Option<usize> {
    messages
        .iter()
        .scan(0, |highest, one| {
            let is_behind = one.delivery_tag < *highest;
            *highest = one.delivery_tag.max(*highest);
            Some(is_behind)
        })
        .position(|is_behind| is_behind)
}

/// Gives messages back and takes them again, in the same order, while no others are behind them in the line. `given` is
/// their tags and what tells them from others; new messages that come in between are put into `fresh`, and by their tags
/// they are ahead of what came after them.
pub(super) async fn renew(
    channel: &mut LaneChannel,
    given: &[(u64, u64)],
    fresh: &mut Vec<Arrived>,
) -> Result<Vec<Arrived>, String> {
    let end = Instant::now() + PATIENCE;
    let tags: Vec<u64> = given.iter().map(|(tag, _)| *tag).collect();
    channel.requeue(&tags).await?;
    let (mut came, mut renewed) = (Vec::new(), Vec::with_capacity(given.len()));
    while renewed.len() < given.len() {
        wait_for_more(channel, end, &mut came).await?;
        for one in came.drain(..) {
            let awaited = given.get(renewed.len()).map(|(_, print)| *print);
            if one.redelivered && awaited == Some(print(&one)) {
                renewed.push(one);
            } else if one.redelivered {
                return Err("a message came back that was not given back: the order may be another now".into());
            } else {
                fresh.push(one);
            }
        }
    }
    Ok(renewed)
}

async fn wait_for_more(channel: &mut LaneChannel, end: Instant, came: &mut Vec<Arrived>) -> Result<(), String> {
    match timeout_at(end, channel.arrivals(came)).await {
        Ok(arrived) => arrived,
        // A better owner waits and gets them when we are gone, or the broker is in trouble.
        Err(_) => Err(format!("messages that were given back did not come again in {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::{
        BasicProperties,
        types::{AMQPValue, FieldTable},
    };

    fn line(counts: &[(u64, i64)]) -> Vec<Arrived> {
        let one = |(tag, count): &(u64, i64)| {
            let mut one = Arrived::mock(*tag, "".into(), "".into(), *count > 0, Vec::new());
            let mut headers = FieldTable::default();
            headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(*count));
            one.properties = BasicProperties::default().with_headers(headers);
            one
        };
        counts.iter().map(one).collect()
    }

    #[test]
    fn the_beginning_is_where_the_count_rises() {
        let at = |counts: &[(u64, i64)]| beginning(line(counts).iter());
        assert_eq!(at(&[(1, 1), (2, 1), (3, 0)]), None);
        assert_eq!(at(&[(1, 3), (2, 2), (3, 2), (4, 1)]), None);
        assert_eq!(at(&[(1, 1), (2, 1), (3, 2), (4, 2), (5, 0)]), Some(2));
        assert_eq!(at(&[(1, 1)]), None);
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn what_was_handed_out_before_one_ahead_of_it_is_misplaced() {
        let at = |tags: &[u64]| misplaced(&line(&tags.iter().map(|tag| (*tag, 1)).collect::<Vec<_>>()));
        assert_eq!(at(&[1, 2, 5, 9]), None);
        assert_eq!(at(&[4, 5, 1, 2, 6]), Some(2));
        assert_eq!(at(&[]), None);
    }
}
