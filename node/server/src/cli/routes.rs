//! `pushrail routes`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{CreateRouteRequest, GetRouteRequest, ListRoutesRequest, Route};

use crate::cli::error::CliError;
use crate::cli::json;
use crate::cli::reach::{Fresh, Pages, Reach, TenantFlag};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::{pairs, table};

/// Which event types go where.
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
    /// Make a route; events published after it follow it
    Create {
        /// Its id: a-z, 0-9 and -, at most 64; left out, one is made
        route: Option<String>,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Event types: order.paid (exact), order.* (one segment), order.** (any number)
        #[arg(long)]
        pattern: String,
        /// To which destination
        #[arg(long)]
        destination: String,
        /// Makes a repeat of this very command harmless
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Show one
    Get {
        /// Its id
        route: String,
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
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Create {
            route,
            tenant,
            pattern,
            destination,
            request_id,
        } => {
            let request = CreateRouteRequest {
                tenant: tenant.tenant,
                route: route.unwrap_or_default(),
                pattern,
                destination,
                request_id,
            };
            let answer = session.client.create_route(request.clone()).await;
            let answer =
                answer.trying(|| format!("create route {} → {}", request.pattern, request.destination))?;
            let made = answer.route.unwrap_or_default();
            session.show(&Shown {
                text: details(session, &made),
                json: serde_json::json!({ "route": json::route(&made), "token": answer.token }),
                names: vec![made.route],
            })
        }
        Verb::Get { route, tenant, fresh } => {
            let request = GetRouteRequest {
                tenant: tenant.tenant,
                route: route.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.get_route(request).await;
            let answer = answer.trying(|| format!("show route {route}"))?;
            let found = answer.route.unwrap_or_default();
            session.show(&Shown {
                text: details(session, &found),
                json: json::one("route", json::route(&found), &answer.applied, answer.age),
                names: vec![found.route],
            })?;
            session.reflects(&answer.applied, answer.age);
            Ok(())
        }
        Verb::List { tenant, pages, fresh } => list(session, tenant, &pages, fresh).await,
    }
}

async fn list(session: &Session, tenant: TenantFlag, pages: &Pages, fresh: Fresh) -> Result<(), CliError> {
    let mut found = Vec::new();
    let mut request = ListRoutesRequest {
        tenant: tenant.tenant,
        consistency: Some(fresh.consistency),
        ..ListRoutesRequest::default()
    };
    let (applied, age) = loop {
        request.page_size = pages.next_size(found.len());
        let answer = session.client.list_routes(request.clone()).await;
        let answer = answer.trying(|| format!("list routes of {}", request.tenant))?;
        found.extend(answer.routes);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || found.len() >= pages.wanted() {
            break (answer.applied, answer.age);
        }
    };
    let rows = found.iter().map(|route| {
        vec![
            route.route.clone(),
            route.pattern.clone(),
            route.destination.clone(),
            session.times.moment(route.created),
        ]
    });
    session.show(&Shown {
        text: table(&["route", "pattern", "destination", "created"], rows),
        json: json::list("routes", found.iter().map(json::route).collect(), &applied, age),
        names: found.iter().map(|route| route.route.clone()).collect(),
    })?;
    session.reflects(&applied, age);
    session.more(&request.page_token);
    Ok(())
}

fn details(session: &Session, route: &Route) -> String {
    pairs(&[
        ("route", route.route.clone()),
        ("tenant", route.tenant.clone()),
        ("pattern", route.pattern.clone()),
        ("destination", route.destination.clone()),
        ("created", session.times.with_distance(route.created)),
        ("version", route.version.to_string()),
    ])
}
