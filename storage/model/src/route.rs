//! Which event types of a tenant go to which destination.

use std::fmt;
use std::str::FromStr;

use crate::event::EventType;
use crate::ids::{DestinationId, DestinationNo, InvalidId, RouteId, RouteNo};
use crate::limits;
use crate::time::Timestamp;

/// A pattern of event types: `*` stands for one segment, `**` for any number (none too), all else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `event_type` falls under it.
    pub fn matches(&self, event_type: &EventType) -> bool {
        let pattern: Vec<&str> = self.0.split('.').collect();
        let segments: Vec<&str> = event_type.as_str().split('.').collect();
        // `reached[i]`: the pattern up to here can stand for the first i segments.
        let mut reached = vec![false; segments.len() + 1];
        reached[0] = true;
        for part in pattern {
            let mut next = vec![false; segments.len() + 1];
            if part == "**" {
                let mut any = false;
                for (to, from) in next.iter_mut().zip(&reached) {
                    any |= *from;
                    *to = any;
                }
            } else {
                for (at, segment) in segments.iter().enumerate() {
                    next[at + 1] = reached[at] && (part == "*" || part == *segment);
                }
            }
            reached = next;
        }
        reached[segments.len()]
    }
}

impl FromStr for Pattern {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let part = |part: &str| matches!(part, "*" | "**") || (!part.is_empty() && part.bytes().all(known));
        if text.len() > limits::EVENT_TYPE_BYTES_MAX
            || text.split('.').count() > limits::EVENT_TYPE_SEGMENTS_MAX
            || !text.split('.').all(part)
        {
            return Err(InvalidId {
                kind: "event type pattern",
                rule: "1 to 16 segments, dots between, each an exact name, * (one segment) or ** (any number)",
                value: text.chars().take(80).collect(),
            });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its public id.
    pub id: RouteId,
    /// Its number inside decisions; another one with each change, so that a decision names what was decided by.
    pub number: RouteNo,
    /// Which event types.
    pub pattern: Pattern,
    /// To which destination.
    pub destination: DestinationNo,
    /// That destination's public id.
    pub destination_id: DestinationId,
    /// Above all that was ever removed from its tenant when made, one more with each change.
    pub version: u64,
    /// When it was made, in the state's time.
    pub created: Timestamp,
    /// The number that it had first: it stays, and tells this route from another of the same name.
    pub first: RouteNo,
}

/// Why a route did or did not send an event to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionReason {
    /// The pattern matches the type.
    Matched,
    /// It matches, and an earlier route had already chosen that destination.
    AlreadyChosen,
    /// The pattern does not match the type.
    TypeDiffers,
}

/// What one route decided about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingDecision {
    /// Which route.
    pub route: RouteNo,
    /// Its destination.
    pub destination: DestinationNo,
    /// What, and why.
    pub reason: DecisionReason,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_one_segment_and_for_any() {
        let table = [
            ("order.paid", "order.paid", true),
            ("order.paid", "order.paid.late", false),
            ("order.*", "order.paid", true),
            ("order.*", "order", false),
            ("order.*", "order.paid.late", false),
            ("**", "a.b.c", true),
            ("order.**", "order", true),
            ("order.**", "order.paid.late", true),
            ("**.late", "order.paid.late", true),
            ("**.late", "late", true),
            ("*.**.late", "late", false),
            ("a.**.b.**.c", "a.x.b.b.y.c", true),
        ];
        for (pattern, event_type, expected) in table {
            let matched = pattern
                .parse::<Pattern>()
                .unwrap()
                .matches(&event_type.parse().unwrap());
            assert_eq!(matched, expected, "{pattern} on {event_type}");
        }
    }

    #[test]
    fn a_half_star_is_refused() {
        for wrong in ["", "order.", "or*er", "***", "a..b", "a b"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
