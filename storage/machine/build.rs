//! Compiles the state's protobuf. protox is written in Rust, so no protoc has to be installed.

use std::error::Error;

#[allow(clippy::print_stdout, reason = "cargo listens on stdout")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    let files = protox::compile(
        [
            "pushrail/state/v1/answers.proto",
            "pushrail/state/v1/commands.proto",
            "pushrail/state/v1/records.proto",
            "pushrail/state/v1/shared.proto",
        ],
        ["proto"],
    )?;
    // Every `bytes` field is a slice of the entry or row that it was read from, never a copy.
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    Ok(())
}
