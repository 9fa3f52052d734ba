//! Verbs that ask no node: the configuration, completions, manual pages.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use harness::process::pushrail;

fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(pushrail());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PUSHRAIL_")) {
        command.env_remove(name);
    }
    command
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_configuration_is_checked_without_a_node_and_every_error_is_said_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.toml");
    fs::write(
        &file,
        "node_id = 1\ndata_dir = \"d\"\n[delivery]\nconcurrency = 0\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let flags = ["config", "check", "--config", file];

    let wrong = run(
        &[&flags[..], &["--listen", "nowhere"]].concat(),
        &[("PUSHRAIL_LOG__FORMAT", "xml"), ("PUSHRAIL_API_TOKEN", "hidden")],
    );
    let right = run(&[&flags[..], &["--set", "delivery.concurrency=8"]].concat(), &[]);

    let said = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(wrong.stdout.is_empty());
    for part in [
        &format!("delivery.concurrency = `0` ({file}:4)"),
        "listen = `nowhere` (--listen)",
        "log.format = `xml` (PUSHRAIL_LOG__FORMAT)",
        "api_token = `***` (PUSHRAIL_API_TOKEN)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("hidden"), "{said}");
    assert!(right.status.success(), "{right:?}");
    assert!(!Path::new("d").exists(), "nothing was opened");
}

#[test]
fn a_configuration_is_printed_with_who_said_so_and_can_be_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let given = ["--node-id", "3", "--data-dir", "d", "--set", "log.level=debug"];
    let environment = [("PUSHRAIL_DELIVERY__CONCURRENCY", "9")];
    let print = |output: &str| {
        let args = [&["config", "print", "-o", output][..], &given[..]].concat();
        stdout(&run(&args, &environment))
    };

    let (table, json, toml) = (print("table"), print("json"), print("toml"));
    let file = directory.path().join("node.toml");
    fs::write(&file, &toml).unwrap();
    let again = run(
        &[
            "config",
            "print",
            "-o",
            "json",
            "--config",
            file.to_str().unwrap(),
        ],
        &[],
    );

    let words: Vec<&str> = table
        .lines()
        .find(|line| line.starts_with("delivery.concurrency"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        words,
        ["delivery.concurrency", "9", "PUSHRAIL_DELIVERY__CONCURRENCY"]
    );
    let values = |text: &str| -> Vec<(String, String)> {
        let all: serde_json::Value = serde_json::from_str(text).unwrap();
        let keys = all["configuration"].as_array().unwrap().iter();
        let text = |one: &serde_json::Value| one.as_str().unwrap().to_owned();
        keys.map(|one| (text(&one["key"]), text(&one["value"]))).collect()
    };
    assert_eq!(values(&stdout(&again)), values(&json));
}

#[test]
fn a_shell_can_read_its_completions() {
    let script = stdout(&run(&["completion", "bash"], &[]));

    // From a file: the script is longer than an argument may be.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pushrail.bash");
    fs::write(&file, &script).unwrap();
    let read = Command::new("bash").arg("-n").arg(&file).output().unwrap();

    assert!(read.status.success(), "{read:?}");
    for verb in ["sandbox", "explain", "consistency"] {
        assert!(script.contains(verb), "{verb}");
    }
}

#[test]
fn manual_pages_are_written_where_they_are_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");

    let first = stdout(&run(&["man", pages.to_str().unwrap()], &[]));

    assert_eq!(first.trim(), pages.join("pushrail.1").to_str().unwrap());
    for page in ["pushrail.1", "pushrail-serve.1", "pushrail-events-explain.1"] {
        assert!(
            fs::read_to_string(pages.join(page)).unwrap().contains(".TH"),
            "{page}"
        );
    }
}
