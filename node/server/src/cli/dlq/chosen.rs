//! Dead letters that are named one by one: run again or given up, each with what became of it.

use std::path::Path;

use pushrail_api::v1::{
    DiscardDeadLettersRequest, DiscardResult, ReplayDeadLettersRequest, ReplayResult, discard_result,
    replay_result,
};
use pushrail_api::{ClientError, drawn_id};
use pushrail_model::limits;
use serde_json::json;

use crate::cli::error::{CliError, Exit};
use crate::cli::pending::repeat;
use crate::cli::reach::RequestId;
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::table;
use crate::cli::thing::index;
use crate::cli::{given, words};

/// Deliveries that one call takes at most.
const CHOSEN_MAX: usize = 256;

/// Runs chosen ones again.
pub(in crate::cli) async fn replay(
    session: &Session,
    tenant: &str,
    deliveries: Vec<String>,
    given: &RequestId,
) -> Result<(), CliError> {
    let order = Order::new("replay", Ids::OneEach, named(deliveries)?, given)?;
    let ask = |deliveries, request_id| async {
        let request = ReplayDeadLettersRequest {
            tenant: tenant.to_owned(),
            deliveries,
            request_id,
        };
        let answer = session.client.replay_dead_letters(request).await?;
        let came = answer.results.into_iter().map(Came::from);
        Ok((came.collect(), answer.token))
    };
    order.carry_out(session, ask).await
}

/// Gives chosen ones up.
pub(in crate::cli) async fn discard(
    session: &Session,
    tenant: &str,
    deliveries: Vec<String>,
    given: &RequestId,
) -> Result<(), CliError> {
    let order = Order::new("discard", Ids::OneForAll, named(deliveries)?, given)?;
    let ask = |deliveries, request_id| async {
        let request = DiscardDeadLettersRequest {
            tenant: tenant.to_owned(),
            deliveries,
            request_id,
        };
        let answer = session.client.discard_dead_letters(request).await?;
        let came = answer.results.into_iter().map(Came::from);
        Ok((came.collect(), answer.token))
    };
    order.carry_out(session, ask).await
}

/// What is to be done with which, in as few calls as nodes take.
#[derive(Debug)]
struct Order {
    verb: &'static str,
    ids: Ids,
    deliveries: Vec<String>,
    id: String,
}

/// Under which request ids the calls go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    /// Each is harmless by itself, and the change log holds them together.
    OneForAll,
    /// Each call is a request of its own, and the whole command still repeats harmlessly.
    OneEach,
}

/// What the calls came to so far.
#[derive(Debug, Default)]
struct Course {
    came: Vec<Came>,
    token: String,
}

impl Order {
    /// Refuses before anything is sent what would be refused after a part of it was done.
    fn new(
        verb: &'static str,
        ids: Ids,
        deliveries: Vec<String>,
        given: &RequestId,
    ) -> Result<Self, CliError> {
        let id = given.request_id.clone().unwrap_or_else(|| drawn_id("req"));
        let order = Self {
            verb,
            ids,
            deliveries,
            id,
        };
        let last = order.deliveries.len().div_ceil(CHOSEN_MAX).saturating_sub(1);
        let (bytes, most) = (order.id_of(last).len(), limits::REQUEST_ID_BYTES_MAX);
        if bytes > most {
            let calls = words::count(last + 1, "call", "calls");
            let wrong = format!(
                "the request id has {} bytes; for {calls} it may have {}; nothing was sent",
                order.id.len(),
                most - (bytes - order.id.len())
            );
            return Err(CliError::usage(format!("{verb} dead letters"), wrong));
        }
        Ok(order)
    }

    fn id_of(&self, call: usize) -> String {
        match (self.ids, call) {
            (Ids::OneForAll, _) | (Ids::OneEach, 0) => self.id.clone(),
            (Ids::OneEach, call) => format!("{}.{call}", self.id),
        }
    }

    /// Asks call by call until one is refused. What was done by then is shown in any case.
    async fn carry_out<F>(
        self,
        session: &Session,
        ask: impl Fn(Vec<String>, String) -> F,
    ) -> Result<(), CliError>
    where
        F: Future<Output = Result<(Vec<Came>, String), ClientError>>,
    {
        session.sends("--request-id", &self.id);
        let (course, ended) = self.ask_all(ask).await;
        if course.came.is_empty() && ended.is_err() {
            return ended;
        }
        show(session, &course)?;
        ended
    }

