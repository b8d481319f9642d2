//! The nodes that tests start: what they promise to the tests that will lean on them.

use crate::{
    node_client::Client,
    rabbit::{
        Certificates, ClientCertificate, Cluster, Node, Setup, answers, eventually, nodes_are_left_out, shared_broker,
        unique,
        wire::{HEADER, Wire},
    },
};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_shared_broker_of_the_run_lets_us_in() {
    let Some(url) = shared_broker().await else { return };
    let (login, place) = url.strip_prefix("amqp://").unwrap().split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let address = place.split('/').next().unwrap();
    Wire::log_in(address, user, password, "/").await.unwrap();
}

#[tokio::test]
async fn a_node_takes_configuration_and_orders_and_leaves_nothing_behind() {
    let setup = Setup::new().with_config(&["channel_max = 77"]).with_tls(ClientCertificate::Optional);
    let Some(node) = setup.start().await else { return };
    let address = node.address();
    assert_eq!(node.url(), format!("amqp://guest:guest@{address}/%2f"));
    assert!(node.ctl(&["environment"]).await.contains("{channel_max,77}"));

    assert!(tls_greets(&node, &node.certificates().ca(), None).await, "no certificate is asked for");

    let refused = Wire::log_in(&address, "limited", "secret", "/").await.err().unwrap();
    assert!(!refused.to_string().contains("due"), "the broker hangs up: {refused}");
    node.ctl(&["add_user", "limited", "secret"]).await;
    node.ctl(&["set_permissions", "limited", r"^tagmill\.", r"^tagmill\.", r"^tagmill\."]).await;
    Wire::log_in(&address, "limited", "secret", "/").await.unwrap();
    let complaint = node.try_ctl(&["set_permissions", "nobody", "", "", ""]).await.unwrap_err();
    assert!(complaint.contains("nobody"), "{complaint}");

    let (folder, pid) = (node.folder().to_owned(), node.pid().unwrap());
    assert!(is_alive(pid));
    let started = processes_of(&folder);
    assert!(started.contains(&pid), "{started:?}");
    node.stop();
    assert!(!answers(&address).await);
    assert!(!is_alive(pid));
    assert!(!folder.exists());
    eventually("nothing of the node runs", SOON, async || processes_of(&folder).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_killed_node_comes_back_with_what_it_had_confirmed() {
    let Some(mut node) = Node::start().await else { return };
    let (address, queue) = (node.address(), unique("kept"));
    let mut client = Client::connect(&address).await;
    client.declare_quorum_queue(&queue).await;
    node.settle().await;
    for body in [b"first", b"other"] {
        client.publish(&queue, body).await;
        client.confirmed().await;
    }
    node.kill9();
    assert!(!answers(&address).await);
    node.restart().await;

    assert_eq!(node.leader_of(&queue).await.as_deref(), Some(node.name()), "settled before the kill, so it is led");
    let mut client = Client::connect(&address).await;
    let all = async || (client.count(&queue).await == 2).then_some(());
    eventually("both messages again", SOON, all).await;
    client.publish(&queue, b"third").await;
    client.confirmed().await;

    let before = node.pid();
    node.restart().await;
    assert_ne!(node.pid(), before, "a restart of a node that runs is one");
    let mut client = Client::connect(&address).await;
    let all = async || (client.count(&queue).await == 3).then_some(());
    eventually("all three after an orderly restart", SOON, all).await;
}

#[tokio::test]
async fn a_memory_alarm_holds_publishers_until_it_is_over() {
    let Some(node) = Node::start().await else { return };
    let queue = unique("alarmed");
    let mut client = Client::connect(&node.address()).await;
    client.declare_quorum_queue(&queue).await;
    node.alarm(true).await;
    client.publish(&queue, b"waits").await;
    client.blocked().await;
    let mut onlooker = Client::connect(&node.address()).await;
    assert_eq!(onlooker.count(&queue).await, 0);
    node.alarm(false).await;
    // The message was on its way all the time: the broker reads on, and both answers come, in either order.
    client.unblocked_and_confirmed().await;
    assert_eq!(onlooker.count(&queue).await, 1);
}

#[tokio::test]
async fn a_tls_listener_lets_in_who_trusts_it_and_shows_a_certificate() {
    let stranger = tempfile::tempdir().unwrap();
    let Some(node) = Setup::new().with_tls(ClientCertificate::Required).start().await else { return };
    let ours = node.certificates();
    let strange = Certificates::make(stranger.path());
    assert!(tls_greets(&node, &ours.ca(), Some(ours)).await);
    assert!(!tls_greets(&node, &ours.ca(), None).await, "a certificate is required");
    assert!(!tls_greets(&node, &ours.ca(), Some(&strange)).await, "one of another authority is not enough");
    assert!(!tls_greets(&node, &strange.ca(), Some(ours)).await, "the server is not of the stranger's authority");
}

#[tokio::test]
async fn a_cluster_elects_a_new_leader_and_survives_the_end_of_all_its_nodes() {
    let Some(mut cluster) = Cluster::start(3).await else { return };
    assert_eq!(cluster.urls().iter().collect::<BTreeSet<_>>().len(), 3);
    let queue = unique("led");
    let mut client = Client::connect(&cluster.node(0).address()).await;
    client.declare_quorum_queue(&queue).await;
    client.publish(&queue, b"kept").await;
    client.confirmed().await;
    cluster.node(0).settle().await;

    let first = cluster.leader_of(&queue).await;
    cluster.node_mut(first).kill9();
    let second = cluster.leader_of(&queue).await;
    assert_ne!(first, second);
    let mut client = Client::connect(&cluster.node(second).address()).await;
    assert_eq!(client.count(&queue).await, 1);
    cluster.node_mut(first).restart().await;
    assert!(answers(&cluster.node(first).address()).await);

    cluster.kill9();
    cluster.restart().await;
    let third = cluster.leader_of(&queue).await;
    let mut client = Client::connect(&cluster.node(third).address()).await;
    eventually("the message again", SOON, async || (client.count(&queue).await == 1).then_some(())).await;
}

const STARTS: &str = "TAGMILL_TEST_STARTS_A_NODE";

/// Run as a process of its own by the test below: starts a node, says where, and waits to be killed.
#[tokio::test]
async fn starting_a_node_and_dying() {
    if std::env::var_os(STARTS).is_none() {
        return;
    }
    let Some(node) = Node::start().await else { return };
    println!("\nstarted {} {}", node.pid().unwrap(), node.folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_test_that_is_killed_leaves_no_node_behind() {
    if nodes_are_left_out() {
        return;
    }
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nodes::starting_a_node_and_dying", "--nocapture"])
        .env(STARTS, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines().map(Result::unwrap);
    let started = lines.into_iter().find_map(|line| line.strip_prefix("started ").map(str::to_owned));
    test.kill().unwrap();
    test.wait().unwrap();
    let started = started.expect("it started a node");
    let (pid, folder) = started.split_once(' ').unwrap();
    let (pid, folder) = (pid.parse().unwrap(), Path::new(folder));
    eventually("the node is gone", SOON, async || (!is_alive(pid) && !folder.exists()).then_some(())).await;
    eventually("nothing of it runs", SOON, async || processes_of(folder).is_empty().then_some(())).await;
}

/// Whether there is such a process; one that has ended but was not waited for is none.
fn is_alive(pid: u32) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// The processes with this folder in their command line or environment: the server, its helpers, its guard.
fn processes_of(folder: &Path) -> BTreeSet<u32> {
    let folder = folder.to_str().unwrap();
    let list = Command::new("ps").args(["axeww", "-o", "pid=,args="]).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let lines = list.lines().filter(|line| line.contains(folder));
    lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

/// Whether the AMQP greeting comes back over TLS, to a client that trusts this authority alone.
async fn tls_greets(node: &Node, ca: &Path, client: Option<&Certificates>) -> bool {
    let url = node.tls_url();
    let address = url.strip_prefix("amqps://guest:guest@").and_then(|place| place.strip_suffix("/%2f")).unwrap();
    let mut command = tokio::process::Command::new("openssl");
    command.args(["s_client", "-quiet", "-verify_return_error", "-connect", address, "-CAfile"]).arg(ca);
    command.args(["-verify_hostname", "localhost"]);
    if let Some(client) = client {
        command.arg("-cert").arg(client.client()).arg("-key").arg(client.client_key());
    }
    let mut session =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut to_server = session.stdin.take().unwrap();
    // A refused client may be gone before it reads this.
    let _ = to_server.write_all(HEADER).await;
    let mut frame = [0; 11];
    let read = tokio::time::timeout(SOON, session.stdout.take().unwrap().read_exact(&mut frame)).await.unwrap();
    read.is_ok() && frame[0] == 1 && frame[7..] == [0, 10, 0, 10]
}
