//! Destinations ready to send, kept as long as settings and credential stay the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pushrail_adapters::adapter::Link;
use pushrail_adapters::net::Net;
use pushrail_adapters::registry;
use pushrail_adapters::settings::Invalid;
use pushrail_model::command::QueueKey;
use pushrail_model::destination::Destination;

/// Links kept at most; a link more costs one parse of its settings.
const KEPT_MAX: usize = 8192;

/// Links by destination; each with the version that it was opened for.
pub(crate) struct Links {
    net: Net,
    kept: Mutex<HashMap<QueueKey, Opened>>,
}

type Opened = (u64, Arc<dyn Link>);

impl Links {
    pub(crate) fn new(net: Net) -> Self {
        Self {
            net,
            kept: Mutex::new(HashMap::new()),
        }
    }

    /// The link of a destination as it is now.
    pub(crate) fn open(
        &self,
        queue: QueueKey,
        destination: &Destination,
    ) -> Result<Arc<dyn Link>, Vec<Invalid>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, link)) = kept.get(&queue)
            && *version == destination.version
        {
            return Ok(Arc::clone(link));
        }
        let link = registry::open(&destination.spec, &self.net)?;
        if kept.len() >= KEPT_MAX && !kept.contains_key(&queue) {
            // Any one: which is the least used is not worth knowing.
            let one = kept.keys().next().copied();
            one.and_then(|one| kept.remove(&one));
        }
        kept.insert(queue, (destination.version, Arc::clone(&link)));
        Ok(link)
    }
}
