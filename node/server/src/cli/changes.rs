//! `pushrail changes`: who changed what, when, from where.

use clap::{Args, Subcommand};
use pushrail_api::v1::{Change, FieldChange, ListChangesRequest, Order};
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, Pages, Reach, text};
use crate::cli::session::Session;
use crate::cli::thing::Thing;
use crate::cli::times::Times;
use crate::cli::{json as to_json, words};

/// The audit trail of people.
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
    /// Show those that fit every filter, newest first; also of what was removed since
    List(List),
}

/// Which changes.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Of the tenant of this name alone
    #[arg(long, value_name = "TENANT", env = "PUSHRAIL_TENANT", value_parser = text)]
    tenant: Option<String>,
    /// Of destinations of this name alone
    #[arg(long, value_parser = text)]
    destination: Option<String>,
    /// Of routes of this name alone
    #[arg(long, conflicts_with = "destination", value_parser = text)]
    route: Option<String>,
    /// By callers of this name alone
    #[arg(long = "by", value_name = "NAME", value_parser = text)]
    by: Option<String>,
    /// Made at or after this: a time (2026-11-24T10:00:00Z, or 08:26 of today), or how long ago (2h)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Made before this: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    fresh: Fresh,
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    let Verb::List(list) = verb;
    let moment =
        |text: &Option<String>, flag: &str| match text {
            Some(text) => session.times.read(text).map(Some).map_err(|wrong| {
                CliError::usage(format!("read {flag} {text}"), format!("it must be {wrong}"))
            }),
            None => Ok(None),
        };
    let request = ListChangesRequest {
        tenant: list.tenant.unwrap_or_default(),
        destination: list.destination.unwrap_or_default(),
        route: list.route.unwrap_or_default(),
        actor: list.by.unwrap_or_default(),
        since: moment(&list.since, "--since")?,
        until: moment(&list.until, "--until")?,
        order: i32::from(if list.oldest_first {
            Order::OldestFirst
        } else {
            Order::NewestFirst
        }),
        consistency: Some(list.fresh.consistency),
        ..ListChangesRequest::default()
    };
    let page = |page_size, page_token| {
        session.client.list_changes(ListChangesRequest {
            page_size,
            page_token,
            ..request.clone()
        })
    };
    session
        .list(&list.pages, || "list changes".to_owned(), page)
        .await
}

impl Thing for Change {
    const ONE: &'static str = "change";
    const MANY: &'static str = "changes";
    const HEADS: &'static [&'static str] = &["at", "by", "from", "tenant", "object", "what", "fields"];

    fn id(&self) -> String {
        self.change.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        let actor = self.actor.clone().unwrap_or_default();
        vec![
            times.moment(self.at),
            some(&actor.name),
            some(&actor.address),
            self.tenant.clone(),
            some(&format!("{}{}", self.destination, self.route)),
            words::plain(&words::change(self.fact)),
            fields(self),
        ]
    }

    fn json(&self) -> Value {
        let actor = self.actor.clone().unwrap_or_default();
        json!({
            "change": self.change,
            "at": to_json::time(self.at),
            "actor": { "name": actor.name, "address": actor.address, "door_node": actor.door_node },
            "fact": words::change(self.fact),
            "tenant": self.tenant,
            "destination": self.destination,
            "route": self.route,
            "version": self.version,
            "fields": self.fields.iter().map(field_json).collect::<Vec<Value>>(),
            "deliveries_touched": self.deliveries_touched,
            "deliveries": self.deliveries,
            "job": self.job,
            "request_id": self.request_id,
        })
    }
}

fn some(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

fn field_json(field: &FieldChange) -> Value {
    json!({
        "field": field.field,
        "before": field.before,
        "after": field.after,
        "secret": field.secret,
    })
}

/// What differs, in one line.
fn fields(change: &Change) -> String {
    let mut parts = Vec::new();
    if !change.job.is_empty() {
        parts.push(change.job.clone());
    }
    parts.extend(change.fields.iter().map(field));
    if change.deliveries_touched > 0 {
        parts.push(format!("{} deliveries", change.deliveries_touched));
    }
    parts.join(", ")
}

fn field(field: &FieldChange) -> String {
    if field.secret {
        return format!("{}: changed", field.field);
    }
    let said = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
    match (&field.before, &field.after) {
        (None, after) => format!("{}: {}", field.field, said(after)),
        (before, after) => format!("{}: {} → {}", field.field, said(before), said(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_reads_in_one_line_and_a_secret_only_as_changed() {
        let of = |field: &str, before: Option<&str>, after: Option<&str>, secret| FieldChange {
            field: field.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            secret,
        };
        let change = Change {
            fields: vec![
                of("concurrency", Some("16"), Some("3"), false),
                of("pattern", None, Some("order.*"), false),
                of("state", Some("active"), None, false),
                of("credential", None, None, true),
            ],
            deliveries_touched: 2,
            ..Change::default()
        };

        assert_eq!(
            fields(&change),
            "concurrency: 16 → 3, pattern: order.*, state: active → -, credential: changed, 2 deliveries"
        );
    }
}
