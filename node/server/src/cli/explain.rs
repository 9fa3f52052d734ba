//! An event's whole story for eyes: how it came, what each route decided, each delivery with every attempt, and what
//! happens next, and when.

use pushrail_api::v1::{
    Attempt, DecisionReason, DestinationState, Event, ExplainEventResponse, ExplainedDelivery, Owner,
    RoutingDecision, next_step, verdict,
};

use crate::cli::times::{self, Times};
use crate::cli::{attempts, destinations, words};

/// Letters of a response shown with an attempt.
const EXCERPT_LETTERS_MAX: usize = 160;

/// Which routes' decisions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routes {
    /// Those that matched; the others are counted.
    Matched,
    /// All.
    All,
}

/// The story, distances measured from the state's clock in `times`.
pub(super) fn render(story: &ExplainEventResponse, routes: Routes, times: &Times) -> String {
    let nothing = Event::default();
    let event = story.event.as_ref().unwrap_or(&nothing);
    let size = usize::try_from(story.payload_bytes).unwrap_or_default();
    let mut text = format!(
        "{}  {}  ({}, {})\n",
        event.event,
        event.event_type,
        event.content_type,
        words::bytes(size)
    );
    text.push_str(&format!("tenant     {}\n", event.tenant));
    text.push_str(&format!(
        "accepted   {}, through node {}\n",
        times.with_distance(event.accepted),
        event.door_node
    ));
    text.push_str(&format!("key        {}\n", key(&event.idempotency_key)));
    routing(&mut text, &story.decisions, routes);
    for delivery in &story.deliveries {
        text.push('\n');
        one_delivery(&mut text, delivery, times);
    }
    text
}

/// An idempotency key, or that there is none.
pub(super) fn key(key: &str) -> String {
    if key.is_empty() {
        "none".to_owned()
    } else {
        format!("\"{key}\"")
    }
}

fn routing(text: &mut String, decisions: &[RoutingDecision], routes: Routes) {
    if decisions.is_empty() {
        text.push_str("routing    the tenant had no routes\n");
        return;
    }
    let matches = |decision: &&RoutingDecision| decision.reason() != DecisionReason::TypeDiffers;
    let matched = decisions.iter().filter(matches).count();
    let shown: Vec<&RoutingDecision> = match routes {
        Routes::Matched => decisions.iter().filter(matches).collect(),
        Routes::All => decisions.iter().collect(),
    };
    let hidden = match decisions.len() - shown.len() {
        0 => String::new(),
        hidden => format!("; --all shows the other {hidden}"),
    };
    text.push_str(&format!(
        "routing    {matched} of {} matched{hidden}\n",
        words::count(decisions.len(), "route", "routes")
    ));
    let widest = |part: fn(&RoutingDecision) -> &str| {
        shown
            .iter()
            .map(|decision| part(decision).chars().count())
            .max()
            .unwrap_or_default()
    };
    let (ids, patterns, targets) = (
        widest(|decision| &decision.route),
        widest(|decision| &decision.pattern),
        widest(|decision| &decision.destination),
    );
    for decision in shown {
        let (mark, why) = match decision.reason() {
            DecisionReason::Matched => ("+", "matched"),
            DecisionReason::AlreadyChosen => {
                ("+", "matched; another route had chosen this destination already")
            }
            DecisionReason::TypeDiffers => ("-", "the type does not match"),
            DecisionReason::Unspecified => ("?", "for a reason that this version does not know"),
        };
        text.push_str(&format!(
            "  {mark} {:ids$}  {:patterns$} → {:targets$}  {why}\n",
            decision.route, decision.pattern, decision.destination
        ));
    }
}

/// One delivery with every attempt, and what happens next.
pub(super) fn one_delivery(text: &mut String, one: &ExplainedDelivery, times: &Times) {
    let delivery = one.delivery.clone().unwrap_or_default();
    let target = one
        .destination
        .as_ref()
        .map(destinations::target)
        .unwrap_or_default();
    let kind = one
        .destination
        .as_ref()
        .map(|destination| destination.kind.as_str())
        .unwrap_or_default();
    text.push_str(&format!(
        "{} → {}  ({kind} {target})\n",
        delivery.delivery, delivery.destination
    ));
    let mut run = 0;
    for attempt in &one.attempts {
        if attempt.run != run {
            run = attempt.run;
            if run > 1 {
                text.push_str(&format!("  replayed: run {run}\n"));
            }
        }
        one_attempt(text, attempt, times);
    }
    if one.attempts.is_empty() {
        text.push_str(match delivery.attempts_made {
            0 => "  no attempt is on record yet\n",
            _ => "  its attempts are older than attempts are kept\n",
        });
    } else if delivery.run > run {
        text.push_str(&format!(
            "  replayed: run {}, no attempt is on record yet\n",
            delivery.run
        ));
    }
    text.push_str(&format!("  ⇒ {}\n", next(one, times)));
}

