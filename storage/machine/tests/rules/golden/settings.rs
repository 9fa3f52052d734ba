//! Golden bytes of settings: the commands that change, remove and rotate, the answers that only they get, and the rows
//! that they leave.

use std::ops::ControlFlow;

use bytes::{Buf, BufMut, Bytes};

use pushrail_machine::codec::{decode_answers, decode_batch, encode_answers, encode_batch};
use pushrail_machine::digest::digest;
use pushrail_machine::memory::MemoryStore;
use pushrail_machine::store::{Change, Changes, KeyRange, Read, Table};
use pushrail_machine::{Answers, invariants, query};
use pushrail_model::command::{Command, SetDestinationState, StartReplay, WantedState};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::{Destination, PreviousCredential};
use pushrail_model::ids::{LogIndex, RouteNo};
use pushrail_model::outcome::{Cause, FailureClass};
use pushrail_model::response::{Rejection, Response};
use pushrail_model::retention::Retention;
use pushrail_model::settings::{
    RemoveDestination, RemoveRoute, RemoveTenant, Rewrap, RewrapCredentials, RotateCredential,
    UpdateDestination, UpdateRoute, UpdateTenant,
};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::golden::{batch_of, golden, name_of};
use crate::samples;
use crate::upkeep::keep_house;
use crate::world::World;

/// The tables that only these commands write.
pub(super) const TABLES: [Table; 4] = [
    Table::FormerRoutes,
    Table::Removals,
    Table::Changes,
    Table::ChangesByTime,
];

fn acme(world: &World) -> Tenant {
    query::config::tenant(&world.store, &"acme".parse().unwrap())
        .unwrap()
        .unwrap()
}

fn destination(world: &World, name: &str) -> Destination {
    query::config::destination(&world.store, &acme(world), &name.parse().unwrap())
        .unwrap()
        .unwrap()
}

fn publish(world: &mut World) -> DeliveryKey {
    let tenant = acme(world);
    let event = samples::event(&world.store, &tenant, &"order.paid".parse().unwrap(), "x", None);
    world.run(samples::accept(&tenant, vec![event]));
    let (tenant, id) = *world.events.last().unwrap();
    let explained = query::event::explain(&world.store, tenant, id, usize::MAX)
        .unwrap()
        .unwrap();
    explained.deliveries[0].key
}

/// A world in which every command on settings has been carried out.
fn settings_world() -> World {
    let mut world = World::new();
    let run = |world: &mut World, command| {
        let response = world.run(samples::by(command, "ann"));
        assert!(!matches!(response, Response::Rejected(_)), "{response:?}");
    };
    run(&mut world, samples::tenant("acme", "r1"));
    run(&mut world, samples::tenant("globex", "r1"));
    for name in ["hook", "bill"] {
        run(&mut world, samples::destination("acme", name, "r1"));
        run(&mut world, samples::route("acme", name, "**", name, "r1"));
    }
    run(
        &mut world,
        Command::UpdateTenant(UpdateTenant {
            id: "acme".parse().unwrap(),
            description: "ours".to_owned(),
            retention: Retention {
                events: Some(Span(7 * Span::DAY.0)),
                ..Retention::default()
            },
            version: 1,
            request_id: "u1".to_owned(),
            content_hash: 1,
            actor: None,
        }),
    );
    let mut spec = destination(&world, "hook").spec;
    spec.concurrency = 2;
    run(
        &mut world,
        Command::UpdateDestination(UpdateDestination {
            tenant: "acme".parse().unwrap(),
            id: "hook".parse().unwrap(),
            spec,
            version: 1,
            request_id: "u2".to_owned(),
            content_hash: 2,
            actor: None,
        }),
    );
    run(
        &mut world,
        Command::UpdateRoute(UpdateRoute {
            tenant: "acme".parse().unwrap(),
            id: "bill".parse().unwrap(),
            pattern: "order.*".parse().unwrap(),
            destination: "bill".parse().unwrap(),
            version: 1,
            request_id: "u3".to_owned(),
            content_hash: u128::MAX,
            actor: None,
        }),
    );
    for wanted in [WantedState::Paused, WantedState::Active] {
        run(
            &mut world,
            Command::SetDestinationState(SetDestinationState {
                tenant: "acme".parse().unwrap(),
                destination: "hook".parse().unwrap(),
                wanted,
                request_id: "p1".to_owned(),
                actor: None,
            }),
        );
    }
    world.time = world.time.plus(Span::HOUR);
    rotate_and_rewrap(&mut world, run);
    remove(&mut world, run);
    // What was asked in the first hour is forgotten.
    world.time = world.time.plus(Span::DAY);
    keep_house(&mut world);
    world
}

