//! Answers callers: one file a gRPC service, its conversions beside it.

pub mod reasons;
