//! `--keep`: the nodes go on by themselves, a receiver of its own takes over the endpoints, and what to try next is
//! printed. The receiver writes what it gets into a log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use harness::behaviour::Behaviour;
use harness::cluster::Cluster;
use harness::ports::Port;
use harness::process::{Outlives, Process, pushrail};
use harness::receiver::Receiver;

use crate::out::{bold, say};
use crate::scene::Scene;

/// Lets everything go on, and says how to use it and how to end it.
pub(crate) async fn keep(mut cluster: Cluster, scene: Scene) -> Result<(), String> {
    let leader = cluster.leader().await;
    let servers: Vec<String> = cluster
        .ids()
        .into_iter()
        .map(|id| cluster.node(id).client_address().to_string())
        .collect();
    let leader_pid = cluster.node(leader).process().pid();
    let restart = cluster.node(leader).args().join(" ");
    let leader_log = cluster.node(leader).log();
    let (directory, mut pids) = cluster.let_be();

    let itself = std::env::current_exe().map_err(|error| error.to_string())?;
    for (name, receiver) in [("well", &scene.well), ("away", &scene.away)] {
        receiver.down().await;
        let args = [String::from("receive"), receiver.address().port().to_string()];
        let log = directory.join(format!("receiver-{name}.log"));
        let process =
            Process::spawn(&itself, &args, Outlives::Harness, &log).map_err(|error| error.to_string())?;
        pids.push(process.pid());
        process.let_be();
    }
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let stop = directory.join("stop");
    let script = format!(
        "#!/bin/sh\n\
         # What was started again since is found by its data directory.\n\
         for process in /proc/[0-9]*; do\n\
         \x20 if tr '\\0' ' ' 2>/dev/null <\"$process/cmdline\" | grep -q 'serve .*--data-dir {directory}/'; then\n\
         \x20   kill -9 \"${{process#/proc/}}\"\n\
         \x20 fi\n\
         done\n\
         kill -9 {} 2>/dev/null\n\
         rm -r '{directory}'\n",
        pids.join(" "),
        directory = directory.display(),
    );
    fs::write(&stop, script).map_err(|error| error.to_string())?;
    fs::set_permissions(&stop, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;

    say(bold("\nThe cluster goes on. Try:"));
    say(format!(
        "  export PUSHRAIL_SERVER={} PUSHRAIL_TENANT=acme",
        servers.join(",")
    ));
    say(format!(
        "  export PATH={}:$PATH",
        pushrail().parent().unwrap_or(&directory).display()
    ));
    for command in [
        "pushrail cluster status",
        "pushrail destinations list",
        "pushrail publish --type order.paid --data '{\"total\":12}'",
        "pushrail attempts list --destination ledger --limit 10",
        "pushrail dlq list --tenant initech --destination legacy --limit 5",
    ] {
        say(format!("  {command}"));
    }
    say(bold("Break it:"));
    say(format!("  kill -9 {leader_pid}   # node {leader}, the leader"));
    say(format!("  pushrail {restart} >>{} 2>&1 &", leader_log.display()));
    say(bold("What the endpoints got:"));
    say(format!(
        "  tail -f {}",
        directory.join("receiver-well.log").display()
    ));
    say(bold("End it, and remove its files:"));
    say(format!("  {}", stop.display()));
    Ok(())
}

/// Takes over the endpoints on a port: all answer 200, but the one that always refused.
pub(crate) async fn receive(port: u16) -> ExitCode {
    if let Err(error) = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)) {
        say(format!("cannot receive on 127.0.0.1:{port}: {error}"));
        return ExitCode::FAILURE;
    }
    let receiver = Arc::new(Receiver::on(Port::given(port)).await);
    receiver.script("/initech/legacy", Behaviour::always(401));
    say(format!("receiving on 127.0.0.1:{port}"));
    let mut told = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        let requests = receiver.requests();
        for request in requests.iter().skip(told) {
            let body = String::from_utf8_lossy(&request.body)
                .chars()
                .take(120)
                .collect::<String>();
            let answered = request
                .answered
                .map(|status| status.to_string())
                .unwrap_or_default();
            say(format!(
                "{} {} {answered} {body}",
                request.path, request.webhook_id
            ));
        }
        told = requests.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_refused_in_words() {
        let taken = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = taken.local_addr().expect("a free port").port();

        let code = receive(port).await;

        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    }
}
