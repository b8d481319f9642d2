//! The examples are run where their tool can be had; what they publish is a job that a worker reads.

use crate::fleet::{Fleet, url};
use lapin::message::Delivery;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tagmill::{broker::rabbitmq::Topology, config, job::Job};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A fleet whose lane `a` has its queue.
fn with_lane() -> Option<Fleet> {
    let fleet = Fleet::new()?;
    fleet.runtime.block_on(async {
        let channel = fleet.link.channel().await.unwrap();
        Topology::Declare.lane(&channel, &fleet.names, &fleet.lane("a")).await.unwrap();
    });
    Some(fleet)
}

fn succeeds(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    Err(format!("{command:?} failed: {said}"))
}

/// The one job in the lane, and that the command has printed its id.
#[track_caller]
fn published(fleet: &Fleet, output: &Output) -> (Job, Delivery) {
    let mut jobs = fleet.jobs_and_messages("a");
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let (job, message) = jobs.remove(0);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), job.id.as_str());
    assert_eq!(job.set["env"].as_ref(), "prod");
    (job, message)
}

/// A Python with pika, made once for all runs of the tests.
fn python() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pika");
    let python = venv.join("bin/python");
    if succeeds(Command::new(&python).args(["-c", "import pika"])).is_err() {
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet", "pika==1.4.4"]))?;
    }
    Ok(python)
}

#[test]
fn the_python_example_publishes_a_job() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return eprintln!("left out: pika cannot be installed: {why}"),
    };
    let Some(fleet) = with_lane() else { return };
    let lane = fleet.lane("a");
    let publish = |args: &[&str]| {
        let mut command = Command::new(&python);
        command
            .arg(example("rabbitmq/publish.py"))
            .args(args)
            .env("AMQP_URL", url())
            .env("TAGMILL_EXCHANGE", &**fleet.names.jobs());
        succeeds(&mut command)
    };
    let full = r#"{"id": "d-1", "type": "disk", "project": "p-1"}"#;
    let output = publish(&[lane.as_str(), "env=prod", "i-1", full]).unwrap();
    let (job, message) = published(&fleet, &output);
    assert_eq!((job.resources.len(), job.resources[1].project.as_deref()), (2, Some("p-1")));
    assert!(job.extras.created_at.is_some());
    assert_eq!(*message.properties.delivery_mode(), Some(2));
    assert_eq!(message.properties.message_id().as_ref().unwrap().as_str(), job.id.as_str());
    assert!(publish(&[lane.as_str()]).is_err(), "usage");
}

/// amqp-publish of Debian's amqp-tools, installed where we may.
fn amqp_tools() -> Result<(), String> {
    let is_there = || Command::new("amqp-publish").arg("--help").output().is_ok();
    if is_there() {
        return Ok(());
    }
    let id = succeeds(Command::new("id").arg("-u"))?;
    if id.stdout != b"0\n" {
        return Err("amqp-publish is not there, and only root may install amqp-tools".into());
    }
    succeeds(Command::new("apt-get").args(["install", "-y", "-qq", "amqp-tools"])).map(drop)
}

#[test]
fn the_shell_example_publishes_a_job() {
    if let Err(why) = amqp_tools() {
        return eprintln!("left out: {why}");
    }
    let Some(fleet) = with_lane() else { return };
    let lane = fleet.lane("a");
    let publish = |args: &[&str]| {
        let mut command = Command::new("sh");
        command
            .arg(example("rabbitmq/publish.sh"))
            .args(args)
            .env("AMQP_URL", url())
            .env("TAGMILL_EXCHANGE", &**fleet.names.jobs());
        succeeds(&mut command)
    };
    let output = publish(&[lane.as_str(), "env=prod", "i-1"]).unwrap();
    let (job, message) = published(&fleet, &output);
    assert_eq!(job.resources[0].id.as_ref(), "i-1");
    assert_eq!(*message.properties.delivery_mode(), Some(2));
    assert!(publish(&[lane.as_str(), "env=\"prod", "i-1"]).is_err(), "a quote would break the JSON");
}

#[test]
fn the_config_of_the_examples_is_a_good_one_for_the_clouds_of_the_examples() {
    let text = std::fs::read_to_string(example("fleet.yaml")).unwrap();
    let fleet = config::parse(&text, Path::new("examples/fleet.yaml"), []).unwrap();
    assert!(fleet.warnings.is_empty() && fleet.broker.is_some(), "{:?}", fleet.warnings);
    let clouds = std::fs::read_to_string(example("clouds.yaml")).unwrap();
    let clouds = tagmill::sim::SimConfig::parse(&clouds).unwrap();
    for lane in &fleet.lanes {
        let cloud = clouds.clouds.iter().find(|cloud| cloud.name == lane.name.as_str());
        assert!(cloud.is_some(), "there is no cloud {}", lane.name);
    }
}
