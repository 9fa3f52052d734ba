//! The state machine from outside: scenarios in plain text, random commands, golden bytes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and reads its scenarios and golden files"
)]

mod bounds;
mod golden;
mod held;
mod keeping;
mod lists;
mod properties;
mod queries;
mod render;
mod samples;
mod scenarios;
mod script;
mod upkeep;
mod world;
