//! Settings and credentials: JSON objects whose fields are read by type and complained about by name. Every field
//! that nobody asked for is a complaint too, so that a typing error is met at the door and not at the first event.

use std::cell::RefCell;
use std::fmt;

use serde_json::{Map, Value};

/// A field that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// `settings.url`, `credential.secret`, …
    pub field: String,
    /// What is wrong with it; never the value of a credential.
    pub why: String,
}

/// The settings of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(Map<String, Value>);

/// The credential of a destination. It shows itself to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential(Map<String, Value>);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Settings {
    /// Reads a JSON object; nothing at all is the empty one.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        parse("settings", json).map(Self)
    }

    /// To be read field by field.
    pub fn fields(&self) -> Fields<'_> {
        Fields::new("settings", &self.0)
    }
}

impl Credential {
    /// Reads a JSON object; nothing at all is the empty one.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        parse("credential", json).map(Self)
    }

    /// To be read field by field.
    pub fn fields(&self) -> Fields<'_> {
        Fields::new("credential", &self.0)
    }

    /// Whether the caller gave this field.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// This credential with one more text in it.
    #[must_use]
    pub fn with(mut self, name: &str, text: String) -> Self {
        self.0.insert(name.to_owned(), Value::String(text));
        self
    }

    /// The JSON object, as it is kept.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

fn parse(section: &'static str, json: &[u8]) -> Result<Map<String, Value>, Invalid> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    // The parser's own words could repeat a piece of what it read, and with it a piece of a secret.
    let wrong = |why: &str| Invalid {
        field: section.to_owned(),
        why: why.to_owned(),
    };
    match serde_json::from_slice(json) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(wrong("not a JSON object")),
        Err(error) => Err(wrong(&format!(
            "not JSON: line {}, column {}",
            error.line(),
            error.column()
        ))),
    }
}

/// Reads an object's fields and gathers every complaint, so that a caller sees all of them at once.
pub struct Fields<'a> {
    section: &'static str,
    map: &'a Map<String, Value>,
    met: RefCell<Vec<&'static str>>,
    invalid: RefCell<Vec<Invalid>>,
}

impl<'a> Fields<'a> {
    fn new(section: &'static str, map: &'a Map<String, Value>) -> Self {
        Self {
            section,
            map,
            met: RefCell::default(),
            invalid: RefCell::default(),
        }
    }

    /// A text that must be there and that `check` understands.
    pub fn required<T>(
        &self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.text(name)?;
        if value.is_none() {
            self.complain(name, "required".to_owned());
        }
        self.checked(name, value?, check)
    }

    /// An object that may be left out; `check` sees its members, and complains by member.
    pub fn object<T: Default>(
        &self,
        name: &'static str,
        check: impl FnOnce(&Map<String, Value>) -> Result<T, Vec<Invalid>>,
    ) -> Option<T> {
        self.met.borrow_mut().push(name);
        let members = match self.map.get(name) {
            None | Some(Value::Null) => return Some(T::default()),
            Some(Value::Object(members)) => members,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                self.complain(name, "must be an object".to_owned());
                return None;
            }
        };
        match check(members) {
            Ok(good) => Some(good),
            Err(wrong) => {
                for Invalid { field, why } in wrong {
                    self.complain(&format!("{name}{field}"), why);
                }
                None
            }
        }
    }

    /// Every complaint: those of the fields read, and one for each field that nobody read.
    pub fn finish(self) -> Vec<Invalid> {
        let met = self.met.into_inner();
        let mut invalid = self.invalid.into_inner();
        let unknown = self.map.keys().filter(|name| !met.contains(&name.as_str()));
        invalid.extend(unknown.map(|name| Invalid {
            field: format!("{}.{}", self.section, short(name)),
            why: if met.is_empty() {
                "unknown field; none are known".to_owned()
            } else {
                format!("unknown field; known: {}", met.join(", "))
            },
        }));
        invalid
    }

    /// Outer `None`: there, but not a text, and complained about. Inner `None`: not there.
    fn text(&self, name: &'static str) -> Option<Option<&'a str>> {
        self.met.borrow_mut().push(name);
        match self.map.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.complain(name, "must be a text".to_owned());
                None
            }
        }
    }

    fn checked<T>(
        &self,
        name: &'static str,
        value: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match check(value) {
            Ok(good) => Some(good),
            Err(why) => {
                self.complain(name, why);
                None
            }
        }
    }

    fn complain(&self, name: &str, why: String) {
        self.invalid.borrow_mut().push(Invalid {
            field: format!("{}.{name}", self.section),
            why,
        });
    }
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
