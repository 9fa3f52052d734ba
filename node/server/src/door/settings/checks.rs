//! Checks of what callers say about settings: all that is wrong is gathered, so that nobody has to ask field by field.

use std::str::FromStr;

use pushrail_adapters::settings::Invalid;
use pushrail_model::ids::InvalidId;
use pushrail_model::limits;
use pushrail_model::retention::Retention;
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::time::Span;
use xxhash_rust::xxh3::xxh3_64;

use crate::door::refusal::{Refusal, Wrong};

/// Growth of waits at most.
const FACTOR_MAX: u32 = 100;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    wrong: Vec<Wrong>,
}

impl Checks {
    /// With what was found before.
    pub(crate) fn with(wrong: Vec<Wrong>) -> Self {
        Self { wrong }
    }

    /// A field is wrong.
    pub(crate) fn complain(&mut self, field: &str, why: impl Into<String>) {
        self.wrong.push(Wrong::new(field, why));
    }

    /// A name, a pattern, an id: whatever reads itself from text.
    pub(crate) fn id<T: FromStr<Err = InvalidId>>(&mut self, field: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(id) => Some(id),
            Err(invalid) => {
                self.wrong.push(Wrong::id(field, &invalid));
                None
            }
        }
    }

    /// The caller's id, or one made of `parts`. It is made of the request id and not drawn, so that a repeat of the
    /// request, through whichever node, makes the same object and not another one.
    pub(crate) fn id_or_made<T: FromStr<Err = InvalidId>>(
        &mut self,
        field: &str,
        text: &str,
        parts: &[&str],
    ) -> Option<T> {
        if text.is_empty() {
            let made = format!("{field}-{:016x}", xxh3_64(parts.join("\0").as_bytes()));
            return self.id(field, &made);
        }
        self.id(field, text)
    }

    /// The caller's request id, or a new one.
    pub(crate) fn request_id(&mut self, request_id: String) -> String {
        if request_id.is_empty() {
            return format!("req-{:032x}", rand::random::<u128>());
        }
        if request_id.len() > limits::REQUEST_ID_BYTES_MAX {
            self.complain("request_id", too_long(&request_id, limits::REQUEST_ID_BYTES_MAX));
        }
        request_id
    }

    /// The version that a change was decided upon.
    pub(crate) fn version(&mut self, version: u64) {
        if version == 0 {
            self.complain(
                "version",
                "the version that you saw, from get, list or the last change",
            );
        }
    }

    /// Words for people.
    pub(crate) fn description(&mut self, description: &str) {
        self.size("description", description, limits::DESCRIPTION_BYTES_MAX);
    }

    /// A text that must not be longer.
    pub(crate) fn size(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.len() > bytes_max {
            self.complain(field, too_long(text, bytes_max));
        }
    }

    /// Attempts at a time; 0 is the default.
    pub(crate) fn concurrency(&mut self, concurrency: u32) -> u32 {
        if concurrency == 0 {
            return limits::DESTINATION_CONCURRENCY_DEFAULT;
        }
        if concurrency > limits::DESTINATION_CONCURRENCY_MAX {
            let why = format!("{concurrency}; 1 to {}", limits::DESTINATION_CONCURRENCY_MAX);
            self.complain("concurrency", why);
        }
        concurrency
    }

    /// How long a tenant's rows are kept, within its bounds.
    pub(crate) fn retention(&mut self, retention: &Retention) {
        for wrong in retention.out_of_bounds() {
            self.complain(&format!("retention.{}", wrong.field), wrong.to_string());
        }
    }

    /// A retry policy within its bounds.
    pub(crate) fn retry(&mut self, policy: &RetryPolicy) {
        let bound = |span: Span| span <= limits::RETRY_WINDOW_MAX;
        match &policy.waits {
            Waits::Exponential {
                first,
                factor,
                cap,
                retries,
            } => {
                self.wait("retry.exponential.first", *first);
                if !(1..=FACTOR_MAX).contains(factor) {
                    self.complain("retry.exponential.factor", format!("{factor}; 1 to {FACTOR_MAX}"));
                }
                self.wait("retry.exponential.cap", *cap);
                if *retries > limits::RETRIES_MAX {
                    let why = format!("{retries}; at most {}", limits::RETRIES_MAX);
                    self.complain("retry.exponential.retries", why);
                }
            }
            Waits::Explicit(waits) => {
                let max = usize::try_from(limits::RETRIES_MAX).unwrap_or(usize::MAX);
                if waits.len() > max {
                    self.complain(
                        "retry.explicit.waits",
                        format!("{} waits; at most {max}", waits.len()),
                    );
                }
                if let Some(wait) = waits.iter().find(|wait| !bound(**wait)) {
                    self.complain("retry.explicit.waits", format!("{wait}; each at most 7 days"));
                }
            }
        }
        self.wait("retry.window", policy.window);
        if !bound(policy.floor) {
            self.complain("retry.floor", format!("{}; at most 7 days", policy.floor));
        }
    }

    fn wait(&mut self, field: &str, wait: Span) {
        if wait == Span::ZERO || wait > limits::RETRY_WINDOW_MAX {
            self.complain(field, format!("{wait}; more than zero, at most 7 days"));
        }
    }

    /// What the kind's adapter found.
    pub(crate) fn adapters<T>(&mut self, checked: Result<T, Vec<Invalid>>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(invalid) => {
                for Invalid { field, why } in invalid {
                    let wrong = Wrong { field, why };
                    // Reading the credential and opening it can meet the same fault.
                    if !self.wrong.contains(&wrong) {
                        self.wrong.push(wrong);
                    }
                }
                None
            }
        }
    }

    /// What was read, if nothing was wrong.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Refusal> {
        match read {
            Some(value) if self.wrong.is_empty() => Ok(value),
            _ => Err(Refusal::Invalid(self.wrong)),
        }
    }
}

/// What is wrong with a text that is too long; the text itself may be anything.
pub(crate) fn too_long(text: &str, bytes_max: usize) -> String {
    format!("{} bytes; at most {bytes_max}", text.len())
}

#[cfg(test)]
mod tests {
    use pushrail_model::ids::TenantId;

    use super::*;

    #[test]
    fn an_id_that_is_made_is_the_same_for_the_same_request() {
        let made = |request_id: &str| {
            let mut checks = Checks::default();
            checks
                .id_or_made::<TenantId>("tenant", "", &["tenant", request_id])
                .unwrap()
        };

        assert_eq!(made("a"), made("a"));
        assert_ne!(made("a"), made("b"));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut checks = Checks::default();
        let id: Option<TenantId> = checks.id("tenant", "Acme");
        checks.description(&"x".repeat(2000));
        checks.concurrency(1000);
        checks.retry(&RetryPolicy {
            waits: Waits::Exponential {
                first: Span::ZERO,
                factor: 0,
                cap: Span(8 * Span::DAY.0),
                retries: 51,
            },
            window: Span::ZERO,
            floor: Span(8 * Span::DAY.0),
        });

        let Err(Refusal::Invalid(wrong)) = checks.finish(id) else {
            panic!("it passed");
        };

        let fields: Vec<&str> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "tenant",
                "description",
                "concurrency",
                "retry.exponential.first",
                "retry.exponential.factor",
                "retry.exponential.cap",
                "retry.exponential.retries",
                "retry.window",
                "retry.floor",
            ]
        );
    }

    #[test]
    fn the_default_policy_is_within_its_own_bounds() {
        let mut checks = Checks::default();

        checks.retry(&RetryPolicy::default());

        assert_eq!(checks.finish(Some(())), Ok(()));
    }
}
