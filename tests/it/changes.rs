//! Every change is on record with who made it, from where, and what it was before and after; secrets are not.

use harness::behaviour::Behaviour;
use harness::door::{Door, event, linearizable};
use harness::eventually::eventually;
use harness::receiver::Signature;
use pushrail_api::v1::{self, ChangeFact};
use tonic::Request;

use crate::credentials::secret_of;
use crate::world::{SOON, World};

/// The request, with a name to it.
fn by<T>(name: &str, request: T) -> Request<T> {
    let mut request = Request::new(request);
    request
        .metadata_mut()
        .insert(pushrail_api::ACTOR, name.parse().unwrap());
    request
}

async fn list(door: &Door, request: v1::ListChangesRequest) -> Vec<v1::Change> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = door
            .changes()
            .list(v1::ListChangesRequest {
                page_size: 2,
                page_token,
                consistency: Some(linearizable()),
                order: i32::from(v1::Order::OldestFirst),
                ..request.clone()
            })
            .await
            .unwrap()
            .into_inner();
        assert!(page.changes.len() <= 2);
        found.extend(page.changes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn facts(changes: &[v1::Change]) -> Vec<ChangeFact> {
    changes.iter().map(v1::Change::fact).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_says_who_made_it_and_what_it_was_before() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::first(1, 400)).await;
    let (ann, bob) = (world.cluster.door(1), world.cluster.door(2));
    let id = || ("acme".to_owned(), "orders".to_owned());
    let (tenant, destination) = id();
    let update = v1::UpdateDestinationRequest {
        tenant,
        destination,
        version: 1,
        concurrency: Some(3),
        ..v1::UpdateDestinationRequest::default()
    };
    ann.destinations().update(by("ann", update)).await.unwrap();
    let (tenant, destination) = id();
    let pause = v1::PauseDestinationRequest {
        tenant,
        destination,
        request_id: "p1".to_owned(),
    };
    bob.destinations().pause(by("bob", pause.clone())).await.unwrap();
    bob.destinations().pause(by("bob", pause)).await.unwrap();
    let (tenant, destination) = id();
    let resume = v1::ResumeDestinationRequest {
        tenant,
        destination,
        request_id: "p2".to_owned(),
    };
    bob.destinations().resume(by("bob", resume)).await.unwrap();
    let (tenant, destination) = id();
    let rotate = v1::RotateCredentialRequest {
        tenant,
        destination,
        ..v1::RotateCredentialRequest::default()
    };
    let rotated = ann
        .destinations()
        .rotate_credential(by("ann", rotate))
        .await
        .unwrap();
    let secret = rotated.into_inner().credential;
    replay_a_dead_letter(&ann).await;
    let (tenant, destination) = id();
    let delete = v1::DeleteDestinationRequest {
        tenant,
        destination,
        ..v1::DeleteDestinationRequest::default()
    };
    bob.destinations().delete(by("bob", delete)).await.unwrap();
    eventually("the removal is through", SOON, || async {
        let changes = list(&ann, of_acme()).await;
        let through = facts(&changes).contains(&ChangeFact::DeliveriesCancelled);
        through.then_some(()).ok_or("not yet".to_owned())
    })
    .await;

    let changes = list(&bob, of_acme()).await;

    assert_eq!(
        facts(&changes),
        [
            ChangeFact::TenantCreated,
            ChangeFact::DestinationCreated,
            ChangeFact::RouteCreated,
            ChangeFact::DestinationUpdated,
            ChangeFact::DestinationPaused,
            ChangeFact::DestinationResumed,
            ChangeFact::CredentialRotated,
            ChangeFact::DeadLettersReplayed,
            ChangeFact::RouteRemoved,
            ChangeFact::DestinationRemoved,
            ChangeFact::DeliveriesCancelled,
        ]
    );
    let names: Vec<&str> = changes
        .iter()
        .map(|change| change.actor.as_ref().unwrap().name.as_str())
        .collect();
    assert_eq!(
        names,
        ["", "", "", "ann", "bob", "bob", "ann", "ann", "bob", "bob", "bob"]
    );
    for change in &changes {
        let actor = change.actor.as_ref().unwrap();
        assert!(actor.address.starts_with("127.0.0.1:"), "{change:?}");
        assert!((1..=3).contains(&actor.door_node));
    }
    let concurrency = &changes[3].fields[0];
    assert_eq!(
        (
            concurrency.field.as_str(),
            concurrency.before.as_deref(),
            concurrency.after.as_deref()
        ),
        ("concurrency", Some("16"), Some("3"))
    );
    let credential = &changes[6].fields[0];
    assert!(credential.secret && credential.before.is_none() && credential.after.is_none());
    assert!(
        !format!("{changes:?}").contains("whsec_"),
        "{secret} must not be there"
    );
    assert_eq!(changes[7].deliveries.len(), 1);
}

