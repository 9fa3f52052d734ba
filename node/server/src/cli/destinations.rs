//! `pushrail destinations`. A credential comes from a file or stdin, never from the command line; what was made is
//! shown once, at the creation.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use pushrail_api::v1::{
    CreateDestinationRequest, Destination, DestinationState, ExplicitWaits, ExponentialWaits,
    GetDestinationRequest, ListDestinationsRequest, PauseDestinationRequest, ResumeDestinationRequest,
    RetryPolicy, retry_policy,
};
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::{pairs, table};
use crate::cli::{given, json as to_json, times, words};

/// Places that events go to.
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
    /// Make a destination; a webhook's signing secret is made too and shown once, here
    Create(Box<Create>),
    /// Show one
    Get {
        /// Its id
        destination: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Show a tenant's
    List {
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Let its queue rest: when this returns, no attempt starts any more, on any node
    Pause {
        /// Its id
        destination: String,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Makes a repeat of this very command harmless
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Serve it again; ends a pause and a disablement
    Resume {
        /// Its id
        destination: String,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Makes a repeat of this very command harmless
        #[arg(long, default_value = "")]
        request_id: String,
    },
}

/// A destination to make.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its id: a-z, 0-9 and -, at most 64; left out, one is made
    destination: Option<String>,
    #[command(flatten)]
    tenant: TenantFlag,
    /// What sort of place (pushrail kinds list)
    #[arg(long, default_value = "webhook")]
    kind: String,
    /// Sets the setting `url`
    #[arg(long, required_unless_present = "settings_file")]
    url: Option<String>,
    /// JSON object of the kind's settings; - is stdin
    #[arg(long, value_name = "FILE")]
    settings_file: Option<PathBuf>,
    /// JSON object of the kind's credential; - is stdin. Left out, one is made where the kind can
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// File with the credential `secret` alone, such as whsec_…; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "credential_file")]
    secret_file: Option<PathBuf>,
    /// Attempts at a time, 1 to 256 [default: 16]
    #[arg(long, value_name = "NUMBER")]
    concurrency: Option<u32>,
    /// For people
    #[arg(long, default_value = "")]
    description: String,
    /// Makes a repeat of this very command harmless
    #[arg(long, default_value = "")]
    request_id: String,
    #[command(flatten)]
    retry: Retry,
}

/// When to retry.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retries")]
pub(super) struct Retry {
    /// One wait for each retry, such as 1s,5s,1m; empty: no retry
    #[arg(
        long,
        value_name = "DURATIONS",
        value_parser = span_or_nothing,
        value_delimiter = ',',
        conflicts_with_all = ["retry_first", "retry_factor", "retry_cap", "retries"]
    )]
    retry_waits: Option<Vec<Wait>>,
    /// The first wait [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_first: Option<Duration>,
    /// Growth from one wait to the next [default: 4]
    #[arg(long, value_name = "NUMBER")]
    retry_factor: Option<u32>,
    /// No wait is longer [default: 6h]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_cap: Option<Duration>,
    /// How many retries [default: 10]
    #[arg(long, value_name = "NUMBER")]
    retries: Option<u32>,
    /// No retry is scheduled later than this after the first attempt was due [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_window: Option<Duration>,
    /// The least wait after a 429, a 503 or a time-out that named none [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_floor: Option<Duration>,
}

/// One wait of a list, or nothing at all: `--retry-waits ''` is the empty list.
#[derive(Clone, Copy, Debug)]
struct Wait(Option<Duration>);

fn span_or_nothing(text: &str) -> Result<Wait, String> {
    if text.is_empty() {
        return Ok(Wait(None));
    }
    times::span(text).map(|span| Wait(Some(span)))
}

impl Retry {
    fn policy(&self) -> RetryPolicy {
        let waits = match &self.retry_waits {
            Some(waits) => retry_policy::Waits::Explicit(ExplicitWaits {
                waits: waits
                    .iter()
                    .filter_map(|wait| wait.0)
                    .map(times::duration)
                    .collect(),
            }),
            None => retry_policy::Waits::Exponential(ExponentialWaits {
                first: self.retry_first.map(times::duration),
                factor: self.retry_factor.unwrap_or_default(),
                cap: self.retry_cap.map(times::duration),
                retries: self.retries,
            }),
        };
        RetryPolicy {
            waits: Some(waits),
            window: self.retry_window.map(times::duration),
            floor: self.retry_floor.map(times::duration),
        }
    }
}

