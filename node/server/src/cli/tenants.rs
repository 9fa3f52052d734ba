//! `pushrail tenants`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{CreateTenantRequest, GetTenantRequest, ListTenantsRequest, Tenant};

use crate::cli::error::CliError;
use crate::cli::json;
use crate::cli::reach::{Fresh, Pages, Reach};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::{pairs, table};

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
        tenant: Option<String>,
        /// For people
        #[arg(long, default_value = "")]
        description: String,
        /// Makes a repeat of this very command harmless
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Show one
    Get {
        /// Its id
        tenant: String,
        #[command(flatten)]
        fresh: Fresh,
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
    match verb {
        Verb::Create {
            tenant,
            description,
            request_id,
        } => {
            let tenant = tenant.unwrap_or_default();
            let request = CreateTenantRequest {
                tenant: tenant.clone(),
                description,
                request_id,
            };
            let answer = session.client.create_tenant(request).await;
            let answer = answer.trying(|| format!("create tenant {tenant}"))?;
            let made = answer.tenant.unwrap_or_default();
            session.show(&Shown {
                text: details(session, &made),
                json: serde_json::json!({ "tenant": json::tenant(&made), "token": answer.token }),
                names: vec![made.tenant],
            })
        }
        Verb::Get { tenant, fresh } => {
            let request = GetTenantRequest {
                tenant: tenant.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.get_tenant(request).await;
            let answer = answer.trying(|| format!("show tenant {tenant}"))?;
            let found = answer.tenant.unwrap_or_default();
            session.show(&Shown {
                text: details(session, &found),
                json: json::one("tenant", json::tenant(&found), &answer.applied, answer.age),
                names: vec![found.tenant],
            })?;
            session.reflects(&answer.applied, answer.age);
            Ok(())
        }
        Verb::List { pages, fresh } => list(session, &pages, fresh).await,
    }
}

async fn list(session: &Session, pages: &Pages, fresh: Fresh) -> Result<(), CliError> {
    let mut found = Vec::new();
    let mut request = ListTenantsRequest {
        consistency: Some(fresh.consistency),
        ..ListTenantsRequest::default()
    };
    let (applied, age) = loop {
        request.page_size = pages.next_size(found.len());
        let answer = session.client.list_tenants(request.clone()).await;
        let answer = answer.trying(|| "list tenants".to_owned())?;
        found.extend(answer.tenants);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || found.len() >= pages.wanted() {
            break (answer.applied, answer.age);
        }
    };
    let rows = found.iter().map(|tenant| {
        vec![
            tenant.tenant.clone(),
            tenant.destinations.to_string(),
            tenant.routes.to_string(),
            session.times.moment(tenant.created),
            tenant.description.clone(),
        ]
    });
    session.show(&Shown {
        text: table(
            &["tenant", "destinations", "routes", "created", "description"],
            rows,
        ),
        json: json::list("tenants", found.iter().map(json::tenant).collect(), &applied, age),
        names: found.iter().map(|tenant| tenant.tenant.clone()).collect(),
    })?;
    session.reflects(&applied, age);
    session.more(&request.page_token);
    Ok(())
}

fn details(session: &Session, tenant: &Tenant) -> String {
    pairs(&[
        ("tenant", tenant.tenant.clone()),
        ("description", tenant.description.clone()),
        ("destinations", tenant.destinations.to_string()),
        ("routes", tenant.routes.to_string()),
        ("created", session.times.with_distance(tenant.created)),
        ("version", tenant.version.to_string()),
    ])
}
