//! `pushrail tenants`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{
    CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, ListTenantsRequest, Tenant,
    UpdateTenantRequest,
};
use serde_json::Value;

use crate::cli::changing::{Sure, Version, linearizable, removed};
use crate::cli::error::CliError;
use crate::cli::json;
use crate::cli::keep::{self, Keep};
use crate::cli::reach::{Fresh, Pages, Reach, RequestId, text};
use crate::cli::session::{Session, Trying as _};
use crate::cli::thing::{Detailed, Thing};
use crate::cli::times::Times;

/// Customers.
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
    /// Make a tenant
    Create {
        /// Its id: a-z, 0-9 and -, at most 64; left out, one is made
        #[arg(value_parser = text)]
        tenant: Option<String>,
        /// For people
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        keep: Keep,
        #[command(flatten)]
        request: RequestId,
    },
    /// Show one
    Get {
        /// Its id
        #[arg(value_parser = text)]
        tenant: String,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Change one; how long it keeps counts for all that stands, so what is over by then goes within the hour
    Update {
        /// Its id
        #[arg(value_parser = text)]
        tenant: String,
        /// For people
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        keep: Keep,
        /// What is not given beside it is kept by default again
        #[arg(long)]
        keep_defaults: bool,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        request: RequestId,
    },
    /// Remove one that has neither destinations nor routes
    Delete {
        /// Its id
        #[arg(value_parser = text)]
        tenant: String,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        request: RequestId,
    },
    /// Show all
    List {
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
            tenant,
            description,
            keep,
            request,
        } => {
            let tenant = tenant.unwrap_or_default();
            let tried = || format!("create tenant {tenant}").trim_end().to_owned();
            let make = |request_id| {
                client.create_tenant(CreateTenantRequest {
                    tenant: tenant.clone(),
                    description,
                    request_id,
                    retention: Some(keep.wish()),
                })
            };
            session.changed(session.change(tried, &request, make).await?)
        }
        Verb::Get { tenant, fresh } => {
            let request = GetTenantRequest {
                tenant: tenant.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = client.get_tenant(request).await;
            session.found(answer.trying(|| format!("show tenant {tenant}"))?)
        }
        Verb::Update {
            tenant,
            description,
            keep,
            keep_defaults,
            version,
            request,
        } => {
            let tried = || format!("change tenant {tenant}");
            let seen = client.get_tenant(GetTenantRequest {
                tenant: tenant.clone(),
                consistency: linearizable(),
            });
            let seen = seen.await.trying(tried)?.tenant.unwrap_or_default();
            let update = |request_id| {
                client.update_tenant(UpdateTenantRequest {
                    tenant: tenant.clone(),
                    version: version.version.unwrap_or(seen.version),
                    description,
                    retention: Some(keep.wish()),
                    retention_reset: keep_defaults,
                    request_id,
                })
            };
            session.changed(session.change(tried, &request, update).await?)
        }
        Verb::Delete {
            tenant,
            version,
            sure,
            request,
        } => {
            let tried = format!("remove tenant {tenant}");
            sure.check(&tried)?;
            let delete = |request_id| {
                client.delete_tenant(DeleteTenantRequest {
                    tenant: tenant.clone(),
                    version: version.version.unwrap_or_default(),
                    request_id,
                })
            };
            let answer = session.change(|| tried, &request, delete).await?;
            removed(session, "tenant", &tenant, &answer.token)
        }
        Verb::List { pages, fresh } => {
            let tried = || "list tenants".to_owned();
            let page = |page_size, page_token| {
                client.list_tenants(ListTenantsRequest {
                    page_size,
                    page_token,
                    consistency: Some(fresh.consistency.clone()),
                })
            };
            session.list(&pages, tried, page).await
        }
    }
}

impl Thing for Tenant {
    const ONE: &'static str = "tenant";
    const MANY: &'static str = "tenants";
    const HEADS: &'static [&'static str] = &["tenant", "destinations", "routes", "created", "description"];

    fn id(&self) -> String {
        self.tenant.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        vec![
            self.tenant.clone(),
            self.destinations.to_string(),
            self.routes.to_string(),
            times.moment(self.created),
            self.description.clone(),
        ]
    }

    fn json(&self) -> Value {
        json::tenant(self)
    }
}

impl Detailed for Tenant {
    fn details(&self, times: &Times) -> Vec<(&'static str, String)> {
        vec![
            ("tenant", self.tenant.clone()),
            ("description", self.description.clone()),
            (
                "keeps",
                self.retention.as_ref().map(keep::in_words).unwrap_or_default(),
            ),
            ("destinations", self.destinations.to_string()),
            ("routes", self.routes.to_string()),
            ("created", times.with_distance(self.created)),
            ("version", self.version.to_string()),
        ]
    }
}
