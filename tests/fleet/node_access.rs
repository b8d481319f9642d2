//! Who may connect and how: TLS with a private authority, client certificates, a user with few permissions.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    rabbit::{ClientCertificate, Setup},
    support::until,
    truth::Truth,
};
use std::{net::TcpStream, time::Duration};
use tagmill::sim::Api;

const PATIENCE: Duration = Duration::from_mins(1);

/// One job through a worker that is configured like this.
fn one_job_is_done(fleet: &Fleet, lane: &Lane) {
    let worker = fleet.worker();
    let mut truth = Truth::default();
    truth.job(lane, "one", &["r-1".to_owned()], &[("env", "prod".to_owned())]);
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(1, PATIENCE));
    truth.holds(fleet);
    worker.signal("-TERM");
    assert_eq!(worker.wait().code, 0);
}

#[test]
fn a_worker_speaks_tls_with_a_private_authority_and_a_certificate_of_its_own() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let setup = Setup::new().with_tls(ClientCertificate::Required);
    let Some(mut fleet) = Fleet::start_on(setup, vec![lane.clone()]) else { return };
    let url = fleet.node.tls_url().replace("127.0.0.1", "localhost");
    fleet.home.env("AMQP_URL", &url);
    // RabbitMQ 4 listens for TLS a moment after it listens without.
    let place = url.rsplit(':').next().unwrap();
    let port: u16 = place.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    until("TLS is listened for", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    // Without the authority the server is not trusted, and the log says so without the password.
    let refused = fleet.home.run(&["status"]);
    assert_eq!(refused.code, 69, "{refused:?}");
    assert!(
        refused.err.to_lowercase().contains("certificate") || refused.err.contains("UnknownIssuer"),
        "{}",
        refused.err
    );
    assert!(!refused.err.contains("guest:guest"), "{}", refused.err);
    let certificates = fleet.node.certificates();
    let (ca, certificate, key) = (certificates.ca(), certificates.client(), certificates.client_key());
    let tls =
        format!("  tls: {{ ca: {}, certificate: {}, key: {} }}\n", ca.display(), certificate.display(), key.display());
    fleet.config(&fleet.lanes, &tls);
    one_job_is_done(&fleet, &lane);
}

#[test]
fn a_user_limited_to_names_of_ours_is_enough_and_one_who_may_not_configure_finds_everything_there() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let Some(mut fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let ctl = |arguments: &[&str]| fleet.runtime.block_on(fleet.node.ctl(arguments));
    ctl(&["add_user", "few", "s3cret"]);
    ctl(&["set_permissions", "few", r"^tagmill\.", r"^tagmill\.", r"^tagmill\."]);
    let url = fleet.node.url();
    fleet.home.env("AMQP_URL", &url.replace("guest:guest", "few:s3cret"));
    one_job_is_done(&fleet, &lane);
    let status = fleet.home.run(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");

    // May use what is there, and make nothing but queues that go with a connection.
    let ctl = |arguments: &[&str]| fleet.runtime.block_on(fleet.node.ctl(arguments));
    ctl(&["set_permissions", "few", r"^tagmill\.tmp\.", r"^tagmill\.", r"^tagmill\."]);
    fleet.config(&fleet.lanes, "  topology: assert\n");
    one_job_is_done(&fleet, &lane);
    let stranger = Lane::new("new", Api::HuaweiTms);
    fleet.config(&[stranger], "  topology: assert\n");
    let worker = fleet.home.start(&["worker"]);
    worker.says("tagmill.lane.new");
    worker.kill();
}
