//! Names, labels, and the page that shows them.

use std::collections::BTreeSet;

use super::*;

#[test]
fn names_follow_the_rules_and_stand_once() {
    let names: BTreeSet<&str> = ALL.iter().map(|figure| figure.name).collect();

    assert_eq!(names.len(), ALL.len());
    for figure in ALL {
        assert!(figure.name.starts_with("pushrail_"), "{}", figure.name);
        let counts = figure.name.ends_with("_total");
        assert_eq!(counts, figure.sort == Sort::Counter, "{}", figure.name);
        let labels = [
            "kind", "outcome", "class", "cause", "reason", "level", "version", "node", "state", "what",
        ];
        assert!(figure.labels.iter().all(|label| labels.contains(label)));
    }
}

#[test]
fn the_page_lists_every_figure() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    if std::env::var_os("UPDATE").is_some() {
        let page = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, updated(&page)).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();

    let expected = rows();
    assert_eq!(shown, expected);
}

fn rows() -> Vec<String> {
    ALL.iter()
        .map(|figure| {
            let labels: Vec<String> = figure.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, sort) = (figure.name, figure.sort.name());
            format!("| `{name}` | {sort} | {} | {} |", labels.join(", "), figure.what)
        })
        .collect()
}

/// The page with the table as it is now.
fn updated(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        if !line.starts_with("| `") {
            lines.push(line.to_owned());
        }
        if line.starts_with("|---") {
            lines.extend(rows());
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn what_is_counted_is_rendered() {
    let handle = start();

    metrics::counter!(RETRIES_SCHEDULED_TOTAL, "kind" => "webhook").increment(2);

    let text = handle.render();
    assert!(
        text.contains("pushrail_retries_scheduled_total{kind=\"webhook\"} 2"),
        "{text}"
    );
    assert!(text.contains("# HELP pushrail_build_info"), "{text}");
}
