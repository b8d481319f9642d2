//! How many messages a lane may hold unacked: by count, by what its rate can do, and by what they weigh.

use std::time::Duration;

/// What the rate can do in so many seconds is enough to plan with; more would only grow old here.
const PLANNED: f64 = 600.0;
/// A slow lane plans over so many messages all the same.
const LEAST: f64 = 20.0;
/// So few messages are held whatever they weigh.
const HANDFUL: u64 = 8;
/// Nothing was delivered for so long: somebody better may be waiting.
const QUIET: Duration = Duration::from_secs(5);

/// What one lane holds at most of messages that are not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Messages.
    pub messages: u16,
    /// Bytes of messages. The broker counts messages only, so it is kept by opening the lane again with fewer of them.
    pub bytes: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { messages: 1_000, bytes: 64_000_000 }
    }
}

/// What a lane holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Messages that are not acked.
    pub(super) messages: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Messages it may hold.
    pub(super) prefetch: u16,
}

impl Window {
    /// Messages a lane may hold: `rate` is its calls a second, where they are known.
    pub(super) fn prefetch(self, rate: Option<f64>) -> u16 {
        let planned = rate.map_or(f64::INFINITY, |rate| (rate * PLANNED).max(LEAST));
        // A float that does not fit becomes the nearest number that does.
        self.messages.min(planned as u16).max(1)
    }

    /// The smaller prefetch a lane needs because its messages are large.
    pub(super) fn narrower(self, load: Load) -> Option<u16> {
        if load.bytes <= self.bytes || load.messages <= HANDFUL {
            return None;
        }
        let average = (load.bytes / load.messages).max(1);
        // Below what fits, so that the next message that is a little larger does not begin it all again.
        let fits = self.bytes.saturating_mul(3) / 4 / average;
        let fits = u16::try_from(fits).unwrap_or(u16::MAX).max(1);
        (fits < load.prefetch).then_some(fits)
    }

    /// Whether a lane that was narrowed has small messages again, and could use more of them.
    pub(super) fn is_too_narrow(self, load: Load) -> bool {
        load.messages >= u64::from(load.prefetch) && load.bytes.saturating_mul(8) < self.bytes
    }
}

/// Whether the broker may be keeping messages back for a better owner: it has room, and nothing came for a while.
/// RabbitMQ 4 tells nobody; it waits until we hold nothing.
pub(super) fn is_suspicious(load: Load, silence: Duration) -> bool {
    load.messages > 0 && load.messages < u64::from(load.prefetch) && silence >= QUIET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefetch_is_what_the_rate_can_do_in_ten_minutes() {
        let window = Window { messages: 2_000, bytes: 1 };
        assert_eq!(window.prefetch(None), 2_000);
        assert_eq!(window.prefetch(Some(1.0)), 600);
        assert_eq!(window.prefetch(Some(0.001)), 20, "a slow lane plans over a few all the same");
        assert_eq!(window.prefetch(Some(1e12)), 2_000);
        assert_eq!(Window { messages: 5, bytes: 1 }.prefetch(Some(0.001)), 5);
    }

    #[test]
    fn a_lane_of_large_messages_gets_fewer_of_them() {
        let window = Window { messages: 1_000, bytes: 8_000 };
        let load = |messages, bytes| Load { messages, bytes, prefetch: 1_000 };
        assert_eq!(window.narrower(load(100, 8_000)), None);
        assert_eq!(window.narrower(load(100, 10_000)), Some(60), "three quarters of what fits");
        assert_eq!(window.narrower(load(8, 80_000)), None, "a handful is held whatever it weighs");
        assert_eq!(window.narrower(load(9, 90_000_000)), Some(1));
        assert_eq!(window.narrower(Load { prefetch: 1, ..load(9, 90_000_000) }), None, "it is as small as can be");
    }

    #[test]
    fn a_narrow_lane_whose_messages_are_small_again_is_too_narrow() {
        let window = Window { messages: 1_000, bytes: 8_000 };
        let load = |messages, bytes| Load { messages, bytes, prefetch: 10 };
        assert!(window.is_too_narrow(load(10, 900)));
        assert!(!window.is_too_narrow(load(10, 1_000)));
        assert!(!window.is_too_narrow(load(9, 9)), "it has room");
    }

    #[test]
    fn silence_with_room_and_work_in_hand_is_suspicious() {
        let load = |messages| Load { messages, bytes: 0, prefetch: 10 };
        assert!(is_suspicious(load(9), QUIET));
        assert!(!is_suspicious(load(9), QUIET / 2));
        assert!(!is_suspicious(load(10), QUIET), "the window is full");
        assert!(!is_suspicious(load(0), QUIET), "it holds nothing that keeps anybody waiting");
    }
}
