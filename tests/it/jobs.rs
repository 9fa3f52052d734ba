//! Jobs over dead letters: a replay or a discard of all that is dead at a destination, over the death of the leader;
//! and chosen ones discarded, told and counted.

use std::time::Duration;

use harness::audit::{Endpoint, settled};
use harness::behaviour::Behaviour;
use harness::door::{Door, event, linearizable};
use harness::eventually::eventually;
use harness::load::Load;
use pushrail_api::v1;
use pushrail_api::v1::{DeadLetterJobKind, DeadLetterJobState};

use crate::world::{SOON, World};

/// A job of thousands goes at its own pace, and machines are loaded.
const JOB_WITHIN: Duration = Duration::from_secs(120);

/// Each event is refused the first time, and dies of it; the second time it is taken.
fn refused_once() -> Behaviour {
    Behaviour::first(1, 401)
}

/// So many dead letters at one destination.
async fn dead(world: &mut World, events: usize) -> Endpoint {
    let hook = world
        .webhook_with("acme", "orders", refused_once(), |webhook| {
            webhook.concurrency = 64
        })
        .await;
    let plan = World::plan("dead", std::slice::from_ref(&hook), events);
    Load::start(world.cluster.doors(), plan)
        .finish(SOON)
        .await
        .unwrap();
    settled(&world.door(), &world.endpoints, JOB_WITHIN)
        .await
        .unwrap();
    let counts = counts(&world.door()).await;
    assert_eq!(counts.dead, u64::try_from(events).unwrap());
    hook
}

async fn counts(door: &Door) -> v1::DestinationCounts {
    let destination = door.destination("acme", "orders").await.unwrap();
    destination.counts.unwrap()
}

/// Waits until a job is as wanted; asks whichever nodes run.
async fn job_is(
    world: &World,
    job: &str,
    what: &str,
    wanted: impl Fn(&v1::DeadLetterJob) -> bool,
) -> v1::DeadLetterJob {
    eventually(what, JOB_WITHIN, || async {
        let job = world
            .door()
            .job("acme", job)
            .await
            .map_err(|status| status.to_string())?;
        if wanted(&job) {
            Ok(job)
        } else {
            Err(format!("{job:?}"))
        }
    })
    .await
}

async fn ends(world: &World, job: &str) -> v1::DeadLetterJob {
    let ended = |job: &v1::DeadLetterJob| job.state() != DeadLetterJobState::Running;
    job_is(world, job, "the job ends", ended).await
}

