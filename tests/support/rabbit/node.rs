//! A RabbitMQ server of a test's own: started, killed, restarted and removed by it, on ports and data of its own.

use super::{
    certificates::Certificates,
    epmd::Epmd,
    eventually,
    guard::{Guard, own_group},
    installation::Installation,
    ports::free_port,
    setup::{ClientCertificate, Setup},
    wire, within,
};
use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

const BOOT: Duration = Duration::from_mins(1);
const SHUTDOWN: Duration = Duration::from_secs(30);
/// Erlang refuses a cookie that others may read.
const COOKIE: &str = "tagmill-test";
/// A boot takes all of a core: more at a time, under plain `cargo test` on a large machine, and all are late.
static BOOTING: Semaphore = Semaphore::const_new(2);

/// A running (or killed) server. Dropping it ends the server by its process id and removes its data.
pub struct Node {
    name: String,
    folder: PathBuf,
    installation: Installation,
    epmd: Arc<Epmd>,
    port: u16,
    tls_port: u16,
    dist_port: u16,
    certificates: Option<Certificates>,
    server: Option<Child>,
    guard: Guard,
}

impl Node {
    /// A plain node, up and answering. `None` if this run leaves such tests out; `Setup` says how it is to be otherwise.
    pub async fn start() -> Option<Self> {
        Setup::new().start().await
    }

    /// The files of node number `number`, not yet the server.
    pub(super) fn new(number: usize, setup: Setup, installation: Installation, epmd: Arc<Epmd>) -> Self {
        let folder = tempfile::Builder::new().prefix("tagmill-node-").tempdir().expect("a folder").keep();
        let guard = Guard::new(Some(&folder));
        let [port, tls_port, dist_port] = [(); 3].map(|()| free_port());
        for name in ["home", "data", "log"] {
            fs::create_dir(folder.join(name)).expect("a folder");
        }
        let cookie = folder.join("home/.erlang.cookie");
        fs::write(&cookie, COOKIE).expect("a file");
        fs::set_permissions(&cookie, Permissions::from_mode(0o400)).expect("a file of ours");
        // Instead of the machine's own rabbitmq-env.conf, which would name another node.
        fs::write(folder.join("env.conf"), "").expect("a file");
        fs::write(folder.join("plugins"), format!("[{}].\n", setup.plugins.join(","))).expect("a file");
        let mut lines = vec![
            format!("listeners.tcp.1 = 127.0.0.1:{port}"),
            "log.file = node.log".into(),
            "log.connection.level = warning".into(),
        ];
        let certificates = setup.tls.map(|clients| {
            let made = Certificates::make(&folder.join("tls"));
            lines.extend(tls_lines(tls_port, clients, &made));
            made
        });
        lines.extend(setup.config);
        fs::write(folder.join("rabbitmq.conf"), lines.join("\n") + "\n").expect("a file");
        let name = format!("n{number}@localhost");
        Self { name, folder, installation, epmd, port, tls_port, dist_port, certificates, server: None, guard }
    }

    /// Starts the server and waits until it greets clients.
    pub(super) async fn boot(&mut self) {
        let _turn = BOOTING.acquire().await.expect("never closed");
        self.launch();
        self.wait_until_up().await;
    }

    pub(super) fn launch(&mut self) {
        assert!(self.server.is_none(), "{} runs already", self.name);
        let output = File::options().create(true).append(true).open(self.folder.join("log/start.log")).expect("a file");
        let mut command = Command::new(self.installation.sbin.join("rabbitmq-server"));
        command.env_clear().envs(self.environment()).current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a file")).stderr(output);
        own_group(&mut command);
        let server = command.spawn().expect("rabbitmq-server");
        self.guard.watch(Some(server.id()));
        self.server = Some(server);
    }

    pub(super) async fn wait_until_up(&mut self) {
        let address = self.address();
        let up = within(BOOT, async || {
            let server = self.server.as_mut()?;
            if let Some(status) = server.try_wait().expect("a child") {
                return Some(Err(format!("ended with {status}")));
            }
            wire::answers(&address).await.then_some(Ok(()))
        });
        let up = up.await.unwrap_or_else(|| Err(format!("does not answer at {address} after {BOOT:?}")));
        if let Err(why) = up {
            panic!("the RabbitMQ node {} {why}. The end of its log:\n{}", self.name, self.log_tail(40));
        }
    }

