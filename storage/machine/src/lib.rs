//! How the replicated state changes. No clock, no chance, no disk: `apply` computes what is to be written.

pub mod store;