/// Has one event die, and runs it again.
async fn replay_a_dead_letter(door: &Door) {
    door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    let letter = eventually("it is dead", SOON, || async {
        let letters = door.dead_letters_of("acme", "orders").await;
        let mut letters = letters.map_err(|status| status.to_string())?;
        letters.pop().ok_or("not dead yet".to_owned())
    })
    .await;
    let replay = v1::ReplayDeadLettersRequest {
        tenant: "acme".to_owned(),
        deliveries: vec![letter.delivery],
        request_id: "again".to_owned(),
    };
    door.dead_letters().replay(by("ann", replay)).await.unwrap();
}

/// All that is dead at a destination, once there are so many.
async fn dead(door: &Door, count: usize) -> Vec<v1::DeadLetter> {
    eventually("they are dead", SOON, || async {
        let letters = door.dead_letters_of("acme", "orders").await;
        let letters = letters.map_err(|status| status.to_string())?;
        if letters.len() == count {
            Ok(letters)
        } else {
            Err(format!("{} are", letters.len()))
        }
    })
    .await
}

async fn job_ends(door: &Door, job: &str) {
    eventually("the job ends", SOON, || async {
        let job = door.job("acme", job).await.map_err(|status| status.to_string())?;
        let ended = job.state() != v1::DeadLetterJobState::Running;
        ended.then_some(()).ok_or_else(|| format!("{job:?}"))
    })
    .await;
}

