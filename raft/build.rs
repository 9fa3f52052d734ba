//! Compiles the peers' protocol; protox does it in Rust, so that no protoc is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["proto/raft.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Payloads stay slices of the message they came in.
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
