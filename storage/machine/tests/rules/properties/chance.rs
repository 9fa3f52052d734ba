//! Makes commands of random numbers, such as doors, owners and leaders could send in the state at hand: mostly
//! sensible ones, late and repeated ones among them.

mod settings;

use pushrail_machine::{Applied, query};
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{
    AdvanceJob, Batch, Bucketed, CancelJob, Command, CountCauses, DiscardDeadLetters, DropBuckets,
    DropCarried, MoveKind, ReleaseShards, SetDestinationState, StartJob, StartReplay, WantedState,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::Destination;
use pushrail_model::ids::{AttemptNumber, BatchNumber, BootId, Epoch, JobNo, LogIndex, NodeId, Run};
use pushrail_model::job::{JobCursor, JobKind, JobState};
use pushrail_model::limits;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::retention::Retention;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::samples;
use crate::upkeep;
use crate::world::World;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const DESTINATIONS: [&str; 3] = ["hook", "bill", "lake"];
const PATTERNS: [&str; 4] = ["**", "order.*", "*.paid", "user.made"];
const TYPES: [&str; 3] = ["order.paid", "order.lost", "user.made"];
const REQUESTS: [&str; 5] = ["r1", "r2", "r3", "r4", ""];

/// One step of chance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    what: u8,
    /// Whether it goes into the batch of the step before.
    joined: bool,
    a: u8,
    b: u8,
    c: u8,
    d: u8,
}

impl From<(u8, u8, u8, u8, u8, u8)> for Op {
    fn from((what, joined, a, b, c, d): (u8, u8, u8, u8, u8, u8)) -> Self {
        Self {
            what,
            joined: joined.is_multiple_of(3),
            a,
            b,
            c,
            d,
        }
    }
}

/// Plays all steps; gives the world, and what came of each entry.
pub(crate) fn play(ops: &[Op]) -> (World, Vec<Applied>) {
    let mut game = Game::new();
    for &op in ops {
        game.step(op);
    }
    game.send();
    (game.world, game.applied)
}

struct Game {
    world: World,
    applied: Vec<Applied>,
    gathered: Vec<Command>,
    attempts: Vec<Attempt>,
    proposed: Vec<Command>,
    sent: Vec<Batch>,
    boots: [u64; 3],
    numbers: [u64; 3],
}

/// One of them.
fn of<T: Copy>(choices: &[T], chance: u8) -> T {
    choices[usize::from(chance) % choices.len()]
}

/// One that lets go soon, one that keeps dead letters for longer than their events, and one as by default.
fn tenant_as_played(id: &str) -> Command {
    let days = |number: u64| Some(Span(number * Span::DAY.0));
    let retention = match id {
        "acme" => Retention {
            attempts: days(2),
            events: days(1),
            dead_letters: days(1),
            idempotency_keys: Some(Span::HOUR),
        },
        "globex" => Retention {
            attempts: days(3),
            events: days(1),
            dead_letters: days(4),
            idempotency_keys: Some(limits::IDEMPOTENCY_WINDOW_MAX),
        },
        _ => Retention::default(),
    };
    samples::tenant_keeping(id, "r1", retention)
}

impl Game {
    fn new() -> Self {
        let mut game = Self {
            world: World::new(),
            applied: Vec::new(),
            gathered: Vec::new(),
            attempts: Vec::new(),
            proposed: Vec::new(),
            sent: Vec::new(),
            boots: [1; 3],
            numbers: [1; 3],
        };
        // Something to begin with, so that most steps find what they speak of.
        for tenant in &TENANTS[..2] {
            game.gathered.push(tenant_as_played(tenant));
            for destination in &DESTINATIONS[..2] {
                game.gathered
                    .push(samples::destination(tenant, destination, "r1"));
                game.gathered
                    .push(samples::route(tenant, destination, "**", destination, "r1"));
            }
        }
        game.send();
        game
    }

    fn step(&mut self, op: Op) {
        if !op.joined {
            self.send();
        }
        match op.what % 56 {
            0..=9 => self.publish(op),
            10..=19 => self.attempt(op),
            20 if op.d.is_multiple_of(2) => self.again(op),
            20 => self.ask_again(op),
            21 | 22 => self.set_state(op),
            23 => self.replay(op),
            24..=26 => self.move_shard(op),
            27 => self.put(op),
            28 | 29 => self.tick(op),
            30 if op.d.is_multiple_of(2) => self.keep_house(op),
            30 => self.repeat_batch(op),
            31 => self.boot(op),
            32 | 33 => self.discard(op),
            34 | 35 => self.start_job(op),
            36..=39 => self.advance_job(op),
            40 => self.cancel_job(op),
            41 => self.count_causes(op),
            42 => self.ask_again(op),
            43 => self.replay(op),
            _ => self.settings(op),
        }
    }