    async fn ask_all<F>(&self, ask: impl Fn(Vec<String>, String) -> F) -> (Course, Result<(), CliError>)
    where
        F: Future<Output = Result<(Vec<Came>, String), ClientError>>,
    {
        let mut course = Course::default();
        for (call, chunk) in self.deliveries.chunks(CHOSEN_MAX).enumerate() {
            let answer = ask(chunk.to_vec(), self.id_of(call)).await;
            match answer.trying(|| format!("{} dead letters", self.verb)) {
                Ok((came, token)) => {
                    course.came.extend(came);
                    course.token = token;
                }
                Err(error) => {
                    let error = self.cut_short(&course, error);
                    return (course, Err(error));
                }
            }
        }
        let ends: Vec<End> = course.came.iter().map(|came| came.end).collect();
        (course, came_to(&ends, self.verb))
    }

    /// The error of a call that others came before: what they did stays done.
    fn cut_short(&self, course: &Course, error: CliError) -> CliError {
        let (done, all) = (course.came.len(), self.deliveries.len());
        if done == 0 {
            return error.repeating("--request-id", &self.id);
        }
        let tried = format!(
            "{} {} of {}",
            self.verb,
            all - done,
            words::count(all, "delivery", "deliveries")
        );
        let well = course.came.iter().any(|came| came.end == End::Well);
        let exit = if well { Exit::Partly } else { error.exit() };
        error
            .trying(tried)
            .exiting(exit)
            .noting(["the others were answered before that, each as it is shown".to_owned()].into_iter())
            .helping(&repeat("--request-id", &self.id))
    }
}

/// What became of one that was chosen.
#[derive(Clone, Debug)]
struct Came {
    delivery: String,
    word: String,
    end: End,
}

impl From<ReplayResult> for Came {
    fn from(result: ReplayResult) -> Self {
        Self {
            word: words::replay(result.outcome),
            end: match result.outcome() {
                replay_result::Outcome::Started => End::Well,
                replay_result::Outcome::NotDead => End::NotDead,
                replay_result::Outcome::Unknown | replay_result::Outcome::Unspecified => End::Unknown,
            },
            delivery: result.delivery,
        }
    }
}

