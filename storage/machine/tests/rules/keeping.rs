//! Retention where scenarios do not look: bounds, repeats, what is dropped in ranges, what others left standing.

use std::ops::ControlFlow;

use pushrail_machine::query;
use pushrail_machine::store::{KeyRange, Read, Table};
use pushrail_model::command::{Bucketed, Command, DropBuckets, DropEvents, ExpireDeadLetters, LetterRef};
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::ids::{DestinationNo, EventId, TenantNo};
use pushrail_model::limits;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::response::{Rejection, Response};
use pushrail_model::retention::Retention;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::upkeep::{keep_house, proposals};
use crate::world::World;

const NOTHING: Response = Response::Swept {
    dropped: 0,
    carried: 0,
    more: false,
};

fn days(number: u64) -> Span {
    Span(number * Span::DAY.0)
}

/// A tenant that keeps all for a day, with a destination and a route to it.
fn world() -> World {
    let mut world = World::new();
    add(&mut world, "acme", 1);
    world
}

fn add(world: &mut World, id: &str, kept: u64) {
    let retention = Retention {
        attempts: Some(days(kept)),
        events: Some(days(kept)),
        dead_letters: Some(days(kept)),
        idempotency_keys: Some(Span::HOUR),
    };
    world.run(samples::tenant_keeping(id, "r1", retention));
    world.run(samples::destination(id, "hook", "r1"));
    world.run(samples::route(id, "all", "**", "hook", "r1"));
}

fn tenant(world: &World, id: &str) -> Tenant {
    query::config::tenant(&world.store, &id.parse().unwrap())
        .unwrap()
        .unwrap()
}

/// So many events in one command, with keys of their own.
fn publish(world: &mut World, id: &str, count: usize) -> Vec<DeliveryKey> {
    let tenant = tenant(world, id);
    let known = world.events.len();
    let event_type = "order.paid".parse().unwrap();
    let events = (0..count)
        .map(|place| {
            let key = format!("{known}-{place}");
            samples::event(&world.store, &tenant, &event_type, "x", Some(&key))
        })
        .collect();
    world.run(samples::accept(&tenant, events));
    let of = |(tenant, id): &(TenantNo, EventId)| DeliveryKey {
        partition: id.partition,
        tenant: *tenant,
        destination: DestinationNo(1),
        seq: id.seq,
    };
    world.events[known..].iter().map(of).collect()
}

fn end(world: &mut World, keys: &[DeliveryKey], outcome: &Outcome, verdict: Verdict) {
    for keys in keys.chunks(limits::COMMAND_ATTEMPTS_MAX) {
        let attempts = keys
            .iter()
            .map(|key| samples::attempt(&world.store, *key, world.time, outcome.clone(), verdict))
            .collect();
        world.run(samples::record(attempts));
    }
}

fn deliver(world: &mut World, keys: &[DeliveryKey]) {
    end(world, keys, &Outcome::Delivered, Verdict::Settle);
}

fn bury(world: &mut World, keys: &[DeliveryKey]) {
    let outcome = samples::failed(FailureClass::Permanent, Cause::Auth);
    end(world, keys, &outcome, Verdict::Bury(DeathReason::Permanent));
}

