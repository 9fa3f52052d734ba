//! How long a tenant's rows are kept can be changed, field by field, by whoever saw it as it stands; and who did is on
//! record.

use harness::door::{Door, linearizable};
use pushrail_api::{failure, v1};
use tonic::Code;

use crate::world::World;

const DAY: i64 = 86_400;

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
    assert_eq!((late.code(), failure::reason(&late)), (Code::Aborted, Some("VERSION_MOVED".into())));
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
            let said = |text: &Option<String>| text.as_deref().unwrap_or("-");
            (field.field.as_str(), said(&field.before), said(&field.after))
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
