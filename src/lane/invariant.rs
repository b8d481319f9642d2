//! The promises of a lane, by number. The simulation checks each of them; a failing check names its number.

/// Number and promise.
pub const PROMISES: [(&str, &str); 11] = [
    ("L1", "every ticket is settled exactly once"),
    ("L2", "no ack before every item is final and its dead letter and receipt are confirmed"),
    ("L3", "in any t seconds at most burst + t x rate calls leave, follow-ups counted"),
    ("L4", "calls in flight never exceed the window"),
    ("L5", "every call is within the provider's limits, and names nothing twice"),
    ("L6", "final tags equal the jobs applied in arrival order"),
    ("L7", "no call leaves before a Retry-After has passed"),
    ("L8", "attempts are bounded, and throttling spends none"),
    ("L9", "after a drain no new call leaves but follow-ups, and every ticket is answered"),
    ("L10", "waiting work implies a deadline, a call in flight, or a pause"),
    ("L11", "above its capacity the lane asks for no more"),
];
