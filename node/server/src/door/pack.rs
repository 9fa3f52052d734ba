//! Events into commands: one command speaks of one partition, and none is long work. Order within a partition is kept.

use std::collections::BTreeMap;

use pushrail_model::command::AcceptEvents;
use pushrail_model::event::NewEvent;
use pushrail_model::limits;
use pushrail_model::shard::Partition;

/// Bytes that an event takes beside its payload, decisions aside: names, hashes, framing.
const ENVELOPE_BYTES: usize = 512;
/// Bytes of one routing decision.
const DECISION_BYTES: usize = 12;

/// What a command has come to so far.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    bytes: usize,
    deliveries: usize,
}

/// One command, and whose events are in it.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The caller's places of its events, in order.
    pub(crate) places: Vec<usize>,
    /// The command.
    pub(crate) command: AcceptEvents,
}

/// Packs events, each with its place in what the caller sent.
pub(crate) fn pack(events: Vec<(usize, Partition, NewEvent)>) -> Vec<Packed> {
    let mut open: BTreeMap<Partition, (Packed, Load)> = BTreeMap::new();
    let mut full = Vec::new();
    for (place, partition, event) in events {
        let begun = open.remove(&partition);
        let (mut packed, load) = match begun {
            Some((packed, load)) if fits(&packed, load.with(&event)) => (packed, load),
            begun => {
                full.extend(begun.map(|(packed, _)| packed));
                (empty(partition), Load::default())
            }
        };
        let load = load.with(&event);
        packed.places.push(place);
        packed.command.events.push(event);
        open.insert(partition, (packed, load));
    }
    full.extend(open.into_values().map(|(packed, _)| packed));
    full
}

fn empty(partition: Partition) -> Packed {
    Packed {
        places: Vec::new(),
        command: AcceptEvents {
            partition,
            events: Vec::new(),
        },
    }
}

impl Load {
    fn with(self, event: &NewEvent) -> Self {
        Self {
            bytes: self.bytes + size(event),
            deliveries: self.deliveries + event.destinations.len(),
        }
    }
}

fn fits(packed: &Packed, load: Load) -> bool {
    packed.places.len() < limits::COMMAND_EVENTS_MAX
        && load.bytes <= limits::ENTRY_BYTES_WANTED
        && load.deliveries <= limits::COMMAND_DELIVERIES_MAX
}

fn size(event: &NewEvent) -> usize {
    let key = event
        .idempotency
        .as_ref()
        .map_or(0, |idempotency| idempotency.key.len());
    event.payload.bytes.len()
        + key
        + event.event_type.as_str().len()
        + event.content_type.len()
        + event.decisions.len() * DECISION_BYTES
        + ENVELOPE_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pushrail_model::ids::{DestinationNo, LogIndex, NodeId, TenantNo};
    use pushrail_model::payload::Payload;

    use super::*;

    fn event(bytes: usize) -> NewEvent {
        NewEvent {
            tenant: TenantNo(1),
            event_type: "a".parse().unwrap(),
            content_type: String::new(),
            payload: Payload {
                bytes: Bytes::from(vec![0; bytes]),
                ..Payload::default()
            },
            idempotency: None,
            routing_revision: LogIndex(1),
            decisions: Vec::new(),
            destinations: Vec::new(),
            door: NodeId(1),
        }
    }

    fn partition(number: u16) -> Partition {
        Partition::new(number).unwrap()
    }

    #[test]
    fn a_command_holds_one_partition_in_the_callers_order() {
        let events = [5, 3, 5, 3, 5]
            .into_iter()
            .enumerate()
            .map(|(place, number)| (place, partition(number), event(1)))
            .collect();

        let packed = pack(events);

        let shape: Vec<(u16, Vec<usize>)> = packed
            .into_iter()
            .map(|packed| (packed.command.partition.number(), packed.places))
            .collect();
        assert_eq!(shape, [(3, vec![1, 3]), (5, vec![0, 2, 4])]);
    }

    #[test]
    fn no_command_is_larger_than_an_entry_should_be_unless_one_event_is() {
        let sizes = [400_000, 400_000, 400_000, limits::PAYLOAD_BYTES_HARD_MAX, 1];
        let events = sizes
            .into_iter()
            .enumerate()
            .map(|(place, bytes)| (place, partition(1), event(bytes)))
            .collect();

        let packed = pack(events);

        assert_eq!(places(packed), [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn no_command_makes_more_deliveries_than_are_short_work_unless_one_event_does() {
        let routes = [1500, 548, 1, 4000, 1];
        let events = routes
            .into_iter()
            .enumerate()
            .map(|(place, routes)| {
                let mut event = event(1);
                event.destinations = (1..=routes).map(DestinationNo).collect();
                (place, partition(1), event)
            })
            .collect();

        let packed = pack(events);

        assert_eq!(places(packed), [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    fn places(packed: Vec<Packed>) -> Vec<Vec<usize>> {
        packed.into_iter().map(|packed| packed.places).collect()
    }
}
