//! What a list and an event's story cost a node's own copy, on disk, while it goes on applying: with 10,000 attempts
//! stored and with 1,000,000 (`ATTEMPTS=…` for another number). The figures are this machine's; what must hold anywhere is
//! that they hardly grow with what is stored, and that a filter that matches nothing costs a bounded number of rows.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures and tells"
)]

mod filled;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pushrail_machine::query::page::{Budget, Page};
use pushrail_machine::query::{attempts, config, dead_letters, deliveries, event};
use pushrail_machine::store::{Direction, Read};
use pushrail_model::ids::{DestinationNo, EventId, TenantNo};
use pushrail_model::limits;
use pushrail_model::outcome::Cause;
use pushrail_model::shard::Partition;
use pushrail_model::time::Span;

use crate::filled::Filled;

/// Questions of each sort.
const QUESTIONS: u64 = 200;
/// The few that the other is compared with.
const FEW: usize = 10_000;
/// Entries that are applied a second meanwhile, of [`MEANWHILE_EVENTS`] events and as many attempts each.
const MEANWHILE_EVERY: Duration = Duration::from_millis(50);
const MEANWHILE_EVENTS: usize = 64;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        // A test runner asks every program for its tests: here are none.
        return;
    }
    let many = std::env::var("ATTEMPTS").map_or(1_000_000, |number| number.parse().unwrap());
    let few = measure(FEW);
    let many_took = measure(many);
    println!(
        "{:<44} {:>12} {:>12} {:>12} {:>8}",
        "median of a call, while entries are applied",
        format!("{FEW}"),
        format!("{many}"),
        "99 % below",
        "ratio"
    );
    for (what, (median, high)) in &many_took {
        let (before, _) = few[what];
        println!(
            "{what:<44} {:>12} {:>12} {:>12} {:>8.1}",
            format!("{before:.1?}"),
            format!("{median:.1?}"),
            format!("{high:.1?}"),
            median.as_secs_f64() / before.as_secs_f64()
        );
    }
}

type Took = BTreeMap<&'static str, (Duration, Duration)>;

fn measure(count: usize) -> Took {
    let begun = Instant::now();
    let mut filled = Filled::with(count);
    println!("{count} attempts stored in {:.1?}", begun.elapsed());
    let (store, of, ids) = (filled.store.clone(), filled.of(), filled.ids.clone());
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                filled.accept_and_record(MEANWHILE_EVENTS);
                thread::sleep(MEANWHILE_EVERY.saturating_sub(begun.elapsed()));
            }
        });
        let asker = Asker { of, ids: &ids };
        let mut took = Took::new();
        for (what, ask) in asker.questions() {
            let mut times: Vec<Duration> = (0..QUESTIONS)
                .map(|number| {
                    let view = store.view();
                    let begun = Instant::now();
                    ask(&view, number);
                    begun.elapsed()
                })
                .collect();
            times.sort();
            let at = |percent: usize| times[times.len() * percent / 100];
            took.insert(what, (at(50), at(99)));
        }
        ended.store(true, Ordering::Relaxed);
        took
    })
}

/// Asks as a service does: a page of the default size, with what is looked up beside each row.
struct Asker<'a> {
    of: (Partition, TenantNo),
    ids: &'a [EventId],
}

type Question<'a> = Box<dyn Fn(&dyn Read, u64) + 'a>;

