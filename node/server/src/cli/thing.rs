//! What every noun of the command line shares: a thing is a row of a list, an object of JSON, or details for eyes. A
//! new verb says which call it makes; how its answer is printed stands here once.

use std::future::Future;

use prost_types::Duration;
use pushrail_api::v1;
use pushrail_api::{ClientError, drawn_id};
use pushrail_model::token::Token;
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::cli::json as to_json;
use crate::cli::reach::{Pages, RequestId};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::{pairs, table};
use crate::cli::times::Times;

/// What lists are made of.
pub(super) trait Thing {
    /// Its name in JSON.
    const ONE: &'static str;
    /// The name of a list of them in JSON.
    const MANY: &'static str;
    /// The heads of a table of them.
    const HEADS: &'static [&'static str];

    /// Its id: all that `-o name` prints.
    fn id(&self) -> String;
    /// A row under the heads.
    fn row(&self, times: &Times) -> Vec<String>;
    /// For programs.
    fn json(&self) -> Value;
}

/// A thing that is also shown alone.
pub(super) trait Detailed: Thing {
    /// Names and values, one pair a line.
    fn details(&self, times: &Times) -> Vec<(&'static str, String)>;
}

/// Which state an answer reflects.
#[derive(Clone, Debug, Default)]
pub(super) struct Reflected {
    /// A token.
    pub(super) applied: String,
    /// How old it may be at most.
    pub(super) age: Option<Duration>,
}

impl Reflected {
    /// Of these two fields of an answer.
    pub(super) fn new(applied: &str, age: Option<Duration>) -> Self {
        Self {
            applied: applied.to_owned(),
            age,
        }
    }

    /// Adds it to an answer's JSON: the token, the plain index in it, and the age.
    pub(super) fn add(&self, object: &mut Map<String, Value>) {
        object.insert("applied".to_owned(), json!(self.applied));
        object.insert("applied_index".to_owned(), index(&self.applied));
        object.insert("age".to_owned(), to_json::length(self.age));
    }

    /// An answer of one value under its name.
    pub(super) fn beside(&self, name: &str, value: Value) -> Value {
        let mut object = Map::new();
        object.insert(name.to_owned(), value);
        self.add(&mut object);
        Value::Object(object)
    }
}

/// The log index in a token; null where this version cannot read it.
pub(super) fn index(token: &str) -> Value {
    let token = token.parse::<Token>();
    token.map_or(Value::Null, |token| json!(token.index.0))
}

/// A page of a list.
pub(super) trait Page {
    /// What it lists.
    type Row: Thing;
    /// Its rows, the token of the next page, and the state that it reflects.
    fn open(self) -> (Vec<Self::Row>, String, Reflected);
}

/// An answer that shows one thing.
pub(super) trait Found {
    /// What it shows.
    type One: Detailed;
    /// The thing, and the state that it reflects.
    fn open(self) -> (Self::One, Reflected);
}

/// A change's answer: the thing as it stands now.
pub(super) trait Changed {
    /// What was changed.
    type One: Detailed;
    /// The thing, and a token of a state that holds the change.
    fn open(self) -> (Self::One, String);
}

macro_rules! pages {
    ($($answer:ident . $rows:ident: $row:ident;)*) => {
        $(impl Page for v1::$answer {
            type Row = v1::$row;
            fn open(self) -> (Vec<v1::$row>, String, Reflected) {
                (self.$rows, self.next_page_token, Reflected { applied: self.applied, age: self.age })
            }
        })*
    };
}

macro_rules! found {
    ($($answer:ident . $one:ident: $thing:ident;)*) => {
        $(impl Found for v1::$answer {
            type One = v1::$thing;
            fn open(self) -> (v1::$thing, Reflected) {
                let reflected = Reflected { applied: self.applied, age: self.age };
                (self.$one.unwrap_or_default(), reflected)
            }
        })*
    };
}

macro_rules! changed {
    ($($answer:ident . $one:ident: $thing:ident;)*) => {
        $(impl Changed for v1::$answer {
            type One = v1::$thing;
            fn open(self) -> (v1::$thing, String) {
                (self.$one.unwrap_or_default(), self.token)
            }
        })*
    };
}

pages! {
    ListTenantsResponse.tenants: Tenant;
    ListDestinationsResponse.destinations: Destination;
    ListRoutesResponse.routes: Route;
    ListAttemptsResponse.attempts: Attempt;
    ListDeadLettersResponse.dead_letters: DeadLetter;
    ListDeadLetterCausesResponse.causes: DeadLetterCause;
    ListDeliveriesResponse.deliveries: Delivery;
    ListChangesResponse.changes: Change;
}

found! {
    GetTenantResponse.tenant: Tenant;
    GetDestinationResponse.destination: Destination;
    GetRouteResponse.route: Route;
    GetDeadLetterJobResponse.job: DeadLetterJob;
}

changed! {
    CreateTenantResponse.tenant: Tenant;
    CreateDestinationResponse.destination: Destination;
    PauseDestinationResponse.destination: Destination;
    ResumeDestinationResponse.destination: Destination;
    CreateRouteResponse.route: Route;
    StartDeadLetterJobResponse.job: DeadLetterJob;
    CancelDeadLetterJobResponse.job: DeadLetterJob;
    UpdateTenantResponse.tenant: Tenant;
    UpdateDestinationResponse.destination: Destination;
    RotateCredentialResponse.destination: Destination;
    UpdateRouteResponse.route: Route;
}

impl Session {
    /// Shows a list, page by page, as far as it is wanted. `ask` is given the size and the token of a page.
    pub(super) async fn list<P, F>(
        &self,
        pages: &Pages,
        tried: impl Fn() -> String,
        ask: impl Fn(u32, String) -> F,
    ) -> Result<(), CliError>
    where
        P: Page,
        F: Future<Output = Result<P, ClientError>>,
    {
        let mut found = Vec::new();
        let mut next = String::new();
        let reflected = loop {
            let answer = ask(pages.next_size(found.len()), next).await.trying(&tried)?;
            let (rows, token, reflected) = answer.open();
            found.extend(rows);
            next = token;
            if next.is_empty() || found.len() >= pages.wanted() {
                break reflected;
            }
        };
        self.show(&Shown {
            text: table(P::Row::HEADS, found.iter().map(|one| one.row(&self.times))),
            json: reflected.beside(
                P::Row::MANY,
                Value::Array(found.iter().map(Thing::json).collect()),
            ),
            names: found.iter().map(Thing::id).collect(),
        })?;
        self.reflects(&reflected);
        self.more(&next);
        Ok(())
    }

