//! A world with a row in every table, and every kind of command among what led there.

use bytes::Bytes;

use pushrail_machine::query;
use pushrail_model::command::{
    Command, InitCluster, MoveKind, SetDestinationState, StartReplay, WantedState,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::retry::Waits;
use pushrail_model::shard::ShardId;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::world::World;

/// A world with a row in every table.
pub(crate) fn full_world() -> World {
    let mut world = World::new();
    world.run(Command::InitCluster(InitCluster {
        cluster: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        hash_key: 77,
    }));
    world.run(samples::tenant("acme", "r1"));
    for (place, name) in ["hook", "bill", "lake"].into_iter().enumerate() {
        let mut command = samples::destination("acme", name, &format!("d{place}"));
        if let (Command::PutDestination(put), 1) = (&mut command, place) {
            put.spec.retry.waits = Waits::Explicit(vec![Span::from_secs(1), Span::from_secs(60)]);
        }
        world.run(command);
        world.run(samples::route(
            "acme",
            name,
            "order.*",
            name,
            &format!("t{place}"),
        ));
    }
    world.run(Command::SetDestinationState(SetDestinationState {
        tenant: "acme".parse().unwrap(),
        destination: "bill".parse().unwrap(),
        wanted: WantedState::Paused,
        request_id: "p1".to_owned(),
        actor: None,
    }));
    let hook = destination(&world, "hook");
    world.run(samples::shard_move(hook, 0, 1, MoveKind::Give));
    world.run(samples::shard_move(hook, 1, 2, MoveKind::Ask));
    world.time = world.time.plus(Span::from_secs(3));
    publish(&mut world, "one", Some("k1"));
    publish(&mut world, "two", None);
    publish(&mut world, "three", None);
    fail_and_replay(&mut world);
    world
}

fn acme(world: &World) -> Tenant {
    query::config::tenant(&world.store, &"acme".parse().unwrap())
        .unwrap()
        .unwrap()
}

fn destination(world: &World, name: &str) -> ShardId {
    let found = query::config::destination(&world.store, &acme(world), &name.parse().unwrap());
    found.unwrap().unwrap().shard
}

fn publish(world: &mut World, body: &str, key: Option<&str>) {
    let tenant = acme(world);
    let event = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), body, key);
    world.run(samples::accept(&tenant, vec![event]));
}

/// A delivery to each destination of the event published as the `event`th.
fn deliveries(world: &World, event: usize) -> Vec<DeliveryKey> {
    let (tenant, id) = world.events[event];
    let explained = query::event::explain(&world.store, tenant, id, usize::MAX)
        .unwrap()
        .unwrap();
    explained
        .deliveries
        .into_iter()
        .map(|delivery| delivery.key)
        .collect()
}

fn fail_and_replay(world: &mut World) {
    let retry = Verdict::Retry {
        after: Span::from_secs(5),
        window: Span::DAY,
        retries_max: 10,
    };
    let attempts = [
        (0, 0, Outcome::Delivered, Verdict::Settle),
        (
            0,
            1,
            samples::failed(FailureClass::Transient, Cause::Timeout),
            retry,
        ),
        (
            0,
            2,
            samples::failed(FailureClass::Permanent, Cause::Auth),
            Verdict::Bury(DeathReason::Permanent),
        ),
        (
            1,
            2,
            samples::failed(FailureClass::Permanent, Cause::Missing),
            Verdict::Bury(DeathReason::Permanent),
        ),
    ];
    for (event, place, outcome, verdict) in attempts {
        let key = deliveries(world, event)[place];
        let mut attempt = samples::attempt(&world.store, key, world.time, outcome, verdict);
        attempt.observed.status = Some(503);
        attempt.observed.detail = "upstream".to_owned();
        attempt.observed.excerpt = Bytes::from_static(b"try later");
        attempt.observed.excerpt_cut = true;
        attempt.observed.retry_after = Some(Span::from_secs(5));
        attempt.observed.remote = "127.0.0.1:9".to_owned();
        if let Outcome::Failed(failure) = &mut attempt.outcome {
            failure.floors = true;
            failure.disables = event == 1;
        }
        world.run(samples::record(vec![attempt]));
    }
    let dead = deliveries(world, 1)[2];
    world.run(Command::StartReplay(StartReplay {
        tenant: "acme".parse().unwrap(),
        request_id: "again".to_owned(),
        deliveries: vec![dead, deliveries(world, 0)[0]],
        content_hash: 0,
        actor: None,
        by_destination: false,
    }));
}
