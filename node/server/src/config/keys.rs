//! The keys that were given, by whom, and which of them are known. `Config::read` asks for each key once; what is
//! left over is unknown, and every refusal names key, value and what is allowed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::config::load::ConfigError;
use crate::config::units::Rule;

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody: the default.
    Default,
    /// The file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag(String),
    /// The program that holds this node.
    Program,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Program => f.write_str("the program"),
        }
    }
}

/// One refused key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its dotted path.
    pub key: String,
    /// What it was set to.
    pub value: String,
    /// By whom.
    pub source: Source,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its value is not allowed.
    Value {
        /// What would have been right.
        allowed: String,
    },
    /// There is no such key.
    Unknown {
        /// Those that may have been meant: the most similar one, or all.
        meant: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            source,
            fault,
        } = self;
        match fault {
            Fault::Value { allowed } => write!(f, "{key} = `{value}` ({source}): allowed is {allowed}"),
            Fault::Unknown { meant } => write!(f, "unknown key {key} = `{value}` ({source}); {meant}"),
        }
    }
}

/// A known key and its default, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its dotted path.
    pub key: &'static str,
    /// `None`: it has to be given.
    pub default: Option<&'static str>,
}

/// Keys given, keys asked for, keys refused.
#[derive(Debug, Default)]
pub struct Keys {
    given: BTreeMap<String, (String, Source)>,
    known: Vec<Known>,
    problems: Vec<Problem>,
}

impl Keys {
    /// Sets a key; what was given for it before is forgotten.
    pub fn give(&mut self, key: &str, value: &str, source: Source) {
        self.given.insert(key.to_owned(), (value.to_owned(), source));
    }

    /// The value of a key that has a default.
    pub fn take<T>(&mut self, key: &'static str, default: &'static str, rule: Rule<T>) -> T
    where
        T: Default,
    {
        self.known.push(Known {
            key,
            default: Some(default),
        });
        self.parse(key, default, rule)
    }

    /// The value of a key that has to be given.
    pub fn required<T>(&mut self, key: &'static str, rule: Rule<T>) -> T
    where
        T: Default,
    {
        self.known.push(Known { key, default: None });
        self.parse(key, "", rule)
    }

    fn parse<T: Default>(&mut self, key: &str, default: &str, rule: Rule<T>) -> T {
        let text = self.given.get(key).map_or(default, |(text, _)| text.as_str());
        match (rule.parse)(text) {
            Some(value) => value,
            None => {
                self.refuse(key, &rule.allowed);
                T::default()
            }
        }
    }

    /// Refuses the value that a key has.
    pub fn refuse(&mut self, key: &str, allowed: &str) {
        let allowed = allowed.to_owned();
        self.complain(key, Fault::Value { allowed });
    }

    fn complain(&mut self, key: &str, fault: Fault) {
        if self.problems.iter().any(|problem| problem.key == key) {
            return;
        }
        let default = self
            .known
            .iter()
            .find(|known| known.key == key)
            .and_then(|known| known.default)
            .unwrap_or_default();
        let (value, source) = self
            .given
            .get(key)
            .cloned()
            .unwrap_or_else(|| (default.to_owned(), Source::Default));
        self.problems.push(Problem {
            key: key.to_owned(),
            value: without_password(&value),
            source,
            fault,
        });
    }

    /// Refuses every key that was given and never asked for.
    pub fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self
            .given
            .keys()
            .filter(|key| !self.known.iter().any(|known| known.key == key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            let names: Vec<&str> = self.known.iter().map(|known| known.key).collect();
            let meant = match similar(&key, &names) {
                Some(name) => format!("did you mean {name}?"),
                None => format!("there are {}", names.join(", ")),
            };
            self.complain(&key, Fault::Unknown { meant });
        }
    }

    /// Whether nothing was refused.
    pub fn done(&mut self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Refused {
            problems: std::mem::take(&mut self.problems),
        })
    }

    /// Every key asked for so far.
    pub fn known(&self) -> &[Known] {
        &self.known
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

/// A value as it may be shown: a user name and a password in a URL are nobody's to read.
fn without_password(value: &str) -> String {
    match (value.split_once("://"), value.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => value.to_owned(),
    }
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
