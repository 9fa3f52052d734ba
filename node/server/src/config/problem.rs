//! What can be wrong with what a node is told: each problem names the place, what stands there, what would be right,
//! and what to do.

use std::fmt;
use std::path::PathBuf;

use crate::config::keys::Source;

/// The node cannot start with what it was told: everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("configuration refused:{}\n  try: correct this, and ask `pushrail config check` with the same flags", lines(.problems))]
pub struct ConfigError {
    /// Each of them.
    pub problems: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A value that is not allowed.
    Value {
        /// The key's dotted path.
        key: String,
        /// What it was set to.
        value: String,
        /// By whom.
        source: Source,
        /// What would have been right.
        allowed: String,
    },
    /// A key that has no default, and that nobody gave.
    Missing {
        /// Its dotted path.
        key: &'static str,
        /// What would be right.
        allowed: String,
    },
    /// A key that there is not.
    Unknown {
        /// Its dotted path.
        key: String,
        /// What it was set to.
        value: String,
        /// By whom.
        source: Source,
        /// Every key that there is.
        names: Vec<&'static str>,
    },
    /// A file that cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A line that is not TOML.
    Syntax {
        /// Of which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What was expected.
        why: String,
    },
    /// A variable of ours whose value is not UTF-8.
    NotText {
        /// Which.
        name: String,
    },
    /// `--set` without a key.
    Set {
        /// Which of them, counted from 1. What was given may be a secret, and is not repeated.
        place: usize,
    },
}

impl Problem {
    /// The key that it is about, where it is about one.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Value { key, .. } | Self::Unknown { key, .. } => Some(key),
            Self::Missing { key, .. } => Some(key),
            Self::Unreadable { .. } | Self::Syntax { .. } | Self::NotText { .. } | Self::Set { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                key,
                value,
                source,
                allowed,
            } => write!(f, "{key} = `{value}` ({source}): allowed is {allowed}"),
            Self::Missing { key, allowed } => {
                let flag = key.replace('_', "-");
                let variable = key.to_uppercase().replace('.', "__");
                write!(
                    f,
                    "{key} is not given: allowed is {allowed}; give it by --{flag}, PUSHRAIL_{variable} or the file"
                )
            }
            Self::Unknown {
                key,
                value,
                source,
                names,
            } => {
                write!(f, "unknown key {key} = `{value}` ({source}); ")?;
                match similar(key, names) {
                    Some(name) => write!(f, "did you mean {name}?"),
                    None => write!(f, "there are {}", names.join(", ")),
                }
            }
            Self::Unreadable { path, why } => write!(
                f,
                "{} cannot be read ({why}): name a TOML file by --config or PUSHRAIL_CONFIG, or none",
                path.display()
            ),
            Self::Syntax { path, line, why } => write!(f, "{}:{line}: not TOML: {why}", path.display()),
            Self::NotText { name } => write!(f, "{name} is not text: allowed is UTF-8"),
            Self::Set { place } => write!(
                f,
                "--set number {place} has no `=`: allowed is KEY=VALUE, such as delivery.concurrency=256"
            ),
        }
    }
}

/// The name that was meant: one that differs in a few letters, or else ends as what was given does.
fn similar<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let close = |name: &&&str| {
        let distance = strsim::damerau_levenshtein(given, name);
        distance * 3 <= given.len().max(name.len())
    };
    let nearest = names
        .iter()
        .filter(close)
        .min_by_key(|name| strsim::damerau_levenshtein(given, name));
    let by_end = || names.iter().find(|name| last(name) == last(given));
    nearest.or_else(by_end).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_met_with_the_one_that_was_meant() {
        let names = ["delivery.concurrency", "log.level", "listen", "http_listen"];

        assert_eq!(
            similar("delivery.concurency", &names),
            Some("delivery.concurrency")
        );
        assert_eq!(similar("concurrency", &names), Some("delivery.concurrency"));
        assert_eq!(similar("log.levle", &names), Some("log.level"));
        assert_eq!(similar("colour", &names), None);
    }
}
