//! The `pushrail` binary: `serve` runs a node, every other verb is a client of the public API.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
