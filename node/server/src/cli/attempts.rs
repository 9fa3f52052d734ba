//! `pushrail attempts`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{Attempt, AttemptOutcome, Cause, ListAttemptsRequest};
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::narrow::{self, Narrow};
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag, number, text};
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
    /// Show a tenant's, or those of an event or a destination; newest first
    List(List),
}

/// Which attempts.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    tenant: TenantFlag,
    /// Of which event alone
    #[arg(long, value_parser = text)]
    event: Option<String>,
    /// At which destination alone
    #[arg(long, value_parser = text)]
    destination: Option<String>,
    /// Delivered or failed ones alone
    #[arg(long, value_parser = narrow::outcome)]
    outcome: Option<AttemptOutcome>,
    /// Only those that failed of this: network, timeout, throttle, server, auth, …
    #[arg(long, value_parser = narrow::cause)]
    cause: Option<Cause>,
    /// Only those that were answered with this status
    #[arg(long, value_parser = number(1, 999))]
    status: Option<u32>,
    #[command(flatten)]
    narrow: Narrow,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    fresh: Fresh,
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    let Verb::List(list) = verb;
    let (since, until) = list.narrow.span(session)?;
    let request = ListAttemptsRequest {
        tenant: list.tenant.tenant,
        event: list.event.unwrap_or_default(),
        destination: list.destination.unwrap_or_default(),
        since,
        until,
        order: list.narrow.order(),
        outcome: i32::from(list.outcome.unwrap_or_default()),
        cause: i32::from(list.cause.unwrap_or_default()),
        status: list.status.unwrap_or_default(),
        event_type: list.narrow.event_type.unwrap_or_default(),
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
