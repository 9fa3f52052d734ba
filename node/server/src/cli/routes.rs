//! `pushrail routes`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{
    CreateRouteRequest, DeleteRouteRequest, GetRouteRequest, ListRoutesRequest, Route, UpdateRouteRequest,
};
use serde_json::Value;

use crate::cli::changing::{Sure, Version, linearizable, removed};
use crate::cli::error::CliError;
use crate::cli::json;
use crate::cli::reach::{Fresh, Pages, Reach, RequestId, TenantFlag, text};
use crate::cli::session::{Session, Trying as _};
use crate::cli::thing::{Detailed, Thing};
use crate::cli::times::Times;

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
        #[arg(value_parser = text)]
        route: Option<String>,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Event types: order.paid (exact), order.* (one segment), order.** (any number)
        #[arg(long, value_parser = text)]
        pattern: String,
        /// To which destination
        #[arg(long, value_parser = text)]
        destination: String,
        #[command(flatten)]
        request: RequestId,
    },
    /// Show one
    Get {
        /// Its id
        #[arg(value_parser = text)]
        route: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Change one; events published after it follow the change
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["pattern", "destination"])))]
    Update {
        /// Its id
        #[arg(value_parser = text)]
        route: String,
        #[command(flatten)]
        tenant: TenantFlag,
        /// Event types: order.paid (exact), order.* (one segment), order.** (any number)
        #[arg(long, value_parser = text)]
        pattern: Option<String>,
        /// To which destination
        #[arg(long, value_parser = text)]
        destination: Option<String>,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        request: RequestId,
    },
    /// Remove one; what it chose before is still delivered
    Delete {
        /// Its id
        #[arg(value_parser = text)]
        route: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        request: RequestId,
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
    let client = &session.client;
    match verb {
        Verb::Create {
            route,
            tenant,
            pattern,
            destination,
            request,
        } => {
            let tried = || format!("create route {pattern} → {destination}");
            let make = |request_id| {
                client.create_route(CreateRouteRequest {
                    tenant: tenant.tenant,
                    route: route.unwrap_or_default(),
                    pattern: pattern.clone(),
                    destination: destination.clone(),
                    request_id,
                })
            };
            session.changed(session.change(tried, &request, make).await?)
        }
        Verb::Get { route, tenant, fresh } => {
            let request = GetRouteRequest {
                tenant: tenant.tenant,
                route: route.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = client.get_route(request).await;
            session.found(answer.trying(|| format!("show route {route}"))?)
        }
        Verb::Update {
            route,
            tenant,
            pattern,
            destination,
            version,
            request,
        } => {
            let tried = || format!("change route {route}");
            let version = match version.version {
                Some(version) => version,
                None => {
                    let seen = client.get_route(GetRouteRequest {
                        tenant: tenant.tenant.clone(),
                        route: route.clone(),
                        consistency: linearizable(),
                    });
                    seen.await.trying(tried)?.route.unwrap_or_default().version
                }
            };
            let update = |request_id| {
                client.update_route(UpdateRouteRequest {
                    tenant: tenant.tenant,
                    route: route.clone(),
                    version,
                    pattern,
                    destination,
                    request_id,
                })
            };
            session.changed(session.change(tried, &request, update).await?)
        }
        Verb::Delete {
            route,
            tenant,
            version,
            sure,
            request,
        } => {
            let tried = format!("remove route {route}");
            sure.check(&tried)?;
            let delete = |request_id| {
                client.delete_route(DeleteRouteRequest {
                    tenant: tenant.tenant,
                    route: route.clone(),
                    version: version.version.unwrap_or_default(),
                    request_id,
                })
            };
            let answer = session.change(|| tried, &request, delete).await?;
            removed(session, "route", &route, &answer.token)
        }
        Verb::List { tenant, pages, fresh } => {
            let tried = || format!("list routes of {}", tenant.tenant);
            let page = |page_size, page_token| {
                client.list_routes(ListRoutesRequest {
                    tenant: tenant.tenant.clone(),
                    page_size,
                    page_token,
                    consistency: Some(fresh.consistency.clone()),
                })
            };
            session.list(&pages, tried, page).await
        }
    }
}

impl Thing for Route {
    const ONE: &'static str = "route";
    const MANY: &'static str = "routes";
    const HEADS: &'static [&'static str] = &["route", "pattern", "destination", "created"];

    fn id(&self) -> String {
        self.route.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        vec![
            self.route.clone(),
            self.pattern.clone(),
            self.destination.clone(),
            times.moment(self.created),
        ]
    }

    fn json(&self) -> Value {
        json::route(self)
    }
}

impl Detailed for Route {
    fn details(&self, times: &Times) -> Vec<(&'static str, String)> {
        vec![
            ("route", self.route.clone()),
            ("tenant", self.tenant.clone()),
            ("pattern", self.pattern.clone()),
            ("destination", self.destination.clone()),
            ("created", times.with_distance(self.created)),
            ("version", self.version.to_string()),
        ]
    }
}
