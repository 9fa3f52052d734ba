//! `pushrail kinds`: what each sort of destination needs, and the very table that decides what its answers mean.

use clap::{Args, Subcommand};
use pushrail_api::v1::{GetKindRequest, Kind, KindField, ListKindsRequest, Presence, RuleClass};
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::reach::{Reach, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::{pairs, table};
use crate::cli::{json as to_json, words};

/// Sorts of destinations.
#[derive(Debug, Args)]
pub struct Noun {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show one, with the table of what its answers mean
    #[command(alias = "get")]
    Show {
        /// Its name
        #[arg(value_parser = text)]
        kind: String,
    },
    /// Show all
    List,
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Show { kind } => {
            let request = GetKindRequest { kind: kind.clone() };
            let answer = session.client.get_kind(request).await;
            let answer = answer.trying(|| format!("show kind {kind}"))?;
            let kind = answer.kind.unwrap_or_default();
            session.show(&Shown {
                text: details(&kind),
                json: json!({ "kind": to_json::kind(&kind) }),
                names: vec![kind.kind],
            })
        }
        Verb::List => {
            let answer = session.client.list_kinds(ListKindsRequest {}).await;
            let kinds = answer.trying(|| "list kinds".to_owned())?.kinds;
            let rows = kinds
                .iter()
                .map(|kind| vec![kind.kind.clone(), kind.family.clone(), kind.description.clone()]);
            session.show(&Shown {
                text: table(&["kind", "family", "description"], rows),
                json: json!({ "kinds": kinds.iter().map(to_json::kind).collect::<Vec<_>>() }),
                names: kinds.iter().map(|kind| kind.kind.clone()).collect(),
            })
        }
    }
}

fn details(kind: &Kind) -> String {
    let mut text = pairs(&[
        ("kind", kind.kind.clone()),
        ("family", kind.family.clone()),
        ("description", kind.description.clone()),
        ("repeats", kind.repeats.clone()),
        (
            "request",
            words::count(
                usize::try_from(kind.batch_events_max).unwrap_or_default(),
                "event",
                "events at most",
            ),
        ),
    ]);
    text.push_str("\nsettings\n");
    text.push_str(&fields(&kind.settings));
    text.push_str("\ncredential\n");
    text.push_str(&fields(&kind.credential));
    text.push_str("\nwhat an answer means (the first line that fits counts)\n");
    let rows = kind.rules.iter().map(|rule| {
        let delivered = rule.class() == RuleClass::Delivered;
        let mut why = rule.why.clone();
        if rule.disables_destination {
            why.push_str("; the destination is disabled");
        }
        if rule.floors {
            why.push_str("; waits at least the policy's floor");
        }
        vec![
            rule.on.clone(),
            words::rule_class(rule.class),
            if delivered {
                "-".to_owned()
            } else {
                words::plain(&words::cause(rule.cause))
            },
            why,
        ]
    });
    text.push_str(&table(&["on", "class", "cause", "why"], rows));
    text
}

fn fields(fields: &[KindField]) -> String {
    let rows = fields.iter().map(|field| {
        let presence = match field.presence() {
            Presence::Required => "required".to_owned(),
            Presence::Made => "made if left out".to_owned(),
            Presence::Default => format!("default {}", field.default_value),
            Presence::Unspecified => String::new(),
        };
        vec![
            field.name.clone(),
            presence,
            field.form.clone(),
            field.description.clone(),
        ]
    });
    table(&["field", "presence", "form", "meaning"], rows)
}
