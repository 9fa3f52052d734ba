//! `pushrail dlq`: what gave up, and running it again.

use std::path::Path;

use clap::{Args, Subcommand};
use pushrail_api::v1::{ListDeadLettersRequest, ReplayDeadLettersRequest, replay_result};
use serde_json::json;

use crate::cli::error::{CliError, Exit};
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::table;
use crate::cli::{given, json as to_json, words};

/// Deliveries that one call replays at most.
const REPLAY_MAX: usize = 256;

/// Dead letters.
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
    /// Show a tenant's, or one destination's; newest first within a destination
    List {
        #[command(flatten)]
        tenant: TenantFlag,
        /// Of which destination alone
        #[arg(long)]
        destination: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Run one or several again: same payload, same event id, a new run with all its retries
    Replay {
        #[command(flatten)]
        tenant: TenantFlag,
        /// Which deliveries (dlv_…); - reads them from stdin, one a line: dlq list -o name | dlq replay -
        #[arg(required = true, value_name = "DELIVERY")]
        deliveries: Vec<String>,
        /// Makes a repeat of this very command harmless
        #[arg(long, default_value = "")]
        request_id: String,
    },
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::List {
            tenant,
            destination,
            pages,
            fresh,
        } => {
            let request = ListDeadLettersRequest {
                tenant: tenant.tenant,
                destination: destination.unwrap_or_default(),
                consistency: Some(fresh.consistency),
                ..ListDeadLettersRequest::default()
            };
            list(session, request, &pages).await
        }
        Verb::Replay {
            tenant,
            deliveries,
            request_id,
        } => replay(session, &tenant.tenant, deliveries, &request_id).await,
    }
}

async fn list(session: &Session, mut request: ListDeadLettersRequest, pages: &Pages) -> Result<(), CliError> {
    let mut found = Vec::new();
    let (applied, age) = loop {
        request.page_size = pages.next_size(found.len());
        let answer = session.client.list_dead_letters(request.clone()).await;
        let answer = answer.trying(|| format!("list dead letters of {}", request.tenant))?;
        found.extend(answer.dead_letters);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || found.len() >= pages.wanted() {
            break (answer.applied, answer.age);
        }
    };
    let rows = found.iter().map(|letter| {
        vec![
            letter.delivery.clone(),
            letter.destination.clone(),
            letter.event_type.clone(),
            session.times.moment(letter.died),
            words::plain(&words::death(letter.reason)),
            words::plain(&words::cause(letter.cause)),
            letter
                .status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            letter.attempts_made.to_string(),
            letter.detail.clone(),
        ]
    });
    let heads = [
        "delivery",
        "destination",
        "type",
        "died",
        "reason",
        "cause",
        "status",
        "attempts",
        "detail",
    ];
    session.show(&Shown {
        text: table(&heads, rows),
        json: to_json::list(
            "dead_letters",
            found.iter().map(to_json::dead_letter).collect(),
            &applied,
            age,
        ),
        names: found.iter().map(|letter| letter.delivery.clone()).collect(),
    })?;
    session.reflects(&applied, age);
    session.more(&request.page_token);
    Ok(())
}

async fn replay(
    session: &Session,
    tenant: &str,
    deliveries: Vec<String>,
    request_id: &str,
) -> Result<(), CliError> {
    let deliveries = if deliveries == ["-"] {
        let text = given::read_text(Path::new("-"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    } else {
        deliveries
    };
    let mut results = Vec::new();
    let mut token = String::new();
    for (at, chunk) in deliveries.chunks(REPLAY_MAX).enumerate() {
        let request = ReplayDeadLettersRequest {
            tenant: tenant.to_owned(),
            deliveries: chunk.to_vec(),
            // Each call is a request of its own, and the whole command still repeats harmlessly.
            request_id: match (request_id, at) {
                ("", _) => String::new(),
                (id, 0) => id.to_owned(),
                (id, at) => format!("{id}.{at}"),
            },
        };
        let answer = session.client.replay_dead_letters(request).await;
        let answer = answer.trying(|| "replay dead letters".to_owned())?;
        results.extend(answer.results);
        token = answer.token;
    }
    let rows = results.iter().map(|result| {
        vec![
            result.delivery.clone(),
            words::plain(&words::replay(result.outcome)),
        ]
    });
    let json_rows: Vec<_> = results
        .iter()
        .map(|result| json!({ "delivery": result.delivery, "outcome": words::replay(result.outcome) }))
        .collect();
    let started = |outcome: replay_result::Outcome| outcome == replay_result::Outcome::Started;
    session.show(&Shown {
        text: table(&["delivery", "outcome"], rows),
        json: json!({ "results": json_rows, "token": token }),
        names: results
            .iter()
            .filter(|result| started(result.outcome()))
            .map(|result| result.delivery.clone())
            .collect(),
    })?;
    let failed = results.iter().filter(|result| !started(result.outcome())).count();
    if failed == 0 {
        return Ok(());
    }
    let exit = if failed == results.len() {
        Exit::Failed
    } else {
        Exit::Partly
    };
    Err(CliError::failed(
        format!("replay {failed} of {} deliveries", results.len()),
        "they are not dead, or unknown",
    )
    .exiting(exit))
}
