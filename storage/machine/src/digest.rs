//! One number for a whole state: equal on two nodes exactly where all their rows are.

use std::fmt;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::Xxh3;

use crate::store::{KeyRange, Read, StoreError, Table};

/// XXH3 over every row of every table, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The digest of a state.
pub fn digest(read: &dyn Read) -> Result<Digest, StoreError> {
    let mut hash = Xxh3::new();
    for (number, table) in (0u8..).zip(Table::ALL) {
        read.scan(table, KeyRange::prefix(&[]), &mut |key, value| {
            // Lengths stand before what they measure, so that no two states give the same stream of bytes.
            hash.update(&[number]);
            hash.update(&length(key));
            hash.update(key);
            hash.update(&length(value));
            hash.update(value);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(Digest(hash.digest128()))
}

fn length(bytes: &[u8]) -> [u8; 8] {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes()
}