fn one_attempt(text: &mut String, attempt: &Attempt, times: &Times) {
    let status = attempt
        .status
        .map(|status| format!("{status} "))
        .unwrap_or_default();
    let took = times::length_of(attempt.took)
        .map(times::length)
        .unwrap_or_default();
    text.push_str(&format!(
        "  #{:<2} {}  {status}{}, took {took}, by node {}\n",
        attempt.number,
        times.moment(attempt.started),
        attempts::outcome(attempt),
        attempt.node
    ));
    let mut lines = Vec::new();
    if let Some(failure) = &attempt.failure {
        // Where there was an answer, its status says what the detail would repeat.
        let said = attempt
            .status
            .is_some_and(|status| attempt.detail.contains(&status.to_string()));
        let detail = if said || attempt.detail.is_empty() {
            String::new()
        } else {
            format!(" ({})", attempt.detail)
        };
        lines.push(format!("{}{detail}", failure.why));
        if failure.disables_destination {
            lines.push("this disabled the destination".to_owned());
        }
        if let Some(excerpt) = excerpt(attempt) {
            lines.push(excerpt);
        }
    }
    if let Some(asked) = times::length_of(attempt.retry_after) {
        lines.push(format!("the receiver asked to wait {}", times::length(asked)));
    }
    if !attempt.effective {
        lines.push("it came too late to change anything".to_owned());
    } else if let Some(verdict::Verdict::Retry(retry)) = attempt
        .verdict
        .as_ref()
        .and_then(|verdict| verdict.verdict.as_ref())
    {
        // Not `after`: a retry beyond the window became a burial when it was recorded.
        if attempt.next_due.is_some() {
            let after = times::length_of(retry.after)
                .map(times::length)
                .unwrap_or_default();
            lines.push(format!(
                "waits {after}: next due at {}",
                times.moment(attempt.next_due)
            ));
        }
    }
    for line in lines {
        text.push_str(&format!("      {line}\n"));
    }
}

fn excerpt(attempt: &Attempt) -> Option<String> {
    let body = String::from_utf8_lossy(&attempt.excerpt);
    let body: String = body
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let body = body.trim();
    if body.is_empty() {
        return None;
    }
    let shown: String = body.chars().take(EXCERPT_LETTERS_MAX).collect();
    let more = attempt.excerpt_cut || shown.len() < body.len();
    Some(format!("answer: {shown}{}", if more { "…" } else { "" }))
}

fn next(one: &ExplainedDelivery, times: &Times) -> String {
    let owner = one.owner.unwrap_or_default();
    match one.next.as_ref().and_then(|next| next.step.as_ref()) {
        Some(next_step::Step::Attempt(attempt)) => {
            format!(
                "{}, {}{}",
                tried(attempt, times),
                by(&owner),
                under_way(attempt, &owner, times)
            )
        }
        Some(next_step::Step::Held(held)) => {
            let state = match held.state() {
                DestinationState::Disabled => format!("disabled ({})", held.why),
                DestinationState::Removed => "removed".to_owned(),
                DestinationState::Paused | DestinationState::Active | DestinationState::Unspecified => {
                    "paused".to_owned()
                }
            };
            let then = held.then.as_ref().map(which).unwrap_or_default();
            format!(
                "nothing while the destination is {state}, since {}; after a resume: {then}",
                times.with_distance(held.since)
            )
        }
        Some(next_step::Step::Delivered(delivered)) => {
            format!("delivered at {}", times.with_distance(delivered.at))
        }
        Some(next_step::Step::Dead(dead)) => format!(
            "dead since {}: {}; kept until {}; run it again: pushrail dlq replay {}",
            times.with_distance(dead.at),
            words::death_in_words(dead.reason),
            times.moment(dead.kept_until),
            one.delivery
                .as_ref()
                .map(|delivery| delivery.delivery.as_str())
                .unwrap_or_default()
        ),
        Some(next_step::Step::Expired(expired)) => format!(
            "expired {}: dead since {} ({}), and nobody dealt with it in time",
            times.with_distance(expired.at),
            times.moment(expired.died),
            words::death_in_words(expired.reason),
        ),
        Some(next_step::Step::Discarded(discarded)) => {
            let by = match discarded.by.as_str() {
                "" => String::new(),
                by => format!(" by {by}"),
            };
            format!("discarded{by} at {}", times.with_distance(discarded.at))
        }
        Some(next_step::Step::Cancelled(cancelled)) => {
            let by = match cancelled.by.as_str() {
                "" => String::new(),
                name => format!(" by {name}"),
            };
            let removed = times.with_distance(cancelled.removed);
            match cancelled.at {
                Some(at) => format!(
                    "cancelled at {}: its destination was removed{by}, {removed}",
                    times.moment(Some(at))
                ),
                None => format!("about to be cancelled: its destination was removed{by}, {removed}"),
            }
        }
        None => "unknown to this version".to_owned(),
    }
}

/// The state learns of an attempt when it is over: of one that is due, only its owner knows whether it has begun.
fn under_way(attempt: &next_step::Attempt, owner: &Owner, times: &Times) -> &'static str {
    if owner.node != 0 && times.is_past(attempt.due) {
        "; it may be under way: an attempt is on record when it is over"
    } else {
        ""
    }
}

fn tried(attempt: &next_step::Attempt, times: &Times) -> String {
    if times.is_past(attempt.due) {
        format!(
            "{}, due since {}",
            which(attempt),
            times.with_distance(attempt.due)
        )
    } else {
        format!("{}, next at {}", which(attempt), times.with_distance(attempt.due))
    }
}

fn which(attempt: &next_step::Attempt) -> String {
    match attempt.retry {
        0 => "first attempt".to_owned(),
        retry => format!("retry {retry} of {}", attempt.retries_max),
    }
}

fn by(owner: &Owner) -> String {
    let moving = match owner.moving_to {
        0 => String::new(),
        node => format!(", moving to node {node}"),
    };
    match owner.node {
        0 => format!("by nobody yet (shard {} has no owner)", owner.shard),
        node => format!(
            "by node {node} (shard {}, epoch {}{moving})",
            owner.shard, owner.epoch
        ),
    }
}

#[cfg(test)]
mod tests;
