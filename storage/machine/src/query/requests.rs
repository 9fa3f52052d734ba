//! Requests on settings that are known: for doors that must read an object before they can ask for its change.

use crate::requests;
use crate::store::{Read, StoreError};

pub use crate::requests::{Act, Asked, Object};

/// Whether the object that this request led to is still there; `None`: it is no request that is remembered.
pub fn stands(read: &dyn Read, asked: &Asked<'_>) -> Result<Option<bool>, StoreError> {
    let known = requests::known(read, asked)?;
    known
        .map(|known| requests::stands(read, asked, &known.led))
        .transpose()
}
