//! What scenarios say of answers, hints and rows: events and destinations by their names, times since the beginning.

use std::ops::ControlFlow;

use pushrail_machine::query;
use pushrail_machine::query::page::Budget;
use pushrail_machine::store::{Direction, KeyRange, Read, Table};
use pushrail_machine::{Applied, BatchAnswer};
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::change::{Deed, Image};
use pushrail_model::command::{Command, Hint, QueueKey};
use pushrail_model::delivery::{Delivery, DeliveryState};
use pushrail_model::destination::Destination;
use pushrail_model::ids::{EventId, JobId, TenantId};
use pushrail_model::job::Job;
use pushrail_model::outcome::Outcome;
use pushrail_model::response::{EventAnswer, Response};
use pushrail_model::shard::{Ownership, Partition};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};

use crate::world::{BEGINNING, World};

/// What came of an entry of one batch.
pub(crate) fn applied(world: &World, applied: &Applied) -> Vec<String> {
    let mut lines = Vec::new();
    for answer in &applied.answers {
        match answer {
            BatchAnswer::Retired => lines.push("retired".to_owned()),
            BatchAnswer::Answered(answers) => {
                lines.extend(answers.responses.iter().map(|answer| response(world, answer)));
            }
        }
    }
    lines.extend(
        applied
            .hints
            .iter()
            .map(|given| format!("  hint: {}", hint(world, given))),
    );
    lines
}

fn response(world: &World, response: &Response) -> String {
    match response {
        Response::Done => "done".to_owned(),
        Response::Events(answers) => {
            let answers: Vec<_> = answers.iter().map(|answer| event_answer(world, answer)).collect();
            answers.join("; ")
        }
        Response::Attempts(answers) => format!("{answers:?}").to_lowercase(),
        Response::Tenant { number, version } => format!("tenant {number}, version {version}"),
        Response::Destination {
            number,
            version,
            shard,
        } => format!("destination {number}, version {version}, shard {shard}"),
        Response::Route { version, .. } => format!("route, version {version}"),
        Response::Replay(answers) => format!("replay {answers:?}").to_lowercase(),
        Response::Discards(answers) => format!("discard {answers:?}").to_lowercase(),
        Response::Job { number, state } => format!("{}: {state:?}", JobId(*number)).to_lowercase(),
        Response::Shards(count) => format!("{count} shards changed"),
        Response::Swept {
            dropped,
            carried,
            more,
        } => {
            let more = if *more { ", more to do" } else { "" };
            format!("{dropped} dropped, {carried} carried{more}")
        }
        Response::Advanced { rows, done } => {
            format!("{rows} rows, {}", if *done { "done" } else { "more to do" })
        }
        Response::Rejected(rejection) => format!("rejected: {rejection}"),
    }
}

fn event_answer(world: &World, answer: &EventAnswer) -> String {
    match answer {
        EventAnswer::Accepted {
            event,
            deliveries,
            duplicate,
        } => {
            let how = if *duplicate { "accepted before" } else { "accepted" };
            format!("{} {how}, {deliveries} deliveries", event_name(world, *event))
        }
        EventAnswer::KeyConflict { event } => format!("the key belongs to {}", event_name(world, *event)),
        EventAnswer::RoutingMoved(index) => format!("routing moved at {index}"),
        EventAnswer::UnknownTenant => "unknown tenant".to_owned(),
    }
}

fn hint(world: &World, hint: &Hint) -> String {
    match hint {
        Hint::Due { queue, due } => format!("due {} at {}", queue_name(world, *queue), time(*due)),
        Hint::Destination { queue } => format!("destination {}", queue_name(world, *queue)),
        Hint::Shard(shard) => format!("shard {shard}"),
    }
}

fn event_name(world: &World, id: EventId) -> String {
    let place = world.events.iter().position(|(_, other)| *other == id);
    place.map_or_else(|| id.to_string(), |place| format!("e{}", place + 1))
}

fn queue_name(world: &World, queue: QueueKey) -> String {
    let partition = queue.shard.partition();
    let tenant = query::config::tenant_by_number(&world.store, partition, queue.tenant)
        .unwrap()
        .unwrap();
    let destination =
        query::config::destination_by_number(&world.store, partition, queue.tenant, queue.destination)
            .unwrap();
    format!("{}/{}", tenant.id, destination.unwrap().id)
}

fn time(at: Timestamp) -> String {
    span(at.since(BEGINNING))
}

