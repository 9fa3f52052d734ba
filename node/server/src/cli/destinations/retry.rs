//! When a destination's deliveries are retried, as flags: of one that is made, and of one that has a policy already.

use std::time::Duration;

use clap::Args;
use pushrail_api::v1::retry_policy::Waits;
use pushrail_api::v1::{ExplicitWaits, ExponentialWaits, RetryPolicy};
use pushrail_model::limits;

use crate::cli::error::CliError;
use crate::cli::reach::number;
use crate::cli::times;

/// When to retry.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retries")]
pub(super) struct Retry {
    /// One wait for each retry, such as 1s,5s,1m; empty: no retry
    #[arg(
        long,
        value_name = "DURATIONS",
        value_parser = waits,
        conflicts_with_all = ["retry_first", "retry_factor", "retry_cap", "retries"]
    )]
    retry_waits: Option<Listed>,
    /// The first wait [of a new destination: 5s]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_first: Option<Duration>,
    /// Growth from one wait to the next [of a new destination: 4]
    #[arg(long, value_name = "NUMBER", value_parser = number(1, u32::MAX))]
    retry_factor: Option<u32>,
    /// No wait is longer [of a new destination: 6h]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_cap: Option<Duration>,
    /// How many retries [of a new destination: 10]
    #[arg(long, value_name = "NUMBER", value_parser = number(0, limits::RETRIES_MAX))]
    retries: Option<u32>,
    /// No retry is scheduled later than this after the first attempt was due [of a new destination: 24h]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_window: Option<Duration>,
    /// The least wait after a 429, a 503 or a time-out that named none [of a new destination: 60s]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    retry_floor: Option<Duration>,
}

/// The waits of a list; none at all for `--retry-waits ''`.
#[derive(Clone, Debug)]
struct Listed(Vec<Duration>);

fn waits(text: &str) -> Result<Listed, String> {
    if text.trim().is_empty() {
        return Ok(Listed(Vec::new()));
    }
    let waits = text.split(',').enumerate().map(|(at, wait)| {
        let wrong = |why| format!("wait {} is `{wait}`: it must be {why}", at + 1);
        times::span(wait.trim()).map_err(wrong)
    });
    Ok(Listed(waits.collect::<Result<_, _>>()?))
}

impl Retry {
    /// The whole policy of a destination that is made; what was not given takes its default.
    pub(super) fn policy(&self) -> RetryPolicy {
        let waits = match &self.retry_waits {
            Some(waits) => Waits::Explicit(ExplicitWaits {
                waits: waits.0.iter().copied().map(times::duration).collect(),
            }),
            None => Waits::Exponential(ExponentialWaits {
                first: self.retry_first.map(times::duration),
                factor: self.retry_factor.unwrap_or_default(),
                cap: self.retry_cap.map(times::duration),
                retries: self.retries,
            }),
        };
        RetryPolicy {
            waits: Some(waits),
            window: self.retry_window.map(times::duration),
            floor: self.retry_floor.map(times::duration),
        }
    }

    /// The policy of a destination that has one: what was not given stays as it is. `None`: all of it stays.
    pub(super) fn policy_on(&self, present: Option<&RetryPolicy>) -> Result<Option<RetryPolicy>, CliError> {
        let grows = [
            self.retry_first.is_some(),
            self.retry_factor.is_some(),
            self.retry_cap.is_some(),
            self.retries.is_some(),
        ];
        let spaced = self.retry_window.is_some() || self.retry_floor.is_some();
        if self.retry_waits.is_none() && !spaced && !grows.contains(&true) {
            return Ok(None);
        }
        let Some(present) = present else {
            return Ok(Some(self.policy()));
        };
        let given = self.policy();
        let waits = match (given.waits, &present.waits) {
            (Some(Waits::Explicit(given)), _) => Some(Waits::Explicit(given)),
            (_, present) if !grows.contains(&true) => present.clone(),
            (Some(Waits::Exponential(given)), Some(Waits::Exponential(present))) => {
                Some(Waits::Exponential(ExponentialWaits {
                    first: given.first.or(present.first),
                    factor: self.retry_factor.unwrap_or(present.factor),
                    cap: given.cap.or(present.cap),
                    retries: given.retries.or(present.retries),
                }))
            }
            // There is nothing that the parts left out could stay at.
            (_, _) if grows.contains(&false) => return Err(part_of_nothing()),
            (given, _) => given,
        };
        Ok(Some(RetryPolicy {
            waits,
            window: given.window.or(present.window),
            floor: given.floor.or(present.floor),
        }))
    }
}

fn part_of_nothing() -> CliError {
    let wrong =
        "its waits do not grow, each is listed: a part of growing ones would say nothing of the other parts";
    CliError::usage("change its retries", wrong).advising(
        "list the waits with --retry-waits; or give all of --retry-first, --retry-factor, --retry-cap and --retries",
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::error::Exit;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        retry: Retry,
    }

    fn seconds(seconds: i64) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos: 0 }
    }

    fn policy(waits: Waits) -> RetryPolicy {
        RetryPolicy {
            waits: Some(waits),
            window: Some(seconds(700)),
            floor: Some(seconds(9)),
        }
    }

    fn listed(waits: &[i64]) -> Waits {
        let waits = waits.iter().copied().map(seconds).collect();
        Waits::Explicit(ExplicitWaits { waits })
    }

    fn growing(first: i64, factor: u32, cap: i64, retries: u32) -> Waits {
        Waits::Exponential(ExponentialWaits {
            first: Some(seconds(first)),
            factor,
            cap: Some(seconds(cap)),
            retries: Some(retries),
        })
    }

    fn changed(present: &RetryPolicy, line: &str) -> Result<Option<RetryPolicy>, CliError> {
        let words = ["x"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words)
            .unwrap()
            .retry
            .policy_on(Some(present))
    }

    #[test]
    fn a_change_of_one_part_leaves_the_others_as_they_are() {
        let present = policy(growing(7, 3, 70, 5));
        let changed = |line: &str| changed(&present, line).unwrap();

        assert_eq!(changed(""), None);
        assert_eq!(changed("--retries 2"), Some(policy(growing(7, 3, 70, 2))));
        assert_eq!(
            changed("--retry-first 1s --retry-factor 2"),
            Some(policy(growing(1, 2, 70, 5)))
        );
        assert_eq!(changed("--retry-waits 1s,2s"), Some(policy(listed(&[1, 2]))));
        assert_eq!(
            changed("--retry-window 1h"),
            Some(RetryPolicy {
                window: Some(seconds(3600)),
                ..present.clone()
            })
        );
    }

    #[test]
    fn listed_waits_become_growing_ones_only_as_a_whole() {
        let present = policy(listed(&[1, 2]));

        let floor = changed(&present, "--retry-floor 1s").unwrap().unwrap();
        let whole = "--retry-first 7s --retry-factor 3 --retry-cap 70s --retries 5";
        let whole = changed(&present, whole).unwrap();
        let part = changed(&present, "--retries 5").unwrap_err();

        assert_eq!(
            (floor.waits, floor.floor),
            (present.waits.clone(), Some(seconds(1)))
        );
        assert_eq!(whole, Some(policy(growing(7, 3, 70, 5))));
        assert_eq!(part.exit(), Exit::Usage);
        assert!(part.text().contains("--retry-waits"), "{}", part.text());
    }
}
