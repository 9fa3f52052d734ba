//! The house rules that no tool knows: how files open, which crate may use which, what must not stand anywhere,
//! and which papers must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the project, by its path from the root: not what is hidden, nor what was built.
fn files() -> Vec<PathBuf> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || (directory == root && name == "target") {
                continue;
            }
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found.sort();
    assert!(found.len() > 50, "the project was not found: {found:?}");
    found
}

fn with_extension(extension: &str) -> Vec<(String, String)> {
    let of = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        (path.display().to_string(), text)
    };
    files().into_iter().filter(of).map(read).collect()
}

fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn every_file_of_code_opens_with_what_it_is_in_one_to_six_lines() {
    let mut broken = Vec::new();
    for (path, text) in with_extension("rs") {
        let head = text.lines().take_while(|line| line.starts_with("//!")).count();
        if !(1..=6).contains(&head) {
            broken.push(format!("{path}: {head} lines of `//!`"));
        }
    }
    none("the head of a file", broken);
}

#[test]
fn no_arrow_between_crates_points_up_or_sideways() {
    // What each may use, as architecture.md section 2 draws it; the second list is for its tests only.
    let allowed: BTreeMap<&str, (&[&str], &[&str])> = BTreeMap::from([
        ("storage/model", (&[][..], &[][..])),
        ("storage/machine", (&["model"], &["rocks"])),
        ("storage/rocks", (&["machine"], &[])),
        ("raft", (&["rocks", "machine", "model"], &[])),
        ("adapters", (&["model"], &[])),
        ("node/api", (&[], &[])),
        (
            "node/server",
            (&["raft", "adapters", "api", "machine", "model"], &[]),
        ),
        (
            "tests",
            (&["api"], &["server", "raft", "rocks", "machine", "model"]),
        ),
    ]);
    let ours = |table: Option<&toml::Value>| -> BTreeSet<String> {
        let names = table
            .and_then(toml::Value::as_table)
            .map(|table| table.keys().cloned().collect());
        let names: Vec<String> = names.unwrap_or_default();
        names
            .iter()
            .filter_map(|name| name.strip_prefix("pushrail-"))
            .map(str::to_owned)
            .collect()
    };
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    assert_eq!(
        members.len(),
        allowed.len(),
        "a new crate is a decision: draw its arrows in architecture.md and here"
    );

    let mut broken = Vec::new();
    for member in members {
        let room = member.as_str().unwrap();
        let (uses, tests_use) = allowed
            .get(room)
            .unwrap_or_else(|| panic!("{room} is not in the table"));
        let text = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        for name in ours(manifest.get("dependencies")) {
            if !uses.contains(&name.as_str()) {
                broken.push(format!("{room} → {name}"));
            }
        }
        for name in ours(manifest.get("dev-dependencies")) {
            if !uses.contains(&name.as_str()) && !tests_use.contains(&name.as_str()) {
                broken.push(format!("{room} → {name}, in its tests"));
            }
        }
    }
    none("arrows", broken);
}