fn span(span: Span) -> String {
    let seconds = span.0 / 1_000_000;
    let parts = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut text = String::new();
    for (length, unit) in parts {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `show e1`, `show acme/hook`, `show due acme/hook`, `show dead acme`, `show causes acme`, `show jobs acme`,
/// `show shard acme/hook`, `show doors`, `show changes acme`, `show changes`, `show credentials acme/hook`, `show clock`.
pub(crate) fn show(world: &World, words: &[&str]) -> Vec<String> {
    match *words {
        ["clock"] => vec![format!("clock {}", time(world.clock()))],
        ["doors"] => doors(world),
        ["rows"] => vec![rows(world)],
        ["requests"] => vec![requests(world)],
        ["due", name] => due(world, name),
        ["dead", tenant] => dead(world, tenant),
        ["causes", tenant] => causes(world, tenant),
        ["jobs", tenant] => jobs(world, tenant),
        ["shard", name] => vec![shard(world, name)],
        ["changes", tenant] => changes(world, Some(tenant)),
        ["changes"] => changes(world, None),
        ["credentials", name] => credentials(world, name),
        [name] if name.contains('/') => vec![destination(world, name)],
        [event] => story(world, event),
        _ => panic!("show {words:?}"),
    }
}

fn named(world: &World, name: &str) -> (Tenant, Destination) {
    let (tenant, destination) = name.split_once('/').unwrap();
    let tenant = query::config::tenant(&world.store, &tenant.parse().unwrap())
        .unwrap()
        .unwrap();
    let destination = query::config::destination(&world.store, &tenant, &destination.parse().unwrap());
    (tenant, destination.unwrap().unwrap())
}

fn destination(world: &World, name: &str) -> String {
    let (tenant, destination) = named(world, name);
    let partition = Partition::of(&tenant.id);
    let counts =
        query::counts::destination(&world.store, partition, tenant.number, destination.number).unwrap();
    format!(
        "{:?}, held {}, version {}: {} scheduled, {} dead, {} delivered{}",
        destination.state,
        span(destination.held_until(world.clock())),
        destination.version,
        counts.scheduled,
        counts.dead,
        counts.delivered,
        match counts.expired {
            0 => String::new(),
            expired => format!(", {expired} expired"),
        },
    ) + &match counts.discarded {
        0 => String::new(),
        discarded => format!(", {discarded} discarded"),
    }
}

fn due(world: &World, name: &str) -> Vec<String> {
    let (tenant, destination) = named(world, name);
    let queue = QueueKey {
        shard: destination.shard,
        tenant: tenant.number,
        destination: destination.number,
    };
    let from = (Timestamp::ZERO, pushrail_model::ids::EventSeq::ZERO);
    let rows = query::due::after(&world.store, queue, from, Timestamp::MAX, usize::MAX).unwrap();
    let partition = destination.shard.partition();
    rows.into_iter()
        .map(|(due, seq)| {
            format!(
                "{} at {}",
                event_name(world, EventId { partition, seq }),
                time(due)
            )
        })
        .collect()
}

fn dead(world: &World, tenant: &str) -> Vec<String> {
    let id: TenantId = tenant.parse().unwrap();
    let tenant = query::config::tenant(&world.store, &id).unwrap().unwrap();
    let partition = Partition::of(&tenant.id);
    let page = query::dead_letters::list(
        &world.store,
        (partition, tenant.number),
        &query::dead_letters::Filter::default(),
        Direction::Descending,
        None,
        &mut Budget {
            rows: 100,
            reads: 100,
        },
    );
    let page = page.unwrap();
    let lines = page.rows.into_iter().map(|letter| {
        let event = EventId {
            partition,
            seq: letter.delivery.seq,
        };
        format!(
            "{} died at {} in run {} after {} attempts: {:?}, {:?} {}",
            event_name(world, event),
            time(letter.died),
            letter.run,
            letter.attempts_made,
            letter.reason,
            letter.cause,
            letter.status.unwrap_or_default(),
        )
    });
    lines.collect()
}

fn causes(world: &World, tenant: &str) -> Vec<String> {
    let tenant = tenant_of(world, tenant);
    let of = (Partition::of(&tenant.id), tenant.number);
    let page = query::dead_letters::causes(&world.store, of, None, None, 100).unwrap();
    let lines = page.rows.into_iter().map(|group| {
        format!(
            "destination {}: {} dead of {:?}",
            group.destination, group.dead, group.cause
        )
    });
    let counted = query::dead_letters::counted_to(&world.store).unwrap().is_none();
    lines
        .chain((!counted).then(|| "not all are counted".to_owned()))
        .collect()
}

fn jobs(world: &World, tenant: &str) -> Vec<String> {
    let tenant = tenant_of(world, tenant);
    let jobs = query::jobs::list(&world.store, Partition::of(&tenant.id), tenant.number).unwrap();
    jobs.iter().map(job).collect()
}

fn job(job: &Job) -> String {
    let cause = job
        .cause
        .map_or_else(String::new, |cause| format!(" of {cause:?}"));
    let total = job
        .total
        .map_or_else(|| "?".to_owned(), |total| total.to_string());
    let ended = job
        .ended
        .map_or_else(String::new, |at| format!(" at {}", time(at)));
    let by = |name: &str| match name {
        "" => String::new(),
        name => format!(" by {name}"),
    };
    format!(
        "{}: {:?}{cause} to destination {}{}: {} of {total} taken, {} passed, {:?}{ended}{}",
        JobId(job.number),
        job.kind,
        job.destination,
        by(&job.actor),
        job.taken,
        job.passed,
        job.state,
        by(&job.ended_by),
    )
}

fn tenant_of(world: &World, tenant: &str) -> Tenant {
    let id: TenantId = tenant.parse().unwrap();
    query::config::tenant(&world.store, &id).unwrap().unwrap()
}

fn shard(world: &World, name: &str) -> String {
    let (_, destination) = named(world, name);
    match query::assignment::of(&world.store, destination.shard).unwrap() {
        None => format!("shard {} has no owner", destination.shard),
        Some(Ownership {
            owner,
            epoch,
            moving_to,
        }) => {
            let moving = moving_to.map_or_else(String::new, |to| format!(", moving to node {to}"));
            format!("shard {}: node {owner}, epoch {epoch}{moving}", destination.shard)
        }
    }
}

/// How many rows there are of what is dropped at its time.
fn rows(world: &World) -> String {
    let tables = [
        (Table::Events, "events"),
        (Table::CarriedEvents, "carried"),
        (Table::Deliveries, "deliveries"),
        (Table::Attempts, "attempts"),
        (Table::DeadLetters, "dead letters"),
        (Table::Idempotency, "keys"),
    ];
    counts(world, &tables)
}

/// How many rows are left of requests.
fn requests(world: &World) -> String {
    let tables = [
        (Table::Replays, "replays"),
        (Table::Jobs, "jobs"),
        (Table::Requests, "known"),
    ];
    counts(world, &tables)
}

fn counts(world: &World, tables: &[(Table, &str)]) -> String {
    let counts = tables.iter().map(|(table, name)| {
        let mut rows = 0;
        world
            .store
            .scan(*table, KeyRange::prefix(&[]), &mut |_, _| {
                rows += 1;
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        format!("{rows} {name}")
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// A command of upkeep, and what came of it.
pub(crate) fn upkeep(world: &World, (command, answer): &(Command, Response)) -> String {
    let name = if let Command::DropBuckets(drop) = command {
        format!("{:?}", drop.rows).to_lowercase()
    } else if matches!(command, Command::ExpireDeadLetters(_)) {
        "letters".to_owned()
    } else if matches!(command, Command::DropEvents(_)) {
        "events".to_owned()
    } else if matches!(command, Command::DropRequests(_)) {
        "requests".to_owned()
    } else {
        "carried".to_owned()
    };
    format!("{name}: {}", response(world, answer))
}

fn changes(world: &World, tenant: Option<&str>) -> Vec<String> {
    let wanted = query::changes::Wanted {
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        since: Timestamp::ZERO,
        until: Timestamp::MAX,
        direction: Direction::Ascending,
    };
    let page = query::changes::list(&world.store, &wanted, None, |_| true, |_| false).unwrap();
    let lines = page.rows.into_iter().map(|(_, change)| {
        let Deed {
            tenant,
            object,
            fact,
            version,
            before,
            after,
            count,
            deliveries,
            overlap_until,
            job,
        } = change.deed;
        let mut line = format!(
            "{} {}: {fact:?} {tenant} {object} version {version}, request {}",
            time(change.at),
            change.actor.name,
            change.request_id,
        );
        for (word, image) in [("before", before), ("after", after)] {
            if let Some(image) = image {
                line.push_str(&format!(", {word} {}", picture(&image)));
            }
        }
        if count > 0 {
            line.push_str(&format!(", {count} deliveries, {} named", deliveries.len()));
        }
        if let Some(job) = job {
            line.push_str(&format!(", {}", JobId(job)));
        }
        if let Some(until) = overlap_until {
            line.push_str(&format!(", overlap until {}", time(until)));
        }
        line
    });
    lines.collect()
}

fn picture(image: &Image) -> String {
    match image {
        Image::Tenant {
            description,
            retention,
        } => {
            let said = [
                ("attempts", retention.attempts),
                ("events", retention.events),
                ("dead", retention.dead_letters),
                ("keys", retention.idempotency_keys),
            ];
            let said = said
                .into_iter()
                .filter_map(|(word, kept)| Some(format!(" {word}={}", span(kept?))));
            format!("({description}{})", said.collect::<String>())
        }
        Image::Destination { spec, state } => {
            assert!(spec.credential.is_empty(), "no credential is in the change log");
            format!("({} at a time, {state:?})", spec.concurrency)
        }
        Image::Route { pattern, destination } => format!("({pattern} to {destination})"),
        Image::Job {
            kind,
            cause,
            state,
            total,
            taken,
            passed,
        } => {
            let cause = cause.map_or_else(|| "any".to_owned(), |cause| format!("{cause:?}"));
            let total = total.map_or_else(|| "?".to_owned(), |total| total.to_string());
            format!("({kind:?} of {cause}, {taken} of {total} taken, {passed} passed, {state:?})")
        }
    }
}

fn credentials(world: &World, name: &str) -> Vec<String> {
    let (_, destination) = named(world, name);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines = vec![format!(
        "{}, revision {}",
        text(&destination.spec.credential),
        destination.credential_revision
    )];
    lines.extend(
        destination
            .previous
            .iter()
            .map(|previous| format!("  {} until {}", text(&previous.credential), time(previous.until))),
    );
    lines
}

fn doors(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let all = KeyRange::prefix(&[]);
    world
        .store
        .scan(Table::Doors, all, &mut |key, _| {
            let numbers: Vec<u64> = key
                .chunks(8)
                .map(|part| u64::from_be_bytes(part.try_into().unwrap()))
                .collect();
            lines.push(format!(
                "node {}, boot {}, batch {}",
                numbers[0], numbers[1], numbers[2]
            ));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    lines
}

fn story(world: &World, event: &str) -> Vec<String> {
    let place: usize = event.strip_prefix('e').unwrap().parse().unwrap();
    let (tenant, id) = world.events[place - 1];
    let Some(explained) = query::event::explain(&world.store, tenant, id, usize::MAX).unwrap() else {
        return vec![format!("{event} is gone")];
    };
    let new = &explained.event.new;
    let mut lines = vec![format!(
        "{event}: {} accepted at {} through node {}",
        new.event_type,
        time(explained.event.accepted),
        new.door
    )];
    if let Some(at) = explained.event.stripped {
        lines.push(format!("  its payload went at {}", time(at)));
    }
    for decision in &new.decisions {
        lines.push(format!(
            "  route {} to destination {}: {:?}",
            decision.route, decision.destination, decision.reason
        ));
    }
    for delivery in &explained.deliveries {
        lines.push(format!(
            "  {}: {}",
            delivery.destination.id,
            life(&delivery.delivery)
        ));
        lines.extend(delivery.attempts.iter().map(attempt));
    }
    lines
}

fn life(delivery: &Delivery) -> String {
    let state = match delivery.state {
        DeliveryState::Scheduled { due } => format!("scheduled for {}", time(due)),
        DeliveryState::Delivered { at } => format!("delivered at {}", time(at)),
        DeliveryState::Dead { at, reason } => format!("dead since {} ({reason:?})", time(at)),
        DeliveryState::Expired { at, died, reason } => {
            format!("expired at {}, dead since {} ({reason:?})", time(at), time(died))
        }
        DeliveryState::Discarded { at } => {
            format!("discarded at {} by {:?}", time(at), delivery.discarded_by)
        }
        DeliveryState::Cancelled { at } => format!("cancelled at {}", time(at)),
    };
    format!(
        "{state}, run {}, {} attempts made",
        delivery.run, delivery.attempts_made
    )
}

fn attempt(record: &AttemptRecord) -> String {
    let attempt = &record.attempt;
    let outcome = match &attempt.outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Failed(failure) => format!("{:?} failure", failure.class).to_lowercase(),
    };
    let effect = if record.effective { "" } else { ", late" };
    let next = record
        .next_due
        .map_or_else(String::new, |due| format!(", next at {}", time(due)));
    format!(
        "    run {} attempt {} epoch {} at {}: {outcome} {}{effect}{next}",
        attempt.run,
        attempt.number,
        attempt.epoch,
        time(attempt.start),
        attempt.observed.status.unwrap_or_default(),
    )
}
