//! Questions that come in pages, and those that an owner asks.

use std::collections::BTreeMap;

use pushrail_machine::query;
use pushrail_machine::query::page::{Budget, Page};
use pushrail_machine::store::Direction;
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::command::{Command, QueueKey, StartJob};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::Destination;
use pushrail_model::event::Event;
use pushrail_model::ids::{DeliveryId, EventSeq};
use pushrail_model::job::JobKind;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::world::{BEGINNING, World};

/// Pages of two.
const TWO: Budget = Budget { rows: 2, reads: 100 };

/// Two tenants with two destinations each, and five events a day apart for each of them.
fn world() -> World {
    let mut world = World::new();
    for tenant in ["acme", "globex"] {
        world.run(samples::tenant(tenant, "r1"));
        for destination in ["hook", "bill"] {
            world.run(samples::destination(tenant, destination, "r1"));
            world.run(samples::route(tenant, destination, "**", destination, "r1"));
        }
    }
    for _ in 0..5 {
        for id in ["acme", "globex"] {
            let tenant = tenant(&world, id);
            let event = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), "x", None);
            world.run(samples::accept(&tenant, vec![event]));
        }
        world.time = world.time.plus(Span::DAY);
    }
    world
}

fn tenant(world: &World, id: &str) -> Tenant {
    query::config::tenant(&world.store, &id.parse().unwrap())
        .unwrap()
        .unwrap()
}

fn hook(world: &World) -> Destination {
    let acme = tenant(world, "acme");
    query::config::destination(&world.store, &acme, &"hook".parse().unwrap())
        .unwrap()
        .unwrap()
}

fn queue(world: &World) -> QueueKey {
    let hook = hook(world);
    QueueKey {
        shard: hook.shard,
        tenant: tenant(world, "acme").number,
        destination: hook.number,
    }
}

/// Deliveries of acme's hook, oldest first.
fn deliveries(world: &World) -> Vec<DeliveryKey> {
    let due = query::due::after(
        &world.store,
        queue(world),
        (Timestamp::ZERO, EventSeq::ZERO),
        Timestamp::MAX,
        100,
    );
    let due = due.unwrap().into_iter();
    due.map(|(_, seq)| DeliveryKey {
        partition: queue(world).shard.partition(),
        tenant: queue(world).tenant,
        destination: queue(world).destination,
        seq,
    })
    .collect()
}

fn record(world: &mut World, key: DeliveryKey, outcome: Outcome, verdict: Verdict) {
    let attempt = samples::attempt(&world.store, key, world.time, outcome, verdict);
    world.run(samples::record(vec![attempt]));
}

/// All rows of a question that comes in pages of two.
fn all_pages<T>(mut ask: impl FnMut(Option<&[u8]>) -> Page<T>) -> Vec<T> {
    let mut rows = Vec::new();
    let mut next: Option<Vec<u8>> = None;
    loop {
        let page = ask(next.as_deref());
        assert!(page.rows.len() <= 2);
        rows.extend(page.rows);
        next = page.next;
        if next.is_none() {
            return rows;
        }
    }
}

#[test]
fn tenants_and_destinations_come_by_their_ids() {
    let world = world();
    let acme = tenant(&world, "acme");

    let first = query::config::tenants(&world.store, None, 1).unwrap();
    let rest = query::config::tenants(&world.store, Some(&first[0].id), 10).unwrap();
    let bill = query::config::destinations(&world.store, &acme, None, 1).unwrap();
    let after = query::config::destinations(&world.store, &acme, Some(&bill[0].id), 10).unwrap();

    let ids = |tenants: &[Tenant]| {
        tenants
            .iter()
            .map(|tenant| tenant.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&first), ids(&rest)),
        (vec!["acme".to_owned()], vec!["globex".to_owned()])
    );
    assert_eq!(
        (bill[0].id.as_str(), after[0].id.as_str(), after.len()),
        ("bill", "hook", 1)
    );
    assert_eq!(
        query::config::destinations(&world.store, &acme, None, 0).unwrap(),
        []
    );
}

