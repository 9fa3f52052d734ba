//! Names into addresses that the guard lets through. One lookup per name is under way at a time and only so many in
//! all, so that a name server that hangs neither fills the runtime's blocking threads nor multiplies.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

use crate::guard::{Guard, Refused};

/// Lookups at a time: the runtime has some hundreds of blocking threads, and reads of the state use them too.
const LOOKUPS_MAX: usize = 64;

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

pub(crate) type Found = Result<Arc<[IpAddr]>, Arc<str>>;
type Lookup = Shared<BoxFuture<'static, Found>>;

/// Looks names up, and lets the guard choose from what they mean now.
#[derive(Clone)]
pub(crate) struct Resolver {
    names: Names,
    guard: Guard,
    under_way: Arc<Mutex<HashMap<String, Lookup>>>,
    permits: Arc<Semaphore>,
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
            under_way: Arc::default(),
            permits: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// What a host means at this moment: addresses that the guard lets through. An address that stands there itself,
    /// in whatever form, is asked about alike.
    pub(crate) async fn admitted(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let found = self.all(host).await.map_err(NoAddress::Unresolved)?;
        admitted(&self.guard, &found)
    }

    /// What a host of the operator's own means: the guard is not asked. Never for anything that a customer named.
    pub(crate) async fn all(&self, host: &str) -> Found {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => Ok([address].into()),
            Err(_) => self.find(host.to_owned()).await,
        }
    }

    async fn find(&self, host: String) -> Found {
        match &self.names {
            Names::System => self.system(host).await,
            Names::Only(known) => match known.get(&host) {
                Some(addresses) => Ok(addresses.as_slice().into()),
                None => Err("no such name".into()),
            },
            Names::Asked(Answers(answers)) => Ok(answers(&host).into()),
        }
    }

    async fn system(&self, host: String) -> Found {
        let lookup = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let start = || self.start(host.clone());
            under_way.entry(host.clone()).or_insert_with(start).clone()
        };
        lookup.await
    }

    /// The lookup is a task of its own: it ends and clears its entry also when everybody who waited has given up.
    fn start(&self, host: String) -> Lookup {
        let permits = Arc::clone(&self.permits);
        let under_way = Arc::clone(&self.under_way);
        let task = tokio::spawn(async move {
            let permit = permits.acquire_owned().await;
            let name = host.clone();
            let found = tokio::task::spawn_blocking(move || {
                // The permit is the thread's: it is given back when the lookup ends, not when a caller gives up.
                let _permit = permit;
                system_lookup(&name)
            });
            let found = found.await.unwrap_or_else(|error| Err(error.to_string().into()));
            under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&host);
            found
        });
        let flat = async move { task.await.unwrap_or_else(|error| Err(error.to_string().into())) };
        flat.boxed().shared()
    }
}

fn system_lookup(host: &str) -> Found {
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(error.to_string().into()),
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

    #[tokio::test]
    async fn lookups_of_one_name_are_shared_and_leave_nothing_behind() {
        let resolver = Resolver::new(Names::System, Guard::default());

        let both = futures::join!(
            resolver.find("localhost".to_owned()),
            resolver.find("localhost".to_owned())
        );

        assert!(both.0.is_ok_and(|found| found.iter().all(IpAddr::is_loopback)));
        assert!(both.1.is_ok());
        assert_eq!(resolver.under_way.lock().unwrap().len(), 0);
        assert_eq!(resolver.permits.available_permits(), LOOKUPS_MAX);
    }
}
