//! The demo's resources: three clouds, tags as creation events give them, and a few that can never be tagged.

use crate::sim::well_known;
use std::{collections::BTreeMap, fmt::Write as _};

/// A lane of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Huawei,
    Rds,
    Tag,
    Aws,
    Buckets,
}

impl Lane {
    pub(super) const ALL: [Self; 5] = [Self::Huawei, Self::Rds, Self::Tag, Self::Aws, Self::Buckets];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Huawei => "huawei-prod",
            Self::Rds => "alibaba-databases",
            Self::Tag => "alibaba-all",
            Self::Aws => "aws-all",
            Self::Buckets => "aws-buckets",
        }
    }
}

/// Why a planted resource can never be tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poison {
    /// The cloud does not know it.
    Unknown,
    /// Any call with it answers 500.
    Breaks,
    /// We may not touch it.
    Denied,
}

/// One resource and the tags it shall carry.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) lane: Lane,
    pub(super) id: String,
    pub(super) tags: BTreeMap<&'static str, String>,
    pub(super) poison: Option<Poison>,
}

impl Server {
    /// The id as the provider wants it.
    pub(super) fn address(&self) -> String {
        match self.lane {
            Lane::Huawei | Lane::Rds | Lane::Buckets => self.id.clone(),
            Lane::Aws => format!("arn:aws:ec2:us-east-1:{}:instance/{}", well_known::AWS_ACCOUNT_ID, self.id),
            Lane::Tag => format!("arn:acs:ecs:cn-hangzhou:1234567890123456:instance/{}", self.id),
        }
    }

    /// The name under which the simulated cloud shows its tags.
    pub(super) fn shown_as(&self) -> String {
        match self.lane {
            Lane::Huawei => format!("{PROJECT}/ecs/{}", self.id),
            Lane::Rds => format!("INSTANCE/{}", self.id),
            Lane::Tag | Lane::Aws | Lane::Buckets => self.address(),
        }
    }
}

/// The Huawei project that the demo's servers live in.
const PROJECT: &str = "0a1b2c3d4e";

/// Everything the demo tags.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) servers: Vec<Server>,
}

impl Workload {
    pub(super) fn new(count: u32, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut servers: Vec<Server> = (0..count)
            .map(|n| {
                let lane = match (n % 50, n % 10) {
                    // Buckets are few, and each takes two requests.
                    (49, _) => Lane::Buckets,
                    (_, 0..3) => Lane::Huawei,
                    (_, 3..5) => Lane::Rds,
                    (_, 5..8) => Lane::Tag,
                    _ => Lane::Aws,
                };
                let owner = rng.u32(0..120);
                let team = owner % 15;
                let env = ["dev", "stage", "prod"].get(rng.usize(0..3)).copied().unwrap_or("prod");
                let tags = [
                    ("env", env.to_owned()),
                    ("owner", format!("user-{owner}")),
                    ("team", format!("team-{team}")),
                    ("cost-centre", format!("cc-{}", team % 9)),
                ];
                Server { lane, id: format!("srv-{n:06}"), tags: tags.into(), poison: None }
            })
            .collect();
        for (at, (lane, poison)) in PLANTED.iter().enumerate() {
            // Spread over the file, each at a place of its own.
            let share = count as usize / PLANTED.len();
            let from = at * share;
            let found = servers.iter_mut().skip(from).take(share).filter(|server| server.lane == *lane).nth(2);
            if let Some(server) = found {
                server.poison = Some(*poison);
                server.id = format!("{}-{at}", prefix(*poison));
            }
        }
        Self { servers }
    }

    pub(super) fn poison(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.poison.is_some())
    }

    /// The job file, as a person would write it.
    pub(super) fn csv(&self) -> String {
        let mut text = String::from("id,type,project,lane,env,owner,team,cost-centre\n");
        for server in &self.servers {
            let (kind, project) = match server.lane {
                Lane::Huawei => ("ecs", PROJECT),
                Lane::Rds => ("INSTANCE", ""),
                Lane::Tag | Lane::Aws | Lane::Buckets => ("", ""),
            };
            let tag = |key: &str| server.tags.get(key).map(String::as_str).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{},{kind},{project},{},{},{},{},{}",
                server.address(),
                server.lane.name(),
                tag("env"),
                tag("owner"),
                tag("team"),
                tag("cost-centre")
            );
        }
        text
    }
}

/// What is planted, and where.
const PLANTED: [(Lane, Poison); 13] = [
    (Lane::Huawei, Poison::Unknown),
    (Lane::Huawei, Poison::Denied),
    (Lane::Huawei, Poison::Breaks),
    (Lane::Rds, Poison::Unknown),
    (Lane::Rds, Poison::Unknown),
    (Lane::Rds, Poison::Breaks),
    (Lane::Tag, Poison::Unknown),
    (Lane::Tag, Poison::Unknown),
    (Lane::Tag, Poison::Denied),
    (Lane::Aws, Poison::Unknown),
    (Lane::Aws, Poison::Denied),
    (Lane::Buckets, Poison::Unknown),
    (Lane::Buckets, Poison::Denied),
];

/// How the ids of planted resources begin: the simulated clouds go by it.
pub(super) fn prefix(poison: Poison) -> &'static str {
    match poison {
        Poison::Unknown => "gone",
        Poison::Breaks => "breaks",
        Poison::Denied => "locked",
    }
}
