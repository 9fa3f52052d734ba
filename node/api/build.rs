//! Compiles the contract, without protoc: types and services into Rust, and the descriptor set that reflection and the
//! test against narrowing use (without comments, so that a better comment is no change of the contract).
#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 12] = [
    "pushrail/v1/types.proto",
    "pushrail/v1/publisher.proto",
    "pushrail/v1/tenants.proto",
    "pushrail/v1/destinations.proto",
    "pushrail/v1/routes.proto",
    "pushrail/v1/events.proto",
    "pushrail/v1/deliveries.proto",
    "pushrail/v1/attempts.proto",
    "pushrail/v1/dead_letters.proto",
    "pushrail/v1/changes.proto",
    "pushrail/v1/kinds.proto",
    "pushrail/v1/cluster.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;

    let mut bare = files.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), bare.encode_to_vec())?;

    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .emit_rerun_if_changed(false)
        .compile_fds(files)?;
    Ok(())
}
