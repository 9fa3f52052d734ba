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
    /// What would have been right.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = `{}` ({}): allowed is {}",
            self.key, self.value, self.source, self.allowed
        )
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
            value,
            source,
            allowed: allowed.to_owned(),
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
            self.refuse(&key, &format!("no such key; there are {}", names.join(", ")));
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
