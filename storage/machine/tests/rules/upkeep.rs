//! What a leader's upkeep would propose in a world, and doing it to the end.

use pushrail_machine::query::upkeep;
use pushrail_model::command::{Bucketed, Command};
use pushrail_model::response::Response;

use crate::samples;
use crate::world::World;

/// Commands for all that is over now, as far as one question each finds.
pub(crate) fn proposals(world: &World) -> Vec<Command> {
    let (read, now) = (&world.store, world.time.max(world.clock()));
    let keepers = upkeep::keepers(read).unwrap();
    let mut found = Vec::new();
    let letters = upkeep::letters::over(read, &keepers, now).unwrap();
    found.extend(letters.into_iter().map(Command::ExpireDeadLetters));
    for rows in [Bucketed::IdempotencyKeys, Bucketed::Attempts, Bucketed::Requests] {
        let buckets = upkeep::buckets::over(read, rows, &keepers, now, 16).unwrap();
        found.extend(buckets.into_iter().map(Command::DropBuckets));
    }
    for keeper in &keepers {
        let events = upkeep::events::over(read, keeper, now).unwrap();
        found.extend(events.map(Command::DropEvents));
        let carried = upkeep::carried::look(read, keeper, None, usize::MAX, now).unwrap();
        found.extend(carried.command.map(Command::DropCarried));
    }
    let mut place = Some(upkeep::requests::Place::default());
    while let Some(from) = place {
        let looked = upkeep::requests::look(read, &from, 3, now).unwrap();
        found.extend(looked.command.map(Command::DropRequests));
        place = looked.next;
    }
    found
}

/// Proposes until nothing is over any more; gives each command with its answer.
pub(crate) fn keep_house(world: &mut World) -> Vec<(Command, Response)> {
    keep_house_of(world, None, |_| true)
}

/// The same, in somebody's name.
pub(crate) fn keep_house_by(world: &mut World, by: Option<&str>) -> Vec<(Command, Response)> {
    keep_house_of(world, by, |_| true)
}

/// The same with these commands only.
pub(crate) fn keep_house_of(
    world: &mut World,
    by: Option<&str>,
    wanted: impl Fn(&Command) -> bool,
) -> Vec<(Command, Response)> {
    let mut done = Vec::new();
    loop {
        let mut found = proposals(world);
        found.retain(&wanted);
        if found.is_empty() {
            return done;
        }
        for command in found {
            let command = match by {
                Some(name) => samples::by(command, name),
                None => command,
            };
            let response = world.run(command.clone());
            done.push((command, response));
            assert!(done.len() < 10_000, "upkeep comes to no end: {:?}", done.last());
        }
    }
}
