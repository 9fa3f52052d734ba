//! Reads the database through, piece by piece, so that damage is found where nobody reads. Everything that comes from
//! a file is checked on the way: blocks, and values that lie in blob files.

use pushrail_machine::store::StoreError;

use crate::error::read_error;
use crate::layout::Family;
use crate::store::RocksStore;
use crate::view::{family, read_options};

/// How far a round has come; the default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubPlace {
    family: usize,
    next: Vec<u8>,
}

/// One piece that was read and is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Where it goes on; `None`: the round is at its end.
    pub next: Option<ScrubPlace>,
}

impl RocksStore {
    /// Reads on from `place` for about `bytes_max` bytes. What it reads is not kept in the cache.
    pub fn scrub(&self, place: &ScrubPlace, bytes_max: u64) -> Result<Scrubbed, StoreError> {
        let Some(lies) = Family::ALL.get(place.family).copied() else {
            return Ok(Scrubbed { bytes: 0, next: None });
        };
        let mut options = read_options();
        options.fill_cache(false);
        let mut rows = self.db().raw_iterator_cf_opt(family(self.db(), lies), options);
        rows.seek(&place.next);
        let mut bytes = 0;
        while let Some((key, value)) = rows.item() {
            if bytes >= bytes_max {
                let next = ScrubPlace {
                    family: place.family,
                    next: key.to_vec(),
                };
                return Ok(Scrubbed {
                    bytes,
                    next: Some(next),
                });
            }
            bytes += (key.len() + value.len()) as u64;
            rows.next();
        }
        rows.status().map_err(read_error(
            self.db().path(),
            format!("read the state through ({})", lies.name()),
        ))?;
        Ok(Scrubbed {
            bytes,
            next: Some(ScrubPlace {
                family: place.family + 1,
                next: Vec::new(),
            }),
        })
    }
}
