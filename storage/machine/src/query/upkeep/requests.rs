//! What is left of requests that nobody repeats any more. Such rows are few: a look reads all of them, piece by piece.

use pushrail_model::job::JobState;
use pushrail_model::limits;
use pushrail_model::requests::{DropRequests, Left, RequestRow};
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::jobs;
use crate::keeping;
use crate::keys::{JobKey, ReplayKey};
use crate::query::page::behind;
use crate::store::{KeyRange, Read, StoreError};
use crate::tables::{self, Row};

/// Where a look stands; the default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    table: u8,
    after: Option<Vec<u8>>,
}

/// A look at some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What can be done.
    pub command: Option<DropRequests>,
    /// Where to go on; `None`: that was all.
    pub next: Option<Place>,
}

/// Looks at up to `limit` rows, those behind `place`.
pub fn look(read: &dyn Read, place: &Place, limit: usize, now: Timestamp) -> Result<Looked, StoreError> {
    let over = |at| keeping::request_over(at, now);
    let piece = match place.table {
        0 => piece::<ReplayKey>(read, place, limit, |key, replay| {
            let row = RequestRow {
                tenant: key.tenant,
                left: Left::Replay(key.request_id.clone()),
            };
            Ok(over(replay.started).then_some((key.partition, row)))
        }),
        _ => piece::<JobKey>(read, place, limit, |key, job| {
            let ended = job.ended.filter(|_| job.state != JobState::Running);
            if !ended.is_some_and(over) || jobs::is_newest(read, key)? {
                return Ok(None);
            }
            let row = RequestRow {
                tenant: key.tenant,
                left: Left::Job(key.job),
            };
            Ok(Some((key.partition, row)))
        }),
    }?;
    let next = match piece.next {
        Some(after) => Some(Place {
            table: place.table,
            after: Some(after),
        }),
        None => (place.table < 1).then_some(Place {
            table: place.table + 1,
            after: None,
        }),
    };
    let command = piece
        .found
        .map(|(partition, rows)| DropRequests { partition, rows });
    Ok(Looked { command, next })
}

struct Piece {
    /// Rows of one partition.
    found: Option<(Partition, Vec<RequestRow>)>,
    /// The last key looked at, if the piece ended before the table did.
    next: Option<Vec<u8>>,
}

fn piece<K: Row>(
    read: &dyn Read,
    place: &Place,
    limit: usize,
    over: impl Fn(&K, &K::Value) -> Result<Option<(Partition, RequestRow)>, StoreError>,
) -> Result<Piece, StoreError> {
    let mut found: Option<(Partition, Vec<RequestRow>)> = None;
    let (mut looked_at, mut last, mut cut) = (0, place.after.clone(), false);
    let range = behind(KeyRange::prefix(&[]), place.after.as_deref());
    tables::scan(read, range, |key: K, value| {
        if let Some((partition, row)) = over(&key, &value)? {
            let (of, rows) = found.get_or_insert_with(|| (partition, Vec::new()));
            // One command speaks of one partition; the rest is met again from the last one that was taken.
            if *of != partition || rows.len() >= limits::UPKEEP_REQUESTS_MAX {
                cut = true;
                return Ok(tables::more(false));
            }
            rows.push(row);
        }
        looked_at += 1;
        last = Some(key.encode());
        cut = looked_at >= limit;
        Ok(tables::more(!cut))
    })?;
    Ok(Piece {
        found,
        next: last.filter(|_| cut),
    })
}
