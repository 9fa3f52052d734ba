//! `pushrail attempts`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{Attempt, ListAttemptsRequest, Order};

use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::table;
use crate::cli::{json, times, words};

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
pub(super) struct List {
    #[command(flatten)]
    tenant: TenantFlag,
    /// Of which event
    #[arg(long, required_unless_present = "destination")]
    event: Option<String>,
    /// At which destination
    #[arg(long)]
    destination: Option<String>,
    /// Begun at or after this: a time, or how long ago (2h)
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
    let moment = |text: &Option<String>, flag: &str| match text {
        Some(text) => session
            .times
            .read(text)
            .map(Some)
            .map_err(|wrong| CliError::usage(format!("read {flag} {text}"), wrong)),
        None => Ok(None),
    };
    let mut request = ListAttemptsRequest {
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
    let mut found = Vec::new();
    let (applied, age) = loop {
        request.page_size = list.pages.next_size(found.len());
        let answer = session.client.list_attempts(request.clone()).await;
        let answer = answer.trying(|| "list attempts".to_owned())?;
        found.extend(answer.attempts);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || found.len() >= list.pages.wanted() {
            break (answer.applied, answer.age);
        }
    };
    let rows = found.iter().map(|attempt| {
        vec![
            session.times.moment(attempt.started),
            attempt.event.clone(),
            attempt.destination.clone(),
            format!("{}.{}", attempt.run, attempt.number),
            outcome(attempt),
            attempt
                .status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            times::length_of(attempt.took)
                .map(times::length)
                .unwrap_or_default(),
            attempt.node.to_string(),
            reason(attempt),
        ]
    });
    let heads = [
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
    session.show(&Shown {
        text: table(&heads, rows),
        json: json::list(
            "attempts",
            found.iter().map(json::attempt).collect(),
            &applied,
            age,
        ),
        names: found.iter().map(|attempt| attempt.attempt.clone()).collect(),
    })?;
    session.reflects(&applied, age);
    session.more(&request.page_token);
    Ok(())
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
