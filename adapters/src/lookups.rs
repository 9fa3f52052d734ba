//! Lookups by the machine's own resolver, which takes ten seconds and more for a name whose servers are silent and
//! blocks a thread for as long. [`crate::names`] asks here. Invariant: one lookup of a name is under way at a time,
//! only so many in all, and neither one zone's names nor slow ones keep the others waiting.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};

/// Lookups at a time, 64 together: the runtime has some hundreds of blocking threads, and reads of the state use them
/// too. A name that was slow when it was last looked up has one of the few places, any other one of the many.
const PROMPT_LOOKUPS_MAX: usize = 48;
const SLOW_LOOKUPS_MAX: usize = 16;
/// Of the many, those for names of one zone: whoever has a zone can make as many names in it as they like, and each
/// is unknown once. What counts as a zone is the last two labels. That is too wide below a suffix like `co.uk`, where
/// strangers share these places; since a slow name leaves them after its first time, they share them with few.
const ZONE_LOOKUPS_MAX: usize = 12;
/// How long a lookup takes that is slow, whatever came of it. A resolver that is there answers within this also when
/// it has to ask others; a name that does not exist is no slower than one that does.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// How long a slow name is remembered, since name servers come back: short, so that a name that was slow by mischance
/// does not wait behind dead ones for long.
const SLOW_FOR: Duration = Duration::from_secs(120);
/// Slow names that are remembered. A resolver takes no name above 255 bytes and refuses it at once, so this is a
/// megabyte at most; a name that is forgotten too early is an unknown one again.
const SLOW_NAMES_MAX: usize = 4096;

/// The addresses of a name, or why there are none.
pub(crate) type Found = Result<Arc<[IpAddr]>, Arc<str>>;

/// Looks names up. Clones share their places.
#[derive(Clone)]
pub(crate) struct Lookups(Arc<Inner>);

struct Inner {
    how: Box<dyn Fn(&str) -> Found + Send + Sync>,
    slow_after: Duration,
    prompt: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: HashMap<String, watch::Sender<Option<Found>>>,
    /// Only of zones with a lookup under way.
    zones: HashMap<String, Weak<Semaphore>>,
    /// Until when each counts as slow.
    slow_names: HashMap<String, Instant>,
}

/// Held as long as the lookup's thread works, not as long as somebody waits for it.
type Place = (
    Result<OwnedSemaphorePermit, AcquireError>,
    Option<Result<OwnedSemaphorePermit, AcquireError>>,
);

impl Lookups {
    /// As the machine does it.
    pub(crate) fn of_the_system() -> Self {
        Self::of(system_lookup, SLOW_AFTER)
    }

    fn of(how: impl Fn(&str) -> Found + Send + Sync + 'static, slow_after: Duration) -> Self {
        Self(Arc::new(Inner {
            how: Box::new(how),
            slow_after,
            prompt: Arc::new(Semaphore::new(PROMPT_LOOKUPS_MAX)),
            slow: Arc::new(Semaphore::new(SLOW_LOOKUPS_MAX)),
            state: Mutex::default(),
        }))
    }

    /// What a name means now.
    pub(crate) async fn find(&self, host: &str) -> Found {
        let mut waiting = self.join(host);
        let found = waiting.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Err("the lookup ended without a result".into()))
    }

    fn join(&self, host: &str) -> watch::Receiver<Option<Found>> {
        let mut state = self.0.state();
        if let Some(under_way) = state.under_way.get(host) {
            return under_way.subscribe();
        }
        let (sender, waiting) = watch::channel(None);
        state.under_way.insert(host.to_owned(), sender.clone());
        // A task of its own: once its thread works it goes on, and clears its entry, also when everybody has given up.
        tokio::spawn(Arc::clone(&self.0).look_up(host.to_owned(), sender));
        waiting
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(self: Arc<Self>, host: String, sender: watch::Sender<Option<Found>>) {
        let place = tokio::select! {
            place = self.place(&host) => place,
            // Its place is for those who still wait for theirs.
            () = self.forsaken(&host, &sender) => return,
        };
        let (this, name) = (Arc::clone(&self), host.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            let began = Instant::now();
            ((this.how)(&name), began.elapsed())
        });
        let (found, took) = looked
            .await
            .unwrap_or_else(|error| (Err(error.to_string().into()), Duration::ZERO));
        let mut state = self.state();
        state.note(&host, took > self.slow_after, Instant::now());
        state.under_way.remove(&host);
        sender.send_replace(Some(found));
    }

    async fn place(&self, host: &str) -> Place {
        if self.state().is_slow(host, Instant::now()) {
            return (Arc::clone(&self.slow).acquire_owned().await, None);
        }
        let zone = self.state().zone(host);
        // Order: whoever waits for the zone's place holds none of all.
        let in_zone = zone.acquire_owned().await;
        (Arc::clone(&self.prompt).acquire_owned().await, Some(in_zone))
    }

    /// Ends when nobody waits for this lookup any more; from then on it is not under way.
    async fn forsaken(&self, host: &str, sender: &watch::Sender<Option<Found>>) {
        loop {
            sender.closed().await;
            // Somebody may have joined in between, which happens under this lock.
            let mut state = self.state();
            if sender.receiver_count() == 0 {
                state.under_way.remove(host);
                return;
            }
        }
    }
}

impl State {
    fn is_slow(&self, host: &str, now: Instant) -> bool {
        self.slow_names.get(host).is_some_and(|until| now < *until)
    }

    fn note(&mut self, host: &str, slow: bool, now: Instant) {
        if !slow {
            self.slow_names.remove(host);
            return;
        }
        if self.slow_names.len() >= SLOW_NAMES_MAX {
            self.slow_names.retain(|_, until| now < *until);
        }
        if self.slow_names.len() >= SLOW_NAMES_MAX {
            let oldest = self.slow_names.iter().min_by_key(|(_, until)| **until);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.slow_names.remove(&oldest);
            }
        }
        self.slow_names.insert(host.to_owned(), now + SLOW_FOR);
    }

    fn zone(&mut self, host: &str) -> Arc<Semaphore> {
        let zone = zone_of(host);
        if let Some(places) = self.zones.get(zone).and_then(Weak::upgrade) {
            return places;
        }
        self.zones.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(ZONE_LOOKUPS_MAX));
        self.zones.insert(zone.to_owned(), Arc::downgrade(&places));
        places
    }
}

fn zone_of(host: &str) -> &str {
    let host = host.trim_end_matches('.');
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at);
    dots.nth(1).and_then(|at| host.get(at + 1..)).unwrap_or(host)
}

fn system_lookup(host: &str) -> Found {
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(error.to_string().into()),
    }
}

#[cfg(test)]
mod tests;
