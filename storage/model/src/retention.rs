//! How long a tenant's rows are kept. What a tenant does not say is the default, and stays the default of the day
//! when it is asked: no tenant has to be touched for it.

use std::fmt;

use crate::limits;
use crate::time::Span;

/// What a tenant says about keeping; `None`: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Attempts, from when they began.
    pub attempts: Option<Span>,
    /// Events with their payloads, from when they were accepted.
    pub events: Option<Span>,
    /// Dead letters, from when they died.
    pub dead_letters: Option<Span>,
    /// Idempotency keys, from when they were first used.
    pub idempotency_keys: Option<Span>,
}

/// A retention outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not within {} to {}", Said(*found), Said(*least), Said(*most))]
pub struct RetentionOutOfBounds {
    /// Of what.
    pub field: &'static str,
    /// What was asked.
    pub found: Span,
    /// The shortest allowed.
    pub least: Span,
    /// The longest allowed.
    pub most: Span,
}

impl Retention {
    /// How long attempts are kept.
    pub fn attempts(&self) -> Span {
        self.attempts.unwrap_or(limits::ATTEMPT_RETENTION)
    }

    /// How long events and their payloads are kept, unless a delivery still needs them.
    pub fn events(&self) -> Span {
        self.events.unwrap_or(limits::EVENT_RETENTION)
    }

    /// How long a dead letter waits for somebody to deal with it.
    pub fn dead_letters(&self) -> Span {
        self.dead_letters.unwrap_or(limits::DEAD_LETTER_RETENTION)
    }

    /// How long an idempotency key is remembered.
    pub fn idempotency_keys(&self) -> Span {
        self.idempotency_keys.unwrap_or(limits::IDEMPOTENCY_WINDOW)
    }

    /// This where it says something, and otherwise what stands.
    #[must_use]
    pub fn over(self, stands: Self) -> Self {
        Self {
            attempts: self.attempts.or(stands.attempts),
            events: self.events.or(stands.events),
            dead_letters: self.dead_letters.or(stands.dead_letters),
            idempotency_keys: self.idempotency_keys.or(stands.idempotency_keys),
        }
    }

    /// What of it lies outside its bounds.
    pub fn out_of_bounds(&self) -> Vec<RetentionOutOfBounds> {
        let day = limits::RETENTION_MIN;
        let letters_max = limits::DEAD_LETTER_RETENTION_MAX;
        let (keys_min, keys_max) = (limits::IDEMPOTENCY_WINDOW_MIN, limits::IDEMPOTENCY_WINDOW_MAX);
        let rows = [
            ("attempts", self.attempts, day, limits::ATTEMPT_RETENTION_MAX),
            ("events", self.events, day, limits::EVENT_RETENTION_MAX),
            ("dead_letters", self.dead_letters, day, letters_max),
            ("idempotency_keys", self.idempotency_keys, keys_min, keys_max),
        ];
        let wrong = rows.into_iter().filter_map(|(field, asked, least, most)| {
            let found = asked.filter(|asked| !(least..=most).contains(asked))?;
            Some(RetentionOutOfBounds {
                field,
                found,
                least,
                most,
            })
        });
        wrong.collect()
    }
}

/// Whole days or hours, as people say them.
struct Said(Span);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(span) = self;
        match (span.0 % Span::DAY.0, span.0 % Span::HOUR.0) {
            (0, _) => counted(f, span.0 / Span::DAY.0, "day"),
            (_, 0) => counted(f, span.0 / Span::HOUR.0, "hour"),
            _ => write!(f, "{span}"),
        }
    }
}

fn counted(f: &mut fmt::Formatter<'_>, count: u64, unit: &str) -> fmt::Result {
    let plural = if count == 1 { "" } else { "s" };
    write!(f, "{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_default() {
        let said = Retention {
            events: Some(Span(2 * Span::DAY.0)),
            ..Retention::default()
        };

        assert_eq!(said.events(), Span(2 * Span::DAY.0));
        assert_eq!(said.attempts(), limits::ATTEMPT_RETENTION);
        assert_eq!(said.out_of_bounds(), []);
    }

    #[test]
    fn what_a_change_does_not_say_stays_as_it_stands() {
        let days = |days| Some(Span(days * Span::DAY.0));
        let stands = Retention {
            events: days(2),
            attempts: days(5),
            ..Retention::default()
        };
        let change = Retention {
            events: days(3),
            dead_letters: days(4),
            ..Retention::default()
        };

        let changed = change.over(stands);

        assert_eq!((changed.events, changed.attempts), (days(3), days(5)));
        assert_eq!((changed.dead_letters, changed.idempotency_keys), (days(4), None));
    }

    #[test]
    fn the_bounds_themselves_are_allowed_and_nothing_beyond() {
        let keys = |span| Retention {
            idempotency_keys: Some(span),
            ..Retention::default()
        };
        let inside = [limits::IDEMPOTENCY_WINDOW_MIN, limits::IDEMPOTENCY_WINDOW_MAX];
        let below = Span(limits::IDEMPOTENCY_WINDOW_MIN.0 - 1);
        let above = Span(limits::IDEMPOTENCY_WINDOW_MAX.0 + Span::HOUR.0);

        assert!(
            inside
                .into_iter()
                .all(|span| keys(span).out_of_bounds().is_empty())
        );
        assert_eq!(keys(below).out_of_bounds()[0].field, "idempotency_keys");
        assert_eq!(
            keys(above).out_of_bounds()[0].to_string(),
            "169 hours is not within 1 hour to 7 days"
        );
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let wrong = Retention {
            attempts: Some(Span::HOUR),
            events: Some(Span(366 * Span::DAY.0)),
            dead_letters: Some(Span(91 * Span::DAY.0)),
            idempotency_keys: None,
        };

        let fields: Vec<_> = wrong.out_of_bounds().iter().map(|wrong| wrong.field).collect();

        assert_eq!(fields, ["attempts", "events", "dead_letters"]);
    }
}
