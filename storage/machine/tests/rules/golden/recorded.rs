//! A world in which what became of dead letters is in the change log, and what is left of its requests has gone.

use pushrail_machine::codec::{decode_batch, encode_batch};
use pushrail_model::command::{Command, StartReplay};
use pushrail_model::settings::RemoveRoute;
use pushrail_model::time::Span;

use crate::golden::asking_world::{acme, dead, world_of};
use crate::golden::{batch_of, golden, name_of};
use crate::samples;
use crate::upkeep::keep_house_by;
use crate::world::World;

/// A world of dead letters with every command in somebody's name, so that all of it is in the change log; then one is replayed by
/// itself, a route goes, and a month later the rest expires and what is left of these requests is let go.
pub(crate) fn recorded_world() -> World {
    let mut world = world_of(|command| samples::by(command, "eve"));
    let acme = acme(&world);
    let key = dead(&mut world, 8);
    let replay = Command::StartReplay(StartReplay {
        tenant: acme.id,
        request_id: "again".to_owned(),
        deliveries: vec![key],
        content_hash: 0,
        actor: None,
        by_destination: true,
    });
    world.run(samples::by(replay, "eve"));
    let route = Command::RemoveRoute(RemoveRoute {
        tenant: "acme".parse().unwrap(),
        id: "all".parse().unwrap(),
        version: 0,
        request_id: "gone".to_owned(),
        actor: None,
    });
    world.run(route);
    world.time = world.time.plus(Span(31 * Span::DAY.0));
    keep_house_by(&mut world, Some("retention"));
    world
}

#[test]
fn what_is_put_on_record_of_dead_letters_is_asked_for_as_it_was() {
    let world = recorded_world();
    let mut kinds = Vec::new();
    let commands = world
        .entries
        .iter()
        .flat_map(|entry| &entry.batches)
        .flat_map(|batch| &batch.commands);
    for command in commands.filter(|command| is_on_record(command)) {
        let name = name_of(command);
        let place = kinds.iter().filter(|kind| **kind == name).count();
        kinds.push(name);
        let batch = batch_of(command.clone());

        let kept = golden(&format!("recorded-{name}-{place}.bin"), &encode_batch(&batch));

        assert_eq!(decode_batch(kept).unwrap(), batch);
    }
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "discard_dead_letters",
            "start_job",
            "cancel_job",
            "start_replay",
            "expire_dead_letters",
            "drop_requests"
        ]
    );
}

fn is_on_record(command: &Command) -> bool {
    matches!(
        command,
        Command::DiscardDeadLetters(_)
            | Command::StartJob(_)
            | Command::CancelJob(_)
            | Command::StartReplay(_)
            | Command::ExpireDeadLetters(_)
            | Command::DropRequests(_)
    )
}
