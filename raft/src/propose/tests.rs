//! The door against leaders of our own making.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use pushrail_machine::answers::Answers;
use pushrail_model::command::{AdvanceJob, PutTenant};
use pushrail_model::ids::{JobNo, LogIndex, TenantNo};
use pushrail_model::job::JobCursor;
use pushrail_model::response::Response;
use tokio::task::JoinHandle;

use super::*;
use crate::config::PROPOSE_DEADLINE;
use crate::door::BATCHES_IN_FLIGHT;
use crate::proposer::{Outcome, Reply, ReplyTo};
use crate::way::{Lost, LostTo, Way};

/// A copy as a leader sees it.
struct Copy {
    number: BatchNumber,
    batch: Batch,
    pinned: Option<u64>,
}

/// A leader that the door has opened a way to.
struct FakeLeader {
    seen: LeaderSeen,
    copies: mpsc::UnboundedReceiver<Copy>,
    reply: ReplyTo,
    lost: LostTo,
}

struct FakeWays {
    opened: mpsc::UnboundedSender<FakeLeader>,
    outrun: Arc<AtomicBool>,
}

struct FakeWay {
    copies: mpsc::UnboundedSender<Copy>,
}

impl Ways for FakeWays {
    fn open(&self, leader: &LeaderSeen, reply: ReplyTo, lost: LostTo) -> Box<dyn Way> {
        let (sender, copies) = mpsc::unbounded_channel();
        let seen = leader.clone();
        self.opened
            .send(FakeLeader {
                seen,
                copies,
                reply,
                lost,
            })
            .unwrap();
        Box::new(FakeWay { copies: sender })
    }

    fn outrun(&self) {
        self.outrun.store(true, Ordering::Release);
    }
}

impl Way for FakeWay {
    fn send(&mut self, number: BatchNumber, batch: Bytes, weight: usize, pinned: Option<u64>) -> bool {
        let batch = codec::decode_batch(batch).unwrap();
        assert_eq!(batch.weight(), weight);
        self.copies
            .send(Copy {
                number,
                batch,
                pinned,
            })
            .is_ok()
    }
}

impl FakeLeader {
    async fn copy(&mut self) -> Copy {
        self.copies.recv().await.unwrap()
    }

    fn reply(&self, number: BatchNumber, outcome: Outcome) {
        let reply = Reply {
            session: self.reply.session,
            number,
            outcome,
        };
        self.reply.sender.send(reply).unwrap();
    }

    fn answer(&self, copy: &Copy, index: u64) {
        let answers = Answers {
            index: LogIndex(index),
            responses: copy.batch.commands.iter().map(|_| Response::Done).collect(),
        };
        self.reply(copy.number, Outcome::Answered { answers, term: 1 });
    }

    fn refuse(&self, copy: &Copy) {
        let why = "not the leader".to_owned();
        self.reply(copy.number, Outcome::Refused { leader: None, why });
    }

    fn break_off(&self, left: Vec<BatchNumber>) {
        self.lost
            .sender
            .send(Lost {
                session: self.lost.session,
                left,
                why: "the line is dead".to_owned(),
            })
            .unwrap();
    }
}