fn rotate_and_rewrap(world: &mut World, run: impl Fn(&mut World, Command)) {
    for name in ["second", "third"] {
        run(
            world,
            Command::RotateCredential(RotateCredential {
                tenant: "acme".parse().unwrap(),
                id: "hook".parse().unwrap(),
                credential: Bytes::copy_from_slice(name.as_bytes()),
                overlap: Span::DAY,
                version: 0,
                request_id: name.to_owned(),
                actor: None,
            }),
        );
    }
    let hook = destination(world, "hook");
    run(
        world,
        Command::RewrapCredentials(RewrapCredentials {
            credentials: vec![Rewrap {
                partition: Partition::of(&acme(world).id),
                tenant: acme(world).number,
                destination: hook.number,
                revision: hook.credential_revision,
                credential: Bytes::from_static(b"sealed"),
                previous: vec![PreviousCredential {
                    credential: Bytes::from_static(b"sealed too"),
                    until: hook.previous[0].until,
                }],
            }],
        }),
    );
}

fn remove(world: &mut World, run: impl Fn(&mut World, Command)) {
    let key = publish(world);
    let failed = samples::failed(FailureClass::Permanent, Cause::Auth);
    let attempt = samples::attempt(
        &world.store,
        key,
        world.time,
        failed,
        Verdict::Bury(DeathReason::Permanent),
    );
    run(world, samples::record(vec![attempt]));
    run(
        world,
        Command::StartReplay(StartReplay {
            tenant: "acme".parse().unwrap(),
            request_id: "again".to_owned(),
            deliveries: vec![key],
            content_hash: 4,
            actor: None,
            by_destination: false,
        }),
    );
    run(
        world,
        Command::RemoveRoute(RemoveRoute {
            tenant: "acme".parse().unwrap(),
            id: "bill".parse().unwrap(),
            version: 2,
            request_id: "x1".to_owned(),
            actor: None,
        }),
    );
    for (place, name) in ["bill", "hook"].into_iter().enumerate() {
        run(
            world,
            Command::RemoveDestination(RemoveDestination {
                tenant: "acme".parse().unwrap(),
                id: name.parse().unwrap(),
                version: 0,
                request_id: format!("x{}", place + 2),
                actor: None,
            }),
        );
        // The other removal stays as it is, with what is open.
        if let (0, Some(step)) = (place, query::removals::steps(&world.store, 1).unwrap().pop()) {
            run(world, Command::CancelDeliveries(step));
        }
    }
    run(
        world,
        Command::RemoveTenant(RemoveTenant {
            id: "globex".parse().unwrap(),
            version: 1,
            request_id: "x4".to_owned(),
            actor: None,
        }),
    );
}

#[test]
fn every_command_on_settings_is_written_as_it_was() {
    let world = settings_world();
    let mut kinds = Vec::new();
    let commands = world
        .entries
        .iter()
        .flat_map(|entry| &entry.batches)
        .flat_map(|batch| &batch.commands);
    for command in commands {
        let name = name_of(command);
        let place = kinds.iter().filter(|kind| **kind == name).count();
        kinds.push(name);
        let batch = batch_of(command.clone());

        let kept = golden(&format!("settings-{name}-{place}.bin"), &encode_batch(&batch));

        assert_eq!(decode_batch(kept).unwrap(), batch);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 17, "{kinds:?}");
}

#[test]
fn the_answers_on_settings_are_written_as_they_were() {
    let (kind, id) = ("tenant".to_owned(), "acme".to_owned());
    let answers = Answers {
        index: LogIndex(9),
        responses: vec![
            Response::Advanced {
                rows: 256,
                done: false,
            },
            Response::Advanced { rows: 0, done: true },
            Response::Rejected(Rejection::NotEmpty {
                kind,
                id,
                holds: "2 destinations and 1 routes".to_owned(),
            }),
            Response::Rejected(Rejection::RemovedSince {
                kind: "route".to_owned(),
                id: "all".to_owned(),
            }),
            Response::Route {
                number: RouteNo(7),
                version: 3,
            },
        ],
    };

    let kept = golden("settings-answers.bin", &encode_answers(&answers));

    assert_eq!(decode_answers(kept).unwrap(), answers);
}

#[test]
fn what_settings_leave_is_written_as_it_was_and_read_as_it_was_meant() {
    let world = settings_world();
    let mut comes = Vec::new();
    for (number, table) in (0u8..).zip(Table::ALL) {
        let mut rows = 0;
        world
            .store
            .scan(table, KeyRange::prefix(&[]), &mut |key, value| {
                comes.put_u8(number);
                comes.put_u32(u32::try_from(key.len()).unwrap());
                comes.put_slice(key);
                comes.put_u32(u32::try_from(value.len()).unwrap());
                comes.put_slice(value);
                rows += 1;
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert!(rows > 0 || !TABLES.contains(&table), "{table:?} has a row");
    }

    let mut kept = golden("settings-state.bin", &comes);

    let mut changes = Vec::new();
    while kept.has_remaining() {
        let table = Table::ALL[usize::from(kept.get_u8())];
        let length = usize::try_from(kept.get_u32()).unwrap();
        let key = kept.split_to(length).to_vec();
        let length = usize::try_from(kept.get_u32()).unwrap();
        let value = kept.split_to(length);
        changes.push(Change::Put { table, key, value });
    }
    let mut read_back = MemoryStore::default();
    read_back.commit(&Changes(changes));
    assert_eq!(invariants::check(&read_back), Ok(()));
    assert_eq!(digest(&read_back).unwrap(), digest(&world.store).unwrap());
}
