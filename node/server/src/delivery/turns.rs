//! Whose turn it is: tenants one after another, and within a tenant its destinations one after another. Pure; part
//! of the queue.
//!
//! A bound keeps one tenant from holding every place of the node with destinations that hang: a tenant starts only
//! while it holds fewer places than are still free, a destination only while it holds fewer than are left to its
//! tenant. So one tenant alone gets half of the node, and there is always something left for the next.

use std::collections::{BTreeMap, HashMap};

use pushrail_model::command::QueueKey;
use pushrail_model::ids::TenantNo;
use pushrail_model::shard::Partition;

/// A tenant inside keys.
type TenantKey = (Partition, TenantNo);

fn tenant_of(queue: QueueKey) -> TenantKey {
    (queue.shard.partition(), queue.tenant)
}

/// Attempts under way, counted three ways.
#[derive(Debug, Default)]
pub(crate) struct Running {
    total: usize,
    tenants: HashMap<TenantKey, usize>,
    destinations: HashMap<QueueKey, AtDestination>,
}

#[derive(Clone, Copy, Debug)]
struct AtDestination {
    running: usize,
    concurrency: usize,
}

impl Running {
    /// One more at a destination that takes `concurrency` at a time.
    pub(crate) fn add(&mut self, queue: QueueKey, concurrency: usize) {
        self.total += 1;
        *self.tenants.entry(tenant_of(queue)).or_default() += 1;
        let here = self.destinations.entry(queue).or_insert(AtDestination {
            running: 0,
            concurrency,
        });
        here.running += 1;
        here.concurrency = concurrency;
    }

    /// One has ended.
    pub(crate) fn remove(&mut self, queue: QueueKey) {
        let tenant = tenant_of(queue);
        self.total -= 1;
        if let Some(running) = self.tenants.get_mut(&tenant) {
            *running -= 1;
            if *running == 0 {
                self.tenants.remove(&tenant);
            }
        }
        if let Some(here) = self.destinations.get_mut(&queue) {
            here.running -= 1;
            if here.running == 0 {
                self.destinations.remove(&queue);
            }
        }
    }

    /// Over all.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Whether a destination is at its concurrency. How much it takes is known from the attempts at it: without
    /// one, there is room for one.
    pub(crate) fn is_full(&self, queue: QueueKey) -> bool {
        self.destinations
            .get(&queue)
            .is_some_and(|here| here.running >= here.concurrency)
    }

    fn at(&self, queue: QueueKey) -> usize {
        self.destinations.get(&queue).map_or(0, |here| here.running)
    }

    fn of(&self, tenant: TenantKey) -> usize {
        self.tenants.get(&tenant).copied().unwrap_or(0)
    }
}

/// Destinations that have something to start, in their order.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    order: Order<TenantKey>,
    tenants: HashMap<TenantKey, Order<QueueKey>>,
}

impl Turns {
    /// A destination has something to start. One that takes turns already keeps its place.
    pub(crate) fn join(&mut self, queue: QueueKey) {
        let tenant = tenant_of(queue);
        self.order.join(tenant);
        self.tenants.entry(tenant).or_default().join(queue);
    }

    /// It has nothing more, or may not.
    pub(crate) fn leave(&mut self, queue: QueueKey) {
        let tenant = tenant_of(queue);
        if let Some(destinations) = self.tenants.get_mut(&tenant) {
            destinations.leave(&queue);
            if destinations.is_empty() {
                self.tenants.remove(&tenant);
                self.order.leave(&tenant);
            }
        }
    }

    /// Whose turn it is, of those who may take one more of the node's `places`.
    pub(crate) fn next(&self, running: &Running, places: usize) -> Option<QueueKey> {
        let free = places.saturating_sub(running.total());
        // Those who are passed over hold as many places as are free, or more: there cannot be many of them.
        self.order
            .iter()
            .filter(|tenant| running.of(**tenant) < free)
            .find_map(|tenant| {
                let left = free - running.of(*tenant);
                let mut destinations = self.tenants.get(tenant)?.iter();
                destinations.find(|queue| running.at(**queue) < left).copied()
            })
    }

    /// A destination had its turn: it and its tenant go to the end.
    pub(crate) fn served(&mut self, queue: QueueKey) {
        let tenant = tenant_of(queue);
        self.order.move_back(tenant);
        if let Some(destinations) = self.tenants.get_mut(&tenant) {
            destinations.move_back(queue);
        }
    }
}

/// Members by the number they drew when they came to the end.
#[derive(Debug)]
struct Order<T> {
    by_number: BTreeMap<u64, T>,
    numbers: HashMap<T, u64>,
    drawn: u64,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self {
            by_number: BTreeMap::new(),
            numbers: HashMap::new(),
            drawn: 0,
        }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Order<T> {
    fn join(&mut self, member: T) {
        if !self.numbers.contains_key(&member) {
            self.drawn += 1;
            self.numbers.insert(member, self.drawn);
            self.by_number.insert(self.drawn, member);
        }
    }

    fn leave(&mut self, member: &T) -> bool {
        self.numbers
            .remove(member)
            .is_some_and(|number| self.by_number.remove(&number).is_some())
    }

    fn move_back(&mut self, member: T) {
        if self.leave(&member) {
            self.join(member);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.by_number.values()
    }

    fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}
