//! On the leader: gives shards without an owner away, and asks for the moves to an even spread. It decides on the
//! replica's view of the members; `plan` says where shards should be, `choose` what may be done about it now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushrail_machine::query;
use pushrail_model::command::{AssignShards, Command, MoveKind, ShardMove};
use pushrail_model::ids::{Epoch, NodeId};
use pushrail_model::shard::{Ownership, ShardId};
use pushrail_raft::clock::Clock;
use pushrail_raft::replica::Replica;
use pushrail_raft::status::{Leadership, MemberView};
use tracing::{debug, info};

use crate::shards::plan::plan;
use crate::telemetry::chain;

/// How often the leader looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Moves of one command: an entry is never long work.
const MOVES_MAX: usize = 256;
/// Shards asked for and not released yet, over all: the others go on delivering meanwhile.
const ASKED_MAX: usize = 128;
/// How long the same members must have been live before a shard that is well served moves for evenness' sake.
const STEADY: Duration = Duration::from_secs(2);
/// How long the first assignment waits for members that have not reported yet.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Looks after the assignment until it is dropped; does nothing while another node leads. Returns only if it cannot
/// go on, with the reason: the node must stop.
pub(crate) async fn run(replica: Replica, clock: Arc<dyn Clock>) -> String {
    let mut steady = Steady::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(leadership) = replica.leadership() else {
            steady = Steady::default();
            continue;
        };
        let now = clock.monotonic();
        let live = live(&leadership);
        let circumstances = Circumstances {
            settled: leadership.settled,
            all_reported: leadership
                .members
                .iter()
                .filter(|member| member.voter)
                .all(|member| member.last_seen.is_some()),
            led_for: now.saturating_duration_since(leadership.since),
            steady_for: steady.of(&staying(&live, &leadership.members), now),
        };
        // The rows are few and hot; still, the store may block.
        let assignment = {
            let view = replica.view();
            tokio::task::spawn_blocking(move || query::assignment::all(&view)).await
        };
        let assignment: BTreeMap<ShardId, Ownership> = match assignment {
            Ok(Ok(rows)) => rows.into_iter().collect(),
            Ok(Err(error)) => return chain(&error),
            Err(error) => return error.to_string(),
        };
        let moves = choose(&live, &leadership.members, &assignment, circumstances);
        if !moves.is_empty() {
            carry_out(&replica, leadership.term, &assignment, &moves).await;
        }
    }
}

/// Has the moves made. Nobody who loses shards is granted a lease meanwhile: it would still take itself for their
/// owner, and what it started would be started by the next one, too.
async fn carry_out(
    replica: &Replica,
    term: u64,
    assignment: &BTreeMap<ShardId, Ownership>,
    moves: &[ShardMove],
) {
    let losing: BTreeSet<NodeId> = moves
        .iter()
        .filter(|shard_move| shard_move.how == MoveKind::Give)
        .filter_map(|shard_move| assignment.get(&shard_move.shard))
        .map(|ownership| ownership.owner)
        .collect();
    let Some(giving) = replica.give_away(term, &losing) else {
        debug!("a node came back while its shards were to be given away, looking again");
        return;
    };
    for moves in moves.chunks(MOVES_MAX) {
        if !propose(replica, term, moves).await {
            settle(replica, term).await;
        }
    }
    // Order: only now, when all of it is applied here.
    drop(giving);
}

/// Waits until whatever may still be under way has been applied, or is another leader's affair.
async fn settle(replica: &Replica, term: u64) {
    let last = replica.status().last_log;
    while replica
        .leadership()
        .is_some_and(|leadership| leadership.term == term)
        && replica.status().applied < last
    {
        tokio::time::sleep(INTERVAL).await;
    }
}

/// `true`: applied here, or certainly in no log.
async fn propose(replica: &Replica, term: u64, moves: &[ShardMove]) -> bool {
    let given = moves
        .iter()
        .filter(|shard_move| shard_move.how == MoveKind::Give)
        .count();
    let command = Command::AssignShards(AssignShards {
        moves: moves.to_vec(),
    });
    match replica.propose_leading(term, command).await {
        Ok(proposed) => {
            info!(given, asked = moves.len() - given, index = %proposed.index, "shards assigned");
            // Its own next look must see it.
            replica.await_applied(proposed.index, INTERVAL * 10).await.is_ok()
        }
        Err(error) => {
            debug!(%error, "shards not assigned, looking again");
            error.is_certain()
        }
    }
}

