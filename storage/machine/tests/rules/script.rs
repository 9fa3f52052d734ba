//! The language of scenarios: one line, one thing done to a world, and the lines that say what came of it.
//! `wait 5s` · `tenant acme request=r1 keys=1h dead=2d` · `destination acme/hook` · `route acme all pattern=** to=hook` ·
//! `publish acme order.paid body=x key=k revision=3` · `attempt e1/hook delivered` ·
//! `attempt e1/hook failed 500 retry=5s` · `pause acme/hook` · `resume acme/hook` · `replay acme e1/hook` ·
//! `upkeep by=retention` (all that a leader would drop now) · `discard acme e1/hook by=ann` · `job replay acme/hook` ·
//! `advance acme job=1 take=2 read=9` · `cancel acme job=1` · `count read=9` · `give …` · `batch … | …` · `show …`: see `line`

mod settings;

use std::collections::BTreeMap;

use bytes::Bytes;

use pushrail_machine::query;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{
    AdvanceJob, Batch, CancelJob, Command, CountCauses, DiscardDeadLetters, InitCluster, MoveKind,
    ReleaseShards, SetDestinationState, StartJob, StartReplay, WantedState,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::Destination;
use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, Epoch, EventId, JobNo, LogIndex, NodeId, Run, TenantId,
};
use pushrail_model::job::{JobCursor, JobKind};
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::retention::Retention;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::render;
use crate::samples;
use crate::upkeep::keep_house_by;
use crate::world::World;

/// A scenario on its way.
pub(crate) struct Script {
    world: World,
    last: Option<Batch>,
}

/// A line's words: those that stand alone, and those of the form `name=value`.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let (named, plain): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.contains('='));
        Self {
            plain,
            named: named
                .into_iter()
                .map(|word| word.split_once('=').unwrap())
                .collect(),
        }
    }

    fn plain(&self, place: usize) -> &'a str {
        self.plain
            .get(place)
            .unwrap_or_else(|| panic!("word {place} of {:?}", self.plain))
    }

    fn request(&self) -> &'a str {
        self.named.get("request").copied().unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        self.named.get(name).copied().unwrap_or_default().to_owned()
    }

    fn fits(&self, name: &str) -> u32 {
        u32::try_from(self.needed(name)).unwrap()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.named.get(name).map(|value| value.parse().unwrap())
    }

    fn needed(&self, name: &str) -> u64 {
        self.number(name)
            .unwrap_or_else(|| panic!("{name}= in {:?}", self.plain))
    }

    fn span(&self, name: &str) -> Option<Span> {
        self.named.get(name).map(|value| span(value))
    }

    fn retention(&self) -> Retention {
        Retention {
            attempts: self.span("attempts"),
            events: self.span("events"),
            dead_letters: self.span("dead"),
            idempotency_keys: self.span("keys"),
        }
    }
}

