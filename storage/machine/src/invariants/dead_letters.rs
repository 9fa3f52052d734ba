//! What must hold of the counters of causes and of jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use pushrail_model::job::JobState;

use crate::keys::{CauseCountKey, CauseCountingKey, DeadLetterKey, JobKey, Key, RunningJobKey};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;
use crate::tables::counts::CauseCount;

/// The counters of causes hold exactly the dead letters that have been counted.
pub(super) fn causes(read: &dyn Read, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let counting = tables::get(read, &CauseCountingKey {})?.unwrap_or_default();
    let all = || KeyRange::prefix(&[]);
    let mut wanted: BTreeMap<CauseCountKey, u64> = BTreeMap::new();
    for (key, letter) in tables::rows::<DeadLetterKey>(read, all(), usize::MAX)? {
        if counting.holds(&key.encode()) {
            *wanted.entry(CauseCountKey::of(&key, letter.cause)).or_default() += 1;
        }
    }
    let found = tables::rows::<CauseCountKey>(read, all(), usize::MAX)?.into_iter();
    let found: BTreeMap<_, _> = found.map(|(key, CauseCount(dead))| (key, dead)).collect();
    if found != wanted {
        wrong.push(format!(
            "counters of causes say {found:?}, and there are {wanted:?}"
        ));
    }
    Ok(())
}

/// A job is marked exactly while it runs, ended exactly while it does not, and takes no more than it was for.
pub(super) fn jobs(read: &dyn Read, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let mut running = BTreeSet::new();
    for (key, job) in tables::rows::<JobKey>(read, KeyRange::prefix(&[]), usize::MAX)? {
        let runs = job.state == JobState::Running;
        if runs {
            running.insert(key.running());
        }
        let sound = runs == job.ended.is_none()
            && job.number == key.job
            && job.cursor.died <= job.started
            && job.total.is_none_or(|total| job.taken <= total);
        if !sound {
            wrong.push(format!("{key:?} holds {job:?}"));
        }
    }
    let mut marked = BTreeSet::new();
    tables::scan_keys(read, KeyRange::prefix(&[]), |key: RunningJobKey| {
        marked.insert(key);
        Ok(ControlFlow::Continue(()))
    })?;
    if marked != running {
        wrong.push(format!("marked as running are {marked:?}, and {running:?} run"));
    }
    Ok(())
}
