//! A file of events in as few calls as nodes take, in order: one result is printed a line, as it comes.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use pushrail_api::failure;
use pushrail_api::v1::{PublishBatchRequest, PublishResult, Receipt, publish_result};
use serde_json::{Value, json};
use tonic::Status;

use super::lines::Numbered;
use super::tally::{Refused, Tally};
use crate::cli::error::CliError;
use crate::cli::reach::Format;
use crate::cli::session::Session;
use crate::cli::{json as to_json, words};

/// Events and bytes of one call: below what a node takes, envelopes included.
const BATCH_EVENTS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Publishes all of them, until a call fails as a whole.
pub(super) async fn publish(session: &Session, events: Vec<Numbered>, key: &str) -> Result<(), CliError> {
    let total = events.len();
    let bar = progress(total);
    let mut tally = Tally::default();
    let mut index = 0;
    let mut calls = calls(events).into_iter();
    session.sends("--idempotency-key", key);
    for call in calls.by_ref() {
        let request = PublishBatchRequest {
            events: call.iter().map(|one| one.event.clone()).collect(),
        };
        let (results, whole) = match session.client.publish_batch(request).await {
            Ok(answer) => (outcomes(answer.results, call.len()), None),
            Err(error) => {
                let whole = CliError::of("publish", &error);
                let refused = Refused::by(&whole, error.accepted());
                (vec![Err(refused); call.len()], Some(whole))
            }
        };
        let stuck = results
            .iter()
            .all(|result| matches!(result, Err(why) if why.is_of_the_cluster()));
        for (numbered, result) in call.iter().zip(results) {
            print(session, numbered, index, &result)?;
            index += 1;
            match result {
                Ok(_) => tally.accepted += 1,
                Err(why) => tally.refuse(numbered.line, why),
            }
        }
        bar.inc(u64::try_from(call.len()).unwrap_or(u64::MAX));
        if let Some(whole) = &whole {
            tally.stop(whole);
        }
        // What stopped all of these would stop the next ones, too, each after a wait of its own.
        if whole.is_some() || stuck {
            break;
        }
    }
    tally.leave(calls.flatten().map(|one| one.line));
    bar.finish_and_clear();
    session.warn(&format!("{} of {total} accepted", tally.accepted));
    tally.end(key)
}

/// Cuts events into calls, in order.
fn calls(events: Vec<Numbered>) -> Vec<Vec<Numbered>> {
    let mut calls: Vec<Vec<Numbered>> = Vec::new();
    let mut bytes = 0;
    for numbered in events {
        let size = numbered.event.payload.len() + 1024;
        match calls.last_mut() {
            Some(call) if call.len() < BATCH_EVENTS_MAX && bytes + size <= BATCH_BYTES_MAX => {
                bytes += size;
                call.push(numbered);
            }
            _ => {
                bytes = size;
                calls.push(vec![numbered]);
            }
        }
    }
    calls
}

/// One for each event, whatever the node sent: an event without a result has an unknown one.
fn outcomes(results: Vec<PublishResult>, count: usize) -> Vec<Result<Receipt, Refused>> {
    let missing = || Refused::of(&Status::unknown("the node gave no result"), 0);
    let mut outcomes: Vec<_> = results
        .into_iter()
        .enumerate()
        .map(|(at, result)| match result.result {
            Some(publish_result::Result::Accepted(receipt)) => Ok(receipt),
            Some(publish_result::Result::Error(error)) => {
                Err(Refused::of(&failure::from_message(&error), at))
            }
            None => Err(missing()),
        })
        .collect();
    outcomes.resize_with(count, || Err(missing()));
    outcomes
}

/// Whatever the format: a stream, not one large object. Errors are data to programs only; eyes read them at the end.
fn print(
    session: &Session,
    numbered: &Numbered,
    index: usize,
    result: &Result<Receipt, Refused>,
) -> Result<(), CliError> {
    let line = match (session.format, result) {
        (Format::Json, result) => as_json(numbered, index, result).to_string(),
        (Format::Name, Ok(receipt)) => receipt.event.clone(),
        (Format::Table, Ok(receipt)) => {
            let duplicate = if receipt.duplicate { "  duplicate" } else { "" };
            let count = usize::try_from(receipt.deliveries).unwrap_or(usize::MAX);
            let deliveries = words::count(count, "delivery", "deliveries");
            format!("{}  {deliveries}{duplicate}", receipt.event)
        }
        (Format::Name | Format::Table, Err(_)) => return Ok(()),
    };
    session.write(format!("{line}\n").as_bytes())
}

/// A result with the line of the file, the event's place among the events, and the key that makes a repeat harmless.
fn as_json(numbered: &Numbered, index: usize, result: &Result<Receipt, Refused>) -> Value {
    let mut value = match result {
        Ok(receipt) => to_json::receipt(receipt),
        Err(why) => json!({
            "error": why.wrong,
            "reason": why.reason,
            "accepted": why.accepted.map(pushrail_api::Accepted::as_str),
        }),
    };
    value["line"] = json!(numbered.line);
    value["index"] = json!(index);
    value["idempotency_key"] = json!(numbered.event.idempotency_key);
    value
}

fn progress(total: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {per_sec}  {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)).with_style(style)
}

#[cfg(test)]
mod tests {
    use pushrail_api::v1::NewEvent;

    use super::*;

    #[test]
    fn calls_stay_within_what_a_node_takes() {
        let event = |bytes: usize| Numbered {
            line: 1,
            event: NewEvent {
                payload: vec![0; bytes].into(),
                ..NewEvent::default()
            },
        };

        let many = calls(vec![event(1); 1001]);
        let large = calls(vec![event(1024 * 1024); 4]);

        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 1]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn a_result_of_json_says_which_line_it_is_of() {
        let numbered = Numbered {
            line: 7,
            event: NewEvent {
                idempotency_key: "cli-1.7".to_owned(),
                ..NewEvent::default()
            },
        };
        let error = failure::to_message(&Status::invalid_argument("events[0].payload: too large"));
        let results = vec![PublishResult {
            result: Some(publish_result::Result::Error(error)),
        }];

        let outcomes = outcomes(results, 2);

        let first = as_json(&numbered, 4, &outcomes[0]);
        assert_eq!(
            first,
            json!({
                "error": "payload: too large", "reason": null, "accepted": null,
                "line": 7, "index": 4, "idempotency_key": "cli-1.7",
            })
        );
        assert!(outcomes[1].is_err(), "an event without a result is not accepted");
    }
}
