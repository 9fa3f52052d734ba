//! The pushrail binary.
fn main() {}
