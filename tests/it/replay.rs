//! Dead letters run again: the same payload under the same id, as a new run with all its retries.

use harness::audit::settled;
use harness::behaviour::Behaviour;
use harness::door::{event, linearizable};
use pushrail_api::v1;
use pushrail_api::v1::replay_result::Outcome;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_dead_letter_arrives_as_the_same_event_in_a_new_run() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::always(401)).await;
    let door = world.cluster.door(world.cluster.follower().await);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(
            door.publish(event("acme", "orders.paid", format!("{number}")))
                .await
                .unwrap()
                .event,
        );
    }
    settled(&door, &world.endpoints, SOON).await.unwrap();
    let letters = door.dead_letters_of("acme", "orders").await.unwrap();
    assert_eq!(letters.len(), 5);
    assert!(
        letters
            .iter()
            .all(|letter| letter.status == Some(401) && letter.attempts_made == 1),
        "{letters:?}"
    );

    // One more failure, then it is taken: the new run has its retries.
    world.receiver.script(&hook.path, Behaviour::first(2, 500));
    let asked = v1::ReplayDeadLettersRequest {
        tenant: String::from("acme"),
        deliveries: letters
            .iter()
            .take(3)
            .map(|letter| letter.delivery.clone())
            .collect(),
        request_id: String::from("replay-1"),
    };
    let first = door
        .dead_letters()
        .replay(asked.clone())
        .await
        .unwrap()
        .into_inner();
    settled(&door, &world.endpoints, SOON).await.unwrap();
    let requests = world.receiver.count(&hook.path);
    let again = world
        .cluster
        .door(1)
        .dead_letters()
        .replay(asked.clone())
        .await
        .unwrap()
        .into_inner();
    let mut others = asked.clone();
    others.deliveries.reverse();
    let others = door.dead_letters().replay(others).await.unwrap_err();
    let other = v1::ReplayDeadLettersRequest {
        request_id: String::from("replay-2"),
        ..asked
    };
    let other = door.dead_letters().replay(other).await.unwrap().into_inner();
    settled(&door, &world.endpoints, SOON).await.unwrap();

    let outcomes = |response: &v1::ReplayDeadLettersResponse| -> Vec<Outcome> {
        response.results.iter().map(v1::ReplayResult::outcome).collect()
    };
    assert_eq!(outcomes(&first), [Outcome::Started; 3]);
    assert_eq!(
        outcomes(&again),
        [Outcome::Started; 3],
        "a repeat is answered as the first"
    );
    assert_eq!(
        pushrail_api::failure::reason(&others).as_deref(),
        Some("ALREADY_EXISTS"),
        "as many others are another request"
    );
    assert_eq!(outcomes(&other), [Outcome::NotDead; 3]);
    assert_eq!(
        world.receiver.count(&hook.path),
        requests,
        "neither the repeat nor the second sent anything"
    );
    let left = door.dead_letters_of("acme", "orders").await.unwrap();
    assert_eq!(left.len(), 2);
    let taken = world.receiver.taken(&hook.path);
    assert_eq!(taken.len(), 3);
    for letter in &letters[..3] {
        assert_eq!(taken.get(&letter.event), Some(&1));
        let story = door.explain("acme", &letter.event, linearizable()).await.unwrap();
        let explained = &story.deliveries[0];
        let runs: Vec<(u32, u32)> = explained
            .attempts
            .iter()
            .map(|attempt| (attempt.run, attempt.number))
            .collect();
        // The receiver counts each event's requests over all runs: it had refused this one once.
        assert_eq!(runs, [(1, 1), (2, 1), (2, 2)], "{explained:?}");
        let bodies: Vec<_> = world
            .receiver
            .requests_to(&hook.path)
            .into_iter()
            .filter(|request| request.webhook_id == letter.event)
            .map(|request| request.body)
            .collect();
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_cannot_replay_another_s_dead_letter() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::always(401)).await;
    world.webhook("globex", "orders", Behaviour::default()).await;
    let door = world.door();
    door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    settled(&door, &world.endpoints, SOON).await.unwrap();
    let letter = door.dead_letters_of("acme", "orders").await.unwrap().remove(0);

    let asked = v1::ReplayDeadLettersRequest {
        tenant: String::from("globex"),
        deliveries: vec![letter.delivery],
        request_id: String::new(),
    };
    let results = door
        .dead_letters()
        .replay(asked)
        .await
        .unwrap()
        .into_inner()
        .results;
    settled(&door, &world.endpoints, SOON).await.unwrap();

    assert_eq!(results[0].outcome(), Outcome::Unknown);
    assert_eq!(world.receiver.count(&hook.path), 1);
    assert_eq!(door.dead_letters_of("acme", "orders").await.unwrap().len(), 1);
}
