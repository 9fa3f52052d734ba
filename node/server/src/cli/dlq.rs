//! `pushrail dlq`: what gave up, and running it again.

use std::path::Path;

use clap::{Args, Subcommand};
use pushrail_api::drawn_id;
use pushrail_api::v1::replay_result::Outcome;
use pushrail_api::v1::{DeadLetter, ListDeadLettersRequest, ReplayDeadLettersRequest, ReplayResult};
use serde_json::{Value, json};

use crate::cli::error::{CliError, Exit};
use crate::cli::reach::{Fresh, Pages, Reach, RequestId, TenantFlag, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::table;
use crate::cli::thing::{Thing, index};
use crate::cli::times::Times;
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
        #[arg(long, value_parser = text)]
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
        #[arg(required = true, value_name = "DELIVERY", value_parser = text)]
        deliveries: Vec<String>,
        #[command(flatten)]
        request: RequestId,
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
            let tried = || format!("list dead letters of {}", request.tenant);
            let page = |page_size, page_token| {
                session.client.list_dead_letters(ListDeadLettersRequest {
                    page_size,
                    page_token,
                    ..request.clone()
                })
            };
            session.list(&pages, tried, page).await
        }
        Verb::Replay {
            tenant,
            deliveries,
            request,
        } => replay(session, &tenant.tenant, deliveries, &request).await,
    }
}

impl Thing for DeadLetter {
    const ONE: &'static str = "dead_letter";
    const MANY: &'static str = "dead_letters";
    const HEADS: &'static [&'static str] = &[
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

    fn id(&self) -> String {
        self.delivery.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        vec![
            self.delivery.clone(),
            self.destination.clone(),
            self.event_type.clone(),
            times.moment(self.died),
            words::plain(&words::death(self.reason)),
            words::plain(&words::cause(self.cause)),
            self.status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            self.attempts_made.to_string(),
            self.detail.clone(),
        ]
    }

    fn json(&self) -> Value {
        to_json::dead_letter(self)
    }
}

async fn replay(
    session: &Session,
    tenant: &str,
    deliveries: Vec<String>,
    given: &RequestId,
) -> Result<(), CliError> {
    let deliveries = named(deliveries)?;
    let id = given.request_id.clone().unwrap_or_else(|| drawn_id("req"));
    let mut results = Vec::new();
    let mut token = String::new();
    for (at, chunk) in deliveries.chunks(REPLAY_MAX).enumerate() {
        let request = ReplayDeadLettersRequest {
            tenant: tenant.to_owned(),
            deliveries: chunk.to_vec(),
            // Each call is a request of its own, and the whole command still repeats harmlessly.
            request_id: match at {
                0 => id.clone(),
                at => format!("{id}.{at}"),
            },
        };
        let answer = session.client.replay_dead_letters(request).await;
        let answer = answer.trying(|| "replay dead letters".to_owned());
        let answer = answer.map_err(|error| error.repeating("--request-id", &id))?;
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
    session.show(&Shown {
        text: table(&["delivery", "outcome"], rows),
        json: json!({ "results": json_rows, "token": token, "token_index": index(&token) }),
        names: results
            .iter()
            .filter(|result| result.outcome() == Outcome::Started)
            .map(|result| result.delivery.clone())
            .collect(),
    })?;
    let outcomes: Vec<Outcome> = results.iter().map(ReplayResult::outcome).collect();
    came_to(&outcomes, "replay", Outcome::Started)
}

/// Which deliveries: those given, or for `-` those that stdin names.
fn named(deliveries: Vec<String>) -> Result<Vec<String>, CliError> {
    if deliveries != ["-"] {
        return Ok(deliveries);
    }
    let text = given::read_text(Path::new("-"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

/// The verb's end: well if all came to what was wanted, and otherwise with the exit code that says what they came to.
fn came_to(outcomes: &[Outcome], verb: &str, wanted: Outcome) -> Result<(), CliError> {
    let failed = outcomes.iter().filter(|outcome| **outcome != wanted).count();
    if failed == 0 {
        return Ok(());
    }
    let unknown = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Unknown)
        .count();
    let (why, exit) = if unknown == failed {
        ("there is no such delivery", Exit::NotFound)
    } else if unknown == 0 {
        ("not dead letters any more", Exit::Conflict)
    } else {
        ("not dead letters any more, or unknown", Exit::Failed)
    };
    let exit = if failed == outcomes.len() {
        exit
    } else {
        Exit::Partly
    };
    let tried = format!(
        "{verb} {failed} of {}",
        words::count(outcomes.len(), "delivery", "deliveries")
    );
    Err(CliError::failed(tried, why)
        .exiting(exit)
        .helping("pushrail dlq list --tenant <tenant>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_what_replays_came_to() {
        let exit = |outcomes: &[Outcome]| {
            came_to(outcomes, "replay", Outcome::Started).map_err(|error| error.exit())
        };

        assert_eq!(exit(&[Outcome::Started]), Ok(()));
        assert_eq!(exit(&[Outcome::Unknown]), Err(Exit::NotFound));
        assert_eq!(exit(&[Outcome::NotDead, Outcome::NotDead]), Err(Exit::Conflict));
        assert_eq!(exit(&[Outcome::NotDead, Outcome::Unknown]), Err(Exit::Failed));
        assert_eq!(exit(&[Outcome::Started, Outcome::Unknown]), Err(Exit::Partly));
    }
}
