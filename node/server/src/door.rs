//! The door: what a caller asks is checked here, decided here, and only then becomes a command. `services/` calls it;
//! it knows no protobuf.

pub(crate) mod dead_letters;
pub(crate) mod log;
pub(crate) mod pack;
pub(crate) mod prepare;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod refusal;
pub(crate) mod routing;
pub(crate) mod settings;
pub(crate) mod trial;

use std::sync::{Arc, OnceLock};

use pushrail_adapters::net::Net;
use pushrail_raft::replica::Replica;
use tokio::sync::Semaphore;

use crate::door::routing::RoutingTables;
use crate::door::trial::Trials;
use crate::keyring::Keyring;

/// What a node's configuration says about what it takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// Bytes of one payload at most.
    pub payload_bytes_max: usize,
}

/// This node, as callers meet it. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    replica: Replica,
    net: Net,
    keyring: Arc<Keyring>,
    limits: DoorLimits,
    trials: Trials,
    routing: RoutingTables,
    hash_key: OnceLock<u64>,
    publishing: Arc<Semaphore>,
}

impl Door {
    /// Over this node's replica; `net` is what destinations' settings are checked with, and tested over, `keyring` what
    /// their credentials are sealed by.
    pub fn new(
        replica: Replica,
        net: Net,
        keyring: Arc<Keyring>,
        limits: DoorLimits,
        trials: Trials,
    ) -> Self {
        let inner = Inner {
            replica,
            net,
            keyring,
            limits,
            trials,
            routing: RoutingTables::default(),
            hash_key: OnceLock::new(),
            publishing: Arc::new(Semaphore::new(publish::PUBLISHING_KIB_MAX)),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// This node's part of the cluster.
    pub(crate) fn replica(&self) -> &Replica {
        &self.inner.replica
    }

    fn net(&self) -> &Net {
        &self.inner.net
    }

    fn trials(&self) -> &Trials {
        &self.inner.trials
    }

    /// Events in, each with what became of it.
    pub(crate) async fn publish(
        &self,
        events: Vec<publish::Incoming>,
    ) -> Vec<Result<publish::Accepted, refusal::Refusal>> {
        let room = self.inner.publishing.try_acquire_many(publish::kib(&events));
        let Ok(_room) = room else {
            return events.iter().map(|_| Err(refusal::Refusal::Busy)).collect();
        };
        let publisher = publish::Publisher {
            log: &self.inner.replica,
            node: self.inner.replica.node(),
            limits: self.inner.limits,
            routing: &self.inner.routing,
            hash_key: &self.inner.hash_key,
        };
        publisher.publish(events).await
    }
}
