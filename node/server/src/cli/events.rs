//! `pushrail events`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{Event, ExplainEventRequest, GetEventRequest};

use crate::cli::error::CliError;
use crate::cli::explain::Routes;
use crate::cli::reach::{Fresh, Reach, TenantFlag, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::pairs;
use crate::cli::thing::Reflected;
use crate::cli::{explain, json, words};

/// What was published.
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
    /// Show one, with its payload
    Get {
        /// Its id
        #[arg(value_parser = text)]
        event: String,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Write the payload alone, byte for byte
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Tell its story: how it came, what each route decided, every attempt, and what happens next
    Explain {
        /// Its id
        #[arg(value_parser = text)]
        event: String,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Show the routes that did not match, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        fresh: Fresh,
    },
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Get {
            event,
            tenant,
            payload,
            fresh,
        } => {
            let request = GetEventRequest {
                tenant: tenant.tenant,
                event: event.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.get_event(request).await;
            let answer = answer.trying(|| format!("show event {event}"))?;
            let reflected = Reflected::new(&answer.applied, answer.age);
            let found = answer.event.unwrap_or_default();
            if payload {
                return session.write(&found.payload);
            }
            session.show(&Shown {
                text: details(session, &found),
                json: reflected.beside("event", json::event(&found, true)),
                names: vec![found.event],
            })?;
            session.reflects(&reflected);
            Ok(())
        }
        Verb::Explain {
            event,
            tenant,
            all,
            fresh,
        } => {
            let routes = if all { Routes::All } else { Routes::Matched };
            let request = ExplainEventRequest {
                tenant: tenant.tenant,
                event: event.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.explain_event(request).await;
            let story = answer.trying(|| format!("explain event {event}"))?;
            session.show(&Shown {
                text: explain::render(&story, routes, &session.times.at(story.now)),
                json: json::explained(&story),
                names: story
                    .deliveries
                    .iter()
                    .filter_map(|one| Some(one.delivery.as_ref()?.delivery.clone()))
                    .collect(),
            })?;
            session.reflects(&Reflected::new(&story.applied, story.age));
            Ok(())
        }
    }
}

fn details(session: &Session, event: &Event) -> String {
    let mut text = pairs(&[
        ("event", event.event.clone()),
        ("tenant", event.tenant.clone()),
        ("type", event.event_type.clone()),
        ("content type", event.content_type.clone()),
        ("accepted", session.times.with_distance(event.accepted)),
        ("through", format!("node {}", event.door_node)),
        ("idempotency key", explain::key(&event.idempotency_key)),
        (
            "payload",
            match event.payload_dropped {
                None => words::bytes(event.payload.len()),
                Some(_) => format!(
                    "dropped by retention at {}",
                    session.times.with_distance(event.payload_dropped)
                ),
            },
        ),
    ]);
    text.push_str(&payload(&event.payload));
    text
}

/// A payload for eyes: as it is where it is text, and otherwise how to come by it.
fn payload(payload: &[u8]) -> String {
    if payload.is_empty() {
        return String::new();
    }
    let readable = |letter: char| !letter.is_control() || letter.is_whitespace();
    match std::str::from_utf8(payload) {
        Ok(text) if text.chars().all(readable) => format!("\n{}\n", text.trim_end_matches('\n')),
        Ok(_) | Err(_) => {
            "\nnot text: --payload writes its bytes as they are, -o json shows them in base64\n".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_no_text_says_how_to_come_by_it() {
        assert_eq!(payload(b"{}\n"), "\n{}\n");
        assert_eq!(payload(b""), "");
        for binary in [&b"\x00\x01"[..], b"\xff\xfe", b"\x1b[2J"] {
            let shown = payload(binary);
            assert!(shown.contains("--payload") && shown.contains("base64"), "{shown}");
        }
    }
}
