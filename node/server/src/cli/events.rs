//! `pushrail events`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{Event, ExplainEventRequest, GetEventRequest};

use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, Reach, TenantFlag};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::pairs;
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
        event: String,
        #[command(flatten)]
        tenant: TenantFlag,
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
            let found = answer.event.unwrap_or_default();
            if payload {
                return session.write(&found.payload);
            }
            session.show(&Shown {
                text: details(session, &found),
                json: json::one("event", json::event(&found, true), &answer.applied, answer.age),
                names: vec![found.event],
            })?;
            session.reflects(&answer.applied, answer.age);
            Ok(())
        }
        Verb::Explain { event, tenant, fresh } => {
            let request = ExplainEventRequest {
                tenant: tenant.tenant,
                event: event.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.explain_event(request).await;
            let story = answer.trying(|| format!("explain event {event}"))?;
            session.show(&Shown {
                text: explain::render(&story, &session.times.at(story.now)),
                json: json::explained(&story),
                names: story
                    .deliveries
                    .iter()
                    .filter_map(|one| Some(one.delivery.as_ref()?.delivery.clone()))
                    .collect(),
            })?;
            session.reflects(&story.applied, story.age);
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
        ("payload", words::bytes(event.payload.len())),
    ]);
    if let Ok(payload) = std::str::from_utf8(&event.payload) {
        let shown = payload
            .chars()
            .all(|letter| !letter.is_control() || letter.is_whitespace());
        if shown && !payload.is_empty() {
            text.push_str(&format!("\n{}\n", payload.trim_end_matches('\n')));
        }
    }
    text
}
