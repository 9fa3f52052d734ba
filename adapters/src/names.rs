//! Names into addresses that the guard lets through. What a name means is asked anew each time.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::guard::{Guard, Refused};
use crate::lookups::{Found, Lookups};

/// Where names are looked up.
#[derive(Clone, Debug, Default)]
pub enum Names {
    /// As the machine does it: its hosts file, its name servers.
    #[default]
    System,
    /// Here and nowhere else; a name that is missing does not resolve. For tests.
    Only(BTreeMap<String, Vec<IpAddr>>),
    /// As this function says at that moment; for tests, whose name servers change their minds.
    Asked(Answers),
}

/// What a name means when it is asked; nothing: it does not resolve.
#[derive(Clone)]
pub struct Answers(Arc<Answering>);

type Answering = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

impl Answers {
    /// From a function.
    pub fn of(answers: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answers))
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers(…)")
    }
}

/// Looks names up, and lets the guard choose from what they mean now.
#[derive(Clone)]
pub(crate) struct Resolver {
    names: Names,
    guard: Guard,
    lookups: Lookups,
    /// For the operator's own names: no customer's are in front of them.
    own: Lookups,
}

/// A host without an address that may be dialled.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NoAddress {
    /// The guard let none through.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be resolved.
    #[error("{0}")]
    Unresolved(Arc<str>),
}

impl Resolver {
    pub(crate) fn new(names: Names, guard: Guard) -> Self {
        Self {
            names,
            guard,
            lookups: Lookups::of_the_system(),
            own: Lookups::of_the_system(),
        }
    }

    /// What a host means at this moment: addresses that the guard lets through. An address that stands there itself,
    /// in whatever form, is asked about alike.
    pub(crate) async fn admitted(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let found = self
            .find(&self.lookups, host)
            .await
            .map_err(NoAddress::Unresolved)?;
        admitted(&self.guard, &found)
    }

    /// What a host of the operator's own means: the guard is not asked. Never for anything that a customer named.
    pub(crate) async fn all(&self, host: &str) -> Found {
        self.find(&self.own, host).await
    }

    async fn find(&self, lookups: &Lookups, host: &str) -> Found {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok([address].into());
        }
        match &self.names {
            Names::System => lookups.find(host).await,
            Names::Only(known) => match known.get(host) {
                Some(addresses) => Ok(addresses.as_slice().into()),
                None => Err("no such name".into()),
            },
            Names::Asked(Answers(answers)) => Ok(answers(host).into()),
        }
    }
}

/// The addresses that may be dialled; with none, what the guard said of the first.
fn admitted(guard: &Guard, found: &[IpAddr]) -> Result<Vec<IpAddr>, NoAddress> {
    let mut refused: Option<Refused> = None;
    let mut addresses = Vec::new();
    for &address in found {
        match guard.check(address) {
            Ok(()) => addresses.push(address),
            Err(no) => refused = refused.or(Some(no)),
        }
    }
    match (addresses.is_empty(), refused) {
        (false, _) => Ok(addresses),
        (true, Some(refused)) => Err(NoAddress::Refused(refused)),
        (true, None) => Err(NoAddress::Unresolved("the name has no address".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_addresses_of_a_name_are_dialled() {
        let mixed: Vec<IpAddr> = ["10.0.0.1", "1.1.1.1", "::1"].map(|a| a.parse().unwrap()).into();

        let admitted = admitted(&Guard::default(), &mixed).unwrap();

        assert_eq!(admitted, ["1.1.1.1".parse::<IpAddr>().unwrap()]);
    }
}
