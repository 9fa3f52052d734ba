//! Dead letters whose retention has ended.

use std::collections::BTreeMap;

use pushrail_model::command::{ExpireDeadLetters, LetterRef};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::limits;
use pushrail_model::shard::Partition;
use pushrail_model::time::{Span, Timestamp};

use crate::keeping;
use crate::keys::{DeadLetterExpiryKey, Key, prefix};
use crate::query::upkeep::Keeper;
use crate::store::{KeyRange, Read, StoreError, prefix_end};
use crate::tables;

/// The letters that are over, by their expiry rows, in commands of one partition each; at most
/// [`limits::UPKEEP_LETTERS_MAX`] letters in all: there may be more.
///
/// Expiry rows stand on the day on which the default retention would end. So those of a tenant that keeps letters for
/// longer are met on each look until they go: as many seeks as such a tenant has days with letters. And on the day that
/// is just ending, as many as a tenant has destinations with letters that are not over yet.
pub fn over(
    read: &dyn Read,
    keepers: &[Keeper],
    now: Timestamp,
) -> Result<Vec<ExpireDeadLetters>, StoreError> {
    let mut found: BTreeMap<Partition, Vec<LetterRef>> = BTreeMap::new();
    let mut count = 0;
    let shortest = keepers.iter().map(|keeper| keeper.retention.dead_letters()).min();
    let last = last_day(shortest.unwrap_or(limits::DEAD_LETTER_RETENTION), now);
    let mut next = first_from(read, prefix(&[&0u32]))?;
    while let Some(row) = next.take().filter(|row| row.day <= last) {
        let place = keepers.binary_search_by_key(&(row.partition, row.tenant), |keeper| {
            (keeper.partition, keeper.tenant)
        });
        let retention = place.map(|place| keepers[place].retention).unwrap_or_default();
        let of_tenant = prefix(&[&row.day, &row.partition, &row.tenant]);
        if row.day <= last_day(retention.dead_letters(), now) {
            let letters = found.entry(row.partition).or_default();
            let mut range = Some(KeyRange::prefix(&of_tenant));
            while let Some(part) = range.take() {
                let end = part.end.clone();
                tables::scan_keys(read, part, |key: DeadLetterExpiryKey| {
                    if !keeping::letter_over(key.died, &retention, now) {
                        // Those behind it at its destination died later still; the next destination's may be over.
                        range = behind_destination(&key, end.clone());
                        return Ok(tables::more(false));
                    }
                    letters.push(letter(&key));
                    count += 1;
                    Ok(tables::more(count < limits::UPKEEP_LETTERS_MAX))
                })?;
            }
            if count >= limits::UPKEEP_LETTERS_MAX {
                break;
            }
        }
        next = match prefix_end(&of_tenant) {
            Some(behind) => first_from(read, behind)?,
            None => None,
        };
    }
    let commands = found.into_iter().filter(|(_, letters)| !letters.is_empty());
    Ok(commands
        .map(|(partition, letters)| ExpireDeadLetters {
            partition,
            letters,
            actor: None,
        })
        .collect())
}

/// The last day on which the expiry row of a letter that is over can stand.
fn last_day(retention: Span, now: Timestamp) -> u32 {
    now.minus(retention).plus(limits::DEAD_LETTER_RETENTION).day()
}

fn first_from(read: &dyn Read, start: Vec<u8>) -> Result<Option<DeadLetterExpiryKey>, StoreError> {
    let mut found = None;
    let range = KeyRange {
        start,
        ..KeyRange::prefix(&[])
    };
    read.scan(DeadLetterExpiryKey::TABLE, range, &mut |key, _| {
        found = Some(tables::key_of(key)?);
        Ok(tables::more(false))
    })?;
    Ok(found)
}

/// The rest of a tenant's day, which ends at `end`, behind the destination of `key`.
fn behind_destination(key: &DeadLetterExpiryKey, end: Option<Vec<u8>>) -> Option<KeyRange> {
    let start = prefix_end(&prefix(&[
        &key.day,
        &key.partition,
        &key.tenant,
        &key.destination,
    ]))?;
    Some(KeyRange {
        start,
        end,
        ..KeyRange::prefix(&[])
    })
}

fn letter(key: &DeadLetterExpiryKey) -> LetterRef {
    LetterRef {
        delivery: DeliveryKey {
            partition: key.partition,
            tenant: key.tenant,
            destination: key.destination,
            seq: key.seq,
        },
        died: key.died,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use bytes::Bytes;
    use pushrail_model::ids::{DestinationNo, EventSeq, TenantNo};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::{Change, Changes, Table, Visit};

    /// Counts the rows that are looked at.
    struct Counting {
        store: MemoryStore,
        seen: Cell<usize>,
    }

    impl Read for Counting {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
            self.store.get(table, key)
        }

        fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
            self.store.scan(table, range, &mut |key, value| {
                self.seen.set(self.seen.get() + 1);
                visit(key, value)
            })
        }
    }

    #[test]
    fn letters_that_are_not_over_are_leapt_over_with_all_behind_them() {
        // On the day that is just ending each of ten destinations has three letters that are over and 500 that are not.
        let now = Timestamp(20_000 * Span::DAY.0 + Span::HOUR.0).plus(limits::DEAD_LETTER_RETENTION);
        let over_at = now.minus(limits::DEAD_LETTER_RETENTION);
        let letters = (0..10).flat_map(|destination| {
            (0..503).map(move |place| DeadLetterExpiryKey {
                day: now.day(),
                partition: Partition::default(),
                tenant: TenantNo(1),
                destination: DestinationNo(destination),
                died: match place {
                    0..3 => over_at.minus(Span(place)),
                    _ => over_at.plus(Span(place)),
                },
                seq: EventSeq {
                    index: place,
                    position: 0,
                },
            })
        });
        let rows = letters.map(|key| Change::Put {
            table: Table::DeadLetterExpiry,
            key: key.encode(),
            value: Bytes::new(),
        });
        let mut store = MemoryStore::default();
        store.commit(&Changes(rows.collect()));
        let read = Counting {
            store,
            seen: Cell::new(0),
        };

        let commands = over(&read, &[], now).unwrap();

        assert_eq!(commands[0].letters.len(), 30);
        assert!(commands[0].letters.iter().all(|letter| letter.died <= over_at));
        assert!(read.seen.get() <= 50, "{} rows", read.seen.get());
    }
}
