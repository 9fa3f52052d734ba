//! `pushrail dlq`: what gave up, why, and running it again or giving it up: chosen ones at once, all of a destination
//! by a job.

mod chosen;
mod jobs;
mod watch;

use clap::{ArgGroup, Args, Subcommand};
use pushrail_api::v1::{
    Cause, DeadLetter, DeadLetterCause, DeadLetterJobKind, GetDeadLetterRequest, GetDeadLetterResponse,
    ListDeadLetterCausesRequest, ListDeadLettersRequest,
};
use serde_json::{Value, json};

use crate::cli::changing::Sure;
use crate::cli::error::CliError;
use crate::cli::narrow::{self, Narrow};
use crate::cli::reach::{Fresh, Pages, Reach, RequestId, TenantFlag, number, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::thing::{Reflected, Thing};
use crate::cli::times::Times;
use crate::cli::{explain, json as to_json, words};

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
    List(List),
    /// Show one with its whole story
    Show {
        /// Which delivery (dlv_…)
        #[arg(value_parser = text)]
        delivery: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Run one, several or all of a destination again: same payload, same event id, a new run with all its retries
    Replay(Which),
    /// Give one, several or all of a destination up for good; their attempts stay on record
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        sure: Sure,
    },
    /// Replays and discards of whole destinations
    #[command(subcommand)]
    Jobs(jobs::Verb),
}

/// Which dead letters to list.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    tenant: TenantFlag,
    /// Of which destination alone
    #[arg(long, value_parser = text)]
    destination: Option<String>,
    /// How many of which cause, instead of one by one: from counters, however many there are
    #[arg(long, conflicts_with_all = ["cause", "status", "event_type", "since", "until", "oldest_first"])]
    by_cause: bool,
    /// Only those whose last attempt failed of this: auth, missing, rejected, server, …
    #[arg(long, value_parser = narrow::cause)]
    cause: Option<Cause>,
    /// Only those whose last attempt was answered with this status
    #[arg(long, value_parser = number(1, 999))]
    status: Option<u32>,
    #[command(flatten)]
    narrow: Narrow,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    fresh: Fresh,
}

/// Which dead letters to do something with.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["deliveries", "all"])))]
pub(super) struct Which {
    #[command(flatten)]
    tenant: TenantFlag,
    /// Which deliveries (dlv_…); - reads them from stdin, one a line: dlq list -o name | dlq replay -
    #[arg(value_name = "DELIVERY", value_parser = text)]
    deliveries: Vec<String>,
    /// All that are dead at a destination at this moment, by a job that goes on by itself
    #[arg(long, requires = "destination")]
    all: bool,
    /// At which destination
    #[arg(long, value_parser = text, requires = "all")]
    destination: Option<String>,
    /// Only those whose last attempt failed of this
    #[arg(long, value_parser = narrow::cause, requires = "all")]
    cause: Option<Cause>,
    /// Wait until the job has ended, and say how far it is
    #[arg(long, requires = "all")]
    wait: bool,
    #[command(flatten)]
    request: RequestId,
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(list) if list.by_cause => causes(session, list).await,
        Verb::List(list) => letters(session, list).await,
        Verb::Show {
            delivery,
            tenant,
            fresh,
        } => {
            let request = GetDeadLetterRequest {
                tenant: tenant.tenant,
                delivery: delivery.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.get_dead_letter(request).await;
            show(
                session,
                &answer.trying(|| format!("show dead letter {delivery}"))?,
            )
        }
        Verb::Replay(which) if which.all => begin(session, which, DeadLetterJobKind::Replay).await,
        Verb::Replay(which) => {
            chosen::replay(session, &which.tenant.tenant, which.deliveries, &which.request).await
        }
        Verb::Discard { which, sure } => {
            sure.check("discard dead letters")?;
            if which.all {
                return begin(session, which, DeadLetterJobKind::Discard).await;
            }
            chosen::discard(session, &which.tenant.tenant, which.deliveries, &which.request).await
        }
        Verb::Jobs(verb) => jobs::run(session, verb).await,
    }
}

async fn letters(session: &Session, list: List) -> Result<(), CliError> {
    let (since, until) = list.narrow.span(session)?;
    let request = ListDeadLettersRequest {
        tenant: list.tenant.tenant,
        destination: list.destination.unwrap_or_default(),
        cause: i32::from(list.cause.unwrap_or_default()),
        status: list.status.unwrap_or_default(),
        order: list.narrow.order(),
        event_type: list.narrow.event_type.unwrap_or_default(),
        since,
        until,
        consistency: Some(list.fresh.consistency),
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
    session.list(&list.pages, tried, page).await
}

async fn causes(session: &Session, list: List) -> Result<(), CliError> {
    let request = ListDeadLetterCausesRequest {
        tenant: list.tenant.tenant,
        destination: list.destination.unwrap_or_default(),
        consistency: Some(list.fresh.consistency),
        ..ListDeadLetterCausesRequest::default()
    };
    let tried = || format!("count dead letters of {}", request.tenant);
    let page = |page_size, page_token| {
        session
            .client
            .list_dead_letter_causes(ListDeadLetterCausesRequest {
                page_size,
                page_token,
                ..request.clone()
            })
    };
    session.list(&list.pages, tried, page).await
}

async fn begin(session: &Session, which: Which, kind: DeadLetterJobKind) -> Result<(), CliError> {
    let wish = jobs::Wish {
        tenant: which.tenant.tenant,
        kind,
        destination: which.destination.unwrap_or_default(),
        cause: which.cause.unwrap_or_default(),
    };
    jobs::begin(session, wish, which.wait, &which.request).await
}

fn show(session: &Session, answer: &GetDeadLetterResponse) -> Result<(), CliError> {
    let reflected = Reflected::new(&answer.applied, answer.age);
    let letter = answer.dead_letter.clone().unwrap_or_default();
    let event = answer.event.clone().unwrap_or_default();
    let size = usize::try_from(answer.payload_bytes).unwrap_or_default();
    let mut text = format!(
        "{}  {}  ({}, {})\n",
        event.event,
        event.event_type,
        event.content_type,
        words::bytes(size)
    );
    text.push_str(&format!(
        "died       {}: {}\n",
        session.times.with_distance(letter.died),
        words::death_in_words(letter.reason)
    ));
    text.push_str(&format!(
        "kept until {}\n\n",
        session.times.moment(answer.kept_until)
    ));
    if let Some(story) = &answer.story {
        explain::one_delivery(&mut text, story, &session.times);
    }
    let value = json!({
        "letter": to_json::dead_letter(&letter),
        "event": to_json::event(&event, false),
        "payload_bytes": answer.payload_bytes,
        "story": answer.story.as_ref().map(to_json::explained_delivery),
        "kept_until": to_json::time(answer.kept_until),
    });
    session.show(&Shown {
        text,
        json: reflected.beside("dead_letter", value),
        names: vec![letter.delivery],
    })?;
    session.reflects(&reflected);
    Ok(())
}

impl Thing for DeadLetterCause {
    const ONE: &'static str = "cause";
    const MANY: &'static str = "causes";
    const HEADS: &'static [&'static str] = &["destination", "cause", "dead"];

    fn id(&self) -> String {
        words::cause(self.cause)
    }

    fn row(&self, _: &Times) -> Vec<String> {
        vec![
            self.destination.clone(),
            words::plain(&words::cause(self.cause)),
            self.dead.to_string(),
        ]
    }

    fn json(&self) -> Value {
        json!({ "destination": self.destination, "cause": words::cause(self.cause), "dead": self.dead })
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
