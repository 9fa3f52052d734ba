//! Every call of the contract by name. A write without a request id is given one here, so that it may be repeated.

use super::outcome::Repeat;
use super::{Client, ClientError};
use crate::v1::attempts_client::AttemptsClient;
use crate::v1::changes_client::ChangesClient;
use crate::v1::cluster_client::ClusterClient;
use crate::v1::dead_letters_client::DeadLettersClient;
use crate::v1::deliveries_client::DeliveriesClient;
use crate::v1::destinations_client::DestinationsClient;
use crate::v1::events_client::EventsClient;
use crate::v1::kinds_client::KindsClient;
use crate::v1::publisher_client::PublisherClient;
use crate::v1::routes_client::RoutesClient;
use crate::v1::tenants_client::TenantsClient;
use crate::v1::*;

/// Bytes of an answer: above what a page may hold.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $client:ident.$rpc:ident($request:ty) -> $response:ty, $prepare:expr;)*) => {
        impl Client {
            $(
                $(#[$doc])*
                pub async fn $name(&self, mut request: $request) -> Result<$response, ClientError> {
                    let prepare: fn(&mut $request) -> Repeat = $prepare;
                    let repeat = prepare(&mut request);
                    self.call(repeat, request, |channel, request| async move {
                        let mut client = $client::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
                        client.$rpc(request).await
                    })
                    .await
                }
            )*
        }
    };
}

