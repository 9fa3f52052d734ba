//! What a story looks like to a reader, for every way a delivery can stand.

use pushrail_api::v1::{
    Cause, DeathReason, Delivery, DeliveryState, Destination, Failure, FailureClass, NextStep, Verdict,
};

use super::*;
use crate::cli::times::tests::{fixed, proto};

fn span(seconds: i64, millis: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds,
        nanos: millis * 1_000_000,
    })
}

fn decision(route: &str, pattern: &str, destination: &str, reason: DecisionReason) -> RoutingDecision {
    RoutingDecision {
        route: route.to_owned(),
        pattern: pattern.to_owned(),
        destination: destination.to_owned(),
        reason: i32::from(reason),
    }
}

fn failed(number: u32, started: &str, status: u32, next_due: &str, wait: i64) -> Attempt {
    Attempt {
        run: 1,
        number,
        node: 3,
        started: proto(started),
        took: span(0, 12),
        status: Some(status),
        failure: Some(Failure {
            class: i32::from(FailureClass::Transient),
            cause: i32::from(Cause::Server),
            why: "the receiver failed".to_owned(),
            disables_destination: false,
        }),
        excerpt: "{\"error\":\n\"no\"}".into(),
        verdict: Some(Verdict {
            verdict: Some(verdict::Verdict::Retry(verdict::Retry {
                after: span(wait, 0),
                retries_max: 10,
            })),
        }),
        effective: true,
        next_due: proto(next_due),
        ..Attempt::default()
    }
}

fn delivery(id: &str, destination: &str, state: DeliveryState) -> ExplainedDelivery {
    ExplainedDelivery {
        delivery: Some(Delivery {
            delivery: id.to_owned(),
            destination: destination.to_owned(),
            state: i32::from(state),
            run: 1,
            ..Delivery::default()
        }),
        destination: Some(Destination {
            kind: "webhook".to_owned(),
            settings: format!("{{\"url\":\"https://{destination}.example/in\"}}"),
            ..Destination::default()
        }),
        owner: Some(Owner {
            shard: 532,
            node: 3,
            epoch: 4,
            moving_to: 0,
        }),
        ..ExplainedDelivery::default()
    }
}

fn step(step: next_step::Step) -> Option<NextStep> {
    Some(NextStep { step: Some(step) })
}

