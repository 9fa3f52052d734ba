//! Reading the log, for peers and for applying: in parts of bounded size, however long the backlog.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use futures::Stream;
use futures::stream;
use openraft::storage::RaftLogReader;

use crate::log_store::LogStore;
use crate::types::{LogEntry, TypeConfig, Vote};

/// Bytes of entries read at once: a backlog is never loaded whole.
const READ_BYTES: usize = 1024 * 1024;

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<B>(&mut self, range: B) -> io::Result<Vec<LogEntry>>
    where
        B: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (start, end) = bounds(&range);
        self.entries(start, end, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        self.entries(start, end, READ_BYTES)
    }

    async fn entries_stream<B>(&mut self, range: B) -> impl Stream<Item = io::Result<LogEntry>> + Send
    where
        B: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (next, end) = bounds(&range);
        let unread = Unread {
            log: self.clone(),
            loaded: Vec::new().into_iter(),
            next,
            end,
        };
        stream::try_unfold(unread, |mut unread| async move {
            Ok(unread.next()?.map(|entry| (entry, unread)))
        })
    }
}

/// What is left of a stream of entries: some in memory, the rest in the log.
struct Unread {
    log: LogStore,
    loaded: std::vec::IntoIter<LogEntry>,
    next: u64,
    end: u64,
}

impl Unread {
    fn next(&mut self) -> io::Result<Option<LogEntry>> {
        if let Some(entry) = self.loaded.next() {
            return Ok(Some(entry));
        }
        self.loaded = self.log.entries(self.next, self.end, READ_BYTES)?.into_iter();
        match self.loaded.as_slice().last() {
            Some(last) => self.next = last.log_id.index + 1,
            None => return Ok(None),
        }
        Ok(self.loaded.next())
    }
}
