//! What must hold of every state and across every entry, looked for by tests after each. Slow: it reads all.

mod dead_letters;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use pushrail_model::command::QueueKey;
use pushrail_model::delivery::{Delivery, DeliveryKey, DeliveryState};
use pushrail_model::ids::{DestinationNo, EventId, TenantNo};
use pushrail_model::limits;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::time::Timestamp;

use crate::keeping;
use crate::keys::{
    AssignmentKey, AttemptByTenantKey, AttemptKey, CarriedKey, DeadLetterExpiryKey, DeadLetterKey,
    DestinationCountsKey, DoorHeadKey, DoorKey, DueKey, EventCursorKey, EventKey, KeptKeyExpiryKey,
    KeptKeyKey, Key, ShardCountKey,
};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables::carried::EventCursor;
use crate::tables::cluster::clock;
use crate::tables::counts::{DestinationCounts, ShardCount};
use crate::tables::{self, Row, events};

/// Whether a state is whole; what is wrong with it, if it is not.
pub fn check(read: &dyn Read) -> Result<(), Vec<String>> {
    verdict(Check::default(), |check| check.state(read))
}

/// Whether `after` may have come from `before`: the clock, the epochs and the versions have not fallen.
pub fn check_step(before: &dyn Read, after: &dyn Read) -> Result<(), Vec<String>> {
    verdict(Check::default(), |check| check.step(before, after))
}

fn verdict(
    mut check: Check,
    run: impl FnOnce(&mut Check) -> Result<(), StoreError>,
) -> Result<(), Vec<String>> {
    if let Err(error) = run(&mut check) {
        check.wrong.push(error.to_string());
    }
    if check.wrong.is_empty() {
        Ok(())
    } else {
        Err(check.wrong)
    }
}

#[derive(Default)]
struct Check {
    wrong: Vec<String>,
}

type Lanes = BTreeMap<(Partition, TenantNo, DestinationNo), ShardId>;

impl Check {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    /// Both sets hold the same keys.
    fn same<T: Ord + std::fmt::Debug>(&mut self, what: &str, wanted: &BTreeSet<T>, found: &BTreeSet<T>) {
        for key in wanted.difference(found) {
            self.wrong.push(format!("{what}: missing {key:?}"));
        }
        for key in found.difference(wanted) {
            self.wrong.push(format!("{what}: nothing asks for {key:?}"));
        }
    }

    fn state(&mut self, read: &dyn Read) -> Result<(), StoreError> {
        let lanes = settings::lanes(self, read)?;
        self.deliveries(read, &lanes)?;
        settings::rest(self, read)?;
        self.events(read)?;
        self.attempts(read)?;
        self.idempotency(read)?;
        self.doors(read)?;
        dead_letters::causes(read, &mut self.wrong)?;
        dead_letters::jobs(read, &mut self.wrong)
    }

    /// Each scheduled delivery has one due row, each dead one a dead letter with its expiry; counters count.
    fn deliveries(&mut self, read: &dyn Read, lanes: &Lanes) -> Result<(), StoreError> {
        let (mut due, mut letters, mut expiries) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut counts: BTreeMap<DestinationCountsKey, DestinationCounts> = BTreeMap::new();
        let mut shards: BTreeMap<ShardId, u64> = BTreeMap::new();
        for (key, delivery) in all::<DeliveryKey>(read)? {
            let Some(&shard) = lanes.get(&(key.partition, key.tenant, key.destination)) else {
                self.wrong.push(format!("{key:?} goes to no destination"));
                continue;
            };
            let queue = QueueKey {
                shard,
                tenant: key.tenant,
                destination: key.destination,
            };
            let counts = counts.entry(DestinationCountsKey {
                partition: key.partition,
                tenant: key.tenant,
                destination: key.destination,
            });
            let counts = counts.or_default();
            match delivery.state {
                DeliveryState::Scheduled { due: at } => {
                    due.insert(DueKey::of(queue, at, key.seq));
                    counts.scheduled += 1;
                    *shards.entry(shard).or_default() += 1;
                }
                DeliveryState::Delivered { .. } => counts.delivered += 1,
                DeliveryState::Expired { .. } => counts.expired += 1,
                DeliveryState::Cancelled { .. } => {}
                DeliveryState::Dead { at, .. } => {
                    let letter = DeadLetterKey::of(&key, at);
                    expiries.insert(letter.expiry());
                    letters.insert(letter);
                    counts.dead += 1;
                }
                DeliveryState::Discarded { .. } => counts.discarded += 1,
            }
            self.needed(read, &key, &delivery)?;
            self.marks(read, &key, &delivery)?;
        }
        self.same("due rows", &due, &marks::<DueKey>(read)?);
        self.same("dead letters", &letters, &keys_of(&all::<DeadLetterKey>(read)?));
        self.same(
            "dead letters' expiry",
            &expiries,
            &marks::<DeadLetterExpiryKey>(read)?,
        );

        let stored = all::<DestinationCountsKey>(read)?.into_iter();
        let stored: BTreeMap<_, _> = stored
            .map(|(key, row)| (key, with_rows(row)))
            .filter(|(_, row)| *row != DestinationCounts::default())
            .collect();
        counts.retain(|_, row| *row != DestinationCounts::default());
        self.expect(stored == counts, || {
            format!("destination counters say {stored:?}, and there are {counts:?}")
        });
        let stored = all::<ShardCountKey>(read)?.into_iter();
        let stored: BTreeMap<_, _> = stored
            .map(|(key, ShardCount(scheduled))| (key.shard, scheduled))
            .filter(|(_, scheduled)| *scheduled > 0)
            .collect();
        self.expect(stored == shards, || {
            format!("shard counters say {stored:?}, and there are {shards:?}")
        });
        Ok(())
    }