    /// Sends what has gathered as one batch, in an entry of its own.
    fn send(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let door = self.sent.len() % 3;
        let number = self.numbers[door];
        self.numbers[door] += 1;
        let batch = Batch {
            node: NodeId(u64::try_from(door).unwrap() + 1),
            boot: BootId(self.boots[door]),
            number: BatchNumber(number),
            lowest_open: BatchNumber(number.saturating_sub(2).max(1)),
            commands: std::mem::take(&mut self.gathered),
        };
        self.sent.push(batch.clone());
        self.apply(vec![batch]);
    }

    fn apply(&mut self, batches: Vec<Batch>) {
        let applied = self.world.apply(batches);
        self.applied.push(applied);
    }

    fn tenant(&self, chance: u8) -> Option<Tenant> {
        let id = of(&TENANTS, chance).parse().unwrap();
        query::config::tenant(&self.world.store, &id).unwrap()
    }

    fn destination(&self, tenant: u8, destination: u8) -> Option<Destination> {
        let id = of(&DESTINATIONS, destination).parse().unwrap();
        query::config::destination(&self.world.store, &self.tenant(tenant)?, &id).unwrap()
    }

    /// A delivery of one of the newest events.
    fn delivery(&self, event: u8, place: u8) -> Option<DeliveryKey> {
        let back = usize::from(event) % self.world.events.len().clamp(1, 12);
        let (tenant, id) = *self.world.events.iter().rev().nth(back)?;
        let event = query::event::event(&self.world.store, tenant, id).unwrap()?;
        let count = event.new.destinations.len();
        let destination = *event.new.destinations.get(usize::from(place) % count.max(1))?;
        Some(DeliveryKey {
            partition: id.partition,
            tenant,
            destination,
            seq: id.seq,
        })
    }

    fn publish(&mut self, op: Op) {
        let Some(tenant) = self.tenant(op.a) else {
            return;
        };
        let key = [None, None, None, Some("k1"), Some("k2")][usize::from(op.c) % 5];
        let event_type = of(&TYPES, op.b).parse().unwrap();
        let body = of(&["one", "two"], op.d);
        let mut event = samples::event(&self.world.store, &tenant, &event_type, body, key);
        if op.d > 240 {
            event.routing_revision = LogIndex(1);
        }
        if op.d == 77 {
            event.destinations.reverse();
            event.destinations.extend(event.destinations.first().copied());
        }
        self.gathered.push(samples::accept(&tenant, vec![event]));
    }

    fn attempt(&mut self, op: Op) {
        let Some(key) = self.delivery(op.a, op.b) else {
            return;
        };
        let retry = |after, window| Verdict::Retry {
            after,
            window,
            retries_max: 10,
        };
        let transient = || samples::failed(FailureClass::Transient, Cause::Server);
        let permanent = || samples::failed(FailureClass::Permanent, Cause::Auth);
        let (outcome, verdict) = match op.c % 8 {
            0 | 1 => (Outcome::Delivered, Verdict::Settle),
            2 | 3 => (transient(), retry(Span::from_secs(5), Span::DAY)),
            4 => (transient(), retry(Span::from_secs(3600), Span::from_secs(3000))),
            5 => (transient(), Verdict::Bury(DeathReason::AttemptsExhausted)),
            6 => (permanent(), Verdict::Bury(DeathReason::Permanent)),
            _ => {
                let mut outcome = permanent();
                if let Outcome::Failed(failure) = &mut outcome {
                    failure.disables = true;
                }
                (outcome, Verdict::Bury(DeathReason::Permanent))
            }
        };
        let now = self.world.time;
        let mut attempt = samples::attempt(&self.world.store, key, now, outcome, verdict);
        // Now and then it comes late: from an earlier owner, run or number; or from nowhere.
        match op.d % 16 {
            0 => attempt.epoch = Epoch(attempt.epoch.0.saturating_sub(1)),
            1 => attempt.run = Run(attempt.run.0.saturating_sub(1)),
            2 => attempt.number = AttemptNumber(attempt.number.0.saturating_sub(1)),
            3 => attempt.number = AttemptNumber(attempt.number.0 + 1),
            4 => attempt.run = Run(attempt.run.0 + 1),
            5 => attempt.start = attempt.start.minus(Span::DAY),
            _ => {}
        }
        self.attempts.push(attempt.clone());
        self.gathered.push(samples::record(vec![attempt]));
    }