fn job_of(kind: v1::DeadLetterJobKind) -> v1::StartDeadLetterJobRequest {
    v1::StartDeadLetterJobRequest {
        tenant: "acme".to_owned(),
        kind: i32::from(kind),
        destination: "orders".to_owned(),
        ..v1::StartDeadLetterJobRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_dead_letters_is_on_record_with_who_did_it_and_how_many() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::always(400)).await;
    world.webhook("acme", "others", Behaviour::default()).await;
    let (ann, bob) = (world.cluster.door(1), world.cluster.door(2));
    for _ in 0..4 {
        ann.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    }
    let letters = dead(&ann, 4).await;

    let discard = v1::DiscardDeadLettersRequest {
        tenant: "acme".to_owned(),
        deliveries: vec![letters[0].delivery.clone()],
        request_id: "give-up".to_owned(),
    };
    // A repeat finds it discarded, and changes nothing that would have to be on record.
    for _ in 0..2 {
        ann.dead_letters()
            .discard(by("ann", discard.clone()))
            .await
            .unwrap();
    }
    let wish = job_of(v1::DeadLetterJobKind::Discard);
    let job = bob.dead_letters().start_job(by("bob", wish)).await.unwrap();
    let job = job.into_inner().job.unwrap().job;
    job_ends(&ann, &job).await;
    ann.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    dead(&ann, 1).await;
    ann.pause("acme", "orders").await.unwrap();
    let wish = job_of(v1::DeadLetterJobKind::Replay);
    let replay = ann.dead_letters().start_job(by("ann", wish)).await.unwrap();
    let replay = replay.into_inner().job.unwrap().job;
    job_ends(&ann, &replay).await;

    let request = v1::ListChangesRequest {
        destination: "orders".to_owned(),
        ..of_acme()
    };
    let changes = list(&bob, request).await;

    let told: Vec<(ChangeFact, &str, u64)> = changes
        .iter()
        .map(|change| {
            let name = change.actor.as_ref().unwrap().name.as_str();
            (change.fact(), name, change.deliveries_touched)
        })
        .collect();
    assert_eq!(
        told,
        [
            (ChangeFact::DestinationCreated, "", 0),
            (ChangeFact::DeadLettersDiscarded, "ann", 1),
            (ChangeFact::JobStarted, "bob", 0),
            (ChangeFact::JobDone, "bob", 3),
            (ChangeFact::DestinationPaused, "", 0),
            (ChangeFact::JobStarted, "ann", 0),
            (ChangeFact::JobDone, "ann", 1),
        ]
    );
    assert_eq!(changes[1].deliveries, [letters[0].delivery.as_str()]);
    assert_eq!(changes[1].request_id, "give-up");
    assert_eq!([&changes[2].job, &changes[3].job], [&job, &job]);
    let fields: Vec<&str> = changes[3]
        .fields
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(fields, ["state", "taken"]);
    for change in &changes {
        let actor = change.actor.as_ref().unwrap();
        assert!(actor.address.starts_with("127.0.0.1:"), "{change:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_settings_and_their_record_outlive_the_death_of_all_nodes() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let door = world.door();
    let (tenant, destination) = (hook.tenant.clone(), hook.destination.clone());
    let update = v1::UpdateDestinationRequest {
        tenant: tenant.clone(),
        destination: destination.clone(),
        version: 1,
        concurrency: Some(3),
        ..v1::UpdateDestinationRequest::default()
    };
    door.destinations().update(by("ann", update)).await.unwrap();
    let rotate = v1::RotateCredentialRequest {
        tenant: tenant.clone(),
        destination,
        ..v1::RotateCredentialRequest::default()
    };
    let rotated = door.destinations().rotate_credential(by("bob", rotate)).await;
    let secret = secret_of(&rotated.unwrap().into_inner().credential);
    let keep = v1::UpdateTenantRequest {
        tenant,
        version: version_of_acme(&door).await,
        description: Some("ours".to_owned()),
        ..v1::UpdateTenantRequest::default()
    };
    door.tenants().update(by("eve", keep)).await.unwrap();
    let stood = door.destination("acme", "orders").await.unwrap();
    let told = list(&door, of_acme()).await;

    world.cluster.kill_all();
    for id in world.cluster.ids() {
        world.cluster.restart(id);
    }
    world.cluster.ready().await;

    for door in world.cluster.doors() {
        let stands = door.destination("acme", "orders").await.unwrap();
        assert_eq!((stands.version, stands.concurrency), (stood.version, 3));
        assert_eq!(list(&door, of_acme()).await, told);
    }
    world.receiver.check(&hook.path, &secret);
    let door = world.door();
    door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    world.arrived(&hook, 1).await;
    let requests = world.receiver.requests_to(&hook.path);
    assert_eq!(requests[0].signature, Signature::Valid);
}

async fn version_of_acme(door: &Door) -> u64 {
    let request = v1::GetTenantRequest {
        tenant: "acme".to_owned(),
        consistency: Some(linearizable()),
    };
    let found = door.tenants().get(request).await.unwrap().into_inner();
    found.tenant.unwrap().version
}

fn of_acme() -> v1::ListChangesRequest {
    v1::ListChangesRequest {
        tenant: "acme".to_owned(),
        ..v1::ListChangesRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_found_by_tenant_object_actor_and_time() {
    let world = World::three().await;
    let door = world.door();
    for (tenant, name) in [("acme", "ann"), ("globex", "bob"), ("initech", "ann")] {
        let request = v1::CreateTenantRequest {
            tenant: tenant.to_owned(),
            ..v1::CreateTenantRequest::default()
        };
        door.tenants().create(by(name, request)).await.unwrap();
    }
    let all = list(&door, v1::ListChangesRequest::default()).await;
    let tenants = |changes: &[v1::Change]| -> Vec<String> {
        changes.iter().map(|change| change.tenant.clone()).collect()
    };

    let by_ann = v1::ListChangesRequest {
        actor: "ann".to_owned(),
        ..v1::ListChangesRequest::default()
    };
    let since = v1::ListChangesRequest {
        since: all[1].at,
        ..v1::ListChangesRequest::default()
    };
    let until = v1::ListChangesRequest {
        until: all[1].at,
        ..v1::ListChangesRequest::default()
    };
    let of_globex = v1::ListChangesRequest {
        tenant: "globex".to_owned(),
        ..v1::ListChangesRequest::default()
    };
    let of_route = v1::ListChangesRequest {
        route: "orders".to_owned(),
        ..v1::ListChangesRequest::default()
    };

    assert_eq!(tenants(&all), ["acme", "globex", "initech"]);
    assert_eq!(tenants(&list(&door, by_ann).await), ["acme", "initech"]);
    assert_eq!(tenants(&list(&door, since).await), ["globex", "initech"]);
    assert_eq!(tenants(&list(&door, until).await), ["acme"]);
    assert_eq!(tenants(&list(&door, of_globex).await), ["globex"]);
    assert!(list(&door, of_route).await.is_empty());
    let long = by(&"x".repeat(300), v1::CreateTenantRequest::default());
    let refused = door.tenants().create(long).await.unwrap_err();
    assert_eq!(
        pushrail_api::failure::violations(&refused)[0].field,
        pushrail_api::ACTOR
    );
}
