//! Weeks go by on real nodes: all are stopped, their wall clocks set ahead, and started again. Each thing goes at its
//! time, and what has gone is said to be gone by any node. How long a tenant keeps can be changed field by field; who did
//! is on record, as is what has expired.

use harness::audit::settled;
use harness::behaviour::Behaviour;
use harness::cluster::Shape;
use harness::door::{Door, event, linearizable, local};
use harness::eventually::eventually;
use pushrail_api::{failure, v1};
use tonic::Code;

use crate::world::{SOON, World};

const DAY: i64 = 86_400;

/// Every node's wall clock is so many days ahead from now on.
async fn days_later(world: &mut World, days: i64) {
    world.cluster.kill_all();
    for id in world.cluster.ids() {
        world.cluster.node(id).wall().set(days * DAY);
        world.cluster.restart(id);
    }
    world.cluster.ready().await;
}

/// What a node says of an event, once it is as wanted.
async fn told(
    door: &Door,
    event: &str,
    wanted: impl Fn(&Result<v1::ExplainEventResponse, tonic::Status>) -> bool,
) {
    eventually("the event's story is as wanted", SOON, || async {
        let told = door.explain("acme", event, local()).await;
        if wanted(&told) {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await;
}

fn is_gone(told: &Result<v1::ExplainEventResponse, tonic::Status>) -> bool {
    told.as_ref().is_err_and(|status| status.code() == Code::NotFound)
}

async fn attempts(door: &Door, destination: &str) -> Vec<v1::Attempt> {
    let request = v1::ListAttemptsRequest {
        tenant: "acme".to_owned(),
        destination: destination.to_owned(),
        ..v1::ListAttemptsRequest::default()
    };
    door.attempts().list(request).await.unwrap().into_inner().attempts
}

/// What has expired, as the change log has it: in whose name, at which destination, how many.
async fn expired(door: &Door) -> Vec<(String, String, u64)> {
    let request = v1::ListChangesRequest {
        tenant: "acme".to_owned(),
        consistency: Some(linearizable()),
        ..v1::ListChangesRequest::default()
    };
    let changes = door.changes().list(request).await.unwrap().into_inner().changes;
    let expired = changes
        .into_iter()
        .filter(|change| change.fact() == v1::ChangeFact::DeadLettersExpired);
    expired
        .map(|change| {
            let actor = change.actor.clone().unwrap();
            (actor.name, change.destination, change.deliveries_touched)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_go_by_on_real_nodes_and_each_thing_goes_at_its_time() {
    let mut world = World::of(Shape::three().settable_walls()).await;
    world.webhook("acme", "taken", Behaviour::default()).await;
    world.webhook("acme", "refused", Behaviour::always(401)).await;
    let mut keyed = event("acme", "unrouted.made", "one");
    keyed.idempotency_key = "k1".to_owned();
    let door = world.door();
    let delivered = door
        .publish(event("acme", "taken.made", "a"))
        .await
        .unwrap()
        .event;
    let dead = door
        .publish(event("acme", "refused.made", "b"))
        .await
        .unwrap()
        .event;
    let first = door.publish(keyed.clone()).await.unwrap().event;
    settled(&door, &world.endpoints, SOON).await.unwrap();
    let known = attempts(&door, "taken").await;

    // Keys are kept for a day, dead letters for fourteen.
    days_later(&mut world, 15).await;
    keyed.payload = b"another".as_slice().into();
    let again = world.door().publish(keyed).await.unwrap();
    assert!(!again.duplicate && again.event != first, "{again:?}");
    for door in world.cluster.doors() {
        told(&door, &dead, |told| {
            let delivery = told
                .as_ref()
                .ok()
                .and_then(|told| told.deliveries[0].delivery.clone());
            delivery.is_some_and(|delivery| {
                delivery.state() == v1::DeliveryState::Expired
                    && delivery.death_reason() == v1::DeathReason::Permanent
            })
        })
        .await;
        assert!(door.dead_letters_of("acme", "refused").await.unwrap().is_empty());
        told(&door, &delivered, Result::is_ok).await;
        assert_eq!(
            expired(&door).await,
            [("retention".to_owned(), "refused".to_owned(), 1)]
        );
    }

    // Events for thirty: the record of what expired stays, without its payload; attempts tell whose they were.
    days_later(&mut world, 31).await;
    for door in world.cluster.doors() {
        told(&door, &delivered, is_gone).await;
        told(&door, &dead, |told| {
            let event = told.as_ref().ok().and_then(|told| told.event.clone());
            event.is_some_and(|event| event.payload_dropped.is_some())
        })
        .await;
        assert_eq!(attempts(&door, "taken").await, known);
    }

    // Attempts for ninety, and so what expired on the fifteenth day.
    days_later(&mut world, 107).await;
    for door in world.cluster.doors() {
        told(&door, &dead, is_gone).await;
        assert!(attempts(&door, "taken").await.is_empty());
        assert!(attempts(&door, "refused").await.is_empty());
    }
    world.cluster.check();
}

fn days(days: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: days * DAY,
        nanos: 0,
    })
}

fn update(version: u64, retention: v1::Retention) -> v1::UpdateTenantRequest {
    v1::UpdateTenantRequest {
        tenant: "acme".to_owned(),
        version,
        retention: Some(retention),
        ..v1::UpdateTenantRequest::default()
    }
}

async fn updated(door: &Door, request: v1::UpdateTenantRequest) -> Result<v1::Retention, tonic::Status> {
    let answer = door.tenants().update(request).await?.into_inner();
    Ok(answer.tenant.unwrap().retention.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_changes_field_by_field_for_whoever_saw_it_as_it_stands() {
    let world = World::three().await;
    let door = world.door();
    let create = v1::CreateTenantRequest {
        tenant: "acme".to_owned(),
        description: "ours".to_owned(),
        retention: Some(v1::Retention {
            events: days(7),
            ..v1::Retention::default()
        }),
        ..v1::CreateTenantRequest::default()
    };
    door.tenants().create(create).await.unwrap();

    let letters = v1::Retention {
        dead_letters: days(3),
        ..v1::Retention::default()
    };
    let first = updated(&door, update(1, letters)).await.unwrap();
    let late = updated(&door, update(1, letters)).await.unwrap_err();
    let wrong = v1::Retention {
        attempts: days(366),
        dead_letters: days(91),
        ..v1::Retention::default()
    };
    let wrong = updated(&door, update(2, wrong)).await.unwrap_err();
    let nothing = updated(&door, update(2, v1::Retention::default()))
        .await
        .unwrap_err();
    let reset = v1::UpdateTenantRequest {
        retention_reset: true,
        ..update(2, letters)
    };
    let reset = updated(&door, reset).await.unwrap();

    let by_default = |events, dead_letters| v1::Retention {
        attempts: days(90),
        events,
        dead_letters,
        idempotency_keys: days(1),
    };
    assert_eq!(first, by_default(days(7), days(3)));
    assert_eq!(
        (late.code(), failure::reason(&late)),
        (Code::Aborted, Some("VERSION_MOVED".into()))
    );
    let fields: Vec<String> = failure::violations(&wrong)
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    assert_eq!(fields, ["retention.attempts", "retention.dead_letters"]);
    assert_eq!(nothing.code(), Code::InvalidArgument);
    assert_eq!(reset, by_default(days(30), days(3)));
    let request = v1::ListChangesRequest {
        tenant: "acme".to_owned(),
        consistency: Some(linearizable()),
        ..v1::ListChangesRequest::default()
    };
    let changes = door.changes().list(request).await.unwrap().into_inner().changes;
    let told: Vec<(&str, &str, &str)> = changes[..2]
        .iter()
        .flat_map(|change| &change.fields)
        .map(|field| {
            let (before, after) = (field.before.as_deref(), field.after.as_deref());
            (
                field.field.as_str(),
                before.unwrap_or_default(),
                after.unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("retention.events", "7d", "30d"),
            ("retention.dead_letters", "14d", "3d"),
        ]
    );
}
