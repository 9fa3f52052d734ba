//! The contract's messages as JSON for programs: field names as in the contract, times in RFC 3339, lengths of time in
//! seconds with an `s`, choices in lower case, bytes in base64 and, where they are text, also as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pushrail_api::v1;
use serde_json::{Value, json};

use crate::cli::thing::index;
use crate::cli::{keep, words};

/// A time, or null.
pub(super) fn time(moment: Option<prost_types::Timestamp>) -> Value {
    moment.map_or(Value::Null, |moment| json!(moment.to_string()))
}

/// A length of time, or null.
pub(super) fn length(length: Option<prost_types::Duration>) -> Value {
    length.map_or(Value::Null, |length| json!(length.to_string()))
}

fn settings(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

/// A tenant.
pub(super) fn tenant(tenant: &v1::Tenant) -> Value {
    json!({
        "tenant": tenant.tenant,
        "description": tenant.description,
        "version": tenant.version,
        "created": time(tenant.created),
        "destinations": tenant.destinations,
        "routes": tenant.routes,
        "retention": tenant.retention.as_ref().map(keep::in_json),
    })
}

/// A destination.
pub(super) fn destination(destination: &v1::Destination) -> Value {
    let counts = destination.counts.unwrap_or_default();
    json!({
        "tenant": destination.tenant,
        "destination": destination.destination,
        "kind": destination.kind,
        "settings": settings(&destination.settings),
        "retry": destination.retry.as_ref().map(retry),
        "concurrency": destination.concurrency,
        "description": destination.description,
        "state": words::destination_state(destination.state),
        "disabled_why": or_null(&destination.disabled_why),
        "held_since": time(destination.held_since),
        "version": destination.version,
        "created": time(destination.created),
        "counts": {
            "scheduled": counts.scheduled,
            "dead": counts.dead,
            "delivered": counts.delivered,
            "discarded": counts.discarded,
            "expired": counts.expired,
        },
        "shard": destination.shard,
        "owner_node": destination.owner_node,
        "credential_key": or_null(&destination.credential_key),
        "credential_overlap_until": time(destination.credential_overlap_until),
        "removed_by": or_null(&destination.removed_by),
    })
}

fn retry(policy: &v1::RetryPolicy) -> Value {
    let waits = match &policy.waits {
        Some(v1::retry_policy::Waits::Exponential(waits)) => json!({
            "exponential": {
                "first": length(waits.first),
                "factor": waits.factor,
                "cap": length(waits.cap),
                "retries": waits.retries,
            }
        }),
        Some(v1::retry_policy::Waits::Explicit(waits)) => {
            let waits: Vec<Value> = waits.waits.iter().map(|wait| length(Some(*wait))).collect();
            json!({ "explicit": waits })
        }
        None => Value::Null,
    };
    json!({ "waits": waits, "window": length(policy.window), "floor": length(policy.floor) })
}

/// A route.
pub(super) fn route(route: &v1::Route) -> Value {
    json!({
        "tenant": route.tenant,
        "route": route.route,
        "pattern": route.pattern,
        "destination": route.destination,
        "version": route.version,
        "created": time(route.created),
    })
}

/// An event; its payload only where there is one to show.
pub(super) fn event(event: &v1::Event, with_payload: bool) -> Value {
    let mut value = json!({
        "tenant": event.tenant,
        "event": event.event,
        "event_type": event.event_type,
        "content_type": event.content_type,
        "idempotency_key": or_null(&event.idempotency_key),
        "accepted": time(event.accepted),
        "door_node": event.door_node,
        "payload_dropped": time(event.payload_dropped),
    });
    if with_payload {
        value["payload"] = match event.payload_dropped {
            None => bytes(&event.payload),
            Some(_) => Value::Null,
        };
    }
    value
}

fn bytes(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).ok();
    json!({ "base64": STANDARD.encode(bytes), "text": text })
}

/// A delivery.
pub(super) fn delivery(delivery: &v1::Delivery) -> Value {
    let dead = delivery.death_reason() != v1::DeathReason::Unspecified;
    json!({
        "delivery": delivery.delivery,
        "event": delivery.event,
        "destination": delivery.destination,
        "state": words::delivery_state(delivery.state),
        "due": time(delivery.due),
        "ended": time(delivery.ended),
        "death_reason": dead.then(|| words::death(delivery.death_reason)),
        "run": delivery.run,
        "attempts_made": delivery.attempts_made,
        "retries_max": delivery.retries_max,
        "event_type": or_null(&delivery.event_type),
        "accepted": time(delivery.accepted),
        "discarded_by": or_null(&delivery.discarded_by),
    })
}

