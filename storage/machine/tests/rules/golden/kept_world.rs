//! A world after its upkeep: rows that tell of what has gone, and every command of upkeep among what led there.

use pushrail_model::command::{Bucketed, Command};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::DestinationNo;
use pushrail_model::outcome::{Cause, FailureClass};
use pushrail_model::retention::Retention;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::upkeep::keep_house_of;
use crate::world::World;

/// An expired delivery with its stripped event, one that is carried because it is still scheduled, and one that is gone.
pub(crate) fn kept_world() -> World {
    let mut world = World::new();
    let days = |number: u64| Some(Span(number * Span::DAY.0));
    world.run(samples::tenant_keeping(
        "acme",
        "r1",
        Retention {
            attempts: days(5),
            events: days(1),
            dead_letters: days(2),
            idempotency_keys: Some(Span(2 * Span::HOUR.0)),
        },
    ));
    world.run(samples::destination("acme", "hook", "d1"));
    world.run(samples::route("acme", "all", "**", "hook", "t1"));
    let keys: Vec<_> = (0..4).map(|place| publish(&mut world, place)).collect();
    for key in &keys[..2] {
        record(&mut world, *key, Verdict::Bury(DeathReason::Permanent));
    }
    record(&mut world, keys[2], Verdict::Settle);
    world.time = world.time.plus(Span(2 * Span::DAY.0));
    keep_house(&mut world);
    world.time = world.time.plus(Span(Span::DAY.0));
    publish(&mut world, 4);
    keep_house(&mut world);
    record(&mut world, keys[3], Verdict::Settle);
    keep_house(&mut world);
    // The day of the first attempts; the record of what expired goes with the next days.
    world.time = world.time.plus(Span(3 * Span::DAY.0));
    keep_house(&mut world);
    let last = publish(&mut world, 5);
    record(&mut world, last, Verdict::Bury(DeathReason::Permanent));
    world
}

/// All but requests, which are remembered since later: the places of all that follows stay as they were.
fn keep_house(world: &mut World) {
    keep_house_of(
        world,
        None,
        |command| !matches!(command, Command::DropBuckets(drop) if drop.rows == Bucketed::Requests),
    );
}

fn publish(world: &mut World, place: u64) -> DeliveryKey {
    let acme = pushrail_machine::query::config::tenant(&world.store, &"acme".parse().unwrap());
    let acme = acme.unwrap().unwrap();
    let key = format!("k{place}");
    let event_type = "order.paid".parse().unwrap();
    let event = samples::event(&world.store, &acme, &event_type, "body", Some(&key));
    world.run(samples::accept(&acme, vec![event]));
    let (tenant, id) = *world.events.last().unwrap();
    DeliveryKey {
        partition: id.partition,
        tenant,
        destination: DestinationNo(1),
        seq: id.seq,
    }
}

fn record(world: &mut World, key: DeliveryKey, verdict: Verdict) {
    let outcome = match verdict {
        Verdict::Settle => pushrail_model::outcome::Outcome::Delivered,
        Verdict::Retry { .. } | Verdict::Bury(_) => samples::failed(FailureClass::Permanent, Cause::Auth),
    };
    let mut attempt = samples::attempt(&world.store, key, world.time, outcome, verdict);
    attempt.place = Some(0);
    let command: Command = samples::record(vec![attempt]);
    world.run(command);
}
