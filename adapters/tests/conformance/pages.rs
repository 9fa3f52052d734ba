//! The page of each kind: its tables are made from the data that the code runs on, and the golden file of replies
//! says what the whole of the table makes of every status and fault.

use std::fmt::Write;

use pushrail_adapters::adapter::{Fault, Reply};
use pushrail_adapters::registry;
use pushrail_adapters::rules::{cause_name, classify};
use pushrail_adapters::spec::{Field, Presence, Spec};
use pushrail_model::outcome::{Failure, FailureClass, Outcome};

use crate::golden;

const BEGIN: &str = "<!-- made from the code: -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn every_page_shows_the_tables_that_the_code_runs_on() {
    for adapter in registry::all() {
        let spec = adapter.spec();
        let path = format!("pages/{}.md", spec.kind);
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        let page = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();

        golden(&path, &format!("{before}{BEGIN}{}{END}{after}", tables(spec)));
    }
}

#[test]
fn every_status_and_fault_means_what_the_golden_file_says() {
    for adapter in registry::all() {
        let spec = adapter.spec();
        golden(&format!("golden/{}/replies.txt", spec.kind), &replies(spec));
    }
}

fn tables(spec: &Spec) -> String {
    let mut out = String::new();
    for (title, fields) in [("Settings", spec.settings), ("Credential", spec.credential)] {
        writeln!(
            out,
            "\n## {title}\n\n| field | value | | what it does |\n|---|---|---|---|"
        )
        .unwrap();
        for Field { name, form, docs, .. } in fields {
            writeln!(out, "| `{name}` | {form} | {} | {docs} |", presence(fields, name)).unwrap();
        }
    }
    writeln!(
        out,
        "\n## What an answer means\n\nThe first row that fits decides.\n\n| seen | class | cause | why | and |\n|---|---|---|---|---|"
    )
    .unwrap();
    for rule in spec.rules() {
        let cause = rule.class.cause().map_or("", cause_name);
        let (class, effects) = (rule.class.name(), rule.effects.words());
        writeln!(
            out,
            "| {} | {class} | {cause} | {} | {effects} |",
            rule.on, rule.why
        )
        .unwrap();
    }
    out.push('\n');
    out
}

fn presence(fields: &[Field], name: &str) -> String {
    match fields.iter().find(|field| field.name == name).unwrap().presence {
        Presence::Required => "required".to_owned(),
        Presence::Made => "made if left out".to_owned(),
        Presence::Default(value) => format!("`{value}` if left out"),
    }
}

/// Neighbouring statuses of one meaning in one line, then each fault.
fn replies(spec: &Spec) -> String {
    let mut lines: Vec<(u16, u16, String)> = Vec::new();
    for status in 100..=999 {
        let mut reply = Reply::default();
        reply.observed.status = Some(status);
        let meaning = meaning(&classify(spec, &reply));
        match lines.last_mut() {
            Some((_, last, same)) if *same == meaning => *last = status,
            Some(_) | None => lines.push((status, status, meaning)),
        }
    }
    let mut out = String::new();
    for (first, last, meaning) in lines {
        writeln!(out, "status {first}-{last}: {meaning}").unwrap();
    }
    for fault in [
        Fault::Code("unheard of".to_owned()),
        Fault::Unsendable,
        Fault::AddressRefused,
        Fault::Dns,
        Fault::Connect,
        Fault::ConnectTimeout,
        Fault::Tls,
        Fault::Timeout,
        Fault::Broken,
        Fault::Unopened,
        Fault::Panicked,
    ] {
        let meaning = meaning(&classify(spec, &Reply::failed(fault.clone(), "")));
        writeln!(out, "{fault:?}: {meaning}").unwrap();
    }
    out
}

fn meaning(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Failed(Failure {
            class,
            cause,
            disables,
            floors,
            why,
        }) => {
            let class = match class {
                FailureClass::Transient => "transient",
                FailureClass::Permanent => "permanent",
            };
            let disables = if *disables { ", disables" } else { "" };
            let floors = if *floors { ", floors" } else { "" };
            format!("{class}, {}{disables}{floors} ({why})", cause_name(*cause))
        }
    }
}
