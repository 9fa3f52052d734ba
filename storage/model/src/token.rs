//! A receipt of how far the state has come: opaque to callers, who give it back to read at least that much.

use std::fmt;
use std::str::FromStr;

use crate::base32;
use crate::ids::{InvalidId, LogIndex};

/// Group, term and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The Raft group; there is one.
    pub group: u16,
    /// The term in which it was given, for people who debug.
    pub term: u64,
    /// The index that the state has applied.
    pub index: LogIndex,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 18];
        bytes[..2].copy_from_slice(&self.group.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.term.to_be_bytes());
        bytes[10..].copy_from_slice(&self.index.0.to_be_bytes());
        write!(f, "tok_{}", base32::encode(&bytes))
    }
}

impl FromStr for Token {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let bytes = base32::decode::<18>(text.strip_prefix("tok_")?)?;
            let (group, rest) = bytes.split_first_chunk::<2>()?;
            let (term, index) = rest.split_first_chunk::<8>()?;
            Some(Self {
                group: u16::from_be_bytes(*group),
                term: u64::from_be_bytes(*term),
                index: LogIndex(u64::from_be_bytes(index.try_into().ok()?)),
            })
        };
        parse().ok_or_else(|| InvalidId {
            kind: "token",
            rule: "`tok_` and 29 base32 characters, as an answer gave it",
            value: text.chars().take(80).collect(),
        })
    }
}
