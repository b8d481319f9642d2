//! What systemd wants to hear of a service: datagrams to the socket that it names (see `sd_notify(3)`).

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::{
    ffi::OsStr, io, os::unix::ffi::OsStrExt as _, os::unix::net::SocketAddr, os::unix::net::UnixDatagram,
    time::Duration,
};

/// The way to systemd, where it has started us and listens.
#[derive(Debug)]
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let every = number("WATCHDOG_USEC").filter(|every| *every > 0 && ours);
        Self::to(std::env::var_os("NOTIFY_SOCKET").as_deref(), every.map(Duration::from_micros))
    }

    fn to(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        let to = socket.filter(|name| !name.is_empty()).and_then(|name| {
            let open = || Ok::<_, io::Error>((UnixDatagram::unbound()?, address(name)?));
            open().inspect_err(|error| tracing::warn!(%error, "systemd's NOTIFY_SOCKET cannot be used")).ok()
        });
        Self { watchdog: watchdog.filter(|_| to.is_some()), to }
    }

    /// How often a sign of life is due: twice in the time that systemd waits for one.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|every| every / 2)
    }

    /// We are alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// We can do our work.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// We read our config anew; [`Notify::ready`] says that it is done. `now` is the monotonic clock in microseconds.
    pub fn reloading(&self, now: Option<u64>) {
        let at = now.map_or_else(String::new, |now| format!("\nMONOTONIC_USEC={now}"));
        self.send(&format!("RELOADING=1{at}"));
    }

    /// We are about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// How it is going, in one line.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")));
    }

    fn send(&self, state: &str) {
        let Some((socket, to)) = &self.to else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), to) {
            tracing::debug!(%error, "systemd could not be told");
        }
    }
}

/// A path, or a name without one (`@...`), which only Linux has.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_bytes().strip_prefix(b"@") {
        return SocketAddr::from_abstract_name(name);
    }
    if name.as_bytes().first() == Some(&b'/') {
        return SocketAddr::from_pathname(name);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an abstract name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn says_everything_to(name: &OsStr, socket: &UnixDatagram) {
        let notify = Notify::to(Some(name), Some(Duration::from_secs(30)));
        notify.ready();
        notify.status("two\nlines");
        notify.alive();
        notify.stopping();
        notify.reloading(Some(7));
        assert_eq!(heard(socket), "READY=1");
        assert_eq!(heard(socket), "STATUS=two lines");
        assert_eq!(heard(socket), "WATCHDOG=1");
        assert_eq!(heard(socket), "STOPPING=1");
        assert_eq!(heard(socket), "RELOADING=1\nMONOTONIC_USEC=7");
        assert_eq!(notify.alive_every(), Some(Duration::from_secs(15)));
    }

    #[test]
    fn it_speaks_to_a_socket_with_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        says_everything_to(path.as_os_str(), &UnixDatagram::bind(&path).unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_speaks_to_a_socket_without_a_path() {
        let name = format!("tagmill-notify-{}", std::process::id());
        let bound = SocketAddr::from_abstract_name(&name).unwrap();
        says_everything_to(OsStr::new(&format!("@{name}")), &UnixDatagram::bind_addr(&bound).unwrap());
    }

    #[test]
    fn without_systemd_it_says_nothing_and_has_no_signs_of_life_to_give() {
        for socket in [None, Some(""), Some("relative"), Some("/no/such/socket")] {
            let notify = Notify::to(socket.map(OsStr::new), None);
            notify.ready();
            assert_eq!(notify.alive_every(), None);
        }
    }
}
