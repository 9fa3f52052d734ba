//! Once a pause is acknowledged, through whichever node, no attempt starts on any node; attempts in flight aside.

use std::time::{Duration, Instant};

use harness::audit::Endpoint;
use harness::behaviour::{Answer, Behaviour};
use harness::door::{event, linearizable};
use harness::eventually::eventually;
use harness::load::{Load, Plan};
use pushrail_api::v1;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_acknowledged_by_one_node_holds_while_another_delivers() {
    let mut world = World::three().await;
    let owner = world.cluster.follower().await;
    // One attempt at a time, so that after an acknowledgement one request at most may still be on its way.
    let hook = world
        .webhook_owned_by(owner, "acme", Behaviour::default(), |hook| hook.concurrency = 1)
        .await;
    let marker = world
        .webhook_owned_by(owner, "marker", Behaviour::default(), |_| {})
        .await;
    let doors: Vec<_> = world
        .cluster
        .doors()
        .into_iter()
        .filter(|door| door.node() != owner)
        .collect();
    // A steady trickle, so that there is always something to deliver and never much.
    let plan = Plan {
        callers: 1,
        batch: 4,
        ..World::plan("pause", std::slice::from_ref(&hook), usize::MAX)
    };
    let load = Load::start(world.cluster.doors(), plan);

    for round in 0..10 {
        let door = &doors[round % doors.len()];
        let before = world.receiver.count(&hook.path);
        eventually("the owner delivers", SOON, || async {
            let count = world.receiver.count(&hook.path);
            (count > before + 5)
                .then_some(())
                .ok_or(format!("{count} requests"))
        })
        .await;

        let paused = door.pause(&hook.tenant, &hook.destination).await.unwrap();
        let acknowledged = Instant::now();
        marked(&world, &marker, round).await;

        assert_eq!(paused.state(), v1::DestinationState::Paused);
        let late = requests_since(&world, &hook, acknowledged);
        assert!(
            late <= 1,
            "round {round}: {late} requests after the acknowledgement"
        );
        let waiting = door
            .destination(&hook.tenant, &hook.destination)
            .await
            .unwrap()
            .counts
            .unwrap();
        assert!(
            waiting.scheduled > 0,
            "round {round}: nothing was left that could have been sent"
        );
        door.resume(&hook.tenant, &hook.destination).await.unwrap();
    }

    let acknowledged = load.stop(SOON).await;
    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
    assert_eq!((audit.delivered, audit.duplicates), (acknowledged.len(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_waits_for_an_owner_that_stands_still_until_its_lease_is_over() {
    let mut world = World::three().await;
    let owner = world.cluster.follower().await;
    let slow = Behaviour::slow(Duration::from_millis(20));
    let hook = world
        .webhook_owned_by(owner, "acme", slow, |hook| hook.concurrency = 1)
        .await;
    let door = world.cluster.door(world.cluster.leader().await);
    let load = Load::start(
        vec![door.clone()],
        World::plan("frozen", std::slice::from_ref(&hook), 600),
    );
    let acknowledged = load.finish(SOON).await.unwrap();
    assert!(
        world.receiver.taken(&hook.path).len() < 590,
        "the owner was too quick for this test"
    );

    world.cluster.freeze(owner);
    let asked = Instant::now();
    door.pause(&hook.tenant, &hook.destination).await.unwrap();
    let waited = asked.elapsed();
    let acknowledged_at = Instant::now();
    world.cluster.thaw(owner);
    world.cluster.ready().await;
    world.cluster.level().await;
    let marker = world
        .webhook_owned_by(owner, "marker", Behaviour::default(), |_| {})
        .await;
    marked(&world, &marker, 0).await;

    // An owner that answers nothing may hold a lease of up to two seconds; only after that is it certain to stand
    // still. It had renewed it at most 300 ms and a little before it was frozen.
    assert!(
        waited > Duration::from_millis(1200),
        "acknowledged after {waited:?}"
    );
    assert!(waited < Duration::from_secs(5), "acknowledged after {waited:?}");
    let late = requests_since(&world, &hook, acknowledged_at);
    assert!(late <= 1, "{late} requests after the acknowledgement");
    door.resume(&hook.tenant, &hook.destination).await.unwrap();
    let audit = world.audit(&door, &acknowledged).await;
    audit.assert_clean();
    assert_eq!(audit.delivered, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_while_an_attempt_is_under_way_stops_its_window_too() {
    let mut world = World::three().await;
    // The first attempt fails after five of the six seconds of its window, so that a retry three seconds later would
    // come too late; but it is paused for nearly all of them.
    let answers = Behaviour::of(|seen| Answer::Late {
        status: if seen.of_event == 0 { 500 } else { 200 },
        after: Duration::from_secs(if seen.of_event == 0 { 5 } else { 0 }),
    });
    let hook = world
        .webhook_with("acme", "orders", answers, |hook| {
            hook.waits = vec![Duration::from_secs(3)];
            hook.window = Duration::from_secs(6);
        })
        .await;
    let door = world.door();
    let receipt = door.publish(event("acme", "orders.made", "{}")).await.unwrap();
    eventually("the attempt begins", SOON, || async {
        let count = world.receiver.count(&hook.path);
        (count == 1).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;

    door.pause("acme", "orders").await.unwrap();
    eventually("the attempt is on record", SOON, || async {
        let story = door.explain("acme", &receipt.event, linearizable()).await;
        let story = story.map_err(|status| status.to_string())?;
        let attempts = story.deliveries[0].attempts.len();
        (attempts == 1)
            .then_some(())
            .ok_or(format!("{attempts} attempts"))
    })
    .await;
    door.resume("acme", "orders").await.unwrap();

    let taken = world.arrived(&hook, 1).await;
    assert_eq!(taken.get(&receipt.event), Some(&1));
}

/// Has the marker's owner deliver twenty events: it is awake, and would have sent others too.
async fn marked(world: &World, marker: &Endpoint, round: usize) {
    let name = format!("marker-{round}");
    let load = Load::start(
        world.cluster.doors(),
        World::plan(&name, std::slice::from_ref(marker), 20),
    );
    let events = load.finish(SOON).await.unwrap();
    eventually("the marker is delivered", SOON, || async {
        let taken = world.receiver.taken(&marker.path);
        let missing = events
            .iter()
            .filter(|one| !taken.contains_key(&one.event))
            .count();
        (missing == 0).then_some(()).ok_or(format!("{missing} missing"))
    })
    .await;
}

fn requests_since(world: &World, hook: &Endpoint, since: Instant) -> usize {
    world
        .receiver
        .requests_to(&hook.path)
        .iter()
        .filter(|request| request.at > since)
        .count()
}