struct World {
    door: DoorHandle,
    leaders: mpsc::UnboundedReceiver<FakeLeader>,
    leader: watch::Sender<Option<LeaderSeen>>,
    outrun: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl World {
    fn new() -> Self {
        let (leader, seen) = watch::channel(None);
        let (opened, leaders) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let outrun = Arc::new(AtomicBool::new(false));
        let ways = Box::new(FakeWays {
            opened,
            outrun: Arc::clone(&outrun),
        });
        let (door, task) = spawn(NodeId(1), BootId(7), seen, ways, stop.clone());
        tokio::spawn(task);
        Self {
            door,
            leaders,
            leader,
            outrun,
            stop,
        }
    }

    async fn elect(&mut self, node: u64, term: u64) -> FakeLeader {
        self.see(node, term);
        // The way is opened with the next command; nudge it.
        let leader = self.leaders.recv().await.unwrap();
        assert_eq!(leader.seen.node, NodeId(node));
        leader
    }

    fn see(&self, node: u64, term: u64) {
        self.leader.send_replace(Some(LeaderSeen {
            node: NodeId(node),
            peer: format!("node-{node}"),
            term,
        }));
    }

    /// Two commands are at the door, and no leader is there to take them.
    async fn both_wait(&self) {
        self.all_wait(2).await;
    }

    /// So many small commands are.
    async fn all_wait(&self, commands: usize) {
        let all = OTHERS_KIB;
        while self.door.others.waiters.capacity() < QUEUE
            || self.door.others.room.available_permits() > all - commands
        {
            tokio::task::yield_now().await;
        }
    }

    fn propose(&self, within: Duration) -> JoinHandle<Answer> {
        self.propose_pinned(within, None)
    }

    fn propose_pinned(&self, within: Duration, pinned: Option<u64>) -> JoinHandle<Answer> {
        let door = self.door.clone();
        tokio::spawn(async move { door.propose(command(), pinned, Instant::now() + within).await })
    }
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);
const MEDIUM: Duration = Duration::from_secs(2);
const TOO_SHORT: Duration = Duration::from_millis(25);

fn command() -> Command {
    Command::PutTenant(PutTenant {
        id: "acme".parse().unwrap(),
        description: "a tenant".to_owned(),
        request_id: "r1".to_owned(),
        retention: Default::default(),
        actor: None,
    })
}

#[tokio::test]
async fn a_lone_command_leaves_at_once_and_gets_its_answer() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;

    let proposed = world.propose(LONG);
    let copy = leader.copy().await;
    leader.answer(&copy, 9);

    assert_eq!(copy.batch.commands, [command()]);
    assert_eq!((copy.batch.node, copy.batch.boot), (NodeId(1), BootId(7)));
    let proposed = proposed.await.unwrap().unwrap();
    assert_eq!(proposed.index, LogIndex(9));
    assert_eq!(proposed.response, Response::Done);
}

#[tokio::test]
async fn a_crowd_of_events_keeps_nothing_else_waiting() {
    let world = World::new();
    let crowd = Arc::clone(&world.door.events.room).acquire_many_owned(u32::try_from(EVENTS_KIB).unwrap());
    let _crowd = crowd.await.unwrap();

    let attempt = world.propose(LONG);

    while world.door.others.room.available_permits() == OTHERS_KIB {
        tokio::task::yield_now().await;
    }
    assert!(!attempt.is_finished());
}