/// Begins a job through a follower, and kills the leader once it has taken some, and not all.
async fn over_the_leader_s_death(world: &mut World, kind: DeadLetterJobKind) -> v1::DeadLetterJob {
    let door = world.cluster.door(world.cluster.follower().await);
    let started = door
        .start_job("acme", "orders", kind, "all-of-them")
        .await
        .unwrap();
    let begun = job_is(world, &started.job, "the job takes some", |job| job.taken > 0).await;
    assert_eq!(begun.state(), DeadLetterJobState::Running, "{begun:?}");
    let leader = world.cluster.leader().await;
    world.cluster.kill(leader);
    let ended = ends(world, &started.job).await;
    // The same wish again, through a node that led or did not: the same job.
    let again = world
        .door()
        .start_job("acme", "orders", kind, "all-of-them")
        .await
        .unwrap();
    assert_eq!(again, ended);
    world.cluster.restart(leader);
    world.cluster.ready().await;
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_five_thousand_goes_on_over_the_leader_s_death_and_takes_no_later_ones() {
    let mut world = World::three().await;
    let hook = dead(&mut world, 5000).await;
    let first = world.receiver.count(&hook.path);

    // What is published meanwhile dies too, and is none of the job's business.
    let plan = World::plan("meanwhile", std::slice::from_ref(&hook), 300);
    let live = Load::start(world.cluster.doors(), plan);
    let job = over_the_leader_s_death(&mut world, DeadLetterJobKind::Replay).await;
    let later = live.finish(SOON).await.unwrap();
    settled(&world.door(), &world.endpoints, JOB_WITHIN)
        .await
        .unwrap();

    assert_eq!(job.state(), DeadLetterJobState::Done, "{job:?}");
    assert!(job.ended.is_some() && job.passed == 0, "{job:?}");
    // Live ones that had died by its start belong to it.
    let total = job.total.unwrap();
    assert!(total >= 5000 && job.taken == total, "{job:?}");
    let counts = counts(&world.door()).await;
    assert_eq!(counts.delivered + counts.dead, 5300);
    // A live one whose first attempt was not recorded when the leader died is taken at the second.
    assert!(
        counts.delivered >= total && counts.dead > 0,
        "{counts:?} of {total}"
    );
    let taken = world.receiver.taken(&hook.path);
    assert_eq!(u64::try_from(taken.len()).unwrap(), counts.delivered);
    assert!(world.receiver.count(&hook.path) >= first + 5000 + later.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discard_of_five_thousand_goes_on_over_the_leader_s_death() {
    let mut world = World::three().await;
    let hook = dead(&mut world, 5000).await;
    let letter = world
        .door()
        .dead_letters_of("acme", "orders")
        .await
        .unwrap()
        .remove(0);
    let before = world.receiver.count(&hook.path);

    let job = over_the_leader_s_death(&mut world, DeadLetterJobKind::Discard).await;

    assert_eq!(
        (job.state(), job.taken),
        (DeadLetterJobState::Done, 5000),
        "{job:?}"
    );
    let door = world.door();
    let counts = counts(&door).await;
    assert_eq!((counts.discarded, counts.dead, counts.scheduled), (5000, 0, 0));
    assert_eq!(door.dead_letters_of("acme", "orders").await.unwrap(), []);
    let story = door.explain("acme", &letter.event, linearizable()).await.unwrap();
    let step = story.deliveries[0].next.as_ref().unwrap().step.as_ref();
    assert!(
        matches!(step, Some(v1::next_step::Step::Discarded(_))),
        "{step:?}"
    );
    assert_eq!(
        story.deliveries[0].attempts.len(),
        1,
        "its attempts stay on record"
    );
    assert_eq!(world.receiver.count(&hook.path), before, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_does_not_flood_a_queue_that_rests_and_can_be_cancelled() {
    let mut world = World::three().await;
    dead(&mut world, 1000).await;
    let door = world.door();
    door.pause("acme", "orders").await.unwrap();

    let started = door
        .start_job("acme", "orders", DeadLetterJobKind::Replay, "")
        .await
        .unwrap();
    // It waits with no more than this due: what is published now stands behind that and no more.
    job_is(&world, &started.job, "the job has filled what it may", |job| {
        job.taken > 256
    })
    .await;
    let request = v1::CancelDeadLetterJobRequest {
        tenant: String::from("acme"),
        job: started.job.clone(),
        ..v1::CancelDeadLetterJobRequest::default()
    };
    let cancelled = door
        .dead_letters()
        .cancel_job(request.clone())
        .await
        .unwrap()
        .into_inner();
    let cancelled = cancelled.job.unwrap();
    let again = door
        .dead_letters()
        .cancel_job(request)
        .await
        .unwrap()
        .into_inner()
        .job
        .unwrap();
    let counts_then = counts(&door).await;
    door.resume("acme", "orders").await.unwrap();
    settled(&door, &world.endpoints, SOON).await.unwrap();

    assert_eq!(cancelled.state(), DeadLetterJobState::Cancelled);
    assert_eq!(again, cancelled);
    assert!(cancelled.taken <= 512, "{cancelled:?}");
    assert_eq!(
        (counts_then.scheduled, counts_then.dead),
        (cancelled.taken, 1000 - cancelled.taken)
    );
    let counts = counts(&door).await;
    assert_eq!(
        (counts.delivered, counts.dead),
        (cancelled.taken, 1000 - cancelled.taken)
    );
    let request = v1::ListDeadLetterJobsRequest {
        tenant: String::from("acme"),
        consistency: Some(linearizable()),
    };
    let jobs = door
        .dead_letters()
        .list_jobs(request)
        .await
        .unwrap()
        .into_inner()
        .jobs;
    assert_eq!(jobs, [cancelled]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_counted_by_cause_told_whole_and_discarded_one_by_one() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::always(401)).await;
    let door = world.door();
    for number in 0..3 {
        door.publish(event("acme", "orders.paid", format!("{number}")))
            .await
            .unwrap();
    }
    settled(&door, &world.endpoints, SOON).await.unwrap();
    world.receiver.script(&hook.path, Behaviour::always(404));
    door.publish(event("acme", "orders.paid", "a longer one"))
        .await
        .unwrap();
    settled(&door, &world.endpoints, SOON).await.unwrap();

    assert_eq!(
        causes(&door).await,
        [(v1::Cause::Auth, 3), (v1::Cause::Missing, 1)]
    );
    let letters = door.dead_letters_of("acme", "orders").await.unwrap();
    let (newest, oldest) = (letters[0].clone(), letters[3].clone());
    let told = get(&door, &newest.delivery).await.unwrap();
    assert_eq!(told.dead_letter.as_ref(), Some(&newest));
    assert_eq!(told.payload_bytes, 12);
    let event = told.event.unwrap();
    assert!(event.payload.is_empty() && event.event == newest.event);
    let story = told.story.unwrap();
    assert_eq!(story.attempts.len(), 1);
    assert_eq!(story.attempts[0].status, Some(404));
    assert!(story.owner.unwrap().node > 0 && told.kept_until.is_some());

    // One of them twice, and one that was never there.
    let request = v1::DiscardDeadLettersRequest {
        tenant: String::from("acme"),
        deliveries: vec![
            newest.delivery.clone(),
            newest.delivery.clone(),
            oldest.delivery.clone(),
        ],
        ..v1::DiscardDeadLettersRequest::default()
    };
    let results = door
        .dead_letters()
        .discard(request.clone())
        .await
        .unwrap()
        .into_inner()
        .results;
    let foreign = v1::DiscardDeadLettersRequest {
        tenant: String::from("globex"),
        ..request.clone()
    };
    door.create_tenant("globex").await.unwrap();
    let foreign = door
        .dead_letters()
        .discard(foreign)
        .await
        .unwrap()
        .into_inner()
        .results;
    let outcomes = |results: &[v1::DiscardResult]| -> Vec<v1::discard_result::Outcome> {
        results.iter().map(v1::DiscardResult::outcome).collect()
    };
    assert_eq!(outcomes(&results), [v1::discard_result::Outcome::Discarded; 3]);
    assert_eq!(outcomes(&foreign), [v1::discard_result::Outcome::Unknown; 3]);
    assert_eq!(causes(&door).await, [(v1::Cause::Auth, 2)]);
    let gone = get(&door, &newest.delivery).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound, "{gone:?}");
    assert_eq!(world.receiver.count(&hook.path), 4);
}

async fn causes(door: &Door) -> Vec<(v1::Cause, u64)> {
    let request = v1::ListDeadLetterCausesRequest {
        tenant: String::from("acme"),
        consistency: Some(linearizable()),
        ..Default::default()
    };
    let answer = door
        .dead_letters()
        .list_causes(request)
        .await
        .unwrap()
        .into_inner();
    assert!(!answer.counting, "a new cluster counts from the beginning");
    answer
        .causes
        .iter()
        .map(|group| (group.cause(), group.dead))
        .collect()
}

async fn get(door: &Door, delivery: &str) -> Result<v1::GetDeadLetterResponse, tonic::Status> {
    let request = v1::GetDeadLetterRequest {
        tenant: String::from("acme"),
        delivery: delivery.to_owned(),
        consistency: Some(linearizable()),
    };
    Ok(door.dead_letters().get(request).await?.into_inner())
}
