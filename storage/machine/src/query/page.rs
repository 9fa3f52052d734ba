//! A page of rows, and where the next one begins.

use crate::store::{Direction, KeyRange};

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins, if there may be one: opaque, to be given back with the same question.
    pub next: Option<Vec<u8>>,
}

/// What of `range` lies behind the row at `cursor`. A cursor only narrows a range: one that was given for another
/// question shows nothing of anybody else.
pub(crate) fn behind(mut range: KeyRange, cursor: Option<&[u8]>) -> KeyRange {
    let Some(cursor) = cursor else {
        return range;
    };
    match range.direction {
        Direction::Ascending => {
            let start = just_after(cursor);
            if start > range.start {
                range.start = start;
            }
        }
        Direction::Descending => {
            if range.end.as_deref().is_none_or(|end| cursor < end) {
                range.end = Some(cursor.to_vec());
            }
        }
    }
    range
}

/// The smallest key above `key`.
pub(crate) fn just_after(key: &[u8]) -> Vec<u8> {
    let mut after = Vec::with_capacity(key.len() + 1);
    after.extend_from_slice(key);
    after.push(0);
    after
}