fn rows(world: &World, table: Table) -> usize {
    let mut rows = 0;
    world
        .store
        .scan(table, KeyRange::prefix(&[]), &mut |_, _| {
            rows += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    rows
}

#[test]
fn nothing_of_what_is_over_stays_and_a_second_look_finds_nothing() {
    let mut world = world();
    let keys = publish(&mut world, "acme", 300);
    deliver(&mut world, &keys);
    world.time = world.time.plus(days(3));

    let done = keep_house(&mut world);

    assert!(done.iter().all(|(_, response)| *response != NOTHING));
    for table in [
        Table::Events,
        Table::Deliveries,
        Table::Attempts,
        Table::AttemptsByTenant,
        Table::Idempotency,
        Table::IdempotencyExpiry,
        Table::CarriedEvents,
    ] {
        assert_eq!(rows(&world, table), 0, "{table:?}");
    }
    assert_eq!(proposals(&world), []);
    let acme = tenant(&world, "acme");
    let counts = query::counts::destination(
        &world.store,
        Partition::of(&acme.id),
        acme.number,
        DestinationNo(1),
    );
    assert_eq!(counts.unwrap().delivered, 300, "what was delivered stays counted");
}

#[test]
fn every_command_of_upkeep_may_come_twice() {
    let mut world = world();
    let keys = publish(&mut world, "acme", 40);
    deliver(&mut world, &keys[..20]);
    bury(&mut world, &keys[20..]);
    world.time = world.time.plus(days(3));

    for (command, _) in keep_house(&mut world) {
        assert_eq!(world.run(command), NOTHING);
    }
}

#[test]
fn what_is_not_over_is_not_dropped_whoever_asks() {
    let mut world = world();
    let keys = publish(&mut world, "acme", 2);
    bury(&mut world, &keys[..1]);
    deliver(&mut world, &keys[1..]);
    let (partition, tenant, died) = (keys[0].partition, keys[0].tenant, world.time);
    let bucket = |rows, bucket| {
        Command::DropBuckets(DropBuckets {
            partition,
            rows,
            bucket,
            tenants: vec![tenant],
        })
    };
    let key_hour = died.plus(limits::IDEMPOTENCY_WINDOW).hour();
    let commands = [
        bucket(Bucketed::Attempts, died.day()),
        bucket(Bucketed::IdempotencyKeys, key_hour),
        Command::ExpireDeadLetters(ExpireDeadLetters {
            partition,
            letters: vec![LetterRef {
                delivery: keys[0],
                died,
            }],
            actor: None,
        }),
        Command::DropEvents(DropEvents {
            partition,
            tenant,
            from: pushrail_model::ids::EventSeq::ZERO,
            events: keys.iter().map(|key| key.seq).collect(),
            destinations: vec![DestinationNo(1)],
        }),
    ];
    world.time = died.plus(Span(Span::HOUR.0 - 1));
    let before = world.store.clone();

    for command in commands {
        assert_eq!(world.run(command), NOTHING);
    }

    for table in [
        Table::Events,
        Table::Deliveries,
        Table::Attempts,
        Table::Idempotency,
    ] {
        let of = |store: &dyn Read| {
            let mut found = Vec::new();
            store
                .scan(table, KeyRange::prefix(&[]), &mut |key, value| {
                    found.push((key.to_vec(), value.to_vec()));
                    Ok(ControlFlow::Continue(()))
                })
                .unwrap();
            found
        };
        assert_eq!(of(&before), of(&world.store), "{table:?}");
    }
}

#[test]
fn a_letter_that_died_anew_is_another_one() {
    let mut world = world();
    let keys = publish(&mut world, "acme", 1);
    bury(&mut world, &keys);
    let first = LetterRef {
        delivery: keys[0],
        died: world.time,
    };
    world.time = world.time.plus(days(2));
    world.run(Command::StartReplay(pushrail_model::command::StartReplay {
        tenant: "acme".parse().unwrap(),
        request_id: String::new(),
        deliveries: keys.clone(),
        content_hash: 0,
        actor: None,
        by_destination: false,
    }));
    bury(&mut world, &keys);

    let answer = world.run(Command::ExpireDeadLetters(ExpireDeadLetters {
        partition: keys[0].partition,
        letters: vec![first],
        actor: None,
    }));

    assert_eq!(answer, NOTHING);
}

#[test]
fn steps_are_bounded_and_go_on() {
    let mut world = world();
    let count = limits::UPKEEP_ROWS_MAX + 100;
    for _ in 0..count / 100 {
        let keys = publish(&mut world, "acme", 100);
        deliver(&mut world, &keys);
    }
    world.time = world.time.plus(days(3));

    let done = keep_house(&mut world);

    let answers = |wanted: fn(&Command) -> bool| {
        let of: Vec<_> = done
            .iter()
            .filter(|(command, _)| wanted(command))
            .map(|(_, response)| response.clone())
            .collect();
        of
    };
    let keys = answers(
        |command| matches!(command, Command::DropBuckets(drop) if drop.rows == Bucketed::IdempotencyKeys),
    );
    assert!(matches!(keys[0], Response::Swept { more: true, .. }), "{keys:?}");
    let events = answers(|command| matches!(command, Command::DropEvents(_)));
    assert!(events.len() > 1, "{events:?}");
}

#[test]
fn a_command_beyond_its_bounds_is_refused_whole() {
    let mut world = world();
    let keys = publish(&mut world, "acme", 1);
    let letter = LetterRef {
        delivery: keys[0],
        died: world.time,
    };

    let answer = world.run(Command::ExpireDeadLetters(ExpireDeadLetters {
        partition: keys[0].partition,
        letters: vec![letter; limits::UPKEEP_LETTERS_MAX + 1],
        actor: None,
    }));

    assert!(matches!(
        answer,
        Response::Rejected(Rejection::LimitReached { .. })
    ));
}

#[test]
fn neighbours_days_go_in_one_range_and_leave_whom_they_do_not_concern() {
    let mut world = World::new();
    // All tenants of one partition, in the order of their numbers; every fourth keeps its rows.
    let names: Vec<String> = (0..2000)
        .map(|number| format!("t-{number}"))
        .filter(|name| Partition::of(&name.parse().unwrap()) == Partition::of(&"t-0".parse().unwrap()))
        .take(12)
        .collect();
    for (place, name) in names.iter().enumerate() {
        add(&mut world, name, if place % 4 == 3 { 30 } else { 1 });
        let keys = publish(&mut world, name, 2);
        deliver(&mut world, &keys);
    }
    world.time = world.time.plus(days(3));

    keep_house(&mut world);

    assert_eq!(rows(&world, Table::Attempts), 6);
    assert_eq!(rows(&world, Table::AttemptsByTenant), 6);
    assert_eq!(rows(&world, Table::Events), 6);
}

#[test]
fn owed_events_are_carried_through_many_runs_and_gone_when_they_are_not() {
    let mut world = world();
    // Dead letters stay as long as they can; every third is dead, every third still scheduled.
    world.run(samples::tenant_keeping(
        "globex",
        "r1",
        Retention {
            events: Some(days(1)),
            attempts: Some(days(1)),
            dead_letters: Some(days(90)),
            idempotency_keys: None,
        },
    ));
    world.run(samples::destination("globex", "hook", "r1"));
    world.run(samples::route("globex", "all", "**", "hook", "r1"));
    let keys = publish(&mut world, "globex", 150);
    let every = |rest: usize| -> Vec<DeliveryKey> {
        let chosen = keys.iter().enumerate().filter(|(place, _)| place % 3 == rest);
        chosen.map(|(_, key)| *key).collect()
    };
    deliver(&mut world, &every(0));
    bury(&mut world, &every(1));
    world.time = world.time.plus(days(10));

    keep_house(&mut world);

    assert_eq!(rows(&world, Table::Events), 100);
    assert_eq!(rows(&world, Table::CarriedEvents), 100);
    assert_eq!(proposals(&world), [], "what is still owed is not proposed again");

    // The scheduled ones are delivered at last, and go at the next look; the dead ones expire and stay on record.
    deliver(&mut world, &every(2));
    keep_house(&mut world);
    assert_eq!(rows(&world, Table::Events), 50);
    world.time = world.time.plus(days(81));
    keep_house(&mut world);
    let event = query::event::event(&world.store, keys[1].tenant, id_of(&keys[1]));
    let event = event.unwrap().unwrap();
    assert_eq!(
        (event.stripped, event.new.payload.bytes.len()),
        (Some(world.time), 0)
    );
    let delivery = query::delivery::delivery(&world.store, &keys[1])
        .unwrap()
        .unwrap();
    assert!(matches!(delivery.state, DeliveryState::Expired { at, .. } if at == world.time));

    // For as long as attempts are kept.
    world.time = world.time.plus(days(1));
    keep_house(&mut world);
    assert_eq!(rows(&world, Table::Events), 0);
    assert_eq!(rows(&world, Table::Deliveries), 0);
}

fn id_of(key: &DeliveryKey) -> EventId {
    EventId {
        partition: key.partition,
        seq: key.seq,
    }
}

#[test]
fn a_delivery_tells_its_story_when_its_first_attempts_are_gone() {
    let mut world = world();
    let keys = publish(&mut world, "acme", 1);
    let retry = Verdict::Retry {
        after: days(2),
        window: days(7),
        retries_max: 3,
    };
    let outcome = samples::failed(FailureClass::Transient, Cause::Server);
    end(&mut world, &keys, &outcome, retry);
    world.time = world.time.plus(days(2));
    end(&mut world, &keys, &outcome, retry);

    keep_house(&mut world);

    let explained = query::event::explain(&world.store, keys[0].tenant, id_of(&keys[0]), usize::MAX);
    let explained = explained.unwrap().unwrap();
    let numbers: Vec<u32> = explained.deliveries[0]
        .attempts
        .iter()
        .map(|record| record.attempt.number.0)
        .collect();
    assert_eq!(numbers, [2]);
}
