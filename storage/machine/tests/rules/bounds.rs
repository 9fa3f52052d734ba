//! What happens at the bounds: long lives, full tenants, commands that are too large.

use pushrail_machine::query;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{Command, StartReplay};
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::limits;
use pushrail_model::outcome::{Cause, FailureClass};
use pushrail_model::replay::ReplayAnswer;
use pushrail_model::response::{AttemptAnswer, EventAnswer, Rejection, Response};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::world::World;

/// A tenant with a destination and a route to it.
fn world() -> World {
    let mut world = World::new();
    world.run(samples::tenant("acme", "r1"));
    world.run(samples::destination("acme", "hook", "r1"));
    world.run(samples::route("acme", "all", "**", "hook", "r1"));
    world
}

fn acme(world: &World) -> Tenant {
    query::config::tenant(&world.store, &"acme".parse().unwrap())
        .unwrap()
        .unwrap()
}

fn publish(world: &mut World) -> DeliveryKey {
    let tenant = acme(world);
    let event = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), "x", None);
    let destination = event.destinations[0];
    world.run(samples::accept(&tenant, vec![event]));
    let (tenant, id) = *world.events.last().unwrap();
    DeliveryKey {
        partition: id.partition,
        tenant,
        destination,
        seq: id.seq,
    }
}

fn fail_for_good(world: &mut World, key: DeliveryKey) -> Attempt {
    let outcome = samples::failed(FailureClass::Permanent, Cause::Auth);
    let verdict = Verdict::Bury(DeathReason::Permanent);
    let attempt = samples::attempt(&world.store, key, world.time, outcome, verdict);
    let answer = world.run(samples::record(vec![attempt.clone()]));
    assert_eq!(answer, Response::Attempts(vec![AttemptAnswer::Effective]));
    attempt
}

fn replay(world: &mut World, deliveries: Vec<DeliveryKey>, request_id: String) -> Response {
    world.run(Command::StartReplay(StartReplay {
        tenant: "acme".parse().unwrap(),
        request_id,
        deliveries,
        content_hash: 0,
        actor: None,
        by_destination: false,
    }))
}

#[test]
fn an_attempt_that_its_delivery_has_forgotten_is_still_recorded_once() {
    let mut world = world();
    let key = publish(&mut world);
    let first = fail_for_good(&mut world, key);
    for run in 0..limits::ATTEMPT_MARKS_MAX {
        world.time = world.time.plus(Span::from_secs(1));
        let answer = replay(&mut world, vec![key], format!("again-{run}"));
        assert_eq!(answer, Response::Replay(vec![ReplayAnswer::Started]));
        fail_for_good(&mut world, key);
    }
    let delivery = query::delivery::delivery(&world.store, &key).unwrap().unwrap();
    assert_eq!(delivery.marks.len(), limits::ATTEMPT_MARKS_MAX);
    assert!(
        delivery.marks.iter().all(|mark| mark.run > first.run),
        "the first is forgotten"
    );

    let answer = world.run(samples::record(vec![first]));

    assert_eq!(answer, Response::Attempts(vec![AttemptAnswer::Repeated]));
}

#[test]
fn a_tenant_has_no_more_routes_than_every_event_can_keep_decisions_of() {
    let mut world = world();
    for number in 1..limits::ROUTES_PER_TENANT_MAX {
        let answer = world.run(samples::route("acme", &format!("r-{number}"), "**", "hook", "r1"));
        assert!(matches!(answer, Response::Route { .. }), "{answer:?}");
    }

    let answer = world.run(samples::route("acme", "one-more", "**", "hook", "r1"));

    assert!(
        matches!(
            answer,
            Response::Rejected(Rejection::LimitReached { limit: 256, .. })
        ),
        "{answer:?}"
    );
}

#[test]
fn commands_beyond_their_bounds_are_refused_whole() {
    let mut world = world();
    let key = publish(&mut world);
    let tenant = acme(&world);
    let event = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), "x", None);
    let outcome = samples::failed(FailureClass::Permanent, Cause::Auth);
    let verdict = Verdict::Bury(DeathReason::Permanent);
    let attempt = samples::attempt(&world.store, key, world.time, outcome, verdict);
    let refused = |answer: Response| matches!(answer, Response::Rejected(Rejection::LimitReached { .. }));

    let events = world.run(samples::accept(
        &tenant,
        vec![event; limits::COMMAND_EVENTS_MAX + 1],
    ));
    let attempts = world.run(samples::record(vec![attempt; limits::COMMAND_ATTEMPTS_MAX + 1]));
    let replays = replay(
        &mut world,
        vec![key; limits::COMMAND_REPLAYS_MAX + 1],
        "again".to_owned(),
    );

    assert!(refused(events) && refused(attempts) && refused(replays));
    let delivery = query::delivery::delivery(&world.store, &key).unwrap().unwrap();
    assert!(matches!(delivery.state, DeliveryState::Scheduled { .. }));
}

#[test]
fn destinations_that_no_routes_can_have_chosen_are_sent_back_to_the_door() {
    let mut world = world();
    let tenant = acme(&world);
    let chosen = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), "x", None);
    let mut twice = chosen.clone();
    twice.destinations.push(twice.destinations[0]);
    let mut foreign = chosen;
    foreign.destinations[0].0 = 99;

    let answer = world.run(samples::accept(&tenant, vec![twice, foreign]));

    let moved = EventAnswer::RoutingMoved(tenant.routing_revision);
    assert_eq!(answer, Response::Events(vec![moved.clone(), moved]));
    assert_eq!(world.events, []);
}

#[test]
fn an_attempt_of_another_partition_is_unknown_to_its_command() {
    let mut world = world();
    let key = publish(&mut world);
    let outcome = samples::failed(FailureClass::Permanent, Cause::Auth);
    let verdict = Verdict::Bury(DeathReason::Permanent);
    let own = samples::attempt(&world.store, key, world.time, outcome, verdict);
    let mut foreign = own.clone();
    foreign.delivery.partition = pushrail_model::shard::Partition::new(0).unwrap();

    let answer = world.run(samples::record(vec![own, foreign]));

    assert_eq!(
        answer,
        Response::Attempts(vec![AttemptAnswer::Effective, AttemptAnswer::Unknown])
    );
}