/// `5s`, `90m`, `24h`, `2d`.
fn span(text: &str) -> Span {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    match unit {
        "s" => Span::from_secs(number),
        "m" => Span::from_secs(number * 60),
        "h" => Span(number * Span::HOUR.0),
        "d" => Span(number * Span::DAY.0),
        other => panic!("unit {other}"),
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            world: World::new(),
            last: None,
        }
    }

    /// Does what a line says; says what came of it.
    pub(crate) fn line(&mut self, line: &str) -> Vec<String> {
        let (head, rest) = line.split_once('|').unwrap_or((line, ""));
        let words = Words::of(head);
        match words.plain(0) {
            "wait" => {
                self.world.time = self.world.time.plus(span(words.plain(1)));
                Vec::new()
            }
            "back" => {
                self.world.time = self.world.time.minus(span(words.plain(1)));
                Vec::new()
            }
            "show" => render::show(&self.world, &words.plain[1..]),
            "upkeep" => {
                let by = words.named.get("by").copied();
                let done = keep_house_by(&mut self.world, by);
                done.iter()
                    .map(|done| render::upkeep(&self.world, done))
                    .collect()
            }
            "again" => {
                let batch = self.last.clone().unwrap();
                self.apply(batch)
            }
            "together" => {
                let commands = rest.split('|').map(|line| self.command(line)).collect();
                let batch = self.world.batch(commands);
                self.apply(batch)
            }
            "batch" => {
                let commands = rest.split('|').map(|line| self.command(line)).collect();
                let batch = Batch {
                    node: NodeId(words.needed("node")),
                    boot: BootId(words.needed("boot")),
                    number: BatchNumber(words.needed("number")),
                    lowest_open: BatchNumber(words.needed("lowest")),
                    commands,
                };
                self.apply(batch)
            }
            _ => {
                let command = self.command(head);
                let batch = self.world.batch(vec![command]);
                self.apply(batch)
            }
        }
    }

    fn apply(&mut self, batch: Batch) -> Vec<String> {
        self.last = Some(batch.clone());
        let applied = self.world.apply(vec![batch]);
        render::applied(&self.world, &applied)
    }

    fn command(&self, line: &str) -> Command {
        let words = Words::of(line);
        let command = self.unsigned(&words);
        match words.named.get("by") {
            Some(name) => samples::by(command, name),
            None => command,
        }
    }

    fn unsigned(&self, words: &Words<'_>) -> Command {
        match words.plain(0) {
            "init" => Command::InitCluster(InitCluster {
                cluster: words.needed("cluster").into(),
                hash_key: words.needed("key"),
            }),
            "tenant" => samples::tenant_keeping(words.plain(1), words.request(), words.retention()),
            "destination" => {
                let (tenant, destination) = words.plain(1).split_once('/').unwrap();
                samples::destination(tenant, destination, words.request())
            }
            "route" => samples::route(
                words.plain(1),
                words.plain(2),
                words.named["pattern"],
                words.named["to"],
                words.request(),
            ),
            "publish" => self.publish(words),
            "attempt" => samples::record(vec![self.attempt(words)]),
            "pause" => set_state(words, WantedState::Paused),
            "resume" => set_state(words, WantedState::Active),
            "replay" => Command::StartReplay(StartReplay {
                tenant: words.plain(1).parse().unwrap(),
                request_id: words.request().to_owned(),
                deliveries: self.deliveries(&words.plain[2..]),
                content_hash: samples::said(&words.plain[2..]),
                actor: None,
                by_destination: words.plain.contains(&"apart"),
            }),
            "discard" => Command::DiscardDeadLetters(DiscardDeadLetters {
                tenant: words.plain(1).parse().unwrap(),
                former_actor: words.text("actor"),
                deliveries: self.deliveries(&words.plain[2..]),
                request_id: words.request().to_owned(),
                actor: None,
            }),
            "job" => job(words),
            "advance" => self.advance(words),
            "cancel" if words.named.contains_key("job") => Command::CancelJob(CancelJob {
                tenant: words.plain(1).parse().unwrap(),
                job: JobNo(words.needed("job")),
                former_actor: words.text("actor"),
                request_id: words.request().to_owned(),
                actor: None,
            }),
            "count" => Command::CountCauses(CountCauses {
                from: match words.plain.contains(&"stale") {
                    true => Bytes::from_static(b"elsewhere"),
                    false => query::dead_letters::counted_to(&self.world.store)
                        .unwrap()
                        .unwrap_or_default(),
                },
                read_max: words.fits("read"),
            }),
            "give" => self.shard_move(words, MoveKind::Give),
            "ask" => self.shard_move(words, MoveKind::Ask),
            "release" => Command::ReleaseShards(ReleaseShards {
                node: NodeId(words.needed("node")),
                shards: vec![(shard(words.plain(1)), Epoch(words.needed("epoch")))],
            }),
            _ => settings::command(&self.world, words),
        }
    }

    fn publish(&self, words: &Words<'_>) -> Command {
        let id = words.plain(1).parse().unwrap();
        let tenant = query::config::tenant(&self.world.store, &id).unwrap();
        // A door never publishes for a tenant that it does not know; a late one may for one that is gone.
        let tenant = tenant.unwrap_or_else(|| Tenant {
            id,
            number: pushrail_model::ids::TenantNo(99),
            description: String::new(),
            routing_revision: LogIndex(0),
            version: 1,
            created: self.world.time,
            destinations: 0,
            routes: 0,
            next_destination: 1,
            next_route: 1,
            retention: Retention::default(),
            spent_version: 0,
            removed: None,
        });
        let body = words.named.get("body").copied().unwrap_or("{}");
        let key = words.named.get("key").copied();
        let event_type = words.plain(2).parse().unwrap();
        let mut event = samples::event(&self.world.store, &tenant, &event_type, body, key);
        if let Some(revision) = words.number("revision") {
            event.routing_revision = LogIndex(revision);
        }
        samples::accept(&tenant, vec![event])
    }

    fn attempt(&self, words: &Words<'_>) -> Attempt {
        let failed = words.plain(2) == "failed";
        let status = failed.then(|| words.plain(3).parse::<u16>().unwrap());
        let window = words.span("window").unwrap_or(Span::DAY);
        let verdict = match (words.span("retry"), words.named.get("bury")) {
            (Some(after), _) => Verdict::Retry {
                after,
                window,
                retries_max: 10,
            },
            (None, Some(&"exhausted")) => Verdict::Bury(DeathReason::AttemptsExhausted),
            (None, _) if failed => Verdict::Bury(DeathReason::Permanent),
            (None, _) => Verdict::Settle,
        };
        let outcome = match (failed, words.span("retry")) {
            (false, _) => Outcome::Delivered,
            (true, Some(_)) => samples::failed(FailureClass::Transient, Cause::Server),
            (true, None) => samples::failed(FailureClass::Permanent, Cause::Rejected),
        };
        let key = self.delivery(words.plain(1));
        let mut attempt = samples::attempt(&self.world.store, key, self.world.time, outcome, verdict);
        attempt.observed.status = status.or(Some(200));
        if let Outcome::Failed(failure) = &mut attempt.outcome {
            failure.disables = words.plain.contains(&"disables");
        }
        let fits = |number: u64| u32::try_from(number).unwrap();
        if let Some(run) = words.number("run") {
            attempt.run = Run(fits(run));
        }
        if let Some(number) = words.number("number") {
            attempt.number = AttemptNumber(fits(number));
        }
        if let Some(epoch) = words.number("epoch") {
            attempt.epoch = Epoch(epoch);
        }
        if let Some(ago) = words.span("ago") {
            attempt.start = attempt.start.minus(ago);
        }
        attempt
    }

    fn deliveries(&self, names: &[&str]) -> Vec<DeliveryKey> {
        let named = names.iter().filter(|name| name.contains('/'));
        named.map(|name| self.delivery(name)).collect()
    }

    /// The delivery called `e1/hook`; one that never was, where there is no event of that name.
    fn delivery(&self, name: &str) -> DeliveryKey {
        let (event, destination) = name.split_once('/').unwrap();
        let place: usize = event.strip_prefix('e').unwrap().parse().unwrap();
        let (tenant, id) = self.world.events.get(place - 1).copied().unwrap_or((
            pushrail_model::ids::TenantNo(1),
            EventId {
                partition: Partition::of(&"acme".parse().unwrap()),
                seq: pushrail_model::ids::EventSeq {
                    index: 999,
                    position: 0,
                },
            },
        ));
        let explained = query::event::explain(&self.world.store, tenant, id, usize::MAX).unwrap();
        let owed = explained.and_then(|explained| {
            let mut owed = explained.deliveries.into_iter();
            owed.find(|delivery| delivery.destination.id.as_str() == destination)
        });
        // One that was removed since is found by what is owed to it alone.
        if let Some(owed) = owed {
            return owed.key;
        }
        let destination = destination_of(&self.world, id.partition, tenant, destination);
        DeliveryKey {
            partition: id.partition,
            tenant,
            destination: destination.number,
            seq: id.seq,
        }
    }

    /// A step of a job from where it stands; from its beginning, where that is stale.
    fn advance(&self, words: &Words<'_>) -> Command {
        let tenant: TenantId = words.plain(1).parse().unwrap();
        let partition = Partition::of(&tenant);
        let tenant = query::config::tenant(&self.world.store, &tenant)
            .unwrap()
            .unwrap();
        let number = JobNo(words.needed("job"));
        let job = query::jobs::job(&self.world.store, partition, tenant.number, number).unwrap();
        let fresh = job.filter(|_| !words.plain.contains(&"stale"));
        Command::AdvanceJob(AdvanceJob {
            partition,
            tenant: tenant.number,
            job: number,
            from: fresh.map_or_else(JobCursor::default, |job| job.cursor),
            taken_max: words.fits("take"),
            read_max: words.fits("read"),
        })
    }

    fn shard_move(&self, words: &Words<'_>, how: MoveKind) -> Command {
        samples::shard_move(
            shard(words.plain(1)),
            words.needed("from"),
            words.needed("to"),
            how,
        )
    }
}