    /// Shows the one thing that was asked for.
    pub(super) fn found<A: Found>(&self, answer: A) -> Result<(), CliError> {
        let (one, reflected) = answer.open();
        self.show(&Shown {
            text: pairs(&one.details(&self.times)),
            json: reflected.beside(A::One::ONE, one.json()),
            names: vec![one.id()],
        })?;
        self.reflects(&reflected);
        Ok(())
    }

    /// Asks for a change under a request id, which makes every repeat harmless: the client's own, and the caller's
    /// after an error that leaves open what became of it, since that error names the id.
    pub(super) async fn change<A, F>(
        &self,
        tried: impl FnOnce() -> String,
        given: &RequestId,
        ask: impl FnOnce(String) -> F,
    ) -> Result<A, CliError>
    where
        F: Future<Output = Result<A, ClientError>>,
    {
        let id = given.request_id.clone().unwrap_or_else(|| drawn_id("req"));
        self.sends("--request-id", &id);
        let answer = ask(id.clone()).await.trying(tried);
        answer.map_err(|error| error.repeating("--request-id", &id))
    }

    /// Shows what a change made.
    pub(super) fn changed<A: Changed>(&self, answer: A) -> Result<(), CliError> {
        self.changed_with(answer, &[])
    }

    /// The same, with more to show: name, value for eyes, value for programs.
    pub(super) fn changed_with<A: Changed>(
        &self,
        answer: A,
        more: &[(&'static str, String, Value)],
    ) -> Result<(), CliError> {
        let (one, token) = answer.open();
        let mut details = one.details(&self.times);
        let mut object = Map::new();
        object.insert(A::One::ONE.to_owned(), one.json());
        for (name, text, value) in more {
            details.push((name, text.clone()));
            object.insert((*name).to_owned(), value.clone());
        }
        object.insert("token_index".to_owned(), index(&token));
        object.insert("token".to_owned(), json!(token));
        self.show(&Shown {
            text: pairs(&details),
            json: Value::Object(object),
            names: vec![one.id()],
        })
    }
}

#[cfg(test)]
mod tests {
    use pushrail_model::ids::LogIndex;

    use super::*;

    #[test]
    fn json_bears_the_plain_index_beside_the_token() {
        let token = Token {
            group: 0,
            term: 3,
            index: LogIndex(1234),
        };

        let answer = Reflected::new(&token.to_string(), None).beside("tenant", json!({}));

        assert_eq!(
            answer,
            json!({ "tenant": {}, "applied": token.to_string(), "applied_index": 1234, "age": null })
        );
        assert_eq!(index("of a later version"), Value::Null);
    }
}
