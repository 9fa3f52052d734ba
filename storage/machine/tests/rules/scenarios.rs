//! Runs every file in `scenarios/`: commands above a line of dashes, what came of them below, a blank line between.
//! `UPDATE=1` writes what comes now; the difference is read in review.

use std::fs;
use std::path::PathBuf;

use crate::script::Script;

const DASHES: &str = "----";

#[test]
fn every_scenario_comes_out_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are scenarios in {}", folder.display());
    let update = std::env::var("UPDATE").is_ok_and(|update| update == "1");

    let mut differing = Vec::new();
    for path in paths {
        let written = fs::read_to_string(&path).unwrap();
        let comes = play(&written);
        if comes != written {
            if update {
                fs::write(&path, &comes).unwrap();
            } else {
                differing.push(difference(&path, &written, &comes));
            }
        }
    }

    assert!(
        differing.is_empty(),
        "{}\nUPDATE=1 writes what comes now",
        differing.join("\n")
    );
}

/// The scenario with what comes of its commands now.
fn play(written: &str) -> String {
    let mut script = Script::new();
    let mut comes = String::new();
    for block in written
        .split("\n\n")
        .map(str::trim_end)
        .filter(|block| !block.is_empty())
    {
        let commands: Vec<&str> = block.lines().take_while(|line| *line != DASHES).collect();
        comes.push_str(&commands.join("\n"));
        comes.push('\n');
        let mut said = Vec::new();
        for line in commands.iter().filter(|line| !line.starts_with('#')) {
            said.extend(script.line(line));
        }
        if commands.iter().any(|line| !line.starts_with('#')) {
            comes.push_str(DASHES);
            comes.push('\n');
            for line in said {
                comes.push_str(&line);
                comes.push('\n');
            }
        }
        comes.push('\n');
    }
    comes.truncate(comes.trim_end().len());
    comes.push('\n');
    comes
}

fn difference(path: &std::path::Path, written: &str, comes: &str) -> String {
    let line = written
        .lines()
        .zip(comes.lines())
        .position(|(written, comes)| written != comes)
        .unwrap_or_else(|| written.lines().count().min(comes.lines().count()));
    format!(
        "{}:{}: written {:?}, comes {:?}",
        path.display(),
        line + 1,
        written.lines().nth(line).unwrap_or_default(),
        comes.lines().nth(line).unwrap_or_default(),
    )
}
