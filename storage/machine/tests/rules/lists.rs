//! Lists in pages: however small a page and however little may be read for it, all pages together are what the filter
//! lets through, once each, in order; and each page goes on from the one before.

use std::fmt::Debug;

use pushrail_machine::query::page::{Budget, Page};
use pushrail_machine::query::{attempts, config, dead_letters, deliveries};
use pushrail_machine::store::Direction;
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::ids::{DestinationNo, TenantNo};
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::shard::Partition;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::world::{BEGINNING, World};

const TYPES: [&str; 3] = ["order.paid", "order.lost", "user.made"];

/// Two tenants with two destinations each and twelve events, half a day apart; what came of their attempts differs.
fn world() -> World {
    let mut world = World::new();
    for tenant in ["acme", "globex"] {
        world.run(samples::tenant(tenant, "r1"));
        for destination in ["hook", "bill"] {
            world.run(samples::destination(tenant, destination, "r1"));
            world.run(samples::route(tenant, destination, "**", destination, "r1"));
        }
    }
    for number in 0..12 {
        for id in ["acme", "globex"] {
            publish(&mut world, id, number);
        }
        world.time = world.time.plus(Span(Span::DAY.0 / 2));
    }
    world
}

fn publish(world: &mut World, tenant: &str, number: usize) {
    let tenant = config::tenant(&world.store, &tenant.parse().unwrap())
        .unwrap()
        .unwrap();
    let event_type = TYPES[number % 3].parse().unwrap();
    let event = samples::event(&world.store, &tenant, &event_type, "x", None);
    world.run(samples::accept(&tenant, vec![event]));
    let (tenant, id) = *world.events.last().unwrap();
    let explained = pushrail_machine::query::event::explain(&world.store, tenant, id, usize::MAX).unwrap();
    for (place, delivery) in explained.unwrap().deliveries.iter().enumerate() {
        let (outcome, verdict, status) = match (number + place) % 4 {
            0 => (Outcome::Delivered, Verdict::Settle, 200),
            1 => (
                samples::failed(FailureClass::Permanent, Cause::Auth),
                Verdict::Bury(DeathReason::Permanent),
                401,
            ),
            2 => (
                samples::failed(FailureClass::Permanent, Cause::Missing),
                Verdict::Bury(DeathReason::Permanent),
                404,
            ),
            _ => continue,
        };
        let mut attempt = samples::attempt(&world.store, delivery.key, world.time, outcome, verdict);
        attempt.observed.status = Some(status);
        world.run(samples::record(vec![attempt]));
    }
}

fn acme(world: &World) -> (Partition, TenantNo) {
    let acme = config::tenant(&world.store, &"acme".parse().unwrap())
        .unwrap()
        .unwrap();
    (Partition::of(&acme.id), acme.number)
}

fn half_day(number: u64) -> Timestamp {
    BEGINNING.plus(Span(number * Span::DAY.0 / 2))
}

/// All rows, in pages of every small size and every small cost: always the same, and never more pages than reads.
fn in_any_pages<T: Clone + PartialEq + Debug>(
    mut ask: impl FnMut(Direction, Option<&[u8]>, &mut Budget) -> Page<T>,
) -> Vec<T> {
    let mut whole = |direction, rows, reads| {
        let mut found = Vec::new();
        let mut next: Option<Vec<u8>> = None;
        for _ in 0..400 {
            let mut budget = Budget { rows, reads };
            let page = ask(direction, next.as_deref(), &mut budget);
            assert!(
                page.rows.len() <= rows,
                "a page of {rows} has {}",
                page.rows.len()
            );
            found.extend(page.rows);
            if page.next.is_none() {
                return found;
            }
            assert_ne!(page.next, next, "a page goes on from the one before");
            next = page.next;
        }
        panic!("the list does not end in pages of {rows}, reading {reads}");
    };
    let ascending = whole(Direction::Ascending, 1000, 10_000);
    let mut descending = whole(Direction::Descending, 1000, 10_000);
    descending.reverse();
    assert_eq!(ascending, descending, "both ways show the same");
    for rows in [1, 2, 3, 7] {
        for reads in [1, 2, 3, 5, 100] {
            assert_eq!(whole(Direction::Ascending, rows, reads), ascending);
            let mut back = whole(Direction::Descending, rows, reads);
            back.reverse();
            assert_eq!(back, ascending);
        }
    }
    ascending
}

