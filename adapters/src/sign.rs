//! How a receiver can know that a request is ours.

pub mod standard_webhooks;
