//! Flags that every client verb has: whom to ask, how fresh, how to print.

use clap::{Args, ValueEnum};
use pushrail_api::v1::{Consistency, consistency};

use crate::cli::times;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For eyes.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// Ids only, one a line.
    Name,
}

/// Whom to ask, and how to print what they say.
#[derive(Clone, Debug, Args)]
pub(super) struct Reach {
    /// Nodes to ask, in turn until one answers: host:port, several flags or commas between
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "PUSHRAIL_SERVER",
        value_delimiter = ',',
        default_value = "127.0.0.1:7400"
    )]
    pub(super) server: Vec<String>,
    /// For how long to try, over all nodes
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = times::span)]
    pub(super) timeout: std::time::Duration,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(super) output: Format,
    /// Times in UTC instead of local ones
    #[arg(long, global = true)]
    pub(super) utc: bool,
}

/// Whose data.
#[derive(Clone, Debug, Args)]
pub(super) struct TenantFlag {
    /// Whose data
    #[arg(long, value_name = "TENANT", env = "PUSHRAIL_TENANT")]
    pub(super) tenant: String,
}

/// How fresh.
#[derive(Clone, Debug, Args)]
pub(super) struct Fresh {
    /// How fresh the answer must be: local, at-least:TOKEN or linearizable
    #[arg(long, value_name = "HOW", default_value = "local", value_parser = consistency)]
    pub(super) consistency: Consistency,
}

/// How much of a list.
#[derive(Clone, Debug, Args)]
pub(super) struct Pages {
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, conflicts_with = "all")]
    pub(super) limit: u32,
    /// Everything, however much
    #[arg(long)]
    pub(super) all: bool,
}

impl Pages {
    /// How many at most.
    pub(super) fn wanted(&self) -> usize {
        if self.all {
            return usize::MAX;
        }
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// Rows of the next page, with so many here already: what is still wanted, at most what a page holds.
    pub(super) fn next_size(&self, have: usize) -> u32 {
        let left = self.wanted().saturating_sub(have);
        u32::try_from(left).unwrap_or(u32::MAX).clamp(1, 1000)
    }
}

fn consistency(text: &str) -> Result<Consistency, String> {
    let level = match text.split_once(':') {
        None if text == "local" => consistency::Level::Local(consistency::Local {}),
        None if text == "linearizable" => consistency::Level::Linearizable(consistency::Linearizable {}),
        Some(("at-least", token)) if !token.is_empty() => consistency::Level::AtLeast(token.to_owned()),
        _ => return Err("local, at-least:TOKEN or linearizable".to_owned()),
    };
    Ok(Consistency { level: Some(level) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consistency_is_one_of_three() {
        let at_least = consistency("at-least:tok_1").unwrap();

        assert_eq!(
            at_least.level,
            Some(consistency::Level::AtLeast("tok_1".to_owned()))
        );
        assert!(consistency("local").is_ok());
        assert!(consistency("linearizable").is_ok());
        for wrong in ["", "at-least", "at-least:", "fresh", "local:1"] {
            assert!(consistency(wrong).is_err(), "{wrong}");
        }
    }
}
