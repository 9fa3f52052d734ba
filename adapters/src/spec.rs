//! What a kind of destination is, as data: the source of its checks, its documentation and its table of rules.

use crate::rules::{self, Rule};

/// A kind of destination.
#[derive(Debug)]
pub struct Spec {
    /// Its name in the API: `webhook`, …
    pub kind: &'static str,
    /// Where it belongs.
    pub family: Family,
    /// What it is, in a sentence.
    pub summary: &'static str,
    /// What a caller may set.
    pub settings: &'static [Field],
    /// What a caller proves itself with; kept apart, never shown.
    pub credential: &'static [Field],
    /// How many events one request takes.
    pub batch: Batch,
    /// How a receiver recognises that it has had an event already.
    pub repeat: &'static str,
    /// The kind's own rules; they stand before the base, codes before statuses. Readers use [`Spec::rules`].
    pub own_rules: &'static [Rule],
}

impl Spec {
    /// Every rule of this kind in the order in which they are tried: what is shown, and what decides. A rule of the
    /// base that one of the kind's own takes the place of is left out, for it can decide nothing.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> + use<> {
        let own = self.own_rules;
        let replaced = move |rule: &Rule| own.iter().any(|mine| mine.on == rule.on);
        own.iter()
            .chain(rules::BASE.iter().filter(move |rule| !replaced(rule)))
    }
}

/// The six families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// HTTP requests at a customer's own URL.
    Webhooks,
    /// Analytical stores.
    Warehouses,
    /// Queues and streams.
    Queues,
    /// Object stores.
    Storage,
    /// Databases.
    Databases,
    /// Product analytics.
    Analytics,
}

impl Family {
    /// As the API and the pages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks",
            Self::Warehouses => "warehouses",
            Self::Queues => "queues",
            Self::Storage => "storage",
            Self::Databases => "databases",
            Self::Analytics => "analytics",
        }
    }
}

/// One field of the settings or of the credential.
#[derive(Debug)]
pub struct Field {
    /// Its name in the JSON object.
    pub name: &'static str,
    /// What it must look like, in words.
    pub form: &'static str,
    /// Whether it can be left out.
    pub presence: Presence,
    /// What it does.
    pub docs: &'static str,
    /// A value that would be taken.
    pub example: &'static str,
}

/// Whether a field can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It cannot.
    Required,
    /// Pushrail makes one when the destination is created.
    Made,
    /// This value stands in.
    Default(&'static str),
}

/// How many events one request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Events in a request.
    pub events_max: usize,
    /// Bytes of a request.
    pub bytes_max: usize,
}