    /// The event of every delivery is there and names its destination at its place; of one that is owed, or may be
    /// replayed, its payload is too.
    fn needed(&mut self, read: &dyn Read, key: &DeliveryKey, delivery: &Delivery) -> Result<(), StoreError> {
        let id = EventId {
            partition: key.partition,
            seq: key.seq,
        };
        let event = events::get(read, key.tenant, id)?;
        let there = event.as_ref().is_some_and(|event| {
            event.new.destinations.get(usize::from(delivery.place)) == Some(&key.destination)
        });
        self.expect(there, || {
            format!("{key:?} stands without its event, or at another place of it")
        });
        let whole = event.is_some_and(|event| event.stripped.is_none());
        let owed = matches!(
            delivery.state,
            DeliveryState::Scheduled { .. } | DeliveryState::Dead { .. }
        );
        self.expect(whole || !owed, || format!("{key:?} is owed without its payload"));
        Ok(())
    }

    /// What a delivery remembers stands in the attempt log until its retention ends, its runs without gaps.
    fn marks(&mut self, read: &dyn Read, key: &DeliveryKey, delivery: &Delivery) -> Result<(), StoreError> {
        let now = clock(read)?;
        let mut numbers: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        let mut identities = BTreeSet::new();
        for mark in &delivery.marks {
            numbers.entry(mark.run.0).or_default().insert(mark.number.0);
            let once = identities.insert((mark.run, mark.number, mark.epoch));
            self.expect(once, || format!("{key:?} remembers {mark:?} twice"));
            let row = AttemptKey {
                day: mark.start.day(),
                partition: key.partition,
                tenant: key.tenant,
                destination: key.destination,
                start: mark.start,
                seq: key.seq,
                run: mark.run,
                number: mark.number,
                epoch: mark.epoch,
            };
            let stands = tables::stands(read, &row)?;
            let may_be_gone = keeping::attempt_may_be_gone(mark.start, now);
            self.expect(stands || may_be_gone, || {
                format!("{key:?} remembers {mark:?}, the log does not")
            });
        }
        self.expect(delivery.marks.len() <= limits::ATTEMPT_MARKS_MAX, || {
            format!("{key:?} remembers more attempts than it may")
        });
        if delivery.marks.len() < limits::ATTEMPT_MARKS_MAX {
            for (run, numbers) in &numbers {
                self.expect(
                    numbers
                        .iter()
                        .copied()
                        .eq(1..=u32::try_from(numbers.len()).unwrap_or(0)),
                    || format!("{key:?} has a gap in run {run}: {numbers:?}"),
                );
            }
        }
        Ok(())
    }

