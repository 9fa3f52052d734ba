//! The change log: of one tenant's name, or of all, by time.

use std::ops::ControlFlow;

use pushrail_model::change::Change;
use pushrail_model::ids::{ChangeId, TenantId};
use pushrail_model::limits;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keys::{ChangeByTimeKey, ChangeKey, Ended, Key, prefix};
use crate::query::page::{Page, behind};
use crate::store::{Direction, KeyRange, Read, StoreError};
use crate::tables::{self, damaged, more};

/// Which changes, before anything in them is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of the tenant of this name, or of each that ever bore it; `None`: of all.
    pub tenant: Option<TenantId>,
    /// Made at or after this.
    pub since: Timestamp,
    /// Made before this.
    pub until: Timestamp,
    /// Which end comes first.
    pub direction: Direction,
}

/// The changes that are wanted and that `keep` keeps, behind `from` (the `next` of the page before). `full` is shown each
/// as it joins the page, and says whether it is the last one. A page is short where few of many are kept: it looks at no
/// more than [`limits::CHANGES_LOOKED_AT_MAX`].
pub fn list(
    read: &dyn Read,
    wanted: &Wanted,
    from: Option<&[u8]>,
    keep: impl Fn(&Change) -> bool,
    full: impl FnMut(&Change) -> bool,
) -> Result<Page<(ChangeId, Change)>, StoreError> {
    let mut taken = Taken {
        rows: Vec::new(),
        looked_at: 0,
        full,
        next: None,
    };
    match &wanted.tenant {
        Some(tenant) => {
            let start = prefix(&[&Partition::of(tenant), &Ended(tenant.clone())]);
            let range = behind(range(&start, wanted), from);
            tables::scan(read, range, |key: ChangeKey, change| {
                Ok(taken.take(key.encode(), ChangeId(key.seq), change, &keep))
            })?;
        }
        None => {
            let range = behind(range(&[], wanted), from);
            tables::scan_keys(read, range, |key: ChangeByTimeKey| {
                let place = key.place();
                let change = tables::get(read, &place)?.ok_or_else(|| {
                    damaged(
                        ChangeKey::TABLE,
                        &place.encode(),
                        "a change is listed and not there",
                    )
                })?;
                Ok(taken.take(key.encode(), ChangeId(key.seq), change, &keep))
            })?;
        }
    }
    Ok(Page {
        rows: taken.rows,
        next: taken.next,
    })
}

fn range(prefix: &[u8], wanted: &Wanted) -> KeyRange {
    let at = |time: Timestamp| [prefix, &time.0.to_be_bytes()].concat();
    let of_prefix = KeyRange::prefix(prefix);
    KeyRange {
        start: at(wanted.since),
        end: match wanted.until {
            Timestamp::MAX => of_prefix.end,
            until => Some(at(until)),
        },
        direction: wanted.direction,
    }
}

struct Taken<F> {
    rows: Vec<(ChangeId, Change)>,
    looked_at: usize,
    full: F,
    next: Option<Vec<u8>>,
}

impl<F: FnMut(&Change) -> bool> Taken<F> {
    fn take(
        &mut self,
        key: Vec<u8>,
        id: ChangeId,
        change: Change,
        keep: impl Fn(&Change) -> bool,
    ) -> ControlFlow<()> {
        self.looked_at += 1;
        let mut full = false;
        if keep(&change) {
            full = (self.full)(&change);
            self.rows.push((id, change));
        }
        let goes_on = !full && self.looked_at < limits::CHANGES_LOOKED_AT_MAX;
        if !goes_on {
            self.next = Some(key);
        }
        more(goes_on)
    }
}