/// An attempt.
pub(super) fn attempt(attempt: &v1::Attempt) -> Value {
    let failure = attempt.failure.as_ref().map(|failure| {
        json!({
            "class": words::class(failure.class),
            "cause": words::cause(failure.cause),
            "why": failure.why,
            "disables_destination": failure.disables_destination,
        })
    });
    let verdict = match attempt
        .verdict
        .as_ref()
        .and_then(|verdict| verdict.verdict.as_ref())
    {
        Some(v1::verdict::Verdict::Settle(_)) => json!("settle"),
        Some(v1::verdict::Verdict::Retry(retry)) => json!({
            "retry": { "after": length(retry.after), "retries_max": retry.retries_max }
        }),
        Some(v1::verdict::Verdict::Bury(bury)) => json!({ "bury": { "reason": words::death(bury.reason) } }),
        None => Value::Null,
    };
    json!({
        "attempt": attempt.attempt,
        "delivery": attempt.delivery,
        "event": attempt.event,
        "destination": attempt.destination,
        "run": attempt.run,
        "number": attempt.number,
        "epoch": attempt.epoch,
        "node": attempt.node,
        "started": time(attempt.started),
        "took": length(attempt.took),
        "outcome": if failure.is_some() { "failed" } else { "delivered" },
        "failure": failure,
        "status": attempt.status,
        "detail": attempt.detail,
        "excerpt": bytes(&attempt.excerpt),
        "excerpt_cut": attempt.excerpt_cut,
        "retry_after": length(attempt.retry_after),
        "remote": or_null(&attempt.remote),
        "verdict": verdict,
        "recorded": time(attempt.recorded),
        "effective": attempt.effective,
        "next_due": time(attempt.next_due),
    })
}

/// A dead letter.
pub(super) fn dead_letter(letter: &v1::DeadLetter) -> Value {
    json!({
        "delivery": letter.delivery,
        "event": letter.event,
        "event_type": letter.event_type,
        "destination": letter.destination,
        "died": time(letter.died),
        "run": letter.run,
        "reason": words::death(letter.reason),
        "cause": words::cause(letter.cause),
        "status": letter.status,
        "detail": letter.detail,
        "attempts_made": letter.attempts_made,
    })
}

/// A kind.
pub(super) fn kind(kind: &v1::Kind) -> Value {
    let fields = |fields: &[v1::KindField]| -> Vec<Value> {
        fields
            .iter()
            .map(|field| {
                json!({
                    "name": field.name,
                    "presence": words::presence(field.presence),
                    "default_value": or_null(&field.default_value),
                    "form": field.form,
                    "description": field.description,
                    "example": field.example,
                })
            })
            .collect()
    };
    let rules: Vec<Value> = kind
        .rules
        .iter()
        .map(|rule| {
            let delivered = rule.class() == v1::RuleClass::Delivered;
            json!({
                "on": rule.on,
                "class": words::rule_class(rule.class),
                "cause": (!delivered).then(|| words::cause(rule.cause)),
                "disables_destination": rule.disables_destination,
                "floors": rule.floors,
                "why": rule.why,
            })
        })
        .collect();
    json!({
        "kind": kind.kind,
        "family": kind.family,
        "description": kind.description,
        "settings": fields(&kind.settings),
        "credential": fields(&kind.credential),
        "rules": rules,
        "repeats": kind.repeats,
        "batch_events_max": kind.batch_events_max,
    })
}

/// What a receipt says.
pub(super) fn receipt(receipt: &v1::Receipt) -> Value {
    json!({
        "event": receipt.event,
        "duplicate": receipt.duplicate,
        "deliveries": receipt.deliveries,
        "token": receipt.token,
        "token_index": index(&receipt.token),
    })
}

