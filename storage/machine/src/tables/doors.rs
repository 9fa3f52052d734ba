//! What the doors' batches were answered, while their doors may still repeat them.

use pushrail_model::ids::{BatchNumber, BootId};

use crate::answers::Answers;
use crate::keys::{DoorHeadKey, DoorKey};
use crate::tables::Row;

/// A door's present boot, and its lowest batch without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoorHead {
    /// Batches of an earlier one are retired.
    pub(crate) boot: BootId,
    /// Batches below it are retired.
    pub(crate) lowest_open: BatchNumber,
}

impl Row for DoorHeadKey {
    type Value = DoorHead;
}

impl Row for DoorKey {
    type Value = Answers;
}