#[test]
fn attempts_of_a_destination_come_in_pages_over_days_both_ways() {
    let mut world = world();
    let start = world.time;
    for (place, key) in deliveries(&world).into_iter().enumerate() {
        world.time = start.plus(Span(u64::try_from(place).unwrap() * Span::DAY.0 / 2));
        record(&mut world, key, Outcome::Delivered, Verdict::Settle);
    }
    let (acme, hook) = (tenant(&world, "acme"), hook(&world));
    let starts = |since: Timestamp, until: Timestamp, direction: Direction| {
        let filter = query::attempts::Filter {
            destination: Some(hook.number),
            since,
            until,
            ..query::attempts::Filter::default()
        };
        let of = (Partition::of(&acme.id), acme.number);
        let rows = all_pages(|from| {
            query::attempts::list(&world.store, of, &filter, direction, from, &mut { TWO }).unwrap()
        });
        let half_days = |record: &AttemptRecord| record.attempt.start.since(start).0 / (Span::DAY.0 / 2);
        rows.iter().map(half_days).collect::<Vec<_>>()
    };

    let up = starts(Timestamp::ZERO, Timestamp::MAX, Direction::Ascending);
    let down = starts(Timestamp::ZERO, Timestamp::MAX, Direction::Descending);
    let cut = starts(
        start.plus(Span(1)),
        start.plus(Span(2 * Span::DAY.0)),
        Direction::Ascending,
    );
    let none = starts(Timestamp::MAX, Timestamp::ZERO, Direction::Ascending);

    assert_eq!(up, [0, 1, 2, 3, 4]);
    assert_eq!(down, [4, 3, 2, 1, 0]);
    assert_eq!(cut, [1, 2, 3]);
    assert_eq!(none, []);
}

/// Two attempts at each of an event's two destinations, a minute apart; the second one of each delivers.
fn two_attempts_each(world: &mut World) -> Event {
    let (tenant, id) = world.events[0];
    let story = query::event::explain(&world.store, tenant, id, usize::MAX).unwrap();
    let story = story.unwrap();
    let retry = Verdict::Retry {
        after: Span::from_secs(5),
        window: Span::DAY,
        retries_max: 3,
    };
    let failed = samples::failed(FailureClass::Transient, Cause::Server);
    for (outcome, verdict) in [(failed, retry), (Outcome::Delivered, Verdict::Settle)] {
        for delivery in &story.deliveries {
            world.time = world.time.plus(Span::from_secs(60));
            record(world, delivery.key, outcome.clone(), verdict);
        }
    }
    story.event
}

#[test]
fn attempts_of_an_event_come_in_pages_both_ways() {
    let mut world = world();
    let event = two_attempts_each(&mut world);
    let list = |filter: &query::attempts::Filter, direction: Direction| {
        let rows = all_pages(|from| {
            query::attempts::of_event(&world.store, &event, filter, direction, from, &mut { TWO }).unwrap()
        });
        let minutes = |record: &AttemptRecord| record.attempt.start.since(BEGINNING).0 / 60_000_000 % 60;
        rows.iter().map(minutes).collect::<Vec<_>>()
    };
    let all = query::attempts::Filter::default();
    let delivered = query::attempts::Filter {
        outcome: Some(query::attempts::Came::Delivered),
        ..all.clone()
    };
    let other_type = query::attempts::Filter {
        event_type: Some("order.shipped".parse().unwrap()),
        ..all.clone()
    };

    assert_eq!(list(&all, Direction::Ascending), [1, 2, 3, 4]);
    assert_eq!(list(&all, Direction::Descending), [4, 3, 2, 1]);
    assert_eq!(list(&delivered, Direction::Ascending), [3, 4]);
    assert_eq!(list(&other_type, Direction::Ascending), []);
}

