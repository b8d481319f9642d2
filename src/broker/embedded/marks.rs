//! Marks as they are stored: one letter, and the failure behind the letter for a dead item.

use super::fault::{Fault, Res};
use crate::broker::Mark;
use redb::ReadableTable;

pub(super) fn encode(mark: &Mark) -> Res<Vec<u8>> {
    Ok(match mark {
        Mark::Tagged { superseded: false } => b"t".to_vec(),
        Mark::Tagged { superseded: true } => b"s".to_vec(),
        Mark::Unchanged => b"u".to_vec(),
        Mark::Dead(failure) => {
            let mut bytes = b"d".to_vec();
            serde_json::to_writer(&mut bytes, failure)?;
            bytes
        }
    })
}

fn decode(bytes: &[u8]) -> Res<Mark> {
    match bytes.split_first() {
        Some((b't', [])) => Ok(Mark::Tagged { superseded: false }),
        Some((b's', [])) => Ok(Mark::Tagged { superseded: true }),
        Some((b'u', [])) => Ok(Mark::Unchanged),
        Some((b'd', failure)) => Ok(Mark::Dead(serde_json::from_slice(failure)?)),
        _ => Err(Fault::Record("a mark of an unknown kind".into())),
    }
}

/// The marks of one message, by item.
pub(super) fn of(table: &impl ReadableTable<(u64, u32), &'static [u8]>, ticket: u64) -> Res<Vec<(u32, Mark)>> {
    let rows = table.range((ticket, 0)..=(ticket, u32::MAX))?;
    rows.map(|row| {
        let (key, mark) = row?;
        Ok((key.value().1, decode(mark.value())?))
    })
    .collect()
}
