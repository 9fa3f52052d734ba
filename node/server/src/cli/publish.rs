//! `pushrail publish`: one event, or a file of them. An event without an idempotency key is given one here: the client
//! may then ask the next node where one stays silent, and an error names the key with which a repeat is harmless.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use pushrail_api::drawn_id;
use pushrail_api::v1::{NewEvent, PublishRequest};
use pushrail_model::limits;

use crate::cli::error::CliError;
use crate::cli::reach::{Reach, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::pairs;
use crate::cli::{given, json as to_json};

mod batch;
mod lines;
mod tally;

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
#[command(group(ArgGroup::new("payload").required(true).args(["data", "data_file", "batch_file"])))]
pub(super) struct What {
    /// Whose
    #[arg(
        long,
        value_name = "TENANT",
        env = "PUSHRAIL_TENANT",
        value_parser = text,
        required_unless_present = "batch_file"
    )]
    tenant: Option<String>,
    /// The event's type, such as order.paid
    #[arg(long = "type", value_name = "TYPE", value_parser = text, required_unless_present = "batch_file")]
    event_type: Option<String>,
    /// The payload
    #[arg(long)]
    data: Option<String>,
    /// File with the payload; - is stdin
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// What the payload is
    #[arg(long, default_value = "application/json", value_parser = text)]
    content_type: String,
    /// Makes a repeat harmless for 24 h; left out, one is drawn, and told where a repeat may need it. With --batch-file,
    /// lines without a key of their own get this one with their number: KEY.17
    #[arg(long, value_name = "KEY", value_parser = text)]
    idempotency_key: Option<String>,
    /// File of events, one JSON object a line; - is stdin. Keys: type, tenant, content_type, idempotency_key and one of
    /// data (any JSON), text (as it is) and base64. With -o json, one result is printed a line (NDJSON), in order
    #[arg(long, value_name = "FILE", conflicts_with = "event_type")]
    batch_file: Option<PathBuf>,
}

pub(super) async fn run(session: &mut Session, what: What) -> Result<(), CliError> {
    let drawn = || drawn_id("cli");
    let key = what.idempotency_key.clone().unwrap_or_else(drawn);
    if let Some(path) = &what.batch_file {
        let text = given::read_text(path)?;
        let events = lines::read(&text, what.tenant.as_deref(), &what.content_type, &key)?;
        return batch::publish(session, events, &key).await;
    }
    let payload = match (what.data, &what.data_file) {
        (Some(data), _) => data.into_bytes(),
        (None, Some(path)) => given::read(path)?,
        (None, None) => Vec::new(),
    };
    fits(payload.len()).map_err(|wrong| CliError::usage("publish", wrong))?;
    let event = NewEvent {
        tenant: what.tenant.unwrap_or_default(),
        event_type: what.event_type.unwrap_or_default(),
        content_type: what.content_type,
        payload: payload.into(),
        idempotency_key: key.clone(),
    };
    let tried = format!("publish {} for {}", event.event_type, event.tenant);
    let request = PublishRequest { event: Some(event) };
    session.sends("--idempotency-key", &key);
    let answer = session.client.publish(request).await.trying(|| tried);
    let answer = answer.map_err(|error| error.repeating("--idempotency-key", &key))?;
    let receipt = answer.receipt.unwrap_or_default();
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

/// Refuses before anything is sent what no node takes.
fn fits(payload_bytes: usize) -> Result<(), String> {
    let (most, usual) = (limits::PAYLOAD_BYTES_HARD_MAX, limits::PAYLOAD_BYTES_DEFAULT);
    if payload_bytes <= most {
        return Ok(());
    }
    Err(format!(
        "the payload has {payload_bytes} bytes; no node takes more than {most} ({usual} unless its configuration \
         allows more); nothing was sent, it was not accepted"
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        what: What,
    }

    fn refused(line: &[&str]) -> String {
        let fixed = ["x", "--tenant", "acme", "--type", "order.paid"];
        let line = Line::try_parse_from(fixed.iter().chain(line));
        line.unwrap_err().to_string()
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        let nothing = refused(&[]);
        assert!(nothing.contains("--data <DATA>|--data-file <FILE>"), "{nothing}");
        let empty = refused(&["--data", "{}", "--idempotency-key", ""]);
        assert!(
            empty.contains("--idempotency-key") && empty.contains("must not be empty"),
            "{empty}"
        );
    }

    #[test]
    fn a_payload_that_no_node_takes_is_refused_with_the_limit() {
        assert_eq!(fits(1024 * 1024), Ok(()));
        let wrong = fits(20_000_000).unwrap_err();
        for said in ["20000000", "1048576", "not accepted"] {
            assert!(wrong.contains(said), "{wrong}");
        }
    }
}
