//! The contract is what the repository says it is. `UPDATE=1` writes a change down, whose diff is then read in review:
//! nothing published may be renumbered, renamed or narrowed.

use std::path::Path;
use std::{env, fs};

#[test]
fn the_descriptor_set_is_the_committed_one() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptor.bin");
    if env::var_os("UPDATE").is_some() {
        fs::write(&committed, pushrail_api::FILE_DESCRIPTOR_SET).expect("write descriptor.bin");
    }

    let found = fs::read(&committed).expect("read descriptor.bin");

    assert!(
        found == pushrail_api::FILE_DESCRIPTOR_SET,
        "the contract has changed: if it only grew, run UPDATE=1 cargo test -p pushrail-api"
    );
}
