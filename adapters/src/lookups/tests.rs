//! Lookups that hang for as long as a test wants, and what that leaves to others.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Condvar;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Servers of some names that are silent until they are let go.
#[derive(Clone, Default)]
struct Servers(Arc<(Mutex<Silence>, Condvar)>);

#[derive(Default)]
struct Silence {
    silent: bool,
    asked: Vec<String>,
}

/// Lets them go at the end, also of a test that failed: the runtime waits for its threads.
struct Silent(Servers);

impl Drop for Silent {
    fn drop(&mut self) {
        self.0.0.0.lock().unwrap().silent = false;
        self.0.0.1.notify_all();
    }
}

impl Servers {
    fn fall_silent(&self) -> Silent {
        self.0.0.lock().unwrap().silent = true;
        Silent(self.clone())
    }

    fn asked(&self) -> Vec<String> {
        self.0.0.lock().unwrap().asked.clone()
    }

    async fn until_asked(&self, number: usize) {
        while self.asked().len() < number {
            tokio::task::yield_now().await;
        }
    }

    fn lookups(&self, slow_after: Duration) -> Lookups {
        let servers = self.clone();
        let how = move |name: &str| {
            let (silence, changed) = &*servers.0;
            let mut silence = silence.lock().unwrap();
            silence.asked.push(name.to_owned());
            while silence.silent && !name.starts_with("good") {
                silence = changed.wait(silence).unwrap();
            }
            Ok([Ipv4Addr::LOCALHOST.into()].into())
        };
        Lookups::of(how, slow_after)
    }
}

fn looking_up(lookups: &Lookups, names: impl IntoIterator<Item = String>) -> Vec<JoinHandle<Found>> {
    let look_up = |name: String| {
        let lookups = lookups.clone();
        tokio::spawn(async move { lookups.find(&name).await })
    };
    names.into_iter().map(look_up).collect()
}

async fn is_found(lookups: &Lookups, name: &str) -> bool {
    let found = timeout(Duration::from_secs(5), lookups.find(name)).await;
    found.is_ok_and(|found| found.is_ok())
}

const NEVER: Duration = Duration::MAX;

#[tokio::test]
async fn lookups_of_one_name_are_shared_and_leave_nothing_behind() {
    let lookups = Lookups::of_the_system();

    let both = futures::join!(lookups.find("localhost"), lookups.find("localhost"));

    assert!(both.0.is_ok_and(|found| found.iter().all(IpAddr::is_loopback)));
    assert!(both.1.is_ok());
    assert_eq!(lookups.0.state().under_way.len(), 0);
    assert_eq!(lookups.0.prompt.available_permits(), PROMPT_LOOKUPS_MAX);
}

#[tokio::test]
async fn a_lookup_that_works_is_one_also_for_those_who_come_after_all_have_given_up() {
    let servers = Servers::default();
    let lookups = servers.lookups(NEVER);
    let silent = servers.fall_silent();
    let first = looking_up(&lookups, ["a.example".to_owned()]);
    servers.until_asked(1).await;
    first[0].abort();

    let second = looking_up(&lookups, ["a.example".to_owned()]);
    tokio::task::yield_now().await;
    drop(silent);

    assert!(second.into_iter().next().unwrap().await.unwrap().is_ok());
    assert_eq!(servers.asked(), ["a.example"]);
}

#[tokio::test]
async fn a_queued_lookup_that_nobody_waits_for_any_more_is_dropped() {
    let servers = Servers::default();
    let lookups = servers.lookups(NEVER);
    let silent = servers.fall_silent();
    let all_places = looking_up(
        &lookups,
        (0..PROMPT_LOOKUPS_MAX).map(|n| format!("zone-{n}.example")),
    );
    servers.until_asked(PROMPT_LOOKUPS_MAX).await;

    let mut waits = Box::pin(lookups.find("forsaken.example"));
    assert!((&mut waits).now_or_never().is_none());
    tokio::task::yield_now().await;
    drop(waits);
    while lookups.0.state().under_way.contains_key("forsaken.example") {
        tokio::task::yield_now().await;
    }
    drop(silent);
    futures::future::join_all(all_places).await;

    assert!(is_found(&lookups, "later.example").await);
    assert!(!servers.asked().contains(&"forsaken.example".to_owned()));
}

#[tokio::test]
async fn one_zones_names_leave_places_to_others() {
    let servers = Servers::default();
    let lookups = servers.lookups(NEVER);
    let silent = servers.fall_silent();
    let dead = looking_up(&lookups, (0..200).map(|n| format!("hooks-{n}.dead.example")));
    servers.until_asked(ZONE_LOOKUPS_MAX).await;

    assert!(is_found(&lookups, "good.living.example").await);

    assert_eq!(servers.asked().len(), ZONE_LOOKUPS_MAX + 1);
    drop(silent);
    futures::future::join_all(dead).await;
    assert!(is_found(&lookups, "good.living.example").await);
    assert_eq!(lookups.0.state().zones.len(), 1, "only the last one's");
}

#[tokio::test]
async fn names_that_were_slow_leave_places_to_others() {
    let servers = Servers::default();
    // Every lookup is slow, so each name that was looked up once.
    let lookups = servers.lookups(Duration::ZERO);
    let names = || (0..200).map(|n| format!("hooks.dead-{n}.example"));
    futures::future::join_all(looking_up(&lookups, names())).await;
    let silent = servers.fall_silent();
    let dead = looking_up(&lookups, names());
    servers.until_asked(200 + SLOW_LOOKUPS_MAX).await;

    assert!(is_found(&lookups, "good.example").await);

    let again: BTreeSet<String> = servers.asked().split_off(200).into_iter().collect();
    assert_eq!(again.len(), SLOW_LOOKUPS_MAX + 1);
    drop(silent);
    futures::future::join_all(dead).await;
}

#[test]
fn slow_names_are_remembered_for_a_while_and_not_without_end() {
    let mut state = State::default();
    let now = Instant::now();

    state.note("slow.example", true, now);
    assert!(state.is_slow("slow.example", now));
    assert!(!state.is_slow("slow.example", now + SLOW_FOR));
    state.note("slow.example", false, now);
    assert!(!state.is_slow("slow.example", now));
    for n in 0..SLOW_NAMES_MAX + 10 {
        state.note(
            &format!("{n}.example"),
            true,
            now + Duration::from_micros(n as u64),
        );
    }

    assert_eq!(state.slow_names.len(), SLOW_NAMES_MAX);
    assert!(!state.slow_names.contains_key("9.example"));
    assert!(state.slow_names.contains_key("10.example"));
}

#[test]
fn a_zone_is_the_last_two_labels() {
    for (host, zone) in [
        ("a.b.example.com", "example.com"),
        ("a.b.example.com.", "example.com"),
        ("example.com", "example.com"),
        ("localhost", "localhost"),
        ("", ""),
    ] {
        assert_eq!(zone_of(host), zone);
    }
}
