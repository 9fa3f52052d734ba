//! `pushrail publish`: one event, or a file of them, one JSON object a line.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pushrail_api::failure;
use pushrail_api::v1::{NewEvent, PublishBatchRequest, PublishRequest, Receipt, publish_result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::error::{CliError, Exit};
use crate::cli::reach::{Format, Reach};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::pairs;
use crate::cli::{given, json as to_json, words};

/// Events and bytes of one call: below what a node takes, envelopes included.
const BATCH_EVENTS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Publishes.
#[derive(Debug, Args)]
pub struct Publish {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(flatten)]
    pub(super) what: What,
}

/// What to publish.
#[derive(Debug, Args)]
pub(super) struct What {
    /// Whose
    #[arg(
        long,
        value_name = "TENANT",
        env = "PUSHRAIL_TENANT",
        required_unless_present = "batch_file"
    )]
    tenant: Option<String>,
    /// The event's type, such as order.paid
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "batch_file")]
    event_type: Option<String>,
    /// The payload
    #[arg(long, conflicts_with = "data_file")]
    data: Option<String>,
    /// File with the payload; - is stdin
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// What the payload is
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// Makes a repeat harmless for 24 h
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// File of events, one JSON object a line; - is stdin. Keys: type, tenant, content_type, idempotency_key and one of
    /// data (any JSON), text (as it is) and base64
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "data", "data_file", "idempotency_key"])]
    batch_file: Option<PathBuf>,
}

pub(super) async fn run(session: &mut Session, what: What) -> Result<(), CliError> {
    if let Some(path) = &what.batch_file {
        let text = given::read_text(path)?;
        let events = events(&text, &what)?;
        return batches(session, events).await;
    }
    let payload = match (&what.data, &what.data_file) {
        (Some(data), _) => data.clone().into_bytes(),
        (None, Some(path)) => given::read(path)?,
        (None, None) => {
            return Err(
                CliError::usage("publish", "there is no payload").helping("--data '{}' or --data-file FILE")
            );
        }
    };
    let event = NewEvent {
        tenant: what.tenant.unwrap_or_default(),
        event_type: what.event_type.unwrap_or_default(),
        content_type: what.content_type,
        payload: payload.into(),
        idempotency_key: what.idempotency_key.unwrap_or_default(),
    };
    let tried = format!("publish {} for {}", event.event_type, event.tenant);
    let answer = session
        .client
        .publish(PublishRequest { event: Some(event) })
        .await;
    let receipt = answer.trying(|| tried)?.receipt.unwrap_or_default();
    session.show(&Shown {
        text: pairs(&[
            ("event", receipt.event.clone()),
            ("deliveries", receipt.deliveries.to_string()),
            (
                "duplicate",
                if receipt.duplicate { "yes" } else { "no" }.to_owned(),
            ),
            ("token", receipt.token.clone()),
        ]),
        json: to_json::receipt(&receipt),
        names: vec![receipt.event],
    })
}

/// One line of a batch file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "type")]
    event_type: String,
    tenant: Option<String>,
    content_type: Option<String>,
    idempotency_key: Option<String>,
    data: Option<Value>,
    text: Option<String>,
    base64: Option<String>,
}

fn events(text: &str, what: &What) -> Result<Vec<NewEvent>, CliError> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            event(line, what)
                .map_err(|wrong| CliError::usage(format!("read line {} of the batch", at + 1), wrong))
        })
        .collect()
}

fn event(line: &str, what: &What) -> Result<NewEvent, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let payload = match (line.data, line.text, line.base64) {
        (Some(data), None, None) => data.to_string().into_bytes(),
        (None, Some(text), None) => text.into_bytes(),
        (None, None, Some(base64)) => STANDARD.decode(base64).map_err(|error| error.to_string())?,
        _ => return Err("exactly one of data, text and base64 is needed".to_owned()),
    };
    let tenant = line.tenant.or_else(|| what.tenant.clone());
    Ok(NewEvent {
        tenant: tenant.ok_or("a tenant is needed, in the line or as --tenant")?,
        event_type: line.event_type,
        content_type: line.content_type.unwrap_or_else(|| what.content_type.clone()),
        payload: payload.into(),
        idempotency_key: line.idempotency_key.unwrap_or_default(),
    })
}

