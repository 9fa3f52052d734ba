//! `pushrail deliveries`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{Delivery, DeliveryState, ListDeliveriesRequest};
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::narrow::{self, Narrow};
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag, text};
use crate::cli::session::Session;
use crate::cli::thing::Thing;
use crate::cli::times::Times;
use crate::cli::{json, words};

/// Events owed to destinations.
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
    /// Show a tenant's, or those to one destination, by the acceptance of their events; newest first
    List(List),
}

/// Which deliveries.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    tenant: TenantFlag,
    /// To which destination alone
    #[arg(long, value_parser = text)]
    destination: Option<String>,
    /// In which state alone: scheduled, delivered, dead, discarded, expired, cancelled
    #[arg(long, value_parser = narrow::state)]
    state: Option<DeliveryState>,
    #[command(flatten)]
    narrow: Narrow,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    fresh: Fresh,
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    let Verb::List(list) = verb;
    let (since, until) = list.narrow.span(session)?;
    let request = ListDeliveriesRequest {
        tenant: list.tenant.tenant,
        destination: list.destination.unwrap_or_default(),
        state: i32::from(list.state.unwrap_or_default()),
        order: list.narrow.order(),
        event_type: list.narrow.event_type.unwrap_or_default(),
        since,
        until,
        consistency: Some(list.fresh.consistency),
        ..ListDeliveriesRequest::default()
    };
    let page = |page_size, page_token| {
        session.client.list_deliveries(ListDeliveriesRequest {
            page_size,
            page_token,
            ..request.clone()
        })
    };
    session
        .list(&list.pages, || "list deliveries".to_owned(), page)
        .await
}

impl Thing for Delivery {
    const ONE: &'static str = "delivery";
    const MANY: &'static str = "deliveries";
    const HEADS: &'static [&'static str] = &[
        "delivery",
        "destination",
        "type",
        "accepted",
        "state",
        "due or ended",
        "run",
        "attempts",
    ];

    fn id(&self) -> String {
        self.delivery.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        vec![
            self.delivery.clone(),
            self.destination.clone(),
            self.event_type.clone(),
            times.moment(self.accepted),
            words::plain(&words::delivery_state(self.state)),
            times.moment(self.due.or(self.ended)),
            self.run.to_string(),
            self.attempts_made.to_string(),
        ]
    }

    fn json(&self) -> Value {
        json::delivery(self)
    }
}
