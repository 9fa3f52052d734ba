//! An event's body: compressed once, at the door, and kept, replicated and read that way.

use bytes::Bytes;

/// How the bytes of a payload are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As the caller sent them.
    #[default]
    Identity,
    /// One LZ4 block (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md>).
    Lz4,
}

/// A body as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// How `bytes` are kept.
    pub encoding: Encoding,
    /// What is kept.
    pub bytes: Bytes,
    /// Length of the caller's bytes.
    pub plain_bytes: u32,
}
