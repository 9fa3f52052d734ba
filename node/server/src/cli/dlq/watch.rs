//! Waiting for a job's end, as `dlq … --wait` does. The job goes on by itself, whatever becomes of the wait.

use std::time::Duration;

use pushrail_api::v1::{
    Consistency, DeadLetterJob, DeadLetterJobState, GetDeadLetterJobRequest, consistency,
};

use crate::cli::dlq::jobs::progress;
use crate::cli::error::{CliError, Exit};
use crate::cli::pending::Pending;
use crate::cli::session::{Session, Trying as _};

/// How often a job that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row that may fail: longer than an election takes, even where nobody listens and each fails at once.
const LOOKS_FAILED_MAX: u32 = 20;

/// Waits for a job's end. The job does not wait for us: whatever ends the wait says how to look again.
pub(super) async fn watch(
    session: &Session,
    job: DeadLetterJob,
    token: &str,
) -> Result<DeadLetterJob, CliError> {
    session.leaves(Some(Pending::Job {
        tenant: job.tenant.clone(),
        job: job.job.clone(),
    }));
    // A node that is behind would not know the job yet, and call it missing.
    let level = consistency::Level::AtLeast(token.to_owned());
    let consistency = Consistency { level: Some(level) };
    let request = GetDeadLetterJobRequest {
        tenant: job.tenant.clone(),
        job: job.job.clone(),
        consistency: Some(consistency),
    };
    let name = job.job.clone();
    let look = || async {
        let answer = session.client.get_dead_letter_job(request.clone()).await;
        let tried = || format!("watch job {name}");
        let found = answer.trying(tried)?.job;
        found.ok_or_else(|| CliError::failed(tried(), "the answer holds no job"))
    };
    let said = |job: &DeadLetterJob| session.note(&format!("{}: {}", job.job, progress(job)));
    let watched = look_until_ended(job, LOOK_EVERY, look, said).await;
    let ended = watched.map_err(|error| session.cut_short(error))?;
    session.leaves(None);
    Ok(ended)
}

async fn look_until_ended<F>(
    mut job: DeadLetterJob,
    every: Duration,
    look: impl Fn() -> F,
    said: impl Fn(&DeadLetterJob),
) -> Result<DeadLetterJob, CliError>
where
    F: Future<Output = Result<DeadLetterJob, CliError>>,
{
    let mut failed = 0;
    while job.state() == DeadLetterJobState::Running {
        if failed == 0 {
            said(&job);
        }
        tokio::time::sleep(every).await;
        match look().await {
            Ok(seen) => {
                job = seen;
                failed = 0;
            }
            // A node dies, a leader is elected: the job goes on through that, and so do we.
            Err(error) if failed < LOOKS_FAILED_MAX && error.may_pass() => failed += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(job)
}

/// How a verb ends that waited for this job: a job that was cancelled has left something undone.
pub(super) fn came_to(job: &DeadLetterJob) -> Result<(), CliError> {
    if job.state() != DeadLetterJobState::Cancelled {
        return Ok(());
    }
    let by = if job.ended_by.is_empty() {
        String::new()
    } else {
        format!(" by {}", job.ended_by)
    };
    let exit = if job.taken > 0 { Exit::Partly } else { Exit::Failed };
    let wrong = format!("it was cancelled{by}, with {}", progress(job));
    let mut list = format!("pushrail dlq list --tenant {}", job.tenant);
    // Where the destination is gone, its name is gone too.
    if !job.destination.is_empty() {
        list.push_str(&format!(" --destination {}", job.destination));
    }
    let error = CliError::failed(format!("wait until job {} is done", job.job), wrong);
    Err(error.exiting(exit).helping(&list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: DeadLetterJobState, taken: u64) -> DeadLetterJob {
        DeadLetterJob {
            job: "job_1".to_owned(),
            tenant: "acme".to_owned(),
            destination: "orders".to_owned(),
            state: state.into(),
            taken,
            total: Some(9),
            ..DeadLetterJob::default()
        }
    }

    /// Looks at a job until these answers are at their end, the last of which is repeated.
    async fn watched(answers: &[Result<DeadLetterJob, Exit>]) -> Result<DeadLetterJobState, Exit> {
        let looks = std::cell::Cell::new(0);
        let look = || {
            let answer = answers[looks.get().min(answers.len() - 1)].clone();
            looks.set(looks.get() + 1);
            async { answer.map_err(|exit| CliError::failed("watch", "no").exiting(exit)) }
        };
        let running = job(DeadLetterJobState::Running, 0);
        let ended = look_until_ended(running, Duration::ZERO, look, |_| {}).await;
        ended.map(|job| job.state()).map_err(|error| error.exit())
    }

    #[tokio::test]
    async fn a_look_that_fails_does_not_end_the_wait() {
        let running = || Ok(job(DeadLetterJobState::Running, 3));
        let done = || Ok(job(DeadLetterJobState::Done, 9));
        let (dead, silent) = (Err(Exit::Unavailable), Err(Exit::TimeOut));

        let over = watched(&[dead.clone(), running(), silent, dead.clone(), done()]).await;
        let never = watched(&[running(), dead]).await;
        let gone = watched(&[Err(Exit::NotFound), done()]).await;

        assert_eq!(over, Ok(DeadLetterJobState::Done));
        assert_eq!(never, Err(Exit::Unavailable));
        assert_eq!(gone, Err(Exit::NotFound));
    }

    #[test]
    fn a_job_that_was_cancelled_is_not_called_done() {
        let cancelled = DeadLetterJob {
            ended_by: "ann@ops".to_owned(),
            ..job(DeadLetterJobState::Cancelled, 7)
        };

        let error = came_to(&cancelled).unwrap_err();

        assert_eq!(
            error.text(),
            "error: cannot wait until job job_1 is done: it was cancelled by ann@ops, with 7 of 9 taken\n\
             \x20 try: pushrail dlq list --tenant acme --destination orders\n"
        );
        assert_eq!(error.exit(), Exit::Partly);
        let nothing = came_to(&job(DeadLetterJobState::Cancelled, 0)).unwrap_err();
        assert_eq!(nothing.exit(), Exit::Failed);
        assert!(came_to(&job(DeadLetterJobState::Done, 9)).is_ok());
    }

    #[test]
    fn who_stops_waiting_is_told_that_the_job_goes_on_and_how_to_look() {
        let pending = Pending::Job {
            tenant: "acme".to_owned(),
            job: "job_1".to_owned(),
        };

        let error = pending.tell(CliError::interrupted());

        assert_eq!(
            error.text(),
            "error: cannot wait for an answer: interrupted\n\
             \x20 job job_1 goes on by itself\n\
             \x20 try: pushrail dlq jobs get job_1 --tenant acme\n"
        );
    }
}