#[tokio::test]
async fn commands_gather_while_earlier_batches_are_on_their_way() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let mut waiting = Vec::new();
    let mut copies = Vec::new();
    for _ in 0..BATCHES_IN_FLIGHT {
        waiting.push(world.propose(LONG));
        copies.push(leader.copy().await);
    }
    for _ in 0..10 {
        waiting.push(world.propose(LONG));
    }
    // All ten are at the door before a place becomes free.
    while world.door.others.waiters.capacity() < QUEUE
        || world.door.others.room.available_permits() > OTHERS_KIB - BATCHES_IN_FLIGHT - 10
    {
        tokio::task::yield_now().await;
    }

    leader.answer(&copies[0], 1);
    let gathered = leader.copy().await;

    assert_eq!(gathered.batch.commands.len(), 10);
    assert_eq!(
        gathered.batch.lowest_open,
        BatchNumber(2),
        "the first is answered"
    );
    leader.answer(&gathered, 2);
    for copy in &copies[1..] {
        leader.answer(copy, 3);
    }
    for proposed in waiting {
        assert!(proposed.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn commands_that_are_much_work_share_a_batch_only_as_far_as_an_entry_should_go() {
    let mut world = World::new();
    let step = || {
        Command::AdvanceJob(AdvanceJob {
            partition: Default::default(),
            tenant: TenantNo(1),
            job: JobNo(1),
            from: JobCursor::default(),
            taken_max: 256,
            read_max: 1024,
        })
    };
    for _ in 0..40 {
        let door = world.door.clone();
        tokio::spawn(async move { door.propose(step(), None, Instant::now() + LONG).await });
    }
    world.all_wait(40).await;

    let mut leader = world.elect(2, 1).await;

    for expected in [16, 16, 8] {
        assert_eq!(leader.copy().await.batch.commands.len(), expected);
    }
}

#[tokio::test]
async fn after_a_change_of_leader_the_same_number_goes_to_the_new_one() {
    let mut world = World::new();
    let mut old = world.elect(2, 1).await;
    let proposed = world.propose(LONG);
    let first = old.copy().await;

    let mut new = world.elect(3, 2).await;
    let second = new.copy().await;
    new.answer(&second, 5);

    assert_eq!(second.number, first.number);
    assert_eq!(second.batch, first.batch);
    assert!(proposed.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_under_the_same_number() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let proposed = world.propose(LONG);
    let first = leader.copy().await;

    let why = "discarded".to_owned();
    leader.reply(first.number, Outcome::Unknown { why });
    let second = leader.copy().await;
    leader.answer(&second, 5);

    assert_eq!(second.number, first.number);
    assert!(proposed.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_command_is_not_accepted_where_every_copy_was_refused() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let proposed = world.propose(SHORT);

    let refusing = tokio::spawn(async move {
        while let Some(copy) = leader.copies.recv().await {
            leader.refuse(&copy);
        }
    });

    let error = proposed.await.unwrap().unwrap_err();
    assert!(error.is_certain(), "{error}");
    refusing.abort();
}

#[tokio::test]
async fn a_command_is_unknown_while_one_copy_has_no_outcome() {
    let mut world = World::new();
    let mut old = world.elect(2, 1).await;
    let proposed = world.propose(SHORT);
    old.copy().await;

    let mut new = world.elect(3, 2).await;
    let refusing = tokio::spawn(async move {
        while let Some(copy) = new.copies.recv().await {
            new.refuse(&copy);
        }
    });

    let error = proposed.await.unwrap().unwrap_err();
    assert!(!error.is_certain(), "{error}");
    refusing.abort();
}

#[tokio::test]
async fn a_command_has_an_answer_in_time_even_where_the_door_is_stuck() {
    let (_leader, seen) = watch::channel(None);
    let (opened, _leaders) = mpsc::unbounded_channel();
    let ways = Box::new(FakeWays {
        opened,
        outrun: Arc::default(),
    });
    let (door, _stuck) = spawn(NodeId(1), BootId(7), seen, ways, CancellationToken::new());

    let error = door.propose(command(), None, Instant::now() + SHORT).await;

    assert!(!error.unwrap_err().is_certain(), "it may be sent yet");
}

#[tokio::test]
async fn one_command_without_time_does_not_drag_its_batch_along() {
    let mut world = World::new();
    // They wait together: there is no leader yet.
    let hasty = world.propose(MEDIUM);
    let patient = world.propose(LONG);
    world.both_wait().await;
    let mut leader = world.elect(2, 1).await;
    let copy = leader.copy().await;
    assert_eq!(copy.batch.commands.len(), 2);

    let error = hasty.await.unwrap().unwrap_err();
    leader.answer(&copy, 9);

    assert!(!error.is_certain(), "a copy is out: {error}");
    assert_eq!(patient.await.unwrap().unwrap().index, LogIndex(9));
}

#[tokio::test]
async fn a_command_that_has_no_time_for_the_way_is_not_sent_and_certainly_not_accepted() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let hasty = world.propose(TOO_SHORT);
    let patient = world.propose(LONG);

    let error = hasty.await.unwrap().unwrap_err();
    let copy = leader.copy().await;
    leader.answer(&copy, 9);

    assert!(error.is_certain(), "{error}");
    assert_eq!(copy.batch.commands.len(), 1);
    assert!(patient.await.unwrap().is_ok());
}

#[tokio::test]
async fn where_a_batch_was_refused_those_who_have_time_left_go_in_another_one() {
    let mut world = World::new();
    let hasty = world.propose(MEDIUM);
    let patient = world.propose(LONG);
    world.both_wait().await;
    let mut leader = world.elect(2, 1).await;
    let first = leader.copy().await;
    world.leader.send_replace(None);
    leader.refuse(&first);

    let error = hasty.await.unwrap().unwrap_err();
    world.see(2, 1);
    let mut again = leader.copy().await;
    while again.number == first.number {
        again = leader.copy().await;
    }
    leader.answer(&again, 9);

    assert!(error.is_certain(), "{error}");
    assert_eq!(again.batch.commands.len(), 1);
    assert!(patient.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_copy_that_never_left_the_node_is_no_doubt() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let proposed = world.propose(SHORT);
    leader.copy().await;
    world.leader.send_replace(None);

    leader.break_off(Vec::new());

    assert!(proposed.await.unwrap().unwrap_err().is_certain());
}

#[tokio::test]
async fn a_copy_that_left_on_a_broken_line_is_unknown() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let proposed = world.propose(SHORT);
    let copy = leader.copy().await;
    world.leader.send_replace(None);

    leader.break_off(vec![copy.number]);

    assert!(!proposed.await.unwrap().unwrap_err().is_certain());
}

#[tokio::test]
async fn without_a_leader_a_command_is_certainly_not_accepted() {
    let world = World::new();

    let error = world.propose(SHORT).await.unwrap().unwrap_err();

    assert!(error.is_certain(), "{error}");
}

#[tokio::test]
async fn a_retired_batch_is_given_up_at_once_and_the_node_learns_that_it_is_outrun() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let proposed = world.propose(LONG);
    let copy = leader.copy().await;

    leader.reply(copy.number, Outcome::Retired);

    assert!(proposed.await.unwrap().unwrap_err().is_certain());
    assert!(world.outrun.load(Ordering::Acquire));
}

#[tokio::test]
async fn a_leaders_own_decision_is_never_sent_to_another_leader_nor_twice() {
    let mut world = World::new();
    let mut own = world.elect(1, 4).await;
    let proposed = world.propose_pinned(LONG, Some(4));
    let copy = own.copy().await;
    assert_eq!(copy.pinned, Some(4));

    own.refuse(&copy);

    assert!(proposed.await.unwrap().unwrap_err().is_certain());
    let mut other = world.elect(3, 5).await;
    let elsewhere = world.propose_pinned(LONG, Some(4));
    assert!(elsewhere.await.unwrap().unwrap_err().is_certain());
    assert!(other.copies.try_recv().is_err());
}

#[tokio::test]
async fn a_command_larger_than_an_entry_is_refused_at_the_door() {
    let world = World::new();
    let large = Command::PutTenant(PutTenant {
        id: "acme".parse().unwrap(),
        description: "x".repeat(limits::ENTRY_BYTES_MAX),
        request_id: "r1".to_owned(),
        retention: Default::default(),
        actor: None,
    });

    let error = world
        .door
        .propose(large, None, Instant::now() + PROPOSE_DEADLINE)
        .await
        .unwrap_err();

    assert!(error.is_certain());
}

#[tokio::test]
async fn a_stopping_door_leaves_no_command_without_an_answer() {
    let mut world = World::new();
    let mut leader = world.elect(2, 1).await;
    let sent = world.propose(LONG);
    leader.copy().await;

    world.stop.cancel();

    assert!(!sent.await.unwrap().unwrap_err().is_certain());
    assert!(world.propose(LONG).await.unwrap().unwrap_err().is_certain());
}

#[test]
fn a_batch_put_together_from_parts_is_the_batch_encoded_at_once() {
    let batch = Batch {
        node: NodeId(3),
        boot: BootId(77),
        number: BatchNumber(12),
        lowest_open: BatchNumber(11),
        commands: vec![command(), command()],
    };
    let head = codec::encode_batch(&Batch {
        commands: Vec::new(),
        ..batch.clone()
    });

    let mut parts = BytesMut::from(head.as_ref());
    for command in &batch.commands {
        parts.extend_from_slice(&encode_command(command.clone()));
    }

    assert!(head.len() <= BATCH_HEAD_BYTES);
    assert_eq!(parts.freeze(), codec::encode_batch(&batch));
}
