//! The only way to wait: asks again and again until a condition holds, and when its time is up says what it
//! last saw. A test never sleeps for a time that somebody guessed.

use std::future::Future;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The pauses between one look and the next: short at first, longer while nothing comes of them.
#[derive(Debug)]
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pauses {
    /// Lets one pass.
    pub async fn pass(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Asks `probe` until it answers `Ok`, at most `within`; otherwise panics with the last `Err`.
pub async fn eventually<T, F, Fut>(what: &str, within: Duration, probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    match poll(within, probe).await {
        Ok(value) => value,
        Err(saw) => panic!("{what}: not within {within:?}; last saw: {saw}"),
    }
}

/// As [`eventually`], for callers that can do something about a failure: the last `Err` comes back.
pub async fn poll<T, F, Fut>(within: Duration, mut probe: F) -> Result<T, String>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + within;
    let mut pauses = Pauses::default();
    let mut saw = String::from("nothing: the first look took too long");
    loop {
        // A probe that hangs must not outlive the deadline either.
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left.max(FIRST_PAUSE), probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(now)) => saw = now,
            Err(_) => return Err(format!("{saw} (and the last look did not come back)")),
        }
        if Instant::now() >= deadline {
            return Err(saw);
        }
        pauses.pass().await;
    }
}

/// Watches for all of `span` that `probe` answers `Ok`; panics at the first `Err`. For what must *not* happen,
/// and only where no other event could mark the end of the watch.
pub async fn throughout<F, Fut>(what: &str, span: Duration, mut probe: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Err(saw) = probe().await {
            panic!("{what}: {saw}");
        }
        Pauses::default().pass().await;
    }
}
