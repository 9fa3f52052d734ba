//! Dead letters that are named one by one: run again or given up, each with what became of it.

use std::path::Path;

use pushrail_api::drawn_id;
use pushrail_api::v1::{DiscardDeadLettersRequest, ReplayDeadLettersRequest, discard_result, replay_result};
use serde_json::json;

use crate::cli::error::{CliError, Exit};
use crate::cli::reach::RequestId;
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::table;
use crate::cli::thing::index;
use crate::cli::{given, words};

/// Deliveries that one call takes at most.
const CHOSEN_MAX: usize = 256;

/// Runs chosen ones again.
pub(in crate::cli) async fn replay(
    session: &Session,
    tenant: &str,
    deliveries: Vec<String>,
    given: &RequestId,
) -> Result<(), CliError> {
    let deliveries = named(deliveries)?;
    let id = given.request_id.clone().unwrap_or_else(|| drawn_id("req"));
    session.sends("--request-id", &id);
    let mut results = Vec::new();
    let mut token = String::new();
    for (at, chunk) in deliveries.chunks(CHOSEN_MAX).enumerate() {
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
    let results = results.into_iter().map(|result| Came {
        word: words::replay(result.outcome),
        end: match result.outcome() {
            replay_result::Outcome::Started => End::Well,
            replay_result::Outcome::NotDead => End::NotDead,
            replay_result::Outcome::Unknown | replay_result::Outcome::Unspecified => End::Unknown,
        },
        delivery: result.delivery,
    });
    tell(session, "replay", &results.collect::<Vec<_>>(), &token)
}

/// Gives chosen ones up.
pub(in crate::cli) async fn discard(
    session: &Session,
    tenant: &str,
    deliveries: Vec<String>,
    given: &RequestId,
) -> Result<(), CliError> {
    // One for all calls: each is harmless by itself, and the change log holds them together.
    let id = given.request_id.clone().unwrap_or_else(|| drawn_id("req"));
    session.sends("--request-id", &id);
    let mut results = Vec::new();
    let mut token = String::new();
    for chunk in named(deliveries)?.chunks(CHOSEN_MAX) {
        let request = DiscardDeadLettersRequest {
            tenant: tenant.to_owned(),
            deliveries: chunk.to_vec(),
            request_id: id.clone(),
        };
        let answer = session.client.discard_dead_letters(request).await;
        let answer = answer.trying(|| "discard dead letters".to_owned())?;
        results.extend(answer.results);
        token = answer.token;
    }
    let results = results.into_iter().map(|result| Came {
        word: words::discard(result.outcome),
        end: match result.outcome() {
            discard_result::Outcome::Discarded => End::Well,
            discard_result::Outcome::NotDead => End::NotDead,
            discard_result::Outcome::Unknown | discard_result::Outcome::Unspecified => End::Unknown,
        },
        delivery: result.delivery,
    });
    tell(session, "discard", &results.collect::<Vec<_>>(), &token)
}

/// What became of one that was chosen.
struct Came {
    delivery: String,
    word: String,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    NotDead,
    Unknown,
}

fn tell(session: &Session, verb: &str, results: &[Came], token: &str) -> Result<(), CliError> {
    let rows = results
        .iter()
        .map(|came| vec![came.delivery.clone(), words::plain(&came.word)]);
    let json_rows: Vec<_> = results
        .iter()
        .map(|came| json!({ "delivery": came.delivery, "outcome": came.word }))
        .collect();
    session.show(&Shown {
        text: table(&["delivery", "outcome"], rows),
        json: json!({ "results": json_rows, "token": token, "token_index": index(token) }),
        names: results
            .iter()
            .filter(|came| came.end == End::Well)
            .map(|came| came.delivery.clone())
            .collect(),
    })?;
    let ends: Vec<End> = results.iter().map(|came| came.end).collect();
    came_to(&ends, verb)
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
fn came_to(outcomes: &[End], verb: &str) -> Result<(), CliError> {
    let failed = outcomes.iter().filter(|outcome| **outcome != End::Well).count();
    if failed == 0 {
        return Ok(());
    }
    let unknown = outcomes
        .iter()
        .filter(|outcome| **outcome == End::Unknown)
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
        let exit = |outcomes: &[End]| came_to(outcomes, "replay").map_err(|error| error.exit());

        assert_eq!(exit(&[End::Well]), Ok(()));
        assert_eq!(exit(&[End::Unknown]), Err(Exit::NotFound));
        assert_eq!(exit(&[End::NotDead, End::NotDead]), Err(Exit::Conflict));
        assert_eq!(exit(&[End::NotDead, End::Unknown]), Err(Exit::Failed));
        assert_eq!(exit(&[End::Well, End::Unknown]), Err(Exit::Partly));
    }
}
