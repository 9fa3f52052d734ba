//! What callers say: the public contract `pushrail.v1` as Rust types and services, and [`Client`], which tries the
//! nodes in turn.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod client;
pub mod failure;

pub use client::{Client, ClientError, ClientOptions, Lost, Patience, Try, drawn_id};
pub use failure::{Accepted, Violation};

/// The key of a call's metadata by which a caller says who it is: visible ASCII, at most 256 bytes.
pub const ACTOR: &str = "pushrail-actor";

/// The messages and services of `pushrail.v1`.
pub mod v1 {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::allow_attributes_without_reason,
        clippy::clone_on_ref_ptr,
        clippy::wildcard_enum_match_arm,
        reason = "generated; the .proto files bear the comments"
    )]
    tonic::include_proto!("pushrail.v1");
}

/// The contract's descriptor set, encoded: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
