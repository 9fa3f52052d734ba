//! A world with jobs in every state, discarded deliveries, and dead letters counted by their causes.

use bytes::Bytes;

use pushrail_machine::query;
use pushrail_model::command::{
    AdvanceJob, CancelJob, Command, CountCauses, DiscardDeadLetters, MoveKind, StartJob,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::JobNo;
use pushrail_model::job::JobKind;
use pushrail_model::outcome::{Cause, FailureClass};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::world::World;

/// Eight dead letters; five of them are left, one runs again, two are discarded.
pub(crate) fn asking_world() -> World {
    world_of(|command| command)
}

/// The same world, each command signed by somebody or by nobody.
pub(super) fn world_of(signed: impl Fn(Command) -> Command) -> World {
    let mut world = World::new();
    world.run(samples::tenant("acme", "r1"));
    world.run(samples::destination("acme", "hook", "d1"));
    world.run(samples::route("acme", "all", "**", "hook", "t1"));
    let acme = acme(&world);
    let hook = query::config::destination(&world.store, &acme, &"hook".parse().unwrap());
    let shard = hook.unwrap().unwrap().shard;
    world.run(samples::shard_move(shard, 0, 1, MoveKind::Give));
    world.run(Command::CountCauses(CountCauses {
        from: Bytes::new(),
        read_max: 1,
    }));
    let keys: Vec<DeliveryKey> = (0..8).map(|number| dead(&mut world, number)).collect();
    world.run(signed(Command::DiscardDeadLetters(DiscardDeadLetters {
        tenant: acme.id.clone(),
        former_actor: "ann".to_owned(),
        deliveries: vec![keys[0]],
        request_id: String::new(),
        actor: None,
    })));
    let jobs = [
        (JobKind::Replay, None),
        (JobKind::Discard, Some(Cause::Auth)),
        (JobKind::Replay, Some(Cause::Server)),
        (JobKind::Discard, None),
    ];
    for (place, (kind, cause)) in jobs.into_iter().enumerate() {
        world.run(signed(Command::StartJob(StartJob {
            tenant: acme.id.clone(),
            kind,
            destination: "hook".parse().unwrap(),
            cause,
            former_actor: "ann".to_owned(),
            request_id: format!("job-{place}"),
            actor: None,
        })));
    }
    for (job, taken_max) in [(1, 1), (2, 1), (4, 0)] {
        advance(&mut world, job, taken_max);
    }
    world.run(signed(Command::CancelJob(CancelJob {
        tenant: acme.id,
        job: JobNo(4),
        former_actor: "bob".to_owned(),
        request_id: String::new(),
        actor: None,
    })));
    world
}

pub(super) fn acme(world: &World) -> Tenant {
    query::config::tenant(&world.store, &"acme".parse().unwrap())
        .unwrap()
        .unwrap()
}

/// A delivery that died, of one cause or the other.
pub(super) fn dead(world: &mut World, number: usize) -> DeliveryKey {
    let tenant = acme(world);
    let event = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), "x", None);
    world.run(samples::accept(&tenant, vec![event]));
    let (number_of_tenant, id) = *world.events.last().unwrap();
    let explained = query::event::explain(&world.store, number_of_tenant, id, usize::MAX).unwrap();
    let key = explained.unwrap().deliveries[0].key;
    let cause = [Cause::Auth, Cause::Missing][number % 2];
    let outcome = samples::failed(FailureClass::Permanent, cause);
    let verdict = Verdict::Bury(DeathReason::Permanent);
    let attempt = samples::attempt(&world.store, key, world.time, outcome, verdict);
    world.run(samples::record(vec![attempt]));
    world.time = world.time.plus(Span::from_secs(1));
    key
}

fn advance(world: &mut World, job: u64, taken_max: u32) {
    let acme = acme(world);
    let partition = Partition::of(&acme.id);
    let stands = query::jobs::job(&world.store, partition, acme.number, JobNo(job)).unwrap();
    world.run(Command::AdvanceJob(AdvanceJob {
        partition,
        tenant: acme.number,
        job: JobNo(job),
        from: stands.unwrap().cursor,
        taken_max,
        read_max: 3,
    }));
}
