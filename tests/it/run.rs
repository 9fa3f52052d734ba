//! `tests/run`, the judge: what fails in one of its steps is never said to have gone well.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a copy of the judge on a machine of which every tool is a stand-in; cargo and rustup do what is said.
fn judged(cargo: &str, rustup: &str) -> Output {
    let house = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in ["tests/run", "deploy/build-tools.sh"] {
        let to = house.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from.join(file), to).unwrap();
    }
    let tools = house.path().join("tools");
    fs::create_dir(&tools).unwrap();
    for (tool, does) in [
        ("cargo", cargo),
        ("rustup", rustup),
        ("apt-get", ""),
        ("sudo", ""),
        ("strace", ""),
        ("c++", ""),
        ("make", ""),
        ("setpriv", ""),
    ] {
        let path = tools.join(tool);
        fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    Command::new("bash")
        .arg(house.path().join("tests/run"))
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("LIBCLANG_PATH", &tools)
        .output()
        .unwrap()
}

#[test]
fn a_tool_that_cannot_be_installed_fails_the_step_that_installs_it() {
    // What is missing is not the last tool to be looked for: the one after it is there.
    let without_clippy = "case \"$1\" in clippy) exit 1 ;; esac";

    let judged = judged(without_clippy, "exit 1");

    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(!judged.status.success(), "{said}");
    assert!(said.contains("✗ tools") && !said.contains('✓'), "{said}");
}

#[test]
fn where_all_goes_well_every_step_is_said_to_have_gone_well() {
    let judged = judged("", "");

    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{said}");
    assert!(
        said.contains("✓ tools") && said.contains("✓ all") && !said.contains('✗'),
        "{said}"
    );
}