fn live(leadership: &Leadership) -> BTreeSet<NodeId> {
    leadership
        .members
        .iter()
        .filter(|member| member.last_seen.is_some() && !member.lease_over)
        .map(|member| member.node)
        .collect()
}

/// Those of the live who are not about to stop: shards go to nobody else.
fn staying(live: &BTreeSet<NodeId>, members: &[MemberView]) -> BTreeSet<NodeId> {
    let leaving = |member: &&MemberView| member.report.is_some_and(|report| report.leaving);
    let leaving: BTreeSet<NodeId> = members.iter().filter(leaving).map(|member| member.node).collect();
    live.difference(&leaving).copied().collect()
}

/// What else decides.
#[derive(Clone, Copy, Debug)]
struct Circumstances {
    settled: bool,
    all_reported: bool,
    led_for: Duration,
    steady_for: Duration,
}

/// What may be done now towards the plan.
fn choose(
    live: &BTreeSet<NodeId>,
    members: &[MemberView],
    assignment: &BTreeMap<ShardId, Ownership>,
    circumstances: Circumstances,
) -> Vec<ShardMove> {
    let over: BTreeSet<NodeId> = members
        .iter()
        .filter(|member| member.lease_over)
        .map(|member| member.node)
        .collect();
    let is_member = |node: NodeId| members.iter().any(|member| member.node == node);
    // Once settled: who cannot hold a lease any more, or is no member at all.
    let gone = |node: NodeId| circumstances.settled && (over.contains(&node) || !is_member(node));
    // Who is silent but may still hold a lease keeps what it has: nothing moves because of it yet.
    let silent = |node: NodeId| !over.contains(&node) && !live.contains(&node) && is_member(node);
    let staying = staying(live, members);
    let at: BTreeMap<ShardId, NodeId> = assignment
        .iter()
        .map(|(shard, ownership)| {
            let going_to = ownership.moving_to.filter(|node| staying.contains(node));
            (*shard, going_to.unwrap_or(ownership.owner))
        })
        .collect();
    let mut planned_on = staying.clone();
    planned_on.extend(at.values().copied().filter(|node| silent(*node)));

    let asked_already = assignment
        .values()
        .filter(|ownership| ownership.moving_to.is_some())
        .count();
    let mut may_ask = if circumstances.settled && circumstances.steady_for >= STEADY {
        ASKED_MAX.saturating_sub(asked_already)
    } else {
        0
    };
    let may_begin = circumstances.all_reported || circumstances.led_for >= FIRST_WAIT;

    let mut moves = Vec::new();
    for (shard, to) in plan(&planned_on, &at) {
        if !staying.contains(&to) {
            continue;
        }
        let ownership = assignment.get(&shard);
        let from_epoch = ownership.map_or(Epoch(0), |ownership| ownership.epoch);
        let how = match ownership {
            None if may_begin => MoveKind::Give,
            Some(ownership) if gone(ownership.owner) => MoveKind::Give,
            // Who is about to stop lets go at once, all of it: what it keeps would rest until its lease is over.
            Some(ownership) if live.contains(&ownership.owner) && !staying.contains(&ownership.owner) => {
                MoveKind::Ask
            }
            Some(ownership) if live.contains(&ownership.owner) && ownership.owner != to && may_ask > 0 => {
                may_ask -= 1;
                MoveKind::Ask
            }
            None | Some(_) => continue,
        };
        moves.push(ShardMove {
            shard,
            from_epoch,
            to,
            how,
        });
    }
    // A move that had been asked of an owner whose lease is over since goes where it was going.
    for (shard, ownership) in assignment {
        if let Some(to) = ownership.moving_to.filter(|to| staying.contains(to))
            && gone(ownership.owner)
            && !moves.iter().any(|shard_move| shard_move.shard == *shard)
        {
            moves.push(ShardMove {
                shard: *shard,
                from_epoch: ownership.epoch,
                to,
                how: MoveKind::Give,
            });
        }
    }
    moves
}

/// Since when the same members have been live.
#[derive(Debug, Default)]
struct Steady {
    live: BTreeSet<NodeId>,
    since: Option<Instant>,
}

impl Steady {
    fn of(&mut self, live: &BTreeSet<NodeId>, now: Instant) -> Duration {
        if self.live != *live {
            self.live.clone_from(live);
            self.since = None;
        }
        now.saturating_duration_since(*self.since.get_or_insert(now))
    }
}

#[cfg(test)]
mod tests;