impl Asker<'_> {
    fn questions(&self) -> Vec<(&'static str, Question<'_>)> {
        let destination = |number: u64| {
            Some(DestinationNo(
                u32::try_from(number % filled::DESTINATIONS).unwrap() + 1,
            ))
        };
        let none = attempts::Filter::default;
        let owed = deliveries::Filter::default;
        let letters = dead_letters::Filter::default;
        vec![
            (
                "events explain",
                Box::new(|view, number| self.explain(view, number)),
            ),
            (
                "attempts list, of a tenant",
                Box::new(move |view, _| self.attempts(view, none())),
            ),
            (
                "attempts list, of a destination",
                Box::new(move |view, number| {
                    self.attempts(
                        view,
                        attempts::Filter {
                            destination: destination(number),
                            ..none()
                        },
                    );
                }),
            ),
            (
                "attempts list, in a span of time",
                Box::new(move |view, number| {
                    let since = self.accepted(view, number);
                    self.attempts(
                        view,
                        attempts::Filter {
                            since,
                            until: since.plus(Span::HOUR),
                            ..none()
                        },
                    );
                }),
            ),
            (
                "attempts list, one in fifty matches",
                Box::new(move |view, _| {
                    self.attempts(
                        view,
                        attempts::Filter {
                            cause: Some(Cause::Auth),
                            ..none()
                        },
                    );
                }),
            ),
            (
                "attempts list, nothing matches",
                Box::new(move |view, _| {
                    self.attempts(
                        view,
                        attempts::Filter {
                            cause: Some(Cause::Throttle),
                            ..none()
                        },
                    );
                }),
            ),
            (
                "attempts list, no event of the type",
                Box::new(move |view, _| {
                    let event_type = Some("no.such".parse().unwrap());
                    self.attempts(view, attempts::Filter { event_type, ..none() });
                }),
            ),
            (
                "deliveries list, of a tenant",
                Box::new(move |view, _| self.deliveries(view, owed())),
            ),
            (
                "deliveries list, of a destination",
                Box::new(move |view, number| {
                    self.deliveries(
                        view,
                        deliveries::Filter {
                            destination: destination(number),
                            ..owed()
                        },
                    );
                }),
            ),
            (
                "deliveries list, in a span of time",
                Box::new(move |view, number| {
                    let since = self.accepted(view, number);
                    self.deliveries(
                        view,
                        deliveries::Filter {
                            since,
                            until: since.plus(Span::HOUR),
                            ..owed()
                        },
                    );
                }),
            ),
            (
                "deliveries list, the dead of a destination",
                Box::new(move |view, number| {
                    let state = Some(deliveries::Standing::Dead);
                    self.deliveries(
                        view,
                        deliveries::Filter {
                            destination: destination(number),
                            state,
                            ..owed()
                        },
                    );
                }),
            ),
            (
                "deliveries list, nothing matches",
                Box::new(move |view, _| {
                    let state = Some(deliveries::Standing::Discarded);
                    self.deliveries(view, deliveries::Filter { state, ..owed() });
                }),
            ),
            (
                "dlq list, of a tenant",
                Box::new(move |view, _| self.letters(view, letters())),
            ),
            (
                "dlq list, of a destination and a cause",
                Box::new(move |view, number| {
                    let cause = Some(Cause::Missing);
                    self.letters(
                        view,
                        dead_letters::Filter {
                            destination: destination(number),
                            cause,
                            ..letters()
                        },
                    );
                }),
            ),
            (
                "dlq list, nothing matches",
                Box::new(move |view, _| {
                    self.letters(
                        view,
                        dead_letters::Filter {
                            cause: Some(Cause::Throttle),
                            ..letters()
                        },
                    );
                }),
            ),
            (
                "dlq list, by cause",
                Box::new(|view, _| {
                    let page = dead_letters::causes(view, self.of, None, None, limits::PAGE_DEFAULT).unwrap();
                    assert!(!page.rows.is_empty(), "causes are counted");
                }),
            ),
        ]
    }

    /// Some event, far from the one asked about before.
    fn event(&self, number: u64) -> EventId {
        let place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        self.ids[usize::try_from(place).unwrap() % self.ids.len()]
    }

    fn accepted(&self, view: &dyn Read, number: u64) -> pushrail_model::time::Timestamp {
        event::event(view, self.of.1, self.event(number))
            .unwrap()
            .unwrap()
            .accepted
    }

    fn explain(&self, view: &dyn Read, number: u64) {
        let explained = event::explain(view, self.of.1, self.event(number), usize::MAX)
            .unwrap()
            .unwrap();
        assert_eq!(explained.deliveries[0].attempts.len(), 1);
        black_box(explained);
    }

    fn attempts(&self, view: &dyn Read, filter: attempts::Filter) {
        let page =
            attempts::list(view, self.of, &filter, Direction::Descending, None, &mut budget()).unwrap();
        for record in &page.rows {
            let key = record.attempt.delivery;
            black_box(pushrail_machine::query::delivery::delivery(view, &key).unwrap());
        }
        self.show(view, &page);
    }

    fn deliveries(&self, view: &dyn Read, filter: deliveries::Filter) {
        let page =
            deliveries::list(view, self.of, &filter, Direction::Descending, None, &mut budget()).unwrap();
        self.show(view, &page);
    }

    fn letters(&self, view: &dyn Read, filter: dead_letters::Filter) {
        let page =
            dead_letters::list(view, self.of, &filter, Direction::Descending, None, &mut budget()).unwrap();
        for letter in &page.rows {
            let id = EventId {
                partition: self.of.0,
                seq: letter.delivery.seq,
            };
            black_box(event::event(view, self.of.1, id).unwrap());
        }
        self.show(view, &page);
    }

    /// The names of the destinations.
    fn show<T>(&self, view: &dyn Read, page: &Page<T>) {
        let (partition, tenant) = self.of;
        for number in 1..=filled::DESTINATIONS {
            let number = DestinationNo(u32::try_from(number).unwrap());
            black_box(config::destination_by_number(view, partition, tenant, number).unwrap());
        }
        black_box(page);
    }
}

fn budget() -> Budget {
    Budget {
        rows: limits::PAGE_DEFAULT,
        reads: limits::LIST_READS_MAX,
    }
}
