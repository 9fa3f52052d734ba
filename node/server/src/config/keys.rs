//! The keys that were given, by whom, and which of them are known. `Config::read` asks for each key once; what is
//! left over is unknown, and every refusal names key, value and what is allowed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::config::problem::{ConfigError, Problem};
use crate::config::units::Rule;

/// Stands where a secret would.
pub(crate) const MASK: &str = "***";
/// What the name of a key that holds a secret ends in; `…_file` beside it names a place, and is none.
const SECRETS: [&str; 6] = ["secret", "token", "password", "credential", "key", "keys"];

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody: the default.
    Default,
    /// The file, on this line.
    File(PathBuf, usize),
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
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Program => f.write_str("the program"),
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

/// A known key as it stands in the end; a secret is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its dotted path.
    pub key: &'static str,
    /// Its value, as text.
    pub value: String,
    /// Who gave it.
    pub source: Source,
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
        if !self.given.contains_key(key) {
            self.problems.push(Problem::Missing {
                key,
                allowed: rule.allowed,
            });
            return T::default();
        }
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
        if self.refused(key) {
            return;
        }
        let (value, source) = self.present(key);
        self.problems.push(Problem::Value {
            key: key.to_owned(),
            value: shown(key, value),
            source,
            allowed: allowed.to_owned(),
        });
    }

    /// Whether something is wrong with a key.
    pub fn refused(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key() == Some(key))
    }

    /// Notes what is wrong with a source as a whole.
    pub(crate) fn complain(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Refuses every key that was given and never asked for.
    pub fn refuse_unknown(&mut self) {
        let names: Vec<&'static str> = self.known.iter().map(|known| known.key).collect();
        for (key, (value, source)) in &self.given {
            if !names.contains(&key.as_str()) {
                self.problems.push(Problem::Unknown {
                    key: key.clone(),
                    value: shown(key, value.clone()),
                    source: source.clone(),
                    names: names.clone(),
                });
            }
        }
    }

    /// Whether nothing was refused.
    pub fn done(&mut self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError {
            problems: std::mem::take(&mut self.problems),
        })
    }

    /// Every key asked for so far.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// Every key asked for so far, as it stands.
    pub fn effective(&self) -> Vec<Effective> {
        let stands = |known: &Known| {
            let (value, source) = self.present(known.key);
            Effective {
                key: known.key,
                value: shown(known.key, value),
                source,
            }
        };
        self.known.iter().map(stands).collect()
    }

    fn present(&self, key: &str) -> (String, Source) {
        let default = || {
            let known = self.known.iter().find(|known| known.key == key);
            known.and_then(|known| known.default).unwrap_or_default()
        };
        self.given
            .get(key)
            .cloned()
            .unwrap_or_else(|| (default().to_owned(), Source::Default))
    }
}

/// A value as it may be shown. A key that nobody knows is masked by the same rule: it may be a secret's, misspelt.
fn shown(key: &str, value: String) -> String {
    let name = key.rsplit('.').next().unwrap_or_default();
    let word = name.rsplit('_').next().unwrap_or_default();
    if SECRETS.contains(&word) && !value.is_empty() {
        MASK.to_owned()
    } else {
        without_password(value)
    }
}

/// A user name and a password in a URL are nobody's to read.
fn without_password(value: String) -> String {
    if let (Some((scheme, _)), Some((_, rest))) = (value.split_once("://"), value.rsplit_once('@')) {
        return format!("{scheme}://…@{rest}");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_by_the_name_of_its_key() {
        for (key, masked) in [
            ("auth.admin_token", true),
            ("password", true),
            ("cipher.key", true),
            ("cipher.key_file", false),
            ("auth.token_file", false),
            ("delivery.concurrency", false),
            ("monkey", false),
        ] {
            let value = shown(key, "hidden".to_owned());

            assert_eq!(value == MASK, masked, "{key}");
        }
        assert_eq!(shown("password", String::new()), "", "there is nothing to hide");
    }
}
