//! Answers callers: one file a gRPC service, its conversions beside it. What they share: how a refusal becomes an
//! error (`status`), where a page ends (`page`), how the model's words become the contract's (`convert`).

pub(crate) mod health;
pub mod reasons;

mod attempts;
mod caller;
mod changes;
mod cluster;
mod convert;
mod dead_letters;
mod deliveries;
mod destination_test;
mod destinations;
mod events;
mod filter;
mod kinds;
mod members;
mod oversize;
mod page;
mod publisher;
mod routes;
mod status;
mod tenants;

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
use pushrail_model::limits;
use tonic::service::Routes;

use crate::door::Door;
use crate::services::health::Health;

/// Bytes of one request: a batch at its limit and what is around it, so that one slightly beyond is answered with a
/// reason instead of a broken stream.
const REQUEST_BYTES_MAX: usize = limits::PUBLISH_BATCH_BYTES_MAX + 1024 * 1024;

/// All services of `pushrail.v1`, gRPC's own health, and its reflection.
pub(crate) async fn router(door: &Door) -> (Routes, Health) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let this = Health::new(reporter).await;
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pushrail_api::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection = described().build_v1();
    let reflection = reflection.expect("both descriptor sets were made by our own build");
    // Tools of some years know this version alone.
    let reflection_before = described().build_v1alpha();
    let reflection_before = reflection_before.expect("the same as above");
    let routes = Routes::new(health)
        .add_service(reflection)
        .add_service(reflection_before)
        .add_service(
            PublisherServer::new(publisher::Publisher::new(door))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(TenantsServer::new(tenants::Tenants::new(door)))
        .add_service(DestinationsServer::new(destinations::Destinations::new(door)))
        .add_service(RoutesServer::new(routes::Routes::new(door)))
        .add_service(EventsServer::new(events::Events::new(door)))
        .add_service(AttemptsServer::new(attempts::Attempts::new(door)))
        .add_service(DeadLettersServer::new(dead_letters::DeadLetters::new(door)))
        .add_service(DeliveriesServer::new(deliveries::Deliveries::new(door)))
        .add_service(ChangesServer::new(changes::Changes::new(door)))
        .add_service(KindsServer::new(kinds::Kinds))
        .add_service(ClusterServer::new(cluster::Cluster::new(door)));
    let explained = axum::middleware::map_response(oversize::explained::<axum::body::Body>);
    (Routes::from(routes.into_axum_router().layer(explained)), this)
}

/// A service is a door, and nothing else.
macro_rules! service {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub(super) struct $name {
            door: $crate::door::Door,
        }

        impl $name {
            /// Through this door.
            pub(super) fn new(door: &$crate::door::Door) -> Self {
                Self { door: door.clone() }
            }
        }
    };
}
use service;
