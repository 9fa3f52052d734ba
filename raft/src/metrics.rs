//! The names of what this crate counts and measures.

/// 1 while this node leads, else 0.
pub const RAFT_IS_LEADER: &str = "pushrail_raft_is_leader";
/// The present term.
pub const RAFT_TERM: &str = "pushrail_raft_term";
/// How often this node saw another leader than before.
pub const RAFT_LEADER_CHANGES_TOTAL: &str = "pushrail_raft_leader_changes_total";
/// Entries known to be committed that this node has not applied.
pub const RAFT_APPLIED_LAG_ENTRIES: &str = "pushrail_raft_applied_lag_entries";
/// Bytes of the log on disk.
pub const RAFT_LOG_BYTES: &str = "pushrail_raft_log_bytes";
/// How long one fsync of the log took.
pub const RAFT_FSYNC_DURATION_SECONDS: &str = "pushrail_raft_fsync_duration_seconds";
/// Bytes of the state that were read and found whole, in the background.
pub const SCRUB_BYTES_TOTAL: &str = "pushrail_scrub_bytes_total";
/// Times that all of the state was read through.
pub const SCRUB_ROUNDS_TOTAL: &str = "pushrail_scrub_rounds_total";
/// What part of the state the present round has read.
pub const SCRUB_PROGRESS_RATIO: &str = "pushrail_scrub_progress_ratio";
/// How long applying one group of entries took.
pub const APPLY_DURATION_SECONDS: &str = "pushrail_apply_duration_seconds";
/// How long this node may still start attempts.
pub const LEASE_REMAINING_SECONDS: &str = "pushrail_lease_remaining_seconds";
/// How far the wall clock of a member is ahead of the median of a majority's; on the leader, by `node`.
pub const CLOCK_OFFSET_SECONDS: &str = "pushrail_clock_offset_seconds";
/// 1 on a leader that proposes nothing because its clock and those of a majority differ too far, else 0.
pub const CLOCKS_APART: &str = "pushrail_clocks_apart";
/// How far the state's time is ahead of the median of a majority's clocks; on the leader.
pub const STATE_TIME_OFFSET_SECONDS: &str = "pushrail_state_time_offset_seconds";
/// From a command's arrival at the door to its answer.
pub const PROPOSE_DURATION_SECONDS: &str = "pushrail_propose_duration_seconds";
/// Commands without an answer, by outcome: `not_accepted`, `unknown`.
pub const PROPOSE_FAILED_TOTAL: &str = "pushrail_propose_failed_total";
/// Batches that were sent again.
pub const PROPOSE_RESENT_TOTAL: &str = "pushrail_propose_resent_total";
/// Batches that one entry of this leader held.
pub const ENTRY_BATCHES: &str = "pushrail_entry_batches";
/// Bytes of one entry of this leader.
pub const ENTRY_BYTES: &str = "pushrail_entry_bytes";