    /// Each delivery of an event stands; what lies below a tenant's cursor is carried, and nothing else is.
    fn events(&mut self, read: &dyn Read) -> Result<(), StoreError> {
        let mut wanted = Vec::new();
        read.scan(EventKey::TABLE, KeyRange::prefix(&[]), &mut |key, _| {
            let key: EventKey = tables::key_of(key)?;
            wanted.push(key);
            Ok(ControlFlow::Continue(()))
        })?;
        let carried: BTreeMap<_, _> = all::<CarriedKey>(read)?.into_iter().collect();
        let cursors: BTreeMap<_, _> = all::<EventCursorKey>(read)?.into_iter().collect();
        for key in carried.keys() {
            let event = EventKey {
                partition: key.partition,
                tenant: key.tenant,
                seq: key.seq,
            };
            self.expect(wanted.contains(&event), || format!("{key:?} carries no event"));
        }
        for key in wanted {
            let (partition, tenant, seq) = (key.partition, key.tenant, key.seq);
            let cursor = cursors.get(&EventCursorKey { partition, tenant });
            let below = cursor.is_some_and(|EventCursor(cursor)| seq < *cursor);
            let carried = carried.get(&CarriedKey {
                partition,
                tenant,
                seq,
            });
            self.expect(below == carried.is_some(), || {
                format!("{key:?}: below the cursor {below}, carried {carried:?}")
            });
            let id = EventId {
                partition: key.partition,
                seq: key.seq,
            };
            let Some(event) = events::get(read, key.tenant, id)? else {
                continue;
            };
            if let Some(carried) = carried {
                let (named, chosen) = (&carried.destinations, &event.new.destinations);
                let all = named.len() == chosen.len() && chosen.iter().all(|number| named.contains(number));
                self.expect(all && carried.stripped == event.stripped.is_some(), || {
                    format!("{key:?} is carried as {carried:?}, and is not so")
                });
            }
            for delivery in crate::query::event::delivery_keys(&event) {
                let stands = tables::stands(read, &delivery)?;
                self.expect(stands, || format!("{id} has no delivery {delivery:?}"));
            }
        }
        Ok(())
    }

    /// The two orders of the attempt log hold the same attempts, each under its own identity.
    fn attempts(&mut self, read: &dyn Read) -> Result<(), StoreError> {
        let mut wanted = BTreeSet::new();
        for (key, record) in all::<AttemptKey>(read)? {
            self.expect(key == AttemptKey::of(&record.attempt), || {
                format!("{key:?} holds another attempt")
            });
            wanted.insert(key.by_tenant());
        }
        self.same("attempts by tenant", &wanted, &marks::<AttemptByTenantKey>(read)?);
        Ok(())
    }

    /// Each idempotency key that is taken has its expiry.
    fn idempotency(&mut self, read: &dyn Read) -> Result<(), StoreError> {
        let kept = all::<KeptKeyKey>(read)?;
        let wanted = kept.iter().map(|(key, row)| key.expiry(row.accepted)).collect();
        self.same(
            "idempotency keys' expiry",
            &wanted,
            &marks::<KeptKeyExpiryKey>(read)?,
        );
        Ok(())
    }

    /// A door has rows of its present boot only, from its lowest open batch up.
    fn doors(&mut self, read: &dyn Read) -> Result<(), StoreError> {
        let heads: BTreeMap<_, _> = all::<DoorHeadKey>(read)?
            .into_iter()
            .map(|(key, head)| (key.node, head))
            .collect();
        for (key, _) in all::<DoorKey>(read)? {
            let open = heads
                .get(&key.node)
                .is_some_and(|head| key.boot == head.boot && key.number >= head.lowest_open);
            self.expect(open, || format!("{key:?} should be gone"));
        }
        Ok(())
    }

    fn step(&mut self, before: &dyn Read, after: &dyn Read) -> Result<(), StoreError> {
        let (then, now): (Timestamp, Timestamp) = (clock(before)?, clock(after)?);
        self.expect(now >= then, || format!("the clock fell from {then:?} to {now:?}"));
        for (key, was) in all::<AssignmentKey>(before)? {
            let is = tables::get(after, &key)?;
            let holds =
                is.is_some_and(|is| is.epoch > was.epoch || (is.epoch == was.epoch && is.owner == was.owner));
            self.expect(holds, || format!("{key:?} went from {was:?} to {is:?}"));
        }
        settings::step(self, before, after)
    }
}

/// What is counted less what is counted of rows that are gone: what there is.
fn with_rows(counts: DestinationCounts) -> DestinationCounts {
    DestinationCounts {
        delivered: counts.delivered.saturating_sub(counts.delivered_dropped),
        expired: counts.expired.saturating_sub(counts.expired_dropped),
        discarded: counts.discarded.saturating_sub(counts.discarded_dropped),
        discarded_dropped: 0,
        delivered_dropped: 0,
        expired_dropped: 0,
        ..counts
    }
}

fn all<K: Row>(read: &dyn Read) -> Result<Vec<(K, K::Value)>, StoreError> {
    tables::rows(read, KeyRange::prefix(&[]), usize::MAX)
}

fn keys_of<K: Ord + Clone, V>(rows: &[(K, V)]) -> BTreeSet<K> {
    rows.iter().map(|(key, _)| key.clone()).collect()
}

fn marks<K: Key + Ord>(read: &dyn Read) -> Result<BTreeSet<K>, StoreError> {
    let mut keys = BTreeSet::new();
    tables::scan_keys(read, KeyRange::prefix(&[]), |key| {
        keys.insert(key);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(keys)
}
