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
    /// One JSON object; of a batch of events, one for each, a line each (NDJSON).
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
    /// For how long to try each call, over all nodes, repeats included; given, nodes that cannot be reached are waited
    /// for, too [default: 10s, at once where nobody listens]
    #[arg(long, global = true, value_name = "DURATION", value_parser = times::span_above_nothing)]
    pub(super) timeout: Option<std::time::Duration>,
    /// Who asks, as the change log shows it [default: user@host]
    #[arg(long, global = true, value_name = "NAME", env = "PUSHRAIL_ACTOR", value_parser = text)]
    pub(super) actor: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(super) output: Format,
    /// Times in UTC instead of local ones
    #[arg(long, global = true)]
    pub(super) utc: bool,
}

impl Reach {
    /// Who asks: the name given, or who runs this and where.
    pub(super) fn actor(&self) -> String {
        if let Some(actor) = &self.actor {
            return actor.clone();
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let user = variable("USER").or_else(|| variable("LOGNAME"));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host
            .map(|host| host.trim().to_owned())
            .or_else(|| variable("HOSTNAME"));
        let known = |part: Option<String>| part.unwrap_or_else(|| "unknown".to_owned());
        format!("{}@{}", known(user), known(host))
    }
}

/// Whose data.
#[derive(Clone, Debug, Args)]
pub(super) struct TenantFlag {
    /// Whose data
    #[arg(long, value_name = "TENANT", env = "PUSHRAIL_TENANT", value_parser = text)]
    pub(super) tenant: String,
}

/// What makes a repeat harmless.
#[derive(Clone, Debug, Args)]
pub(super) struct RequestId {
    /// Makes a repeat of this very command harmless for a day; left out, one is drawn, and told where a repeat may need it
    #[arg(long, value_name = "ID", value_parser = text)]
    pub(super) request_id: Option<String>,
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
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "50",
        conflicts_with = "all",
        value_parser = number(1, u32::MAX)
    )]
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

/// Reads a text that must say something: an empty one is a variable that was not set.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it must not be empty; leave it out, or give at least one letter".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a whole number within these bounds.
pub(super) fn number(
    least: u32,
    most: u32,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let read = text.parse().ok().filter(|number| (least..=most).contains(number));
        read.ok_or_else(|| format!("a whole number from {least} to {most} is needed"))
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
    fn numbers_and_texts_are_refused_with_what_is_allowed() {
        let read = number(1, 256);

        assert_eq!(read("16"), Ok(16));
        for wrong in ["0", "257", "-1", "x", ""] {
            assert_eq!(read(wrong).unwrap_err(), "a whole number from 1 to 256 is needed");
        }
        assert_eq!(text("acme"), Ok("acme".to_owned()));
        assert!(text("").is_err() && text(" ").is_err());
    }

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
