//! `pushrail destinations`. A credential comes from a file or stdin, never from the command line; what was made is
//! shown once, at the creation.

use clap::{Args, Subcommand};
use pushrail_api::v1::{
    CreateDestinationRequest, DeleteDestinationRequest, GetDestinationRequest, ListDestinationsRequest,
    PauseDestinationRequest, ResumeDestinationRequest,
};
use serde_json::Value;

use crate::cli::changing::{Sure, Version, removed};
use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, Pages, Reach, RequestId, TenantFlag, text};
use crate::cli::session::{Session, Trying as _};

mod change;
mod create;
mod retry;
mod show;
mod trial;

pub(super) use show::target;

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
    Create(Box<create::Create>),
    /// Show one
    Get {
        /// Its id
        #[arg(value_parser = text)]
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
    /// Change one; what is left out stays
    Update(Box<change::Update>),
    /// Give one another credential; both sign until the overlap is over, and the new one is shown once, here
    Rotate(change::Rotate),
    /// Remove one with its routes: when this returns, no attempt starts any more, and what is owed to it ends
    Delete {
        /// Its id
        #[arg(value_parser = text)]
        destination: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        request: RequestId,
    },
    /// Let its queue rest: when this returns, no attempt starts any more, on any node
    Pause {
        /// Its id
        #[arg(value_parser = text)]
        destination: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        request: RequestId,
    },
    /// Serve it again; ends a pause and a disablement
    Resume {
        /// Its id
        #[arg(value_parser = text)]
        destination: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        request: RequestId,
    },
    /// Send one signed test event, held or not, and show what went out and what came back; it is no delivery
    Test(trial::Trial),
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    let client = &session.client;
    match verb {
        Verb::Create(create) => make(session, &create).await,
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
            let answer = client.get_destination(request).await;
            session.found(answer.trying(|| format!("show destination {destination}"))?)
        }
        Verb::List { tenant, pages, fresh } => {
            let tried = || format!("list destinations of {}", tenant.tenant);
            let page = |page_size, page_token| {
                client.list_destinations(ListDestinationsRequest {
                    tenant: tenant.tenant.clone(),
                    page_size,
                    page_token,
                    consistency: Some(fresh.consistency.clone()),
                })
            };
            session.list(&pages, tried, page).await
        }
        Verb::Update(update) => change::update(session, *update).await,
        Verb::Rotate(rotate) => change::rotate(session, rotate).await,
        Verb::Delete {
            destination,
            tenant,
            version,
            sure,
            request,
        } => {
            let tried = format!("remove destination {destination}");
            sure.check(&tried)?;
            let delete = |request_id| {
                client.delete_destination(DeleteDestinationRequest {
                    tenant: tenant.tenant,
                    destination: destination.clone(),
                    version: version.version.unwrap_or_default(),
                    request_id,
                })
            };
            let answer = session.change(|| tried, &request, delete).await?;
            removed(session, "destination", &destination, &answer.token)
        }
        Verb::Pause {
            destination,
            tenant,
            request,
        } => {
            let tried = || format!("pause destination {destination}");
            let pause = |request_id| {
                client.pause_destination(PauseDestinationRequest {
                    tenant: tenant.tenant,
                    destination: destination.clone(),
                    request_id,
                })
            };
            session.changed(session.change(tried, &request, pause).await?)
        }
        Verb::Resume {
            destination,
            tenant,
            request,
        } => {
            let tried = || format!("resume destination {destination}");
            let resume = |request_id| {
                client.resume_destination(ResumeDestinationRequest {
                    tenant: tenant.tenant,
                    destination: destination.clone(),
                    request_id,
                })
            };
            session.changed(session.change(tried, &request, resume).await?)
        }
        Verb::Test(trial) => trial::run(session, trial).await,
    }
}

async fn make(session: &Session, create: &create::Create) -> Result<(), CliError> {
    let request = create.request()?;
    let tried = || {
        let id = create.destination.as_deref().unwrap_or("one");
        format!("create destination {id} of {}", create.tenant.tenant)
    };
    let make = |request_id| {
        session.client.create_destination(CreateDestinationRequest {
            request_id,
            ..request
        })
    };
    let answer = session.change(tried, &create.request, make).await;
    let answer = answer.map_err(|error| error.of_kind(&create.kind))?;
    let credential = answer.credential.clone();
    let value = serde_json::from_str::<Value>(&credential).unwrap_or_default();
    session.changed_with(answer, &[("credential", credential, value)])?;
    session.note("the credential is shown this once: keep it");
    Ok(())
}
