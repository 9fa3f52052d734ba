//! `pushrail attempts`.

use clap::{ArgGroup, Args, Subcommand};
use pushrail_api::v1::{Attempt, ListAttemptsRequest, Order};
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag, text};
use crate::cli::session::Session;
use crate::cli::thing::Thing;
use crate::cli::times::{self, Times};
use crate::cli::{json, words};

/// The audit trail of attempts.
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
    /// Show those of an event, or of a destination within a time; newest first
    List(List),
}

/// Which attempts.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).multiple(true).args(["event", "destination"])))]
pub(super) struct List {
    #[command(flatten)]
    tenant: TenantFlag,
    /// Of which event
    #[arg(long, value_parser = text)]
    event: Option<String>,
    /// At which destination
    #[arg(long, value_parser = text)]
    destination: Option<String>,
    /// Begun at or after this: a time (2026-11-24T10:00:00Z, or 08:26 of today), or how long ago (2h)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Begun before this: a time, or how long ago
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
    let request = ListAttemptsRequest {
        tenant: list.tenant.tenant,
        event: list.event.unwrap_or_default(),
        destination: list.destination.unwrap_or_default(),
        since: moment(&list.since, "--since")?,
        until: moment(&list.until, "--until")?,
        order: i32::from(if list.oldest_first {
            Order::OldestFirst
        } else {
            Order::NewestFirst
        }),
        consistency: Some(list.fresh.consistency),
        ..ListAttemptsRequest::default()
    };
    let page = |page_size, page_token| {
        session.client.list_attempts(ListAttemptsRequest {
            page_size,
            page_token,
            ..request.clone()
        })
    };
    session
        .list(&list.pages, || "list attempts".to_owned(), page)
        .await
}

impl Thing for Attempt {
    const ONE: &'static str = "attempt";
    const MANY: &'static str = "attempts";
    const HEADS: &'static [&'static str] = &[
        "started",
        "event",
        "destination",
        "run.no",
        "outcome",
        "status",
        "took",
        "node",
        "why",
    ];

    fn id(&self) -> String {
        self.attempt.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        vec![
            times.moment(self.started),
            self.event.clone(),
            self.destination.clone(),
            format!("{}.{}", self.run, self.number),
            outcome(self),
            self.status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            times::length_of(self.took).map(times::length).unwrap_or_default(),
            self.node.to_string(),
            reason(self),
        ]
    }

    fn json(&self) -> Value {
        json::attempt(self)
    }
}

/// What came of an attempt, in two words.
pub(super) fn outcome(attempt: &Attempt) -> String {
    match &attempt.failure {
        None => "delivered".to_owned(),
        Some(failure) => format!(
            "{} ({})",
            words::class(failure.class),
            words::plain(&words::cause(failure.cause))
        ),
    }
}

fn reason(attempt: &Attempt) -> String {
    let why = attempt
        .failure
        .as_ref()
        .map(|failure| failure.why.as_str())
        .unwrap_or_default();
    let late = if attempt.effective {
        ""
    } else {
        " (came too late to change anything)"
    };
    format!("{why}{late}")
}
