//! Held time and the window, by chance: whatever pauses and resumes there are, a delivery gets exactly its window of
//! time in which its destination was served, and not a moment of the time in which it was not.

use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::script::Script;

/// What the scripts' retries carry as their window.
const WINDOW_MINUTES: u64 = 24 * 60;

#[derive(Clone, Copy, Debug)]
enum Op {
    Wait(u64),
    Pause,
    Resume,
    /// An attempt fails, and asks for a retry after this.
    Fail(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1..600_u64).prop_map(Op::Wait),
        2 => Just(Op::Pause),
        2 => Just(Op::Resume),
        3 => (0..400_u64).prop_map(Op::Fail),
    ];
    prop::collection::vec(op, 1..60)
}

/// The same, reckoned minute by minute.
#[derive(Default)]
struct Reckoned {
    served: u64,
    held: bool,
    dead: bool,
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_window_is_of_served_time_alone(
        before in prop::collection::vec(prop_oneof![Just(Op::Pause), Just(Op::Resume), (1..600_u64).prop_map(Op::Wait)], 0..8),
        ops in ops(),
    ) {
        let mut script = Script::new();
        for line in [
            "tenant acme request=r1",
            "destination acme/hook request=r2",
            "route acme all pattern=** to=hook request=r3",
            "give acme/hook from=0 to=1",
        ] {
            script.line(line);
        }
        let mut reckoned = Reckoned::default();
        // Whatever was held before the delivery began is nothing to it.
        for (number, op) in before.into_iter().enumerate() {
            step(&mut script, &mut reckoned, op, number);
        }
        reckoned.served = 0;
        script.line("publish acme order.paid");

        for (number, op) in ops.into_iter().enumerate() {
            step(&mut script, &mut reckoned, op, number + 1000);
        }
    }
}

fn step(script: &mut Script, reckoned: &mut Reckoned, op: Op, number: usize) {
    match op {
        Op::Wait(minutes) => {
            script.line(&format!("wait {minutes}m"));
            reckoned.served += if reckoned.held { 0 } else { minutes };
        }
        Op::Pause => {
            script.line(&format!("pause acme/hook request=p{number}"));
            reckoned.held = true;
        }
        Op::Resume => {
            script.line(&format!("resume acme/hook request=p{number}"));
            reckoned.held = false;
        }
        Op::Fail(_) if reckoned.dead => {}
        Op::Fail(after) => {
            let said = script.line(&format!("attempt e1/hook failed 500 retry={after}m"));
            let scheduled = said.iter().any(|line| line.contains("due acme/hook"));
            let within = reckoned.served + after <= WINDOW_MINUTES;
            assert_eq!(
                scheduled, within,
                "{} minutes served, a retry after {after}: {said:?}",
                reckoned.served
            );
            reckoned.dead = !within;
        }
    }
}
