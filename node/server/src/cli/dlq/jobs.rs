//! Jobs: replays and discards of all that is dead at a destination. They go on by themselves; here they are begun,
//! watched and ended.

use clap::Subcommand;
use pushrail_api::v1::{
    CancelDeadLetterJobRequest, Cause, DeadLetterJob, DeadLetterJobKind, GetDeadLetterJobRequest,
    ListDeadLetterJobsRequest, StartDeadLetterJobRequest,
};
use serde_json::{Value, json};

use crate::cli::dlq::watch::{came_to, watch};
use crate::cli::error::CliError;
use crate::cli::reach::{Fresh, RequestId, TenantFlag, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::table;
use crate::cli::thing::{Detailed, Reflected, Thing};
use crate::cli::times::Times;
use crate::cli::{json as to_json, words};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Verb {
    /// Show a tenant's, newest first: those that run, and the last hundred
    List {
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// Show one, and how far it is
    Get {
        /// Which (job_…)
        #[arg(value_parser = text)]
        job: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        fresh: Fresh,
    },
    /// End one where it stands; what it has done stays done
    Cancel {
        /// Which (job_…)
        #[arg(value_parser = text)]
        job: String,
        #[command(flatten)]
        tenant: TenantFlag,
        #[command(flatten)]
        request: RequestId,
    },
}

/// Carries one out.
pub(in crate::cli) async fn run(session: &Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::List { tenant, fresh } => {
            let request = ListDeadLetterJobsRequest {
                tenant: tenant.tenant,
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.list_dead_letter_jobs(request).await;
            let answer = answer.trying(|| "list jobs".to_owned())?;
            let reflected = Reflected::new(&answer.applied, answer.age);
            session.show(&Shown {
                text: table(
                    DeadLetterJob::HEADS,
                    answer.jobs.iter().map(|job| job.row(&session.times)),
                ),
                json: reflected.beside(
                    DeadLetterJob::MANY,
                    Value::Array(answer.jobs.iter().map(Thing::json).collect()),
                ),
                names: answer.jobs.iter().map(Thing::id).collect(),
            })?;
            session.reflects(&reflected);
            Ok(())
        }
        Verb::Get { job, tenant, fresh } => {
            let request = GetDeadLetterJobRequest {
                tenant: tenant.tenant,
                job: job.clone(),
                consistency: Some(fresh.consistency),
            };
            let answer = session.client.get_dead_letter_job(request).await;
            session.found(answer.trying(|| format!("show job {job}"))?)
        }
        Verb::Cancel { job, tenant, request } => {
            let tried = || format!("cancel job {job}");
            let cancel = |request_id| {
                session.client.cancel_dead_letter_job(CancelDeadLetterJobRequest {
                    tenant: tenant.tenant.clone(),
                    job: job.clone(),
                    request_id,
                })
            };
            session.changed(session.change(tried, &request, cancel).await?)
        }
    }
}

/// A job to begin.
pub(in crate::cli) struct Wish {
    pub(in crate::cli) tenant: String,
    pub(in crate::cli) kind: DeadLetterJobKind,
    pub(in crate::cli) destination: String,
    pub(in crate::cli) cause: Cause,
}

/// Begins a job; waits for its end, if that is wanted.
pub(in crate::cli) async fn begin(
    session: &Session,
    wish: Wish,
    wait: bool,
    given: &RequestId,
) -> Result<(), CliError> {
    let tried = || format!("begin a job over the dead letters of {}", wish.destination);
    let ask = |request_id| {
        session.client.start_dead_letter_job(StartDeadLetterJobRequest {
            tenant: wish.tenant.clone(),
            kind: i32::from(wish.kind),
            destination: wish.destination.clone(),
            cause: i32::from(wish.cause),
            request_id,
        })
    };
    let mut answer = session.change(tried, given, ask).await?;
    let mut ended = Ok(());
    if wait && let Some(job) = answer.job.take() {
        let job = watch(session, job, &answer.token).await?;
        ended = came_to(&job);
        answer.job = Some(job);
    }
    session.changed(answer)?;
    ended
}

/// How far it is.
pub(super) fn progress(job: &DeadLetterJob) -> String {
    let total = job
        .total
        .map_or_else(|| "?".to_owned(), |total| total.to_string());
    format!("{} of {total} taken", job.taken)
}

fn cause(job: &DeadLetterJob) -> String {
    if job.cause() == Cause::Unspecified {
        return "any".to_owned();
    }
    words::plain(&words::cause(job.cause().into()))
}

fn or_nobody(actor: &str) -> String {
    if actor.is_empty() {
        "-".to_owned()
    } else {
        actor.to_owned()
    }
}

impl Thing for DeadLetterJob {
    const ONE: &'static str = "job";
    const MANY: &'static str = "jobs";
    const HEADS: &'static [&'static str] = &[
        "job",
        "what",
        "destination",
        "cause",
        "state",
        "progress",
        "started",
        "ended",
    ];

    fn id(&self) -> String {
        self.job.clone()
    }

    fn row(&self, times: &Times) -> Vec<String> {
        vec![
            self.job.clone(),
            words::job_kind(self.kind),
            self.destination.clone(),
            cause(self),
            words::job_state(self.state),
            progress(self),
            times.moment(self.started),
            times.moment(self.ended),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "job": self.job,
            "tenant": self.tenant,
            "kind": words::job_kind(self.kind),
            "destination": self.destination,
            "cause": (self.cause() != Cause::Unspecified).then(|| words::cause(self.cause)),
            "actor": self.actor,
            "started": to_json::time(self.started),
            "state": words::job_state(self.state),
            "total": self.total,
            "taken": self.taken,
            "passed": self.passed,
            "ended": to_json::time(self.ended),
            "ended_by": self.ended_by,
        })
    }
}

impl Detailed for DeadLetterJob {
    fn details(&self, times: &Times) -> Vec<(&'static str, String)> {
        vec![
            ("job", self.job.clone()),
            ("what", words::job_kind(self.kind)),
            ("destination", self.destination.clone()),
            ("cause", cause(self)),
            (
                "started",
                format!("{} by {}", times.moment(self.started), or_nobody(&self.actor)),
            ),
            ("state", words::job_state(self.state)),
            ("progress", progress(self)),
            ("left", format!("{} that failed of something else", self.passed)),
            ("ended", times.moment(self.ended)),
            ("ended by", or_nobody(&self.ended_by)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_what_is_known() {
        let mut job = DeadLetterJob {
            taken: 7,
            ..DeadLetterJob::default()
        };
        assert_eq!(progress(&job), "7 of ? taken");

        job.total = Some(9);
        assert_eq!(progress(&job), "7 of 9 taken");
        assert_eq!(cause(&job), "any");
    }
}