/// Cuts events into calls, in order.
fn calls(events: Vec<NewEvent>) -> Vec<Vec<NewEvent>> {
    let mut calls: Vec<Vec<NewEvent>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        let size = event.payload.len() + 1024;
        match calls.last_mut() {
            Some(call) if call.len() < BATCH_EVENTS_MAX && bytes + size <= BATCH_BYTES_MAX => {
                bytes += size;
                call.push(event);
            }
            _ => {
                bytes = size;
                calls.push(vec![event]);
            }
        }
    }
    calls
}

async fn batches(session: &Session, events: Vec<NewEvent>) -> Result<(), CliError> {
    let total = events.len();
    let bar = progress(total);
    let mut failed = 0;
    let mut first_error = None;
    for call in calls(events) {
        let count = call.len();
        let answer = session
            .client
            .publish_batch(PublishBatchRequest { events: call })
            .await;
        let results = answer.trying(|| format!("publish a batch of {count}"))?.results;
        for result in results {
            match result.result {
                Some(publish_result::Result::Accepted(receipt)) => accepted(session, &receipt)?,
                Some(publish_result::Result::Error(error)) => {
                    failed += 1;
                    refused(session, &failure::from_message(&error), &mut first_error)?;
                }
                None => failed += 1,
            }
        }
        bar.inc(u64::try_from(count).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    session.warn(&format!("{} of {total} accepted", total - failed));
    match first_error {
        None if failed == 0 => Ok(()),
        Some(error) if failed == total => Err(error),
        _ => Err(CliError::failed(
            format!("publish {failed} of {total} events"),
            "they were not accepted, or it is unknown whether they were",
        )
        .exiting(Exit::Partly)),
    }
}

/// One line an event, in the order of the file, whatever the format: a stream, not one large object.
fn accepted(session: &Session, receipt: &Receipt) -> Result<(), CliError> {
    let line = match session.format {
        Format::Json => to_json::receipt(receipt).to_string(),
        Format::Name => receipt.event.clone(),
        Format::Table => {
            let duplicate = if receipt.duplicate { "  duplicate" } else { "" };
            let count = usize::try_from(receipt.deliveries).unwrap_or(usize::MAX);
            let deliveries = words::count(count, "delivery", "deliveries");
            format!("{}  {deliveries}{duplicate}", receipt.event)
        }
    };
    session.write(format!("{line}\n").as_bytes())
}

fn refused(session: &Session, status: &tonic::Status, first: &mut Option<CliError>) -> Result<(), CliError> {
    let error = CliError::of_status("publish", status);
    if session.format == Format::Json {
        let line = json!({
            "error": status.message(),
            "reason": failure::reason(status),
            "accepted": failure::accepted(status).map(pushrail_api::Accepted::as_str),
        });
        session.write(format!("{line}\n").as_bytes())?;
    } else {
        // Names and tables stay free of what is no event.
        session.warn(error.text().trim_end());
    }
    first.get_or_insert(error);
    Ok(())
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
    use super::*;

    fn what() -> What {
        What {
            tenant: Some("acme".to_owned()),
            event_type: None,
            data: None,
            data_file: None,
            content_type: "application/json".to_owned(),
            idempotency_key: None,
            batch_file: None,
        }
    }

    #[test]
    fn a_line_is_an_event_with_one_payload() {
        let text = "{\"type\":\"a\",\"data\":{\"n\": 1}}\n\n{\"type\":\"b\",\"tenant\":\"globex\",\"text\":\"x\",\
                    \"content_type\":\"text/plain\",\"idempotency_key\":\"k\"}\n{\"type\":\"c\",\"base64\":\"AAE=\"}\n";

        let events = events(text, &what()).unwrap();

        assert_eq!(events.len(), 3);
        assert_eq!(events[0].payload, "{\"n\":1}");
        assert_eq!(events[0].tenant, "acme");
        assert_eq!(
            (events[1].tenant.as_str(), &events[1].payload[..]),
            ("globex", &b"x"[..])
        );
        assert_eq!(events[1].idempotency_key, "k");
        assert_eq!(&events[2].payload[..], [0, 1]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let wrong = events("{\"type\":\"a\",\"data\":1}\n{\"type\":\"b\"}", &what()).unwrap_err();

        assert!(wrong.text().contains("line 2"), "{}", wrong.text());
        assert_eq!(wrong.exit(), Exit::Usage);
    }

    #[test]
    fn calls_stay_within_what_a_node_takes() {
        let event = |bytes: usize| NewEvent {
            payload: vec![0; bytes].into(),
            ..NewEvent::default()
        };

        let many = calls(vec![event(1); 1001]);
        let large = calls(vec![event(1024 * 1024); 4]);

        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 1]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }
}