    /// `guest` on the plain listener, virtual host `/`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }

    /// `guest` on the TLS listener. The name in its certificate is `localhost`.
    pub fn tls_url(&self) -> String {
        assert!(self.certificates.is_some(), "this node was set up without TLS");
        format!("amqps://guest:guest@localhost:{}/%2f", self.tls_port)
    }

    /// What a client of the TLS listener needs.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("a node that was set up with TLS")
    }

    /// Host and port of the plain listener.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The Erlang name, such as `n1@localhost`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Holds data, log and configuration; gone when the node is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process id of the Erlang machine while the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Ends the server with SIGKILL, like a power cut for everything but the disk. Returns when it is gone.
    ///
    /// A queue declared a moment ago may not survive this: call `settle` first.
    pub fn kill9(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("a child");
            server.wait().expect("a child");
            self.guard.watch(None);
        }
    }

    /// Ends the server in an orderly way (SIGTERM) and keeps its data.
    pub async fn shut_down(&mut self) {
        let Some(server) = self.server.as_mut() else { return };
        let terminate = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &server.id().to_string()]).status();
        assert!(terminate.is_ok_and(|status| status.success()), "{} cannot be told to end", self.name);
        eventually("the end of the server", SHUTDOWN, async || server.try_wait().expect("a child")).await;
        self.server = None;
        self.guard.watch(None);
    }

    /// The same node with the same data again: after `kill9`, or in an orderly way if it runs.
    pub async fn restart(&mut self) {
        self.shut_down().await;
        self.boot().await;
    }

    /// Ends the server and removes its data, as dropping the node does.
    pub fn stop(self) {
        drop(self);
    }

    /// The last lines of what the server printed and logged.
    pub fn log_tail(&self, lines: usize) -> String {
        let texts = ["log/start.log", "log/node.log"].map(|name| {
            let text = fs::read(self.folder.join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        });
        texts.join("\n--\n")
    }

    /// A script of this installation, to be run against this node.
    pub(super) fn script(&self, name: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(self.installation.sbin.join(name));
        command.env_clear().envs(self.environment()).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// All that a node takes from its environment. Nothing of the caller's environment gets in but the search path.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let file = |name: &str| self.folder.join(name).into_os_string();
        let loopback = "-kernel inet_dist_use_interface {127,0,0,1}";
        vec![
            ("PATH", self.installation.path()),
            ("LC_ALL", "C.UTF-8".into()),
            ("HOME", file("home")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("ERL_EPMD_PORT", self.epmd.port.to_string().into()),
            ("RABBITMQ_NODENAME", self.name.clone().into()),
            ("RABBITMQ_NODE_PORT", self.port.to_string().into()),
            ("RABBITMQ_DIST_PORT", self.dist_port.to_string().into()),
            ("RABBITMQ_MNESIA_BASE", file("data")),
            ("RABBITMQ_LOG_BASE", file("log")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", file("env.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", format!("+S 2:2 {loopback}").into()),
            ("RABBITMQ_CTL_ERL_ARGS", loopback.into()),
            // Makes the start script become the Erlang machine, so that our child is the server itself.
            ("RUNNING_UNDER_SYSTEMD", "true".into()),
        ]
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of the log of {}:\n{}", self.name, self.log_tail(20));
        }
        // The guard removes the folder when it is dropped, after this.
        self.kill9();
    }
}

fn tls_lines(port: u16, clients: ClientCertificate, files: &Certificates) -> Vec<String> {
    let required = clients == ClientCertificate::Required;
    vec![
        format!("listeners.ssl.1 = 127.0.0.1:{port}"),
        format!("ssl_options.cacertfile = {}", files.ca().display()),
        format!("ssl_options.certfile = {}", files.server().display()),
        format!("ssl_options.keyfile = {}", files.server_key().display()),
        "ssl_options.verify = verify_peer".into(),
        format!("ssl_options.fail_if_no_peer_cert = {required}"),
    ]
}
