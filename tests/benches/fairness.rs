//! Fairness inside a node, measured: one tenant has 100,000 deliveries due to a destination that hangs; another's
//! latency from call to receiver must move by less than a fifth in its median and less than double in its p99.
//! `cargo bench -p pushrail-tests --bench fairness -- [backlog] [rounds] [events] [concurrency] [timeout/s]`

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::process::ExitCode;
use std::time::Duration;

use harness::fairness::{Trial, measure};

fn main() -> ExitCode {
    let given: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let number = |place: usize, default: usize| given.get(place).copied().unwrap_or(default);
    let trial = Trial {
        backlog: number(0, 100_000),
        rounds: number(1, 5),
        events: number(2, 400),
        concurrency: u32::try_from(number(3, 256)).expect("a concurrency"),
        attempt_timeout: Duration::from_secs(number(4, 20) as u64),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let measured = runtime.block_on(measure(trial));

    let ms = |latency: Duration| latency.as_secs_f64() * 1e3;
    println!(
        "{trial:?}: {} requests hung, {} left",
        measured.hung, measured.left
    );
    println!("{:>10} {:>10} {:>10} {:>8}", "", "alone/ms", "beside/ms", "ratio");
    let mut ratios = Vec::new();
    for percent in [50, 90, 99] {
        let (alone, beside) = (
            measured.alone.percentile(percent),
            measured.beside.percentile(percent),
        );
        let ratio = beside.as_secs_f64() / alone.as_secs_f64().max(f64::EPSILON);
        println!(
            "{:>10} {:>10.2} {:>10.2} {ratio:>8.2}",
            format!("p{percent}"),
            ms(alone),
            ms(beside)
        );
        ratios.push(ratio);
    }
    let met = matches!(ratios.as_slice(), [median, _, p99] if *median < 1.2 && *p99 < 2.0);
    println!("{}", if met { "met" } else { "NOT met" });
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
