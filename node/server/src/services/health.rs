//! `grpc.health.v1`, service by service: what needs a quorum is not called serving where there is none. Clients and
//! balancers that watch it go to another node, or wait.

use std::time::Duration;

use pushrail_api::v1::attempts_server::AttemptsServer;
use pushrail_api::v1::changes_server::ChangesServer;
use pushrail_api::v1::cluster_server::ClusterServer;
use pushrail_api::v1::dead_letters_server::DeadLettersServer;
use pushrail_api::v1::deliveries_server::DeliveriesServer;
use pushrail_api::v1::destinations_server::DestinationsServer;
use pushrail_api::v1::events_server::EventsServer;
use pushrail_api::v1::kinds_server::KindsServer;
use pushrail_api::v1::publisher_server::PublisherServer;
use pushrail_api::v1::routes_server::RoutesServer;
use pushrail_api::v1::tenants_server::TenantsServer;
use tokio::time::MissedTickBehavior;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};

use crate::readiness::Readiness;
use crate::services::{
    attempts, changes, cluster, dead_letters, deliveries, destinations, events, kinds, publisher, routes,
    tenants,
};

/// How often readiness is looked at: well within a lease.
const INTERVAL: Duration = Duration::from_millis(100);

/// What a service needs in order to be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// A majority: it writes, or promises what only a leader can.
    Quorum,
    /// This node alone: it can answer from its own state, or from no state.
    Node,
}

/// Every service's name, as health knows it; the empty one is the whole node.
const SERVICES: [(&str, Needs); 12] = [
    ("", Needs::Quorum),
    (PublisherServer::<publisher::Publisher>::NAME, Needs::Quorum),
    (TenantsServer::<tenants::Tenants>::NAME, Needs::Quorum),
    (
        DestinationsServer::<destinations::Destinations>::NAME,
        Needs::Quorum,
    ),
    (RoutesServer::<routes::Routes>::NAME, Needs::Quorum),
    (
        DeadLettersServer::<dead_letters::DeadLetters>::NAME,
        Needs::Quorum,
    ),
    (EventsServer::<events::Events>::NAME, Needs::Node),
    (AttemptsServer::<attempts::Attempts>::NAME, Needs::Node),
    (DeliveriesServer::<deliveries::Deliveries>::NAME, Needs::Node),
    (ChangesServer::<changes::Changes>::NAME, Needs::Node),
    (KindsServer::<kinds::Kinds>::NAME, Needs::Node),
    // Without it no cluster could be formed, and nobody could ask what is wrong.
    (ClusterServer::<cluster::Cluster>::NAME, Needs::Node),
];

/// How far a node is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// All of it.
    Whole,
    /// What it can do alone.
    Apart,
    /// Nobody should be sent here.
    Closed,
}

impl Standing {
    fn of(readiness: &Readiness) -> (Self, Option<String>) {
        if let Some(why) = readiness.why_closed() {
            return (Self::Closed, Some(why));
        }
        match readiness.why_apart() {
            Some(why) => (Self::Apart, Some(why)),
            None => (Self::Whole, None),
        }
    }

    fn serves(self, needs: Needs) -> ServingStatus {
        match (self, needs) {
            (Self::Whole, _) | (Self::Apart, Needs::Node) => ServingStatus::Serving,
            (Self::Apart, Needs::Quorum) | (Self::Closed, _) => ServingStatus::NotServing,
        }
    }
}

/// What the node says of its services.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Until it follows a node's readiness, only what needs nobody else is called serving.
    pub(super) async fn new(reporter: HealthReporter) -> Self {
        let this = Self { reporter };
        this.say(Standing::Apart).await;
        this
    }

    /// Says what is true of the node, until it is dropped.
    pub(crate) async fn follow(self, readiness: Readiness) {
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = Standing::Apart;
        loop {
            tick.tick().await;
            let (standing, why) = Standing::of(&readiness);
            // Whoever watches is told of changes only.
            if standing == said {
                continue;
            }
            match why {
                None => info!("all services serve"),
                Some(why) => warn!(%why, "services that need a quorum do not serve"),
            }
            self.say(standing).await;
            said = standing;
        }
    }

    /// The node is on its way down: balancers send nobody any more.
    pub(crate) async fn stopping(&self) {
        self.say(Standing::Closed).await;
    }

    async fn say(&self, standing: Standing) {
        for (name, needs) in SERVICES {
            self.reporter
                .set_service_status(name, standing.serves(needs))
                .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_of_the_contract_is_known_to_health() {
        let contract = pushrail_api::FILE_DESCRIPTOR_SET;
        let contract = <prost_types::FileDescriptorSet as prost::Message>::decode(contract).unwrap();
        let mut names: Vec<String> = Vec::new();
        for file in contract.file {
            let package = file.package().to_owned();
            let services = file.service.iter();
            names.extend(services.map(|service| format!("{package}.{}", service.name())));
        }
        names.push(String::new());
        names.sort();

        let mut known: Vec<&str> = SERVICES.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        assert_eq!(known, names);
    }

    #[test]
    fn a_node_apart_serves_what_it_can_do_alone() {
        assert_eq!(Standing::Whole.serves(Needs::Quorum), ServingStatus::Serving);
        assert_eq!(Standing::Apart.serves(Needs::Quorum), ServingStatus::NotServing);
        assert_eq!(Standing::Apart.serves(Needs::Node), ServingStatus::Serving);
        assert_eq!(Standing::Closed.serves(Needs::Node), ServingStatus::NotServing);
    }
}
