//! What is over goes by the state's time, on a whole node: a clock that jumps over weeks, the leader's own upkeep.

use pushrail_machine::query::upkeep::{self, Keeper};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

impl World {
    fn keepers(&self) -> Vec<Keeper> {
        upkeep::keepers(&self.running.replica().view()).unwrap()
    }

    fn attempts(&self) -> usize {
        let view = self.running.replica().view();
        let filter = query::attempts::Filter {
            destination: Some(self.destination.number),
            ..query::attempts::Filter::default()
        };
        let page = query::attempts::list(
            &view,
            (Partition::of(&tenant_id()), self.tenant.number),
            &filter,
            pushrail_machine::store::Direction::Ascending,
            None,
            &mut query::page::Budget {
                rows: 100,
                reads: 1000,
            },
        );
        page.unwrap().rows.len()
    }

    fn event(&self, event: EventId) -> Option<pushrail_model::event::Event> {
        let view = self.running.replica().view();
        query::event::event(&view, self.tenant.number, event).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_go_by_and_the_leader_lets_go_what_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), policy(&[])).await;
    world.receiver.script(&[200, 401]);
    let delivered = world.publish(b"delivered").await;
    world.ends(delivered).await;
    let dead = world.publish(b"dead").await;
    world.ends(dead).await;

    // Dead letters are kept for fourteen days.
    world.clock.advance(DAY * 15);
    eventually("the dead letter expires", || {
        let (state, _) = world.story(dead)?;
        matches!(state, DeliveryState::Expired { .. }).then_some(())
    })
    .await;
    assert!(world.event(delivered).is_some());

    // Events for thirty; what expired stays on record, without its payload.
    world.clock.advance(DAY * 16);
    eventually("the event goes", || {
        world.event(delivered).is_none().then_some(())
    })
    .await;
    eventually("the payload goes", || world.event(dead)?.stripped).await;
    assert_eq!(world.event(dead).unwrap().new.payload.bytes.len(), 0);
    assert_eq!(world.attempts(), 2);

    // Attempts for ninety, and so the record of what expired.
    world.clock.advance(DAY * 76);
    eventually("the attempts go", || (world.attempts() == 0).then_some(())).await;
    eventually("the record goes", || world.event(dead).is_none().then_some(())).await;

    // What comes then is accepted and delivered as ever.
    let event = world.publish(b"later").await;
    let (state, _) = world.ends(event).await;
    assert!(matches!(state, DeliveryState::Delivered { .. }));
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_paused_destination_outlives_its_retention_and_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), policy(&[])).await;
    world.set(WantedState::Paused, "p").await;
    let event = world.publish(b"kept for a long time").await;

    world.clock.advance(DAY * 40);
    eventually("it is carried forward", || {
        let view = world.running.replica().view();
        let keeper = world.keepers()[0];
        // Past the cursor there is nothing to drop, and it is still there.
        let over = upkeep::events::over(&view, &keeper, query::clock(&view).unwrap()).unwrap();
        let carried = upkeep::carried::count(&view, &keeper).unwrap();
        (over.is_none() && carried == 1).then_some(())
    })
    .await;
    world.set(WantedState::Active, "r").await;
    let (state, _) = world.ends(event).await;

    assert!(matches!(state, DeliveryState::Delivered { .. }));
    let body = world.receiver.with(|inner| inner.taken[0].1.clone());
    assert_eq!(&body[..], b"kept for a long time");
    world.running.stop().await;
}