fn job(words: &Words<'_>) -> Command {
    let (tenant, destination) = words.plain(2).split_once('/').unwrap();
    Command::StartJob(StartJob {
        tenant: tenant.parse().unwrap(),
        kind: match words.plain(1) {
            "replay" => JobKind::Replay,
            "discard" => JobKind::Discard,
            other => panic!("no such job: {other}"),
        },
        destination: destination.parse().unwrap(),
        cause: words.named.get("cause").map(|name| cause(name)),
        former_actor: words.text("actor"),
        request_id: words.request().to_owned(),
        actor: None,
    })
}

fn cause(name: &str) -> Cause {
    match name {
        "server" => Cause::Server,
        "rejected" => Cause::Rejected,
        other => panic!("cause {other}"),
    }
}

fn set_state(words: &Words<'_>, wanted: WantedState) -> Command {
    let (tenant, destination) = words.plain(1).split_once('/').unwrap();
    Command::SetDestinationState(SetDestinationState {
        tenant: tenant.parse().unwrap(),
        destination: destination.parse().unwrap(),
        wanted,
        request_id: words.request().to_owned(),
        actor: None,
    })
}

/// The shard of a destination called `acme/hook`, whether there is one or not.
fn shard(name: &str) -> ShardId {
    let (tenant, destination) = name.split_once('/').unwrap();
    ShardId::of(
        Partition::of(&tenant.parse().unwrap()),
        &destination.parse().unwrap(),
    )
}

/// The destination of this name of the tenant of this number.
fn destination_of(
    world: &World,
    partition: Partition,
    tenant: pushrail_model::ids::TenantNo,
    name: &str,
) -> Destination {
    let tenants = query::config::tenants(&world.store, None, usize::MAX).unwrap();
    let of_number = |other: &&Tenant| other.number == tenant && Partition::of(&other.id) == partition;
    let tenant = tenants.iter().find(of_number).unwrap();
    query::config::destination(&world.store, tenant, &name.parse().unwrap())
        .unwrap()
        .unwrap_or_else(|| panic!("destination {name}"))
}