#[test]
fn attempts_come_whole_in_any_pages_under_any_filter() {
    let world = world();
    let of = acme(&world);
    let filters = [
        attempts::Filter::default(),
        attempts::Filter {
            destination: Some(DestinationNo(2)),
            ..attempts::Filter::default()
        },
        attempts::Filter {
            outcome: Some(attempts::Came::Failed),
            cause: Some(Cause::Auth),
            ..attempts::Filter::default()
        },
        attempts::Filter {
            status: Some(404),
            event_type: Some("order.lost".parse().unwrap()),
            ..attempts::Filter::default()
        },
        attempts::Filter {
            since: half_day(3),
            until: half_day(8),
            ..attempts::Filter::default()
        },
        attempts::Filter {
            cause: Some(Cause::Throttle),
            ..attempts::Filter::default()
        },
    ];
    let all = in_any_pages(|direction, from, budget| {
        attempts::list(&world.store, of, &filters[0], direction, from, budget).unwrap()
    });
    assert_eq!(all.len(), 18);
    assert!(all.is_sorted_by_key(|record| record.attempt.start));

    let lost: Vec<_> = world
        .events
        .iter()
        .filter(|(tenant, id)| {
            let event = pushrail_machine::query::event::event(&world.store, *tenant, *id).unwrap();
            event.unwrap().new.event_type == "order.lost".parse().unwrap()
        })
        .map(|(_, id)| id.seq)
        .collect();
    let mut counts = Vec::new();
    for filter in &filters {
        let found = in_any_pages(|direction, from, budget| {
            attempts::list(&world.store, of, filter, direction, from, budget).unwrap()
        });
        let wanted = |record: &&AttemptRecord| {
            filter.matches(record)
                && (filter.event_type.is_none() || lost.contains(&record.attempt.delivery.seq))
        };
        let mut wanted: Vec<AttemptRecord> = all.iter().filter(wanted).cloned().collect();
        // Two destinations' attempts may begin at the same moment.
        wanted.sort_by_key(|record| (record.attempt.start, record.attempt.delivery.destination));
        assert_eq!(found, wanted, "{filter:?}");
        counts.push(found.len());
    }
    assert_eq!(counts, [18, 9, 6, 2, 7, 0], "the filters let something through");
}

#[test]
fn dead_letters_come_whole_in_any_pages_under_any_filter() {
    let world = world();
    let of = acme(&world);
    let list = |filter: dead_letters::Filter| {
        in_any_pages(|direction, from, budget| {
            dead_letters::list(&world.store, of, &filter, direction, from, budget).unwrap()
        })
    };
    let all = list(dead_letters::Filter::default());
    let filters = [
        dead_letters::Filter {
            destination: Some(DestinationNo(1)),
            since: half_day(2),
            until: half_day(9),
            ..dead_letters::Filter::default()
        },
        dead_letters::Filter {
            cause: Some(Cause::Missing),
            since: half_day(2),
            ..dead_letters::Filter::default()
        },
        dead_letters::Filter {
            status: Some(401),
            event_type: Some("user.made".parse().unwrap()),
            ..dead_letters::Filter::default()
        },
    ];

    let counts = filters.map(|filter| list(filter).len());

    assert_eq!(all.len(), 12);
    assert!(all.is_sorted_by_key(|letter| (letter.delivery.destination, letter.died)));
    assert_eq!(counts, [3, 5, 2]);
}

#[test]
fn deliveries_come_whole_in_any_pages_under_any_filter() {
    let world = world();
    let of = acme(&world);
    let list = |filter: deliveries::Filter| {
        in_any_pages(|direction, from, budget| {
            deliveries::list(&world.store, of, &filter, direction, from, budget).unwrap()
        })
    };
    let all = list(deliveries::Filter::default());
    let filters = [
        deliveries::Filter {
            destination: Some(DestinationNo(1)),
            ..deliveries::Filter::default()
        },
        deliveries::Filter {
            state: Some(deliveries::Standing::Dead),
            ..deliveries::Filter::default()
        },
        deliveries::Filter {
            event_type: Some("order.paid".parse().unwrap()),
            state: Some(deliveries::Standing::Scheduled),
            ..deliveries::Filter::default()
        },
        deliveries::Filter {
            since: half_day(3),
            until: half_day(7),
            ..deliveries::Filter::default()
        },
        deliveries::Filter {
            destination: Some(DestinationNo(2)),
            since: half_day(3).plus(Span(1)),
            until: half_day(7).plus(Span(1)),
            ..deliveries::Filter::default()
        },
        deliveries::Filter {
            since: half_day(100),
            ..deliveries::Filter::default()
        },
    ];

    let counts = filters.map(|filter| list(filter).len());

    assert_eq!(all.len(), 24);
    assert!(all.is_sorted_by_key(|found| (found.key.seq, found.delivery.place)));
    assert_eq!(counts, [12, 12, 2, 8, 4, 0]);
}

#[test]
fn events_that_went_nowhere_make_no_page_of_deliveries_endless() {
    let mut world = World::new();
    world.run(samples::tenant("acme", "r1"));
    for number in 0..12 {
        let tenant = config::tenant(&world.store, &"acme".parse().unwrap())
            .unwrap()
            .unwrap();
        let event_type = TYPES[number % 3].parse().unwrap();
        let event = samples::event(&world.store, &tenant, &event_type, "x", None);
        world.run(samples::accept(&tenant, vec![event]));
    }
    let of = acme(&world);
    let list = |direction, from: Option<&[u8]>, budget: &mut Budget| {
        let all = deliveries::Filter::default();
        deliveries::list(&world.store, of, &all, direction, from, budget).unwrap()
    };

    let mut budget = Budget { rows: 10, reads: 8 };
    let page = list(Direction::Descending, None, &mut budget);
    let whole = in_any_pages(list);

    assert!(page.rows.is_empty() && page.next.is_some());
    assert_eq!(budget.reads, 0);
    assert!(whole.is_empty());
}