#[test]
fn a_story_reads_from_its_beginning_to_what_comes_next() {
    let mut hooks = delivery("dlv_1", "hooks", DeliveryState::Scheduled);
    hooks.attempts = vec![
        failed(1, "2026-11-24T12:00:00Z", 500, "2026-11-24T12:00:04Z", 4),
        failed(2, "2026-11-24T12:00:04Z", 503, "2026-11-24T12:07:23Z", 439),
    ];
    hooks.attempts[1].retry_after = span(439, 0);
    hooks.next = step(next_step::Step::Attempt(next_step::Attempt {
        due: proto("2026-11-24T12:07:23Z"),
        retry: 2,
        retries_max: 10,
    }));
    let mut ledger = delivery("dlv_2", "ledger", DeliveryState::Dead);
    ledger.attempts = vec![Attempt {
        run: 1,
        number: 1,
        node: 1,
        started: proto("2026-11-24T12:00:00Z"),
        took: span(0, 3),
        status: Some(401),
        failure: Some(Failure {
            class: i32::from(FailureClass::Permanent),
            cause: i32::from(Cause::Auth),
            why: "the receiver does not accept the credential".to_owned(),
            disables_destination: false,
        }),
        effective: true,
        ..Attempt::default()
    }];
    ledger.next = step(next_step::Step::Dead(next_step::Dead {
        at: proto("2026-11-24T12:00:01Z"),
        reason: i32::from(DeathReason::Permanent),
        kept_until: proto("2026-12-08T12:00:01Z"),
    }));
    let story = ExplainEventResponse {
        event: Some(Event {
            tenant: "acme".to_owned(),
            event: "evt_1".to_owned(),
            event_type: "order.paid".to_owned(),
            content_type: "application/json".to_owned(),
            idempotency_key: "order-17".to_owned(),
            accepted: proto("2026-11-24T11:59:59Z"),
            door_node: 2,
            ..Event::default()
        }),
        payload_bytes: 1229,
        decisions: vec![
            decision("all", "**", "hooks", DecisionReason::AlreadyChosen),
            decision("invoices", "invoice.*", "billing", DecisionReason::TypeDiffers),
            decision("orders", "order.*", "hooks", DecisionReason::Matched),
            decision("paid", "order.paid", "ledger", DecisionReason::Matched),
        ],
        deliveries: vec![hooks, ledger],
        ..ExplainEventResponse::default()
    };

    assert_eq!(
        render(&story, Routes::All, &fixed()),
        "\
evt_1  order.paid  (application/json, 1.2 KiB)
tenant     acme
accepted   13:59:59 +02:00, 3 m 12 s ago, through node 2
key        \"order-17\"
routing    3 of 4 routes matched
  + all       **         → hooks    matched; another route had chosen this destination already
  - invoices  invoice.*  → billing  the type does not match
  + orders    order.*    → hooks    matched
  + paid      order.paid → ledger   matched

dlv_1 → hooks  (webhook https://hooks.example/in)
  #1  14:00:00 +02:00  500 transient (server), took 12 ms, by node 3
      the receiver failed
      answer: {\"error\": \"no\"}
      waits 4.0 s: next due at 14:00:04 +02:00
  #2  14:00:04 +02:00  503 transient (server), took 12 ms, by node 3
      the receiver failed
      answer: {\"error\": \"no\"}
      the receiver asked to wait 7 m 19 s
      waits 7 m 19 s: next due at 14:07:23 +02:00
  ⇒ retry 2 of 10, next at 14:07:23 +02:00, in 4 m 12 s, by node 3 (shard 532, epoch 4)

dlv_2 → ledger  (webhook https://ledger.example/in)
  #1  14:00:00 +02:00  401 permanent (auth), took 3 ms, by node 1
      the receiver does not accept the credential
  ⇒ dead since 14:00:01 +02:00, 3 m 10 s ago: the failure was permanent; kept until 2026-12-08 14:00:01 +02:00; run it again: pushrail dlq replay dlv_2
"
    );
}

#[test]
fn a_held_destination_a_late_attempt_and_a_replay_are_told() {
    let mut held = delivery("dlv_1", "hooks", DeliveryState::Scheduled);
    let mut late = failed(1, "2026-11-24T12:00:00Z", 500, "2026-11-24T12:00:04Z", 4);
    late.effective = false;
    held.attempts = vec![late];
    if let Some(delivery) = &mut held.delivery {
        delivery.run = 2;
    }
    held.next = step(next_step::Step::Held(next_step::Held {
        state: i32::from(DestinationState::Paused),
        why: String::new(),
        since: proto("2026-11-24T12:02:11Z"),
        then: Some(next_step::Attempt {
            due: proto("2026-11-24T12:01:00Z"),
            retry: 0,
            retries_max: 10,
        }),
    }));
    let mut text = String::new();

    one_delivery(&mut text, &held, &fixed());

    assert_eq!(
        text,
        "\
dlv_1 → hooks  (webhook https://hooks.example/in)
  #1  14:00:00 +02:00  500 transient (server), took 12 ms, by node 3
      the receiver failed
      answer: {\"error\": \"no\"}
      it came too late to change anything
  replayed: run 2, no attempt is on record yet
  ⇒ nothing while the destination is paused, since 14:02:11 +02:00, 1 m ago; after a resume: first attempt
"
    );
}

#[test]
fn an_event_without_routes_says_so() {
    let mut text = String::new();

    routing(&mut text, &[], Routes::Matched);

    assert_eq!(text, "routing    the tenant had no routes\n");
}

#[test]
fn routes_that_do_not_match_are_counted_and_shown_when_asked_for() {
    let decisions = [
        decision("invoices", "invoice.*", "billing", DecisionReason::TypeDiffers),
        decision("paid", "order.paid", "ledger", DecisionReason::Matched),
        decision("returns", "return.**", "billing", DecisionReason::TypeDiffers),
    ];
    let mut text = String::new();

    routing(&mut text, &decisions, Routes::Matched);

    assert_eq!(
        text,
        "\
routing    1 of 3 routes matched; --all shows the other 2
  + paid  order.paid → ledger  matched
"
    );
}

#[test]
fn an_attempt_that_is_due_may_be_under_way() {
    let mut due = delivery("dlv_1", "hooks", DeliveryState::Scheduled);
    due.next = step(next_step::Step::Attempt(next_step::Attempt {
        due: proto("2026-11-24T12:03:01Z"),
        retry: 0,
        retries_max: 10,
    }));
    let mut text = String::new();

    one_delivery(&mut text, &due, &fixed());

    assert_eq!(
        text,
        "\
dlv_1 → hooks  (webhook https://hooks.example/in)
  no attempt is on record yet
  ⇒ first attempt, due since 14:03:01 +02:00, 10 s ago, by node 3 (shard 532, epoch 4); it may be under way: an attempt is on record when it is over
"
    );
}