impl Create {
    fn request(&self) -> Result<CreateDestinationRequest, CliError> {
        let mut settings = match &self.settings_file {
            Some(path) => object(&given::read_text(path)?, "settings")?,
            None => Map::new(),
        };
        if let Some(url) = &self.url {
            settings.insert("url".to_owned(), json!(url));
        }
        let credential = match (&self.credential_file, &self.secret_file) {
            (Some(path), _) => given::read_text(path)?,
            (None, Some(path)) => json!({ "secret": given::read_text(path)?.trim() }).to_string(),
            (None, None) => String::new(),
        };
        Ok(CreateDestinationRequest {
            tenant: self.tenant.tenant.clone(),
            destination: self.destination.clone().unwrap_or_default(),
            kind: self.kind.clone(),
            settings: Value::Object(settings).to_string(),
            credential,
            retry: Some(self.retry.policy()),
            concurrency: self.concurrency.unwrap_or_default(),
            description: self.description.clone(),
            request_id: self.request_id.clone(),
        })
    }
}

fn object(text: &str, what: &str) -> Result<Map<String, Value>, CliError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(CliError::usage(
            format!("read the {what}"),
            "it is not a JSON object",
        )),
        Err(error) => Err(CliError::usage(format!("read the {what}"), error.to_string())),
    }
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Create(create) => {
            let answer = session.client.create_destination(create.request()?).await;
            let answer = answer.trying(|| {
                let id = create.destination.as_deref().unwrap_or_default();
                format!("create destination {id} of {}", create.tenant.tenant)
            })?;
            let made = answer.destination.unwrap_or_default();
            let mut text = details(session, &made);
            text.push_str(&format!("{:12}  {}\n", "credential", answer.credential));
            session.show(&Shown {
                text,
                json: json!({
                    "destination": to_json::destination(&made),
                    "credential": serde_json::from_str::<Value>(&answer.credential).unwrap_or_default(),
                    "token": answer.token,
                }),
                names: vec![made.destination],
            })?;
            session.note("the credential is shown this once: keep it");
            Ok(())
        }
        Verb::Get {
            destination,
            tenant,
            fresh,
        } => {
            let request = GetDestinationRequest {
                tenant: tenant.tenant,
                destination: destination.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.get_destination(request).await;
            let answer = answer.trying(|| format!("show destination {destination}"))?;
            let found = answer.destination.unwrap_or_default();
            session.show(&Shown {
                text: details(session, &found),
                json: to_json::one(
                    "destination",
                    to_json::destination(&found),
                    &answer.applied,
                    answer.age,
                ),
                names: vec![found.destination],
            })?;
            session.reflects(&answer.applied, answer.age);
            Ok(())
        }
        Verb::List { tenant, pages, fresh } => list(session, tenant, &pages, fresh).await,
        Verb::Pause {
            destination,
            tenant,
            request_id,
        } => {
            let request = PauseDestinationRequest {
                tenant: tenant.tenant,
                destination: destination.clone(),
                request_id,
            };
            let answer = session.client.pause_destination(request).await;
            let answer = answer.trying(|| format!("pause destination {destination}"))?;
            changed(session, answer.destination.unwrap_or_default(), &answer.token)
        }
        Verb::Resume {
            destination,
            tenant,
            request_id,
        } => {
            let request = ResumeDestinationRequest {
                tenant: tenant.tenant,
                destination: destination.clone(),
                request_id,
            };
            let answer = session.client.resume_destination(request).await;
            let answer = answer.trying(|| format!("resume destination {destination}"))?;
            changed(session, answer.destination.unwrap_or_default(), &answer.token)
        }
    }
}

fn changed(session: &Session, destination: Destination, token: &str) -> Result<(), CliError> {
    session.show(&Shown {
        text: details(session, &destination),
        json: json!({ "destination": to_json::destination(&destination), "token": token }),
        names: vec![destination.destination],
    })
}

async fn list(session: &Session, tenant: TenantFlag, pages: &Pages, fresh: Fresh) -> Result<(), CliError> {
    let mut found = Vec::new();
    let mut request = ListDestinationsRequest {
        tenant: tenant.tenant,
        consistency: Some(fresh.consistency),
        ..ListDestinationsRequest::default()
    };
    let (applied, age) = loop {
        request.page_size = pages.next_size(found.len());
        let answer = session.client.list_destinations(request.clone()).await;
        let answer = answer.trying(|| format!("list destinations of {}", request.tenant))?;
        found.extend(answer.destinations);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || found.len() >= pages.wanted() {
            break (answer.applied, answer.age);
        }
    };
    let rows = found.iter().map(|destination| {
        let counts = destination.counts.unwrap_or_default();
        vec![
            destination.destination.clone(),
            destination.kind.clone(),
            words::destination_state(destination.state),
            counts.scheduled.to_string(),
            counts.dead.to_string(),
            counts.delivered.to_string(),
            target(destination),
        ]
    });
    let heads = [
        "destination",
        "kind",
        "state",
        "scheduled",
        "dead",
        "delivered",
        "target",
    ];
    session.show(&Shown {
        text: table(&heads, rows),
        json: to_json::list(
            "destinations",
            found.iter().map(to_json::destination).collect(),
            &applied,
            age,
        ),
        names: found.iter().map(|one| one.destination.clone()).collect(),
    })?;
    session.reflects(&applied, age);
    session.more(&request.page_token);
    Ok(())
}

