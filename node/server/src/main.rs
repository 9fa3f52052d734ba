//! The `pushrail` binary: `serve` runs a node, every other verb is a client of the public API.

use std::process::ExitCode;

use clap::Parser as _;
use pushrail_server::cli::{self, Cli};
use pushrail_server::serve;

fn main() -> ExitCode {
    cli::run(Cli::parse().verb, |flags| serve::main(&flags))
}