calls! {
    /// Publishes one event. Repeated by itself only with an idempotency key, or where it certainly was not accepted.
    publish = PublisherClient.publish(PublishRequest) -> PublishResponse, |request| keyed(request.event.iter());
    /// Publishes several; repeated by itself only if all have an idempotency key, or certainly none was accepted.
    publish_batch = PublisherClient.publish_batch(PublishBatchRequest) -> PublishBatchResponse,
        |request| keyed(request.events.iter());

    /// Makes a tenant.
    create_tenant = TenantsClient.create(CreateTenantRequest) -> CreateTenantResponse,
        |request| named(&mut request.request_id);
    /// Shows a tenant.
    get_tenant = TenantsClient.get(GetTenantRequest) -> GetTenantResponse, |_| Repeat::Read;
    /// Changes a tenant.
    update_tenant = TenantsClient.update(UpdateTenantRequest) -> UpdateTenantResponse,
        |request| named(&mut request.request_id);
    /// Removes a tenant.
    delete_tenant = TenantsClient.delete(DeleteTenantRequest) -> DeleteTenantResponse,
        |request| named(&mut request.request_id);
    /// Shows tenants.
    list_tenants = TenantsClient.list(ListTenantsRequest) -> ListTenantsResponse, |_| Repeat::Read;

    /// Makes a destination.
    create_destination = DestinationsClient.create(CreateDestinationRequest) -> CreateDestinationResponse,
        |request| named(&mut request.request_id);
    /// Shows a destination.
    get_destination = DestinationsClient.get(GetDestinationRequest) -> GetDestinationResponse, |_| Repeat::Read;
    /// Shows a tenant's destinations.
    list_destinations = DestinationsClient.list(ListDestinationsRequest) -> ListDestinationsResponse,
        |_| Repeat::Read;
    /// Changes a destination.
    update_destination = DestinationsClient.update(UpdateDestinationRequest) -> UpdateDestinationResponse,
        |request| named(&mut request.request_id);
    /// Removes a destination.
    delete_destination = DestinationsClient.delete(DeleteDestinationRequest) -> DeleteDestinationResponse,
        |request| named(&mut request.request_id);
    /// Gives a destination another credential.
    rotate_credential = DestinationsClient.rotate_credential(RotateCredentialRequest) -> RotateCredentialResponse,
        |request| named(&mut request.request_id);
    /// Pauses a destination.
    pause_destination = DestinationsClient.pause(PauseDestinationRequest) -> PauseDestinationResponse,
        |request| named(&mut request.request_id);
    /// Resumes a destination.
    resume_destination = DestinationsClient.resume(ResumeDestinationRequest) -> ResumeDestinationResponse,
        |request| named(&mut request.request_id);

    /// Tests a destination. Not repeated by itself: each test is one request at the receiver.
    test_destination = DestinationsClient.test(TestDestinationRequest) -> TestDestinationResponse,
        |_| Repeat::Harmful;

    /// Makes a route.
    create_route = RoutesClient.create(CreateRouteRequest) -> CreateRouteResponse,
        |request| named(&mut request.request_id);
    /// Changes a route.
    update_route = RoutesClient.update(UpdateRouteRequest) -> UpdateRouteResponse,
        |request| named(&mut request.request_id);
    /// Removes a route.
    delete_route = RoutesClient.delete(DeleteRouteRequest) -> DeleteRouteResponse,
        |request| named(&mut request.request_id);
    /// Shows a route.
    get_route = RoutesClient.get(GetRouteRequest) -> GetRouteResponse, |_| Repeat::Read;
    /// Shows a tenant's routes.
    list_routes = RoutesClient.list(ListRoutesRequest) -> ListRoutesResponse, |_| Repeat::Read;

    /// Shows an event.
    get_event = EventsClient.get(GetEventRequest) -> GetEventResponse, |_| Repeat::Read;
    /// Tells an event's whole story.
    explain_event = EventsClient.explain(ExplainEventRequest) -> ExplainEventResponse, |_| Repeat::Read;

    /// Shows deliveries.
    list_deliveries = DeliveriesClient.list(ListDeliveriesRequest) -> ListDeliveriesResponse, |_| Repeat::Read;
    /// Shows what people changed.
    list_changes = ChangesClient.list(ListChangesRequest) -> ListChangesResponse, |_| Repeat::Read;

    /// Shows attempts.
    list_attempts = AttemptsClient.list(ListAttemptsRequest) -> ListAttemptsResponse, |_| Repeat::Read;

    /// Shows dead letters.
    list_dead_letters = DeadLettersClient.list(ListDeadLettersRequest) -> ListDeadLettersResponse,
        |_| Repeat::Read;
    /// Says how many dead letters failed of which cause.
    list_dead_letter_causes = DeadLettersClient.list_causes(ListDeadLetterCausesRequest)
        -> ListDeadLetterCausesResponse, |_| Repeat::Read;
    /// Tells a dead letter's whole story.
    get_dead_letter = DeadLettersClient.get(GetDeadLetterRequest) -> GetDeadLetterResponse, |_| Repeat::Read;
    /// Gives dead letters up.
    discard_dead_letters = DeadLettersClient.discard(DiscardDeadLettersRequest) -> DiscardDeadLettersResponse,
        |_| Repeat::Harmless;
    /// Begins a job over a destination's dead letters.
    start_dead_letter_job = DeadLettersClient.start_job(StartDeadLetterJobRequest) -> StartDeadLetterJobResponse,
        |request| named(&mut request.request_id);
    /// Shows a job.
    get_dead_letter_job = DeadLettersClient.get_job(GetDeadLetterJobRequest) -> GetDeadLetterJobResponse,
        |_| Repeat::Read;
    /// Shows a tenant's jobs.
    list_dead_letter_jobs = DeadLettersClient.list_jobs(ListDeadLetterJobsRequest) -> ListDeadLetterJobsResponse,
        |_| Repeat::Read;
    /// Ends a job.
    cancel_dead_letter_job = DeadLettersClient.cancel_job(CancelDeadLetterJobRequest) -> CancelDeadLetterJobResponse,
        |_| Repeat::Harmless;
    /// Runs dead letters again.
    replay_dead_letters = DeadLettersClient.replay(ReplayDeadLettersRequest) -> ReplayDeadLettersResponse,
        |request| named(&mut request.request_id);

    /// Shows a kind.
    get_kind = KindsClient.get(GetKindRequest) -> GetKindResponse, |_| Repeat::Read;
    /// Shows all kinds.
    list_kinds = KindsClient.list(ListKindsRequest) -> ListKindsResponse, |_| Repeat::Read;

    /// Forms the cluster.
    init_cluster = ClusterClient.init(InitClusterRequest) -> InitClusterResponse, |_| Repeat::Harmless;
    /// Shows how the cluster stands.
    cluster_status = ClusterClient.status(ClusterStatusRequest) -> ClusterStatusResponse, |_| Repeat::Read;
}

fn keyed<'a>(mut events: impl Iterator<Item = &'a NewEvent>) -> Repeat {
    if events.all(|event| !event.idempotency_key.is_empty()) {
        Repeat::Harmless
    } else {
        Repeat::Harmful
    }
}

fn named(request_id: &mut String) -> Repeat {
    if request_id.is_empty() {
        *request_id = drawn_id("req");
    }
    Repeat::Harmless
}

/// A request id or idempotency key that nobody else has: `prefix-` and 32 hex digits.
pub fn drawn_id(prefix: &str) -> String {
    format!("{prefix}-{:032x}", rand::random::<u128>())
}
