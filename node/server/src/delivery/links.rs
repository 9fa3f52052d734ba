//! Destinations ready to send, kept as long as settings and credentials stay the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pushrail_adapters::adapter::Link;
use pushrail_adapters::net::Net;
use pushrail_adapters::registry;
use pushrail_adapters::settings::Invalid;
use pushrail_machine::query::config;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::QueueKey;
use pushrail_model::destination::Destination;
use pushrail_model::time::Timestamp;

use crate::keyring::{Keyring, Locked};

/// Links kept at most; a link more costs one parse of its settings.
const KEPT_MAX: usize = 8192;

/// Links by destination; each with what it was opened for.
pub(crate) struct Links {
    net: Net,
    keyring: Arc<Keyring>,
    kept: Mutex<HashMap<QueueKey, Kept>>,
}

struct Kept {
    version: u64,
    /// Until the first of the credentials before the present one counts no more.
    until: Timestamp,
    link: Arc<dyn Link>,
}

/// A destination that can be sent to, or cannot.
pub(crate) enum Opened {
    Ready(Arc<dyn Link>),
    /// This node's version of the kind refuses what was written: an attempt says so, on record.
    Invalid(Vec<Invalid>),
    /// A credential cannot be read here: nothing starts, and what is due waits.
    Locked(Locked),
}

impl Links {
    pub(crate) fn new(net: Net, keyring: Arc<Keyring>) -> Self {
        Self {
            net,
            keyring,
            kept: Mutex::new(HashMap::new()),
        }
    }

    /// The link of a destination as `view` shows it, at the state's time `now`.
    pub(crate) fn open(
        &self,
        view: &dyn Read,
        queue: QueueKey,
        destination: &Destination,
        now: Timestamp,
    ) -> Result<Opened, StoreError> {
        if let Some(kept) = self.lock().get(&queue)
            && kept.version == destination.version
            && now < kept.until
        {
            return Ok(Opened::Ready(Arc::clone(&kept.link)));
        }
        // A delivery that is due stands under a tenant; where none is found, its credential is bound to nobody.
        let partition = queue.shard.partition();
        let Some(tenant) = config::tenant_by_number(view, partition, queue.tenant)? else {
            return Ok(Opened::Invalid(Vec::new()));
        };
        let (spec, previous) = match self.keyring.unlock(&tenant.id, destination, now) {
            Ok(plain) => plain,
            Err(locked) => return Ok(Opened::Locked(locked)),
        };
        let link = match registry::open_with(&spec, &previous, &self.net) {
            Ok(link) => link,
            Err(invalid) => return Ok(Opened::Invalid(invalid)),
        };
        let living = destination.previous.iter().map(|previous| previous.until);
        let kept = Kept {
            version: destination.version,
            until: living
                .filter(|until| *until > now)
                .min()
                .unwrap_or(Timestamp::MAX),
            link: Arc::clone(&link),
        };
        self.keep(queue, kept);
        Ok(Opened::Ready(link))
    }

    fn keep(&self, queue: QueueKey, link: Kept) {
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX && !kept.contains_key(&queue) {
            // Any one: which is the least used is not worth knowing.
            let one = kept.keys().next().copied();
            one.and_then(|one| kept.remove(&one));
        }
        kept.insert(queue, link);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueKey, Kept>> {
        // Entries are whole or absent: what a panicking holder left is still true.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
