//! One tenant whose destination hangs slows no other's deliveries. The figures that count are those of the bench
//! (`tests/benches/fairness.rs`), with a backlog of 100,000; what is asked here holds on any machine.

use std::time::Duration;

use harness::fairness::{Trial, measure};

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_under_a_backlog_slows_no_other_tenant() {
    let trial = Trial {
        backlog: 4_000,
        concurrency: 256,
        // Short, so that attempts end and begin again all the time.
        attempt_timeout: Duration::from_secs(2),
        rounds: 2,
        events: 100,
    };

    let measured = measure(trial).await;

    assert!(measured.hung >= 256, "only {} requests hung", measured.hung);
    assert!(measured.left > 3_000, "only {} are left", measured.left);
    let (alone, beside) = (measured.alone.percentile(50), measured.beside.percentile(50));
    assert!(
        beside < alone * 3 + Duration::from_millis(20),
        "median {beside:?} beside the one that hangs, {alone:?} alone"
    );
    // A turn that waited for an attempt that hangs would be late by its whole time-out.
    let worst = measured.beside.percentile(99);
    assert!(
        worst < Duration::from_secs(1),
        "p99 {worst:?} beside the one that hangs"
    );
}
