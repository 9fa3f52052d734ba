//! The figures at the end, and the table they are printed in.

use std::time::{Duration, Instant};

use harness::audit::Audit;
use harness::load::longest_pause;

use crate::scene::{EVENTS, Scene};
use crate::show::Published;

/// What was counted.
pub(crate) struct Figures {
    acknowledged: usize,
    repeats: usize,
    duplicates_acknowledged: usize,
    owed: usize,
    longest_pause: Duration,
    acknowledged_per_second: f64,
    delivered_per_second: f64,
}

impl Figures {
    pub(crate) fn of(published: &Published, scene: &Scene, audit: &Audit) -> Self {
        let acknowledged = &published.acknowledged;
        // The rate while all three nodes ran: the pause has a line of its own.
        let before: Vec<Instant> = acknowledged
            .iter()
            .map(|one| one.at)
            .filter(|at| *at < published.killed_at)
            .collect();
        let took = published.killed_at - published.began;
        let mut arrived: Vec<Instant> = Vec::new();
        for receiver in [&scene.well, &scene.away] {
            arrived.extend(
                receiver
                    .requests()
                    .iter()
                    .filter(|one| one.answered == Some(200))
                    .map(|one| one.at),
            );
        }
        debug_assert!(arrived.len() >= audit.delivered);
        Self {
            acknowledged: acknowledged.len(),
            repeats: published.repeats,
            duplicates_acknowledged: acknowledged.iter().filter(|one| one.duplicate).count(),
            owed: acknowledged
                .iter()
                .map(|one| usize::try_from(one.deliveries).unwrap_or(0))
                .sum(),
            longest_pause: longest_pause(published.began, acknowledged),
            acknowledged_per_second: rate(before.len(), took),
            delivered_per_second: best_second(arrived),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "thousands, for eyes")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(0.001)
}

/// The most that fell into any one second.
fn best_second(mut times: Vec<Instant>) -> f64 {
    times.sort_unstable();
    let within = |first: &Instant| times.partition_point(|at| *at < *first + Duration::from_secs(1));
    let most = times
        .iter()
        .enumerate()
        .map(|(place, first)| within(first) - place)
        .max()
        .unwrap_or(0);
    rate(most, Duration::from_secs(1))
}

pub(crate) fn report(figures: &Figures, audit: &Audit) -> String {
    let mut rows = vec![
        ("events published", EVENTS.to_string()),
        ("acknowledged", figures.acknowledged.to_string()),
        (
            "calls repeated",
            format!(
                "{} ({} events were known already)",
                figures.repeats, figures.duplicates_acknowledged
            ),
        ),
        (
            "longest pause",
            format!(
                "{:.2} s between two acknowledgements",
                figures.longest_pause.as_secs_f64()
            ),
        ),
        ("deliveries owed", figures.owed.to_string()),
        ("delivered", audit.delivered.to_string()),
        (
            "retried",
            format!("{} needed more than one attempt", audit.retried),
        ),
        ("dead letters", audit.dead_letters().to_string()),
    ];
    for (reason, count) in &audit.dead {
        rows.push(("", format!("{count} {reason}")));
    }
    rows.extend([
        (
            "duplicates",
            format!("{} requests were taken a second time", audit.duplicates),
        ),
        (
            "acknowledged/s",
            format!(
                "{:.0} events/s until the leader was killed",
                figures.acknowledged_per_second
            ),
        ),
        (
            "delivered/s",
            format!(
                "{:.0} deliveries in the best second",
                figures.delivered_per_second
            ),
        ),
    ]);
    let lines: Vec<String> = rows
        .into_iter()
        .map(|(name, value)| format!("  {name:<17} {value}"))
        .collect();
    lines.join("\n")
}
