//! What most tests begin with: a cluster, a receiver, and destinations with a route each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harness::audit::{Audit, Endpoint, audit, settled};
use harness::behaviour::Behaviour;
use harness::cluster::{Cluster, Shape};
use harness::door::{Door, Webhook};
use harness::eventually::eventually;
use harness::load::{Acknowledged, Plan};
use harness::receiver::Receiver;

/// Nothing in these tests is due later than a few seconds; the rest is for loaded machines.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl World {
    pub(crate) async fn three() -> Self {
        Self::of(Shape::three()).await
    }

    pub(crate) async fn of(shape: Shape) -> Self {
        let receiver = Arc::new(Receiver::start().await);
        let cluster = Cluster::start(shape).await;
        Self {
            cluster,
            receiver,
            endpoints: Vec::new(),
        }
    }

    /// Any running node.
    pub(crate) fn door(&self) -> Door {
        let running = self.cluster.running();
        self.cluster.door(*running.first().unwrap())
    }

    /// A tenant with one destination, to which all its types `<destination>.*` are routed; it answers as scripted,
    /// and every signature is checked.
    pub(crate) async fn webhook(
        &mut self,
        tenant: &str,
        destination: &str,
        behaviour: Behaviour,
    ) -> Endpoint {
        self.webhook_with(tenant, destination, behaviour, |_| {}).await
    }

    pub(crate) async fn webhook_with(
        &mut self,
        tenant: &str,
        destination: &str,
        behaviour: Behaviour,
        change: impl FnOnce(&mut Webhook),
    ) -> Endpoint {
        let door = self.door();
        let path = format!("/{tenant}/{destination}");
        self.receiver.script(&path, behaviour);
        let mut webhook = Webhook::new(tenant, destination, &self.receiver.url(&path));
        change(&mut webhook);

        door.create_tenant(tenant).await.unwrap();
        let secret = door.create_webhook(&webhook).await.unwrap();
        self.receiver.check(&path, &secret);
        door.create_route(tenant, &format!("{destination}.*"), destination)
            .await
            .unwrap();

        let endpoint = Endpoint {
            tenant: tenant.to_owned(),
            destination: destination.to_owned(),
            receiver: Arc::clone(&self.receiver),
            path,
        };
        self.endpoints.push(endpoint.clone());
        endpoint
    }

    /// A destination of the tenant whose shard this node owns.
    pub(crate) async fn webhook_owned_by(
        &mut self,
        node: u64,
        tenant: &str,
        behaviour: Behaviour,
        change: impl Fn(&mut Webhook),
    ) -> Endpoint {
        self.cluster.has_its_share(node).await;
        for number in 0..64 {
            let endpoint = self
                .webhook_with(tenant, &format!("hook-{number}"), behaviour.clone(), &change)
                .await;
            if self.owner(&endpoint).await == node {
                return endpoint;
            }
        }
        panic!("node {node} owns none of 64 destinations");
    }

    pub(crate) async fn owner(&self, endpoint: &Endpoint) -> u64 {
        self.door()
            .destination(&endpoint.tenant, &endpoint.destination)
            .await
            .unwrap()
            .owner_node
    }

    /// Events for these endpoints, in turn.
    pub(crate) fn plan(name: &str, endpoints: &[Endpoint], events: usize) -> Plan {
        Plan {
            tenants: endpoints.iter().map(|endpoint| endpoint.tenant.clone()).collect(),
            event_types: endpoints
                .iter()
                .map(|endpoint| format!("{}.made", endpoint.destination))
                .collect(),
            events,
            batch: 10,
            callers: 6,
            payload_bytes: 200,
            name: name.to_owned(),
        }
    }

    /// Waits until a path has taken so many different events, and answers how often each.
    pub(crate) async fn arrived(&self, endpoint: &Endpoint, events: usize) -> BTreeMap<String, usize> {
        eventually("the events arrive", SOON, || async {
            let taken = endpoint.receiver.taken(&endpoint.path);
            if taken.len() >= events {
                Ok(taken)
            } else {
                Err(format!("{} of {events}", taken.len()))
            }
        })
        .await
    }

    /// Waits until nothing is scheduled any more, and holds everything acknowledged against what became of it.
    pub(crate) async fn audit(&self, door: &Door, acknowledged: &[Acknowledged]) -> Audit {
        settled(door, &self.endpoints, SOON).await.unwrap();
        audit(door, acknowledged, &self.endpoints).await
    }
}