    /// An attempt recorded before, once more.
    fn again(&mut self, op: Op) {
        let back = usize::from(op.a) % 8;
        if let Some(attempt) = self.attempts.iter().rev().nth(back) {
            self.gathered.push(samples::record(vec![attempt.clone()]));
        }
    }

    /// A request for a change of settings, once more, whatever has happened since.
    fn ask_again(&mut self, op: Op) {
        let batches = self.world.entries.iter().flat_map(|entry| &entry.batches);
        let commands = batches.flat_map(|batch| &batch.commands);
        let requests: Vec<_> = commands
            .filter(|command| samples::request(command).is_some())
            .collect();
        let back = usize::from(op.a) % requests.len();
        self.gathered.push(requests[requests.len() - 1 - back].clone());
    }

    fn set_state(&mut self, op: Op) {
        self.gathered
            .push(Command::SetDestinationState(SetDestinationState {
                tenant: of(&TENANTS, op.a).parse().unwrap(),
                destination: of(&DESTINATIONS, op.b).parse().unwrap(),
                wanted: of(
                    &[WantedState::Active, WantedState::Active, WantedState::Paused],
                    op.c,
                ),
                request_id: format!("s{}", op.d % 8),
                actor: None,
            }));
    }

    fn replay(&mut self, op: Op) {
        let deliveries = (0..6)
            .filter_map(|more| self.delivery(op.a.wrapping_add(more), op.b))
            .collect();
        let command = StartReplay {
            tenant: of(&TENANTS, op.c).parse().unwrap(),
            request_id: [format!("p{}", op.d % 32), String::new()][usize::from(op.d % 2)].clone(),
            deliveries,
            content_hash: u128::from(op.d % 64 / 32),
            actor: None,
            by_destination: op.d.is_multiple_of(3),
        };
        self.signed(Command::StartReplay(command), op);
    }

    fn discard(&mut self, op: Op) {
        let deliveries = (0..4).filter_map(|more| self.delivery(op.a.wrapping_add(more), op.b));
        let command = DiscardDeadLetters {
            tenant: of(&TENANTS, op.c).parse().unwrap(),
            former_actor: of(&["", "ann"], op.d).to_owned(),
            deliveries: deliveries.collect(),
            request_id: String::new(),
            actor: None,
        };
        self.signed(Command::DiscardDeadLetters(command), op);
    }

    fn start_job(&mut self, op: Op) {
        let command = StartJob {
            tenant: of(&TENANTS, op.a).parse().unwrap(),
            kind: of(&[JobKind::Replay, JobKind::Discard], op.c),
            destination: of(&DESTINATIONS, op.b).parse().unwrap(),
            cause: of(&[None, Some(Cause::Auth), Some(Cause::Server)], op.d),
            former_actor: String::new(),
            request_id: [format!("j{}", op.d % 16), String::new()][usize::from(op.c / 2 % 2)].clone(),
            actor: None,
        };
        self.signed(Command::StartJob(command), op);
    }

    /// As a door sends it now, or as doors did before such commands had an actor.
    fn signed(&mut self, command: Command, op: Op) {
        self.gathered.push(match op.d.is_multiple_of(2) {
            true => samples::by(command, "ann"),
            false => command,
        });
    }

    /// A step of one of the running jobs, now and then from elsewhere.
    fn advance_job(&mut self, op: Op) {
        let running = query::jobs::running(&self.world.store, None, 8).unwrap();
        let Some((partition, tenant, job)) = running.get(usize::from(op.a) % running.len().max(1)) else {
            return;
        };
        let stale = op.d > 230;
        self.gathered.push(Command::AdvanceJob(AdvanceJob {
            partition: *partition,
            tenant: *tenant,
            job: job.number,
            from: if stale { JobCursor::default() } else { job.cursor },
            taken_max: u32::from(op.b % 4),
            read_max: u32::from(op.c % 6) + 1,
        }));
    }

    fn cancel_job(&mut self, op: Op) {
        // One that runs, where there is one.
        let jobs = self.tenant(op.a).map(|tenant| {
            query::jobs::list(&self.world.store, Partition::of(&tenant.id), tenant.number).unwrap()
        });
        let mut jobs = jobs.unwrap_or_default().into_iter();
        let running = jobs.find(|job| job.state == JobState::Running);
        let command = CancelJob {
            tenant: of(&TENANTS, op.a).parse().unwrap(),
            job: running.map_or(JobNo(u64::from(op.b % 6)), |job| job.number),
            former_actor: "ann".to_owned(),
            request_id: String::new(),
            actor: None,
        };
        self.signed(Command::CancelJob(command), op);
    }

