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
/// longer are met on each look until they go: as many seeks as such a tenant has days with letters.
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
            tables::scan_keys(read, KeyRange::prefix(&of_tenant), |key: DeadLetterExpiryKey| {
                if keeping::letter_over(key.died, &retention, now) {
                    letters.push(letter(&key));
                    count += 1;
                }
                Ok(tables::more(count < limits::UPKEEP_LETTERS_MAX))
            })?;
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
