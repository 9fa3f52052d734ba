//! The demo: three real nodes on this machine, customers' endpoints that behave as such endpoints do, 2,000 events,
//! and a leader killed in the middle. Started by `deploy/demo`; ends with what happened, and non-zero if anything
//! that was acknowledged is unaccounted for.

mod keep;
mod out;
mod report;
mod scene;
mod show;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::out::say;

const USAGE: &str = "\
Usage: deploy/demo [--keep]
       pushrail-demo receive PORT

Starts three nodes of Pushrail on this machine, publishes 2,000 events through all of
them, kills the leader in the middle, and shows what became of every delivery.

  --keep         leave the nodes and the receiver running, and say what to try next
  receive PORT   only the receiver: answer webhooks on 127.0.0.1:PORT, and print each
  --help         this text";

enum Wish {
    Show(After),
    Receive(u16),
    Help,
}

/// What becomes of the cluster when the demo is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Clean,
    Keep,
}

fn wish(args: &[String]) -> Option<Wish> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => Some(Wish::Show(After::Clean)),
        ["--keep"] => Some(Wish::Show(After::Keep)),
        ["--help" | "-h"] => Some(Wish::Help),
        // How the demo starts the receiver that goes on after it.
        ["receive", port] => port.parse().ok().filter(|port| *port > 0).map(Wish::Receive),
        _ => None,
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match wish(&args) {
        Some(Wish::Show(after)) => runtime.block_on(until_interrupted(after)),
        Some(Wish::Receive(port)) => runtime.block_on(keep::receive(port)),
        Some(Wish::Help) => {
            say(USAGE);
            ExitCode::SUCCESS
        }
        None => {
            say(USAGE);
            ExitCode::from(2)
        }
    }
}

/// Whatever ends the demo, everything it started is dropped here, and with it killed and removed.
async fn until_interrupted(after: After) -> ExitCode {
    let mut interrupted = signal(SignalKind::interrupt()).expect("a handler for Ctrl-C");
    let mut terminated = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    tokio::select! {
        code = show::show(after) => code,
        _ = interrupted.recv() => {
            say("\ninterrupted; everything that was started is stopped and removed");
            ExitCode::from(130)
        }
        _ = terminated.recv() => ExitCode::from(143),
    }
}
