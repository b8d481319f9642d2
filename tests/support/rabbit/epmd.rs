//! Erlang's port mapper, one for each node or cluster, so that node names of two tests never meet.

use super::{
    guard::{Guard, own_group},
    installation::Installation,
    ports::free_port,
};
use std::process::{Child, Command, Stdio};

pub struct Epmd {
    pub port: u16,
    process: Child,
    guard: Guard,
}

impl Epmd {
    /// In the foreground: the server would start one as a daemon that nobody ends.
    pub fn start(installation: &Installation) -> Self {
        let port = free_port();
        let mut epmd = Command::new(&installation.epmd);
        epmd.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
        epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        own_group(&mut epmd);
        let mut guard = Guard::new(None);
        let process = epmd.spawn().expect("epmd");
        guard.watch(Some(process.id()));
        Self { port, process, guard }
    }
}

impl Drop for Epmd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.guard.watch(None);
    }
}