#[test]
fn nothing_is_left_for_later_and_no_test_is_switched_off() {
    // Put together here, so that this file does not find itself.
    let marks = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "XX".to_owned() + "X",
    ];
    let attributes = ["#[ig".to_owned() + "nore", "#[should_".to_owned() + "panic"];
    let mut broken = Vec::new();
    for extension in ["rs", "proto", "toml", "md", "sh"] {
        for (path, text) in with_extension(extension) {
            for (number, line) in text.lines().enumerate() {
                let mark = marks.iter().any(|mark| {
                    line.split(|c: char| !c.is_alphanumeric())
                        .any(|word| word == mark)
                });
                // The conventions name what they forbid.
                let named = path.ends_with("conventions.md");
                if !named
                    && (mark
                        || (extension == "rs" && attributes.iter().any(|one| line.contains(one.as_str()))))
                {
                    broken.push(format!("{path}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    none("left for later", broken);
}

#[test]
fn no_test_sleeps_for_a_time_that_somebody_guessed() {
    let sleep = "sle".to_owned() + "ep(";
    let mut broken = Vec::new();
    for (path, text) in with_extension("rs") {
        // One file of the harness waits for all others.
        let test = path.starts_with("tests/") && path != "tests/harness/eventually.rs";
        for (number, line) in text.lines().enumerate() {
            if test && line.contains(&sleep) {
                broken.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("sleeps", broken);
}

#[test]
fn the_house_has_no_other_doors_than_the_drawn_ones() {
    let drawn = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "adapters",
        "deploy",
        "jepsen",
        "node",
        "raft",
        "storage",
        "target",
        "tests",
    ];
    let mut broken = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !drawn.contains(&name.as_str()) {
            broken.push(name);
        }
    }
    none("top-level entries", broken);
}

#[test]
fn every_room_and_every_paper_is_there() {
    let papers = [
        "README.md",
        "node/docs/architecture.md",
        "node/docs/conventions.md",
        "node/docs/loss-contract.md",
        "node/docs/changelog.md",
        "deploy/config/node.toml",
        "storage/model/README.md",
        "storage/machine/README.md",
        "storage/rocks/README.md",
        "raft/README.md",
        "adapters/README.md",
        "node/api/README.md",
        "node/server/README.md",
        "tests/README.md",
        "deploy/README.md",
    ];
    let missing = papers
        .iter()
        .filter(|paper| !root().join(paper).is_file())
        .map(|paper| (*paper).to_owned());
    none("papers", missing.collect());
}

#[test]
fn every_field_and_call_of_the_public_contract_says_what_it_is() {
    let mut broken = Vec::new();
    for (path, text) in with_extension("proto") {
        if !path.starts_with("node/api/proto/pushrail") {
            continue;
        }
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, pair) in lines.windows(2).enumerate() {
            let (before, line) = (pair[0], pair[1]);
            let field = line.ends_with(';') && line.contains(" = ") && !line.starts_with("syntax");
            let named = ["rpc ", "message ", "service ", "enum "]
                .iter()
                .any(|word| line.starts_with(word));
            if (field || named) && !before.starts_with("//") {
                broken.push(format!("{path}:{}: {line}", number + 2));
            }
        }
    }
    none("fields and calls without a comment", broken);
}

#[test]
fn openraft_and_bincode_stay_where_they_can_be_exchanged() {
    let mut broken = Vec::new();
    for (path, text) in with_extension("rs") {
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let names = |word: &str| code.iter().any(|line| line.contains(&format!("{word}::")));
        // This file names both, in order to look for them.
        let here = path == "tests/it/tidy.rs";
        if names("openraft") && !path.starts_with("raft/") && !here {
            broken.push(format!("{path} names openraft"));
        }
        if names("bincode") && path != "raft/src/local.rs" && path != "raft/src/local/tests.rs" && !here {
            broken.push(format!("{path} names bincode"));
        }
    }
    none("foreign names", broken);
}

#[test]
fn every_sentence_of_the_loss_contract_names_a_check_that_exists() {
    let contract = fs::read_to_string(root().join("node/docs/loss-contract.md")).unwrap();
    let code: Vec<String> = with_extension("rs").into_iter().map(|(_, text)| text).collect();
    let scenarios: BTreeSet<String> = with_extension("txt").into_iter().map(|(path, _)| path).collect();
    let mut checks = 0;
    let mut broken = Vec::new();
    for (number, line) in contract.lines().enumerate() {
        let Some(row) = line.strip_prefix("| ") else {
            continue;
        };
        let Some(last) = row.trim_end().trim_end_matches('|').rsplit('|').next() else {
            continue;
        };
        for check in last.split('`').skip(1).step_by(2) {
            checks += 1;
            let name = check.rsplit("::").next().unwrap();
            let function = format!("fn {name}(");
            let known = code.iter().any(|text| text.contains(&function))
                || scenarios.iter().any(|path| path.ends_with(check));
            if !known {
                broken.push(format!("line {}: {check}", number + 1));
            }
        }
    }
    assert!(checks >= 10, "only {checks} checks are named");
    none("checks that do not exist", broken);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let homes = [
        "/ro".to_owned() + "ot/",
        "/wo".to_owned() + "rk/",
        "/ho".to_owned() + "me/",
    ];
    let mut broken = Vec::new();
    for extension in ["rs", "proto", "toml", "md", "sh"] {
        for (path, text) in with_extension(extension) {
            for (number, line) in text.lines().enumerate() {
                if homes.iter().any(|home| line.contains(home.as_str())) {
                    broken.push(format!("{path}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    none("paths of one machine", broken);
}