/// How the cluster stands.
pub(super) fn cluster(status: &v1::ClusterStatusResponse) -> Value {
    let members = status
        .members
        .iter()
        .map(|one| member(one, status.answering_node));
    let members: Vec<Value> = members.collect();
    json!({
        "cluster": or_null(&status.cluster),
        "leader_node": status.leader_node,
        "term": status.term,
        "committed_index": status.committed_index,
        "answering_node": status.answering_node,
        "members": members,
        "now": time(status.now),
        "shards_unowned": status.shards_unowned,
        "clocks_apart": or_null(&status.clocks_apart),
        "time_ahead": length(status.time_ahead),
        "applied": status.applied,
        "applied_index": index(&status.applied),
        "age": length(status.age),
    })
}

fn member(member: &v1::Member, answering_node: u64) -> Value {
    let addresses = member.addresses.clone().unwrap_or_default();
    // Of a member that was never heard from, nothing is known; of itself, a node knows without asking.
    let heard = member.last_seen.is_some() || addresses.node == answering_node;
    json!({
        "node": addresses.node,
        "peer": addresses.peer,
        "client": addresses.client,
        "http": addresses.http,
        "leader": member.leader,
        "live": member.live,
        "last_seen": length(member.last_seen),
        "applied_index": heard.then_some(member.applied_index),
        "lag_entries": heard.then_some(member.lag_entries),
        "lease_remaining": length(member.lease_remaining),
        "shards_owned": member.shards_owned,
        "queue_depth": member.last_seen.is_some().then_some(member.queue_depth),
        "oldest_due_age": length(member.oldest_due_age),
        "clock_ahead": length(member.clock_ahead),
    })
}

/// An event's whole story.
pub(super) fn explained(story: &v1::ExplainEventResponse) -> Value {
    let decisions: Vec<Value> = story
        .decisions
        .iter()
        .map(|decision| {
            json!({
                "route": decision.route,
                "pattern": decision.pattern,
                "destination": decision.destination,
                "reason": words::decision(decision.reason),
            })
        })
        .collect();
    let deliveries: Vec<Value> = story.deliveries.iter().map(explained_delivery).collect();
    json!({
        "event": story.event.as_ref().map(|one| event(one, false)),
        "payload_bytes": story.payload_bytes,
        "decisions": decisions,
        "deliveries": deliveries,
        "now": time(story.now),
        "applied": story.applied,
        "applied_index": index(&story.applied),
        "age": length(story.age),
    })
}

/// A delivery with all that came of it.
pub(super) fn explained_delivery(one: &v1::ExplainedDelivery) -> Value {
    let next = match one.next.as_ref().and_then(|next| next.step.as_ref()) {
        Some(v1::next_step::Step::Attempt(next)) => json!({ "attempt": next_attempt(next) }),
        Some(v1::next_step::Step::Held(held)) => json!({
            "held": {
                "state": words::destination_state(held.state),
                "why": or_null(&held.why),
                "since": time(held.since),
                "then": held.then.as_ref().map(next_attempt),
            }
        }),
        Some(v1::next_step::Step::Delivered(delivered)) => {
            json!({ "delivered": { "at": time(delivered.at) } })
        }
        Some(v1::next_step::Step::Dead(dead)) => json!({
            "dead": {
                "at": time(dead.at),
                "reason": words::death(dead.reason),
                "kept_until": time(dead.kept_until),
            }
        }),
        Some(v1::next_step::Step::Expired(expired)) => json!({
            "expired": {
                "at": time(expired.at),
                "died": time(expired.died),
                "reason": words::death(expired.reason),
            }
        }),
        Some(v1::next_step::Step::Discarded(discarded)) => {
            json!({ "discarded": { "at": time(discarded.at), "by": or_null(&discarded.by) } })
        }
        Some(v1::next_step::Step::Cancelled(cancelled)) => json!({
            "cancelled": {
                "at": time(cancelled.at),
                "removed": time(cancelled.removed),
                "by": or_null(&cancelled.by),
            }
        }),
        None => Value::Null,
    };
    let owner = one.owner.unwrap_or_default();
    json!({
        "delivery": one.delivery.as_ref().map(delivery),
        "destination": one.destination.as_ref().map(destination),
        "attempts": one.attempts.iter().map(attempt).collect::<Vec<Value>>(),
        "next": next,
        "owner": {
            "shard": owner.shard,
            "node": owner.node,
            "epoch": owner.epoch,
            "moving_to": owner.moving_to,
        },
    })
}

fn next_attempt(next: &v1::next_step::Attempt) -> Value {
    json!({ "due": time(next.due), "retry": next.retry, "retries_max": next.retries_max })
}