    fn count_causes(&mut self, op: Op) {
        let from = query::dead_letters::counted_to(&self.world.store).unwrap();
        self.gathered.push(Command::CountCauses(CountCauses {
            from: from.unwrap_or_default(),
            read_max: u32::from(op.a % 3) + 1,
        }));
    }

    fn move_shard(&mut self, op: Op) {
        let Some(destination) = self.destination(op.a, op.b) else {
            return;
        };
        let ownership = query::assignment::of(&self.world.store, destination.shard).unwrap();
        let epoch = ownership.map_or(0, |ownership| ownership.epoch.0);
        let epoch = if op.d > 230 {
            epoch.saturating_sub(1)
        } else {
            epoch
        };
        let node = u64::from(op.c % 3) + 1;
        self.gathered.push(match op.d % 3 {
            0 => samples::shard_move(destination.shard, epoch, node, MoveKind::Give),
            1 => samples::shard_move(destination.shard, epoch, node, MoveKind::Ask),
            _ => Command::ReleaseShards(ReleaseShards {
                node: ownership.map_or(NodeId(node), |ownership| ownership.owner),
                shards: vec![(destination.shard, Epoch(epoch))],
            }),
        });
    }

    fn put(&mut self, op: Op) {
        let (tenant, destination) = (of(&TENANTS, op.a), of(&DESTINATIONS, op.b));
        let request = of(&REQUESTS, op.d);
        let command = match op.c % 3 {
            0 if request == "r1" => tenant_as_played(tenant),
            0 => samples::tenant(tenant, request),
            1 => samples::destination(tenant, destination, request),
            _ => {
                let route = format!("route-{}", op.d % 5);
                samples::route(tenant, &route, of(&PATTERNS, op.d), destination, request)
            }
        };
        self.signed(command, op);
    }

    /// Some of what a leader's upkeep would propose now; now and then what an earlier look had found, or something
    /// that is not over.
    fn keep_house(&mut self, op: Op) {
        self.send();
        let found = upkeep::proposals(&self.world);
        let wanted = 1 + usize::from(op.a % 8);
        let mut commands: Vec<_> = found
            .into_iter()
            .skip(usize::from(op.b % 3))
            .take(wanted)
            .collect();
        if op.c.is_multiple_of(4) {
            commands.append(&mut self.proposed.clone());
        }
        if op.c.is_multiple_of(5)
            && let Some(key) = self.delivery(op.a, op.b)
        {
            commands.push(Command::DropCarried(DropCarried {
                partition: key.partition,
                tenant: key.tenant,
                events: vec![key.seq],
            }));
            commands.push(Command::DropBuckets(DropBuckets {
                partition: key.partition,
                rows: of(&[Bucketed::Attempts, Bucketed::IdempotencyKeys], op.b),
                bucket: self.world.time.day() - u32::from(op.b % 4),
                tenants: vec![key.tenant],
            }));
            commands.push(Command::DropBuckets(DropBuckets {
                partition: key.partition,
                rows: Bucketed::Requests,
                bucket: self.world.time.hour() + u32::from(op.b % 26),
                tenants: Vec::new(),
            }));
        }
        if op.d.is_multiple_of(2) {
            commands = commands
                .into_iter()
                .map(|command| samples::by(command, "retention"))
                .collect();
        }
        self.proposed.clone_from(&commands);
        self.gathered.append(&mut commands);
        self.send();
    }

    fn tick(&mut self, op: Op) {
        let span = match op.a % 6 {
            4 => Span(Span::DAY.0 / 8 * u64::from(op.b % 32)),
            5 => Span(Span::DAY.0 * u64::from(op.b % 8)),
            0 => Span::from_secs(u64::from(op.b)),
            1 => Span::from_secs(60 * u64::from(op.b)),
            2 => Span::from_secs(900 * u64::from(op.b)),
            _ => {
                // A new leader's clock may be behind the state's.
                self.world.time = self.world.time.minus(Span::from_secs(u64::from(op.b)));
                return;
            }
        };
        self.world.time = self.world.time.plus(span);
    }

    /// A batch sent before arrives again, alone or beside another copy.
    fn repeat_batch(&mut self, op: Op) {
        let back = usize::from(op.a) % 10;
        let Some(batch) = self.sent.iter().rev().nth(back).cloned() else {
            return;
        };
        self.send();
        if op.b.is_multiple_of(2) {
            self.apply(vec![batch]);
        } else {
            self.apply(vec![batch.clone(), batch]);
        }
    }

    fn boot(&mut self, op: Op) {
        let door = usize::from(op.a) % 3;
        self.boots[door] += 1;
        self.numbers[door] = 1;
    }
}
