//! Free ports on loopback that stay ours while a node is down.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below every system's range for outgoing connections. A port from that range can be taken by a client while its node
/// is down, even by the client that tries to reach it: it then connects to itself.
const FIRST: u32 = 10_240;
const COUNT: u32 = 5_760;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, different at each call. Processes start far apart from one another.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(1_009);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(step) % COUNT).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} to {}", FIRST + COUNT - 1);
}