#[test]
fn a_story_reads_the_newest_attempts_up_to_its_limit() {
    let mut world = world();
    let event = two_attempts_each(&mut world);
    let outcomes = |attempts_max: usize| {
        let story = query::event::explain(&world.store, event.new.tenant, event.id, attempts_max).unwrap();
        let deliveries = story.unwrap().deliveries.into_iter();
        let delivered = |record: AttemptRecord| record.attempt.outcome == Outcome::Delivered;
        deliveries
            .map(|one| one.attempts.into_iter().map(delivered).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };

    assert_eq!(outcomes(4), [[false, true], [false, true]]);
    assert_eq!(outcomes(2), [[true], [true]]);
    assert_eq!(outcomes(1), [[true], [true]]);
}

#[test]
fn a_cursor_of_another_destination_shows_nothing_of_it() {
    let mut world = world();
    let outcome = || samples::failed(FailureClass::Permanent, Cause::Auth);
    for key in deliveries(&world) {
        record(&mut world, key, outcome(), Verdict::Bury(DeathReason::Permanent));
    }
    let (acme, globex) = (tenant(&world, "acme"), tenant(&world, "globex"));
    let list = |tenant: &Tenant, from: Option<&[u8]>| {
        query::dead_letters::list(
            &world.store,
            (Partition::of(&tenant.id), tenant.number),
            &query::dead_letters::Filter::default(),
            Direction::Descending,
            from,
            &mut { TWO },
        )
        .unwrap()
    };
    let cursor = list(&acme, None).next.unwrap();

    let foreign = list(&globex, Some(&cursor));

    assert_eq!(foreign.rows, []);
}

#[test]
fn dead_letters_come_newest_first() {
    let mut world = world();
    for key in deliveries(&world) {
        world.time = world.time.plus(Span::from_secs(60));
        let outcome = samples::failed(FailureClass::Permanent, Cause::Auth);
        record(&mut world, key, outcome, Verdict::Bury(DeathReason::Permanent));
    }
    let acme = tenant(&world, "acme");
    let of = (Partition::of(&acme.id), acme.number);
    let filter = query::dead_letters::Filter {
        destination: Some(hook(&world).number),
        ..query::dead_letters::Filter::default()
    };

    let letters = all_pages(|from| {
        query::dead_letters::list(&world.store, of, &filter, Direction::Descending, from, &mut {
            TWO
        })
        .unwrap()
    });

    assert_eq!(letters.len(), 5);
    assert!(letters.is_sorted_by(|newer, older| newer.died > older.died));
}

#[test]
fn an_owner_finds_the_head_of_each_queue_and_what_follows() {
    let mut world = world();
    let keys = deliveries(&world);
    record(&mut world, keys[0], Outcome::Delivered, Verdict::Settle);
    let queue = queue(&world);

    let heads = query::due::heads(&world.store, queue.shard).unwrap();
    let own: Vec<_> = heads.iter().filter(|(head, _, _)| *head == queue).collect();
    let day = |days: u64| BEGINNING.plus(Span(days * Span::DAY.0));
    let due = query::due::after(&world.store, queue, (day(1), keys[1].seq), day(3), 100).unwrap();
    let behind = query::due::after(&world.store, queue, (day(1), keys[2].seq), day(3), 1).unwrap();

    assert_eq!(own, [&(queue, day(1), keys[1].seq)]);
    assert_eq!(
        due,
        [
            (day(1), keys[1].seq),
            (day(2), keys[2].seq),
            (day(3), keys[3].seq)
        ]
    );
    assert_eq!(behind, [(day(2), keys[2].seq)]);
    let total: u64 = query::counts::shards(&world.store)
        .unwrap()
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(
        total, 19,
        "two tenants, two destinations, five events, one delivered"
    );
}

#[test]
fn what_is_settled_is_not_dispatched() {
    let mut world = world();
    let keys = deliveries(&world);
    record(&mut world, keys[0], Outcome::Delivered, Verdict::Settle);

    let settled = query::due::dispatch(&world.store, queue(&world), keys[0].seq).unwrap();
    let due = query::due::dispatch(&world.store, queue(&world), keys[1].seq)
        .unwrap()
        .unwrap();

    assert_eq!(settled, None);
    assert_eq!(due.destination, hook(&world));
    assert_eq!(due.event.new.payload.bytes.as_ref(), b"x");
}

#[test]
fn a_delivery_is_found_by_its_public_id_within_its_tenant_alone() {
    let world = world();
    let (tenant, event) = world.events[0];
    let explained = query::event::explain(&world.store, tenant, event, usize::MAX)
        .unwrap()
        .unwrap();
    let found = |place| query::delivery::key(&world.store, tenant, DeliveryId { event, place }).unwrap();

    assert_eq!(found(1), Some(explained.deliveries[1].key));
    assert_eq!(found(2), None);
    let foreign = pushrail_model::ids::TenantNo(tenant.0 + 1);
    assert_eq!(query::event::event(&world.store, foreign, event).unwrap(), None);
}

#[test]
fn jobs_are_told_in_turns_however_many_wait() {
    let mut world = world();
    for (tenant, event) in world.events.clone() {
        let story = query::event::explain(&world.store, tenant, event, usize::MAX)
            .unwrap()
            .unwrap();
        for delivery in story.deliveries {
            let dead = samples::failed(FailureClass::Permanent, Cause::Auth);
            let verdict = Verdict::Bury(DeathReason::Permanent);
            let attempt = samples::attempt(&world.store, delivery.key, world.time, dead, verdict);
            world.run(samples::record(vec![attempt]));
        }
    }
    let mut started = 0;
    for tenant in ["acme", "globex"] {
        for destination in ["hook", "bill"] {
            let job = StartJob {
                tenant: tenant.parse().unwrap(),
                kind: JobKind::Replay,
                destination: destination.parse().unwrap(),
                cause: None,
                former_actor: String::new(),
                actor: None,
                request_id: format!("{tenant}-{destination}"),
            };
            world.run(Command::StartJob(job));
            started += 1;
        }
    }
    let mut turns = Vec::new();
    let mut last = None;
    for _ in 0..started {
        let next = query::jobs::running(&world.store, last, 3).unwrap();
        assert_eq!(next.len(), 3);
        turns.extend(
            next.iter()
                .map(|(partition, tenant, job)| (*partition, *tenant, job.number)),
        );
        last = turns.last().copied();
    }

    // Twelve places for four jobs: each had three turns.
    let mut times = BTreeMap::new();
    for turn in turns {
        *times.entry(turn).or_insert(0) += 1;
    }
    assert_eq!(times.into_values().collect::<Vec<_>>(), [3, 3, 3, 3]);
    let all = query::jobs::running(&world.store, last, 100).unwrap();
    assert_eq!(all.len(), 4, "and none is told twice");
}