impl From<DiscardResult> for Came {
    fn from(result: DiscardResult) -> Self {
        Self {
            word: words::discard(result.outcome),
            end: match result.outcome() {
                discard_result::Outcome::Discarded => End::Well,
                discard_result::Outcome::NotDead => End::NotDead,
                discard_result::Outcome::Unknown | discard_result::Outcome::Unspecified => End::Unknown,
            },
            delivery: result.delivery,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    NotDead,
    Unknown,
}

fn show(session: &Session, course: &Course) -> Result<(), CliError> {
    let Course { came, token } = course;
    let rows = came
        .iter()
        .map(|came| vec![came.delivery.clone(), words::plain(&came.word)]);
    let json_rows: Vec<_> = came
        .iter()
        .map(|came| json!({ "delivery": came.delivery, "outcome": came.word }))
        .collect();
    session.show(&Shown {
        text: table(&["delivery", "outcome"], rows),
        json: json!({ "results": json_rows, "token": token, "token_index": index(token) }),
        names: came
            .iter()
            .filter(|came| came.end == End::Well)
            .map(|came| came.delivery.clone())
            .collect(),
    })
}

/// Which deliveries: those given, or for `-` those that stdin names.
fn named(deliveries: Vec<String>) -> Result<Vec<String>, CliError> {
    if deliveries != ["-"] {
        return Ok(deliveries);
    }
    let text = given::read_text(Path::new("-"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

/// The verb's end: well if all came to what was wanted, and otherwise with the exit code that says what they came to.
fn came_to(outcomes: &[End], verb: &str) -> Result<(), CliError> {
    let failed = outcomes.iter().filter(|outcome| **outcome != End::Well).count();
    if failed == 0 {
        return Ok(());
    }
    let unknown = outcomes
        .iter()
        .filter(|outcome| **outcome == End::Unknown)
        .count();
    let (why, exit) = if unknown == failed {
        ("there is no such delivery", Exit::NotFound)
    } else if unknown == 0 {
        ("not dead letters any more", Exit::Conflict)
    } else {
        ("not dead letters any more, or unknown", Exit::Failed)
    };
    let exit = if failed == outcomes.len() {
        exit
    } else {
        Exit::Partly
    };
    let tried = format!(
        "{verb} {failed} of {}",
        words::count(outcomes.len(), "delivery", "deliveries")
    );
    Err(CliError::failed(tried, why)
        .exiting(exit)
        .helping("pushrail dlq list --tenant <tenant>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_what_replays_came_to() {
        let exit = |outcomes: &[End]| came_to(outcomes, "replay").map_err(|error| error.exit());

        assert_eq!(exit(&[End::Well]), Ok(()));
        assert_eq!(exit(&[End::Unknown]), Err(Exit::NotFound));
        assert_eq!(exit(&[End::NotDead, End::NotDead]), Err(Exit::Conflict));
        assert_eq!(exit(&[End::NotDead, End::Unknown]), Err(Exit::Failed));
        assert_eq!(exit(&[End::Well, End::Unknown]), Err(Exit::Partly));
    }

    fn order(count: usize, id: &str) -> Result<Order, CliError> {
        let given = RequestId {
            request_id: Some(id.to_owned()),
        };
        let deliveries = (0..count).map(|number| format!("dlv_{number}"));
        Order::new("replay", Ids::OneEach, deliveries.collect(), &given)
    }

    /// Answers calls until the one of this number, which meets a full disk.
    async fn asked(order: &Order, refused: usize, end: End) -> (Course, CliError, Vec<String>) {
        let ids = std::cell::RefCell::new(Vec::new());
        let ask = |deliveries: Vec<String>, id: String| {
            let call = ids.borrow().len();
            ids.borrow_mut().push(id);
            async move {
                if call == refused {
                    return Err(ClientError::Refused {
                        address: "a:1".to_owned(),
                        status: Box::new(tonic::Status::unavailable("the disk is full")),
                        accepted: Some(pushrail_api::Accepted::No),
                        tried: Vec::new(),
                    });
                }
                let came = deliveries.into_iter().map(|delivery| Came {
                    delivery,
                    word: "started".to_owned(),
                    end,
                });
                Ok((came.collect(), "tok_1".to_owned()))
            }
        };
        let (course, ended) = order.ask_all(ask).await;
        (course, ended.unwrap_err(), ids.into_inner())
    }

    #[tokio::test]
    async fn what_was_done_before_a_refusal_is_told_with_the_id_for_a_repeat() {
        let order = order(300, "mine").unwrap();

        let (course, error, ids) = asked(&order, 1, End::Well).await;

        assert_eq!((course.came.len(), course.token.as_str()), (256, "tok_1"));
        assert_eq!(ids, ["mine", "mine.1"]);
        assert_eq!(error.exit(), Exit::Partly);
        assert_eq!(
            error.text(),
            "error: cannot replay 44 of 300 deliveries: the disk is full\n\
             \x20 it was certainly not accepted\n\
             \x20 answered by a:1\n\
             \x20 the others were answered before that, each as it is shown\n\
             \x20 try: the same command with --request-id mine: what was accepted already is not done twice\n"
        );
    }

    #[tokio::test]
    async fn where_nothing_was_done_a_refusal_is_all_there_is_to_tell() {
        let order = order(300, "mine").unwrap();

        let (nothing, first, _) = asked(&order, 0, End::Well).await;
        let (_, in_vain, _) = asked(&order, 1, End::NotDead).await;

        assert!(nothing.came.is_empty());
        assert!(
            first
                .text()
                .starts_with("error: cannot replay dead letters: the disk")
        );
        assert_eq!(
            (first.exit(), in_vain.exit()),
            (Exit::Unavailable, Exit::Unavailable)
        );
    }

    #[test]
    fn an_id_that_becomes_too_long_for_a_later_call_is_refused_before_the_first() {
        let long = "x".repeat(127);

        let refused = order(257, &long).unwrap_err();

        assert_eq!(refused.exit(), Exit::Usage);
        assert_eq!(
            refused.text(),
            "error: cannot replay dead letters: the request id has 127 bytes; for 2 calls it may have 126; nothing \
             was sent\n"
        );
        assert!(order(256, &long).is_ok() && order(257, &"x".repeat(126)).is_ok());
        assert!(order(1, &"x".repeat(129)).is_err());
    }
}
