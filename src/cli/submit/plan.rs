//! What files come to before anything is sent: jobs, items and bytes of each lane, and whether all of it may go.

use super::group::{Grouping, Identity, Piece};
use crate::{
    broker::rabbitmq::batch::{Sent, Share},
    cli::{
        apply::Rows,
        exit,
        files::{Bad, Found, InputError, Reader},
        report::{self, Cell, Output, Table},
    },
    job::LaneName,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt::Write as _};

/// What files come to.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All of it.
    pub all: Sent,
    /// Rows that can never work: those that are no jobs, and jobs that their provider refuses.
    pub bad: u64,
    /// Lane by lane.
    pub lanes: BTreeMap<LaneName, Part>,
    /// The same where the same rows become the same jobs of the same lanes.
    pub digest: String,
}

/// What files come to for one lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// Jobs and items.
    pub share: Share,
    /// Bytes of the messages, without headers.
    pub bytes: u64,
}

#[derive(Serialize)]
struct Figures {
    jobs: u64,
    items: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct LaneFigures<'p> {
    name: &'p str,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct Document<'p> {
    #[serde(flatten)]
    figures: Figures,
    /// Rows that are no jobs: they go to the dead letters.
    bad: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<&'p str>,
    /// Jobs that this command sent; the others were there already.
    sent: u64,
    lanes: Vec<LaneFigures<'p>>,
}

/// Looks at every row. The error says why nothing may be sent.
pub fn look(reader: &Reader, identity: &Identity, strict: bool) -> Result<Plan, String> {
    let mut rows = Rows::default();
    let looked = look_at(reader, identity, &mut rows);
    rows.tell_rest();
    let plan = looked.map_err(|error| error.to_string())?;
    if rows.unknown_lane > 0 {
        let many = report::count(rows.unknown_lane, "row");
        return Err(format!("{many} with a lane that is not in the config; nothing was sent"));
    }
    if strict && rows.bad > 0 {
        return Err(format!("{} and --strict was given; nothing was sent", report::count(rows.bad, "bad row")));
    }
    match plan.all {
        Sent { jobs: 0, bad: 0, .. } => Err("there are no rows in the files".into()),
        Sent { jobs: 0, .. } => Err("no row can be read; nothing was sent".into()),
        _ => Ok(Plan { bad: rows.bad, ..plan }),
    }
}

fn look_at(reader: &Reader, identity: &Identity, rows: &mut Rows) -> Result<Plan, InputError> {
    let mut plan = Plan::default();
    let mut hash = Sha256::new();
    let mut grouping = Grouping::new(identity, |lane, resource| key(reader, lane, resource));
    let mut count = |piece: Piece, rows: &mut Rows| match piece {
        Piece::Bad(_, bad) => {
            plan.all.bad += 1;
            rows.tell(&bad);
            hash.update([0]);
        }
        Piece::Job(job) => {
            let items = job.resources.len() as u64;
            // A job that was parsed can be written.
            let bytes = serde_json::to_vec(&job).map_or(0, |json| json.len() as u64);
            plan.all.jobs += 1;
            plan.all.items += items;
            hash.update([1]);
            hash.update(items.to_be_bytes());
            hash.update(job.lane.as_str());
            let part = plan.lanes.entry(job.lane).or_default();
            part.share.jobs += 1;
            part.share.items += items;
            part.bytes += bytes;
        }
    };
    let mut pieces = Vec::new();
    reader.each_of(|digest, found| {
        // A job that its provider refuses travels as a job all the same and ends as a dead letter at the worker: the
        // provider of the worker's version decides.
        let refused = match &found {
            Found::Job { file, line, job, refused } if !refused.is_empty() => Some(Bad {
                file: file.clone(),
                line: *line,
                code: "invalid",
                message: refused.join("; "),
                lane: Some(job.lane.clone()),
                bytes: Vec::new(),
            }),
            _ => None,
        };
        if let Some(bad) = refused {
            rows.tell(&bad);
        }
        grouping.add(digest, found, &mut |piece| {
            pieces.push(piece);
            Ok::<(), InputError>(())
        })?;
        pieces.drain(..).for_each(|piece| count(piece, rows));
        Ok::<(), InputError>(())
    })?;
    grouping.finish(&mut |piece| {
        count(piece, rows);
        Ok::<(), InputError>(())
    })?;
    plan.digest = hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(plan)
}

/// The provider's own name of a resource.
pub fn key(reader: &Reader, lane: &LaneName, resource: &crate::job::Resource) -> String {
    reader.provider(lane).map_or_else(|| resource.id.to_string(), |provider| provider.resource_key(resource))
}

impl Plan {
    /// Prints it on stdout: of `batch`, where it was sent, and how many of its jobs by this command.
    pub fn print(&self, output: Output, batch: Option<&str>, sent: u64) -> std::io::Result<()> {
        let sum = self.lanes.values().map(|part| part.bytes).sum();
        match output {
            Output::Json | Output::Ndjson => report::print_json(&Document {
                figures: Figures { jobs: self.all.jobs, items: self.all.items, bytes: sum },
                bad: self.all.bad,
                batch,
                sent,
                lanes: self.lanes.iter().map(|(name, part)| figures(name, part)).collect(),
            }),
            Output::Table => {
                let mut table = Table::new(&["lane", "jobs", "items", "bytes"]);
                let row = |name: &str, jobs, items, bytes| {
                    vec![Cell::text(name), Cell::number(jobs), Cell::number(items), Cell::number(bytes)]
                };
                for (name, part) in &self.lanes {
                    table.row(row(name.as_str(), part.share.jobs, part.share.items, part.bytes));
                }
                if self.lanes.len() > 1 {
                    table.rule();
                    table.row(row("total", self.all.jobs, self.all.items, sum));
                }
                table.print()
            }
        }
    }

    /// How a command ends that has sent this, as a number.
    pub fn code(&self) -> u8 {
        if self.bad > 0 { exit::DEAD } else { 0 }
    }
}

fn figures<'p>(name: &'p LaneName, part: &Part) -> LaneFigures<'p> {
    let figures = Figures { jobs: part.share.jobs, items: part.share.items, bytes: part.bytes };
    LaneFigures { name: name.as_str(), figures }
}
