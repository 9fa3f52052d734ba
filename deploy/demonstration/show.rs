//! The demo itself, from the start of the nodes to the verdict.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::audit::{audit, settled};
use harness::cluster::{Cluster, Shape};
use harness::door::{Door, linearizable};
use harness::load::{Acknowledged, Load};
use pushrail_api::v1;

use crate::After;
use crate::keep;
use crate::out::{Progress, bold, dim, green, red, say};
use crate::report::{Figures, report};
use crate::scene::{EVENTS, Scene};

/// Much longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn show(after: After) -> ExitCode {
    match play(after).await {
        Ok(code) => code,
        Err(why) => {
            say(red(&format!("the demo failed: {why}")));
            ExitCode::FAILURE
        }
    }
}

async fn play(after: After) -> Result<ExitCode, String> {
    say(bold("Three nodes"));
    let mut scene = Scene::receivers().await;
    let shape = match after {
        After::Clean => Shape::three(),
        After::Keep => Shape::three().outliving(),
    };
    let started = Instant::now();
    let mut cluster = Cluster::start(shape).await;
    for door in cluster.doors() {
        let node = cluster.node(door.node());
        say(format!(
            "  node {} on {}, data in {}",
            door.node(),
            node.client_address(),
            node.data_dir().display()
        ));
    }
    say(dim(&format!(
        "  formed and ready after {:.1} s",
        started.elapsed().as_secs_f64()
    )));

    say(bold("\nThree customers and their endpoints"));
    for line in scene
        .set(&cluster.door(1))
        .await
        .map_err(|status| status.to_string())?
    {
        say(line);
    }

    say(bold(&format!("\n{EVENTS} events through all three nodes")));
    scene.away.down().await;
    let published = publish(&mut cluster).await?;
    scene.away.up().await;

    let killed = published.killed;
    cluster.ready().await;
    let follower = cluster.follower().await;
    let door = cluster.door(follower);
    deliver(&door, &scene, &published.acknowledged).await?;

    let audit = audit(&door, &published.acknowledged, &scene.endpoints).await;
    let figures = Figures::of(&published, &scene, &audit);
    say(bold("\nWhat happened"));
    say(report(&figures, &audit));
    tell_a_story(&mut cluster, &door, &published.acknowledged).await?;

    for fault in audit.faults.iter().take(20) {
        say(red(&format!("  unaccounted for: {fault}")));
    }
    let code = if audit.faults.is_empty() {
        say(green(&format!(
            "\n✓ every acknowledged event is accounted for, although node {killed} was killed in the middle"
        )));
        ExitCode::SUCCESS
    } else {
        say(red(&format!(
            "\n✗ {} things are unaccounted for",
            audit.faults.len()
        )));
        ExitCode::FAILURE
    };
    if after == After::Keep {
        keep::keep(cluster, scene).await?;
    }
    Ok(code)
}

/// What the publishing brought.
pub(crate) struct Published {
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) began: Instant,
    pub(crate) repeats: usize,
    pub(crate) killed: u64,
    pub(crate) killed_at: Instant,
}

async fn publish(cluster: &mut Cluster) -> Result<Published, String> {
    let leader = cluster.leader().await;
    let mut progress = Progress::new("acknowledged", EVENTS);
    let load = Load::start(cluster.doors(), Scene::plan());

    watch(&load, EVENTS / 2, &mut progress).await;
    cluster.kill(leader);
    let killed_at = Instant::now();
    progress.note(&format!(
        "  node {leader}, the leader, killed (SIGKILL) at {} acknowledged",
        load.acknowledged()
    ));
    watch(&load, EVENTS * 3 / 4, &mut progress).await;
    cluster.restart(leader);
    progress.note(&format!(
        "  node {leader} started again at {} acknowledged",
        load.acknowledged()
    ));
    watch(&load, EVENTS, &mut progress).await;
    progress.end();

    let (began, repeats) = (load.began(), load.repeats());
    let acknowledged = load.finish(PATIENCE).await?;
    Ok(Published {
        acknowledged,
        began,
        repeats,
        killed: leader,
        killed_at,
    })
}

async fn watch(load: &Load, events: usize, progress: &mut Progress) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let deadline = Instant::now() + PATIENCE;
    while load.acknowledged() < events && Instant::now() < deadline {
        progress.at(load.acknowledged());
        tick.tick().await;
    }
    progress.at(load.acknowledged());
}

async fn deliver(door: &Door, scene: &Scene, acknowledged: &[Acknowledged]) -> Result<(), String> {
    let owed = acknowledged
        .iter()
        .map(|one| usize::try_from(one.deliveries).unwrap_or(0))
        .sum();
    let mut progress = Progress::new("delivered", owed);
    let wait = settled(door, &scene.endpoints, PATIENCE);
    tokio::pin!(wait);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let result = loop {
        tokio::select! {
            result = &mut wait => break result,
            _ = tick.tick() => {
                let arrived = scene.endpoints.iter().map(|one| one.receiver.taken(&one.path).len()).sum();
                progress.at(arrived);
            }
        }
    };
    progress.end();
    result
}

/// The story of an event that did not arrive at once, as the command line tells it, from a follower's own copy.
async fn tell_a_story(
    cluster: &mut Cluster,
    door: &Door,
    acknowledged: &[Acknowledged],
) -> Result<(), String> {
    let mut chosen = None;
    for one in acknowledged
        .iter()
        .filter(|one| one.tenant == "acme" && one.deliveries > 1)
    {
        let story = door
            .explain(&one.tenant, &one.event, linearizable())
            .await
            .map_err(|status| status.to_string())?;
        let attempts = |explained: &v1::ExplainedDelivery| explained.attempts.len();
        if story.deliveries.iter().map(attempts).max().unwrap_or(0) > 1 {
            chosen = Some(one);
            break;
        }
    }
    let Some(one) = chosen else { return Ok(()) };
    let server = cluster.node(door.node()).client_address().to_string();
    let args = [
        "events",
        "explain",
        &one.event,
        "--tenant",
        &one.tenant,
        "--server",
        &server,
    ];
    say(bold(&format!(
        "\nOne event's story, read from node {}, a follower",
        door.node()
    )));
    say(dim(&format!("  $ pushrail {}", args.join(" "))));
    let told = tokio::process::Command::new(harness::process::pushrail())
        .args(args)
        .output()
        .await
        .map_err(|error| format!("run pushrail: {error}"))?;
    if !told.status.success() {
        return Err(format!(
            "pushrail {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&told.stderr)
        ));
    }
    for line in String::from_utf8_lossy(&told.stdout).lines() {
        say(format!("  {line}"));
    }
    Ok(())
}
