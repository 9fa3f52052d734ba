//! The family of destinations that take an event as an HTTP request at a URL of their own.

pub mod webhook;

mod headers;
