//! What callers narrow lists by, read and checked: causes, statuses, types, spans of time, which end comes first.

use prost_types::Timestamp;
use pushrail_api::v1;
use pushrail_machine::store::Direction;
use pushrail_model::event::EventType;
use pushrail_model::outcome::Cause;
use pushrail_model::time;

use crate::door::refusal::Refusal;
use crate::services::convert;

/// HTTP's largest status; no protocol of ours has a larger one.
const STATUS_MAX: u32 = 999;

/// A cause; unspecified: any.
pub(super) fn cause(number: i32) -> Result<Option<Cause>, Refusal> {
    let Ok(cause) = v1::Cause::try_from(number) else {
        return Err(Refusal::invalid("cause", format!("{number} is no cause")));
    };
    Ok(match cause {
        v1::Cause::Unspecified => None,
        v1::Cause::Duplicate => Some(Cause::Duplicate),
        v1::Cause::Network => Some(Cause::Network),
        v1::Cause::Timeout => Some(Cause::Timeout),
        v1::Cause::Throttle => Some(Cause::Throttle),
        v1::Cause::Server => Some(Cause::Server),
        v1::Cause::Auth => Some(Cause::Auth),
        v1::Cause::Missing => Some(Cause::Missing),
        v1::Cause::Rejected => Some(Cause::Rejected),
        v1::Cause::TooLarge => Some(Cause::TooLarge),
        v1::Cause::Bystander => Some(Cause::Bystander),
        v1::Cause::Unknown => Some(Cause::Unknown),
    })
}

/// A status; 0: any.
pub(super) fn status(status: u32) -> Result<Option<u16>, Refusal> {
    match u16::try_from(status) {
        Ok(0) => Ok(None),
        Ok(known) if status <= STATUS_MAX => Ok(Some(known)),
        Ok(_) | Err(_) => Err(Refusal::invalid(
            "status",
            format!("{status} is no status: 1 to {STATUS_MAX}, or 0 for any"),
        )),
    }
}

/// An event type; empty: any.
pub(super) fn event_type(text: &str) -> Result<Option<EventType>, Refusal> {
    match text {
        "" => Ok(None),
        text => convert::id("event_type", text).map(Some),
    }
}

/// A destination; empty: any.
pub(super) fn named<T>(field: &str, text: &str) -> Result<Option<T>, Refusal>
where
    T: std::str::FromStr<Err = pushrail_model::ids::InvalidId>,
{
    match text {
        "" => Ok(None),
        text => convert::id(field, text).map(Some),
    }
}

/// From when, and until when: absent, the beginning and no end.
pub(super) fn span(
    since: Option<&Timestamp>,
    until: Option<&Timestamp>,
) -> (time::Timestamp, time::Timestamp) {
    (
        since.map_or(time::Timestamp::ZERO, convert::moment_of),
        until.map_or(time::Timestamp::MAX, convert::moment_of),
    )
}

/// The order as a page token knows it: not to say it is to say the usual one.
pub(super) fn order(order: i32) -> i32 {
    match v1::Order::try_from(order) {
        Ok(v1::Order::Unspecified) => v1::Order::NewestFirst.into(),
        Ok(_) | Err(_) => order,
    }
}

/// Which end comes first.
pub(super) fn direction(order: i32) -> Result<Direction, Refusal> {
    match v1::Order::try_from(order) {
        Ok(v1::Order::Unspecified | v1::Order::NewestFirst) => Ok(Direction::Descending),
        Ok(v1::Order::OldestFirst) => Ok(Direction::Ascending),
        Err(_) => Err(Refusal::invalid("order", format!("{order} is no order"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> String {
        match refused {
            Err(Refusal::Invalid(wrong)) => wrong[0].field.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_absent_narrows_nothing_and_what_is_wrong_is_named() {
        assert_eq!(cause(0), Ok(None));
        assert_eq!(cause(v1::Cause::Auth.into()), Ok(Some(Cause::Auth)));
        assert_eq!((status(0), status(503)), (Ok(None), Ok(Some(503))));
        assert_eq!(direction(0), Ok(Direction::Descending));
        assert_eq!(direction(2), Ok(Direction::Ascending));
        assert_eq!(event_type(""), Ok(None));
        assert_eq!(span(None, None), (time::Timestamp::ZERO, time::Timestamp::MAX));
        assert_eq!(field(cause(99)), "cause");
        assert_eq!(field(status(1000)), "status");
        assert_eq!(field(status(70_000)), "status");
        assert_eq!(field(direction(7)), "order");
        assert_eq!(field(event_type("a b")), "event_type");
    }
}
