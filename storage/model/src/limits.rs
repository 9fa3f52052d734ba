//! Every bound of the system, each with its reason.

use crate::time::Span;

/// Bytes of a tenant's, destination's or route's id: readable in a URL, a log line and a key.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of an event type.
pub const EVENT_TYPE_BYTES_MAX: usize = 256;
/// Segments of an event type or a pattern: bounds the time of a match.
pub const EVENT_TYPE_SEGMENTS_MAX: usize = 16;
/// Bytes of a content type: it is sent as an HTTP header.
pub const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// Bytes of a request id.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of a payload unless the node's configuration says otherwise.
pub const PAYLOAD_BYTES_DEFAULT: usize = 256 * 1024;
/// Bytes of a payload in no case exceeded: an entry of one event must stay far below what peers accept.
pub const PAYLOAD_BYTES_HARD_MAX: usize = 1024 * 1024;
/// Events in one call of `PublishBatch`.
pub const PUBLISH_BATCH_EVENTS_MAX: usize = 500;
/// Bytes of one call of `PublishBatch`.
pub const PUBLISH_BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Events in one command: one entry is never long work.
pub const COMMAND_EVENTS_MAX: usize = 512;
/// Deliveries that one command of several events may make: each is some rows. One event makes as many as it has routes.
pub const COMMAND_DELIVERIES_MAX: usize = 2048;
/// Attempts in one command.
pub const COMMAND_ATTEMPTS_MAX: usize = 256;
/// Deliveries that one command may replay.
pub const COMMAND_REPLAYS_MAX: usize = 256;
/// Dead letters that one command may discard.
pub const COMMAND_DISCARDS_MAX: usize = 256;
/// Dead letters that one step of a job takes at most: one entry is never long work.
pub const JOB_STEP_TAKEN_MAX: usize = 256;
/// Dead letters that one step of a job reads at most: a job for one cause passes the others by without writing.
pub const JOB_STEP_READ_MAX: usize = 1024;
/// Jobs of a tenant that may run at a time: each is a command every tenth of a second.
pub const JOBS_RUNNING_MAX: usize = 16;
/// Jobs of a tenant that are kept: an ended one goes when a new one would be beyond.
pub const JOBS_KEPT_MAX: usize = 100;
/// Bytes of the name of whoever did something.
pub const ACTOR_BYTES_MAX: usize = 256;
/// Destinations whose credentials one command may seal anew: with all that still count, far below an entry.
pub const COMMAND_REWRAPS_MAX: usize = 16;
/// Deliveries that one step of a removal cancels.
pub const COMMAND_CANCELS_MAX: usize = 256;
/// Credentials before the present one that count at a time: each adds a signature to every request.
pub const PREVIOUS_CREDENTIALS_MAX: usize = 3;
/// How long a credential counts after it was followed by another, unless asked.
pub const CREDENTIAL_OVERLAP_DEFAULT: Span = Span::DAY;
/// How long a credential counts after it was followed by another at most.
pub const CREDENTIAL_OVERLAP_MAX: Span = Span(7 * Span::DAY.0);
/// Rows of the change log that one page looks at: a filter that fits few of many makes short pages, not long work.
pub const CHANGES_LOOKED_AT_MAX: usize = 10_000;
/// Bytes that an entry should not pass when batches are put together.
pub const ENTRY_BYTES_WANTED: usize = 1024 * 1024;
/// Bytes that an entry never passes.
pub const ENTRY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Deliveries that an entry should not pass when commands and batches are put together, by [`Command::weight`]: two of
/// the heaviest commands. Small events with many routes would come to a hundred thousand within the bytes of an entry.
///
/// [`Command::weight`]: crate::command::Command::weight
pub const ENTRY_WEIGHT_WANTED: usize = 2 * COMMAND_DELIVERIES_MAX;
/// Bytes of one message that a peer accepts: far above an entry, so that none can fail to replicate.
pub const PEER_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Batches of one door that may be open at a time: bounds the rows that its repeats can find.
pub const DOOR_BATCHES_OPEN_MAX: u64 = 64;
/// Routes of a tenant: every decision is kept with every event.
pub const ROUTES_PER_TENANT_MAX: usize = 256;
/// Destinations of a tenant.
pub const DESTINATIONS_PER_TENANT_MAX: u32 = 100_000;
/// Bytes of a destination's settings.
pub const SETTINGS_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a destination's credential.
pub const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Bytes of a response kept with a failed attempt.
pub const EXCERPT_FAILED_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a response kept with a successful attempt.
pub const EXCERPT_DELIVERED_BYTES_MAX: usize = 1024;
/// Bytes of an attempt's error detail.
pub const DETAIL_BYTES_MAX: usize = 1024;
/// Attempts of a delivery that its row remembers, over all runs: older ones stay in the attempt log.
pub const ATTEMPT_MARKS_MAX: usize = 256;
/// Retries of any policy.
pub const RETRIES_MAX: u32 = 50;
/// The longest wait and the longest window of any policy.
pub const RETRY_WINDOW_MAX: Span = Span(7 * Span::DAY.0);
/// Attempts at one destination at a time unless it says otherwise, and at most.
pub const DESTINATION_CONCURRENCY_DEFAULT: u32 = 16;
/// Attempts at one destination at a time at most.
pub const DESTINATION_CONCURRENCY_MAX: u32 = 256;
/// How long an idempotency key is remembered unless its tenant says otherwise. Its expiry row stands in the hour in
/// which this would be over, whatever the tenant says: for good.
pub const IDEMPOTENCY_WINDOW: Span = Span::DAY;
/// The shortest time for which an idempotency key can be remembered: callers repeat within minutes.
pub const IDEMPOTENCY_WINDOW_MIN: Span = Span::HOUR;
/// The longest time for which an idempotency key can be remembered.
pub const IDEMPOTENCY_WINDOW_MAX: Span = Span(7 * Span::DAY.0);
/// How long a request that changed settings is remembered at least: callers repeat within minutes, and who works
/// through what a night has left does so within a day. Rows go by the hour in which this is over.
pub const REQUEST_WINDOW: Span = Span::DAY;
/// The shortest retention of anything but keys: rows are dropped by days.
pub const RETENTION_MIN: Span = Span::DAY;
/// How long an attempt is kept unless its tenant says otherwise.
pub const ATTEMPT_RETENTION: Span = Span(90 * Span::DAY.0);
/// How long an attempt can be kept.
pub const ATTEMPT_RETENTION_MAX: Span = Span(365 * Span::DAY.0);
/// How long an event and its payload are kept unless its tenant says otherwise, or a delivery still needs them.
pub const EVENT_RETENTION: Span = Span(30 * Span::DAY.0);
/// How long an event can be kept.
pub const EVENT_RETENTION_MAX: Span = Span(365 * Span::DAY.0);
/// How long a dead letter stays unless its tenant says otherwise. Its expiry row stands on the day on which this
/// would be over, whatever the tenant says: for good.
pub const DEAD_LETTER_RETENTION: Span = Span(14 * Span::DAY.0);
/// How long a dead letter can stay.
pub const DEAD_LETTER_RETENTION_MAX: Span = Span(90 * Span::DAY.0);
/// How long what is left of a request over dead letters is kept, so that a repeat finds it: answers of replays, jobs that
/// have ended. Callers repeat within minutes; a month outlives whatever lay in a queue or a script that was stopped.
pub const REQUESTS_KEPT: Span = Span(30 * Span::DAY.0);
/// What is left of requests that one command may drop: a read and a deletion each.
pub const UPKEEP_REQUESTS_MAX: usize = 256;
/// Tenants whose bucket one command may drop: a seek or two and, at worst, two range deletions each.
pub const UPKEEP_TENANTS_MAX: usize = 128;
/// Rows that one step of upkeep may touch one by one: some milliseconds of the thread that applies.
pub const UPKEEP_ROWS_MAX: usize = 1024;
/// Dead letters that one command may expire: each is some five rows.
pub const UPKEEP_LETTERS_MAX: usize = 256;
/// Events that one command may drop.
pub const UPKEEP_EVENTS_MAX: usize = 512;
/// Destinations that these may go to: a seek each.
pub const UPKEEP_DESTINATIONS_MAX: usize = 256;
/// Carried events that one command may look at: a few rows each.
pub const UPKEEP_CARRIED_MAX: usize = 128;
/// Rows side by side from which on they are deleted as one range: a range costs its readers more than a few rows do.
pub const RANGE_ROWS_MIN: usize = 32;
/// Rows of a page unless asked, and at most.
pub const PAGE_DEFAULT: usize = 50;
/// Rows that one call of a list reads at most, whatever its filter lets through: it answers, if with few rows, and
/// the next call goes on.
pub const LIST_READS_MAX: usize = 1024;
/// Rows of a page at most.
pub const PAGE_MAX: usize = 1000;
