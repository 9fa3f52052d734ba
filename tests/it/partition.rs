//! A node cut off from the others stops sending within its lease, an old leader included; the others go on, and
//! when the link is back nothing that they settled is sent again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::audit::settled;
use harness::behaviour::Behaviour;
use harness::cluster::Shape;
use harness::door::{event, linearizable, local};
use harness::eventually::eventually;
use harness::load::{Acknowledged, Load};
use pushrail_api::Accepted;
use pushrail_api::failure::accepted;
use tonic::Code;

use crate::replicas::same_state_everywhere;
use crate::world::{SOON, World};

/// A lease, the time of an attempt (the receiver takes 40 ms), and what a loaded machine may add.
const LEASE_AND_SLACK: Duration = Duration::from_millis(2600);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_stops_sending_within_its_lease_and_the_others_go_on() {
    let world = World::of(Shape::three().cuttable()).await;
    let leader = world.cluster.leader().await;
    let cut_off = cut_off(world, leader).await;

    assert_ne!(cut_off.leader_meanwhile, leader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_cut_off_stops_sending_within_its_lease_and_the_others_go_on() {
    let world = World::of(Shape::three().cuttable()).await;
    let leader = world.cluster.leader().await;
    let follower = world.cluster.follower().await;
    let cut_off = cut_off(world, follower).await;

    assert_eq!(cut_off.leader_meanwhile, leader);
}

struct CutOff {
    leader_meanwhile: u64,
}

async fn cut_off(mut world: World, lonely: u64) -> CutOff {
    world.receiver.name_senders();
    // Given: the node has more to deliver than it can while the test lasts, at a steady pace.
    let slow = Behaviour::slow(Duration::from_millis(40));
    let hook = world
        .webhook_owned_by(lonely, "acme", slow, |hook| hook.concurrency = 1)
        .await;
    let pid = world.cluster.node(lonely).process().pid();
    let others: Vec<u64> = world
        .cluster
        .ids()
        .into_iter()
        .filter(|id| *id != lonely)
        .collect();
    let backlog = Load::start(
        world.cluster.doors(),
        World::plan("backlog", std::slice::from_ref(&hook), 300),
    );
    let mut acknowledged = backlog.finish(SOON).await.unwrap();
    let sent_by = |pid: u32, world: &World| -> Vec<(Instant, String)> {
        let requests = world.receiver.requests_to(&hook.path);
        let by = requests.into_iter().filter(|request| request.sender == Some(pid));
        by.map(|request| (request.at, request.webhook_id)).collect()
    };
    eventually("it delivers", SOON, || async {
        let sent = sent_by(pid, &world).len();
        (sent > 3).then_some(()).ok_or(format!("{sent} sent"))
    })
    .await;

    // When: it is cut off.
    let cut = Instant::now();
    world.cluster.network().isolate(lonely);
    let refused = world
        .cluster
        .door(lonely)
        .publish(event("acme", "hook-0.made", "{}"))
        .await
        .unwrap_err();
    let refused_after = cut.elapsed();
    let leader_meanwhile = world.cluster.leader_among(&others).await;
    let doors = others.iter().map(|id| world.cluster.door(*id)).collect();
    let meanwhile = Load::start(doors, World::plan("meanwhile", std::slice::from_ref(&hook), 100));
    let during: Vec<Acknowledged> = meanwhile.finish(SOON).await.unwrap();
    acknowledged.extend(during.iter().cloned());
    let stale = world
        .cluster
        .door(lonely)
        .explain("acme", &during[0].event, local())
        .await
        .unwrap_err();
    let cut_read = world
        .cluster
        .door(lonely)
        .explain("acme", &acknowledged[0].event, linearizable())
        .await
        .unwrap_err();
    let old_read = world
        .cluster
        .door(lonely)
        .explain("acme", &acknowledged[0].event, local())
        .await;
    world.receiver.script(&hook.path, Behaviour::default());
    let all = acknowledged.len();
    world.arrived(&hook, all).await;
    settled(&world.cluster.door(others[0]), &world.endpoints, SOON)
        .await
        .unwrap();
    let lonely_sent = sent_by(pid, &world);
    let taken_before = world.receiver.taken(&hook.path);
    world.cluster.network().heal();
    world.cluster.ready().await;
    world.cluster.level().await;

    // Then: it stopped in time,
    let last = lonely_sent.iter().map(|(at, _)| *at).max().unwrap();
    let went_on = last.saturating_duration_since(cut);
    assert!(
        went_on < LEASE_AND_SLACK,
        "it sent for {went_on:?} after it was cut off"
    );
    // and took nothing in, nor said that it was up to date;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(accepted(&refused).is_some(), "{refused:?}");
    assert!(refused_after < Duration::from_millis(5500), "{refused_after:?}");
    assert_eq!(stale.code(), Code::NotFound, "{stale:?}");
    assert_eq!(cut_read.code(), Code::Unavailable, "{cut_read:?}");
    assert_eq!(old_read.unwrap().event.unwrap().event, acknowledged[0].event);
    // the others delivered what it left, sending again only what it could not put on record;
    let audit = world.audit(&world.cluster.door(lonely), &acknowledged).await;
    audit.assert_clean();
    assert_eq!(audit.delivered, all);
    let unrecorded: BTreeSet<String> = lonely_sent
        .iter()
        .filter(|(at, _)| *at > cut - Duration::from_millis(500))
        .map(|(_, id)| id.clone())
        .collect();
    let twice: BTreeSet<String> = taken_before
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(id, _)| id.clone())
        .collect();
    assert!(
        twice.is_subset(&unrecorded),
        "sent again without need: {:?}",
        twice.difference(&unrecorded)
    );
    // and what was settled while it was away stayed settled. Only what the lonely one could not say anything certain
    // about may have surfaced.
    let mut taken = world.receiver.taken(&hook.path);
    let surfaced = taken.keys().filter(|id| !taken_before.contains_key(*id)).count();
    let may = usize::from(accepted(&refused) == Some(Accepted::Unknown));
    assert!(surfaced <= may, "{surfaced} events surfaced, after {refused:?}");
    taken.retain(|id, _| taken_before.contains_key(id));
    assert_eq!(taken, taken_before);
    same_state_everywhere(&mut world.cluster).await;
    CutOff { leader_meanwhile }
}