/// Where a destination points, in one glance: its URL, or its settings.
pub(super) fn target(destination: &Destination) -> String {
    let settings: Value = serde_json::from_str(&destination.settings).unwrap_or_default();
    match settings.get("url").and_then(Value::as_str) {
        Some(url) => url.to_owned(),
        None => destination.settings.clone(),
    }
}

fn details(session: &Session, destination: &Destination) -> String {
    let counts = destination.counts.unwrap_or_default();
    let state = words::destination_state(destination.state);
    let state = match destination.state() {
        DestinationState::Paused => {
            format!("{state}, {}", session.times.with_distance(destination.held_since))
        }
        DestinationState::Disabled => format!(
            "{state}, {}: {}",
            session.times.with_distance(destination.held_since),
            destination.disabled_why
        ),
        DestinationState::Active | DestinationState::Unspecified => state,
    };
    let owner = match destination.owner_node {
        0 => "nobody".to_owned(),
        node => format!("node {node}"),
    };
    pairs(&[
        ("destination", destination.destination.clone()),
        ("tenant", destination.tenant.clone()),
        ("description", destination.description.clone()),
        ("kind", destination.kind.clone()),
        ("settings", destination.settings.clone()),
        ("state", state),
        (
            "queue",
            format!(
                "{} scheduled, {} dead, {} delivered",
                counts.scheduled, counts.dead, counts.delivered
            ),
        ),
        ("retries", retries(destination.retry.as_ref())),
        ("concurrency", destination.concurrency.to_string()),
        ("delivered by", format!("{owner}, shard {}", destination.shard)),
        ("created", session.times.with_distance(destination.created)),
        ("version", destination.version.to_string()),
    ])
}

/// A retry policy in a sentence.
fn retries(policy: Option<&RetryPolicy>) -> String {
    let Some(policy) = policy else {
        return String::new();
    };
    let length = |length| times::length_of(length).map(times::length).unwrap_or_default();
    let waits = match &policy.waits {
        Some(retry_policy::Waits::Exponential(waits)) => format!(
            "{} after {} × {}ⁿ (jitter 50–100 %), each at most {}",
            words::count(
                usize::try_from(waits.retries()).unwrap_or_default(),
                "retry",
                "retries"
            ),
            length(waits.first),
            waits.factor,
            length(waits.cap)
        ),
        Some(retry_policy::Waits::Explicit(waits)) if waits.waits.is_empty() => "none".to_owned(),
        Some(retry_policy::Waits::Explicit(waits)) => {
            let waits: Vec<String> = waits.waits.iter().map(|wait| length(Some(*wait))).collect();
            format!("after {}", waits.join(", "))
        }
        None => String::new(),
    };
    format!(
        "{waits}; within {}; floor {}",
        length(policy.window),
        length(policy.floor)
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn request(line: &[&str]) -> CreateDestinationRequest {
        let fixed = ["x", "--tenant", "acme", "--url", "https://example.com/h"];
        let line = Line::try_parse_from(fixed.iter().chain(line)).unwrap_or_else(|error| panic!("{error}"));
        line.create.request().unwrap()
    }

    #[test]
    fn waits_are_a_list_or_grow() {
        let explicit = request(&["--retry-waits", "1s,5s"]).retry.unwrap();
        let none = request(&["--retry-waits", ""]).retry.unwrap();
        let growing = request(&["--retry-first", "2s", "--retries", "0", "--retry-window", "1h"])
            .retry
            .unwrap();

        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        assert_eq!(
            explicit.waits,
            Some(retry_policy::Waits::Explicit(ExplicitWaits {
                waits: vec![seconds(1), seconds(5)]
            }))
        );
        assert_eq!(
            none.waits,
            Some(retry_policy::Waits::Explicit(ExplicitWaits { waits: vec![] }))
        );
        assert_eq!(
            growing.waits,
            Some(retry_policy::Waits::Exponential(ExponentialWaits {
                first: Some(seconds(2)),
                factor: 0,
                cap: None,
                retries: Some(0)
            }))
        );
        assert_eq!(growing.window, Some(seconds(3600)));
    }

    #[test]
    fn a_secret_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "whsec_abc\n").unwrap();

        let request = request(&["--secret-file", file.path().to_str().unwrap()]);

        assert_eq!(request.credential, r#"{"secret":"whsec_abc"}"#);
        assert_eq!(request.settings, r#"{"url":"https://example.com/h"}"#);
    }

    #[test]
    fn a_policy_reads_as_a_sentence() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let policy = RetryPolicy {
            waits: Some(retry_policy::Waits::Exponential(ExponentialWaits {
                first: seconds(5),
                factor: 4,
                cap: seconds(21_600),
                retries: Some(10),
            })),
            window: seconds(86_400),
            floor: seconds(60),
        };

        assert_eq!(
            retries(Some(&policy)),
            "10 retries after 5.0 s × 4ⁿ (jitter 50–100 %), each at most 6 h; within 1 d; floor 1 m"
        );
    }
}
