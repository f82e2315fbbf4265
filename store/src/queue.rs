//! Appends on their way to the writer: bounded by bytes, in the order they came, gathered into groups.

use crate::{disk::monotonic, error::StoreError, stream::StreamId};
use custos_event::{Append, Committed};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// 1,000 entries: 2 ms of encoding on one core, as long as half a sync takes.
const GROUP_ENTRIES_MAX: usize = 1_000;
/// 1 MiB: 0.2 MiB on the disk after compression, one write of a few milliseconds.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// How long a group gathers while the one before is being synced (p50 of a sync is 4 ms).
const GROUP_WAIT_MAX: Duration = Duration::from_millis(5);
/// One append: half of what a frame holds raw, so that lengths and a last small append fit.
pub(crate) const APPEND_BYTES_MAX: u64 = 64 << 20;
/// At two bytes an entry in the frame and 64 in memory, 64 MiB.
pub(crate) const APPEND_ENTRIES_MAX: u64 = 1 << 20;

/// The answer to one append; `None` has been given.
pub(crate) type Answer = oneshot::Sender<Result<Committed, StoreError>>;

pub(crate) struct Request {
    pub(crate) append: Append,
    pub(crate) answer: Answer,
    /// Its share of the queue's bytes, given back when it is answered.
    pub(crate) room: OwnedSemaphorePermit,
    came: Instant,
    bytes: usize,
}

impl Request {
    pub(crate) fn stream(&self) -> StreamId {
        (self.append.log, self.append.partition)
    }

    pub(crate) fn refuse(self, error: &StoreError) {
        // The caller may have given up waiting; then nobody is there to be told.
        let _gone = self.answer.send(Err(error.clone()));
    }
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    /// A written frame is being synced.
    syncing: bool,
    closed: bool,
    failed: Option<Arc<str>>,
}

impl State {
    fn refusal(&self) -> Option<StoreError> {
        match &self.failed {
            Some(reason) => Some(StoreError::Failed(Arc::clone(reason))),
            None => self.closed.then_some(StoreError::Closed),
        }
    }

    /// How many requests at the front make one frame, and whether more could still join.
    fn group(&self) -> (usize, bool) {
        let Some(first) = self.requests.front() else { return (0, true) };
        let (mut entries, mut bytes) = (0, 0);
        for (taken, request) in self.requests.iter().enumerate() {
            entries += request.append.entries.len();
            bytes += request.bytes;
            let over = entries > GROUP_ENTRIES_MAX || bytes > GROUP_BYTES_MAX;
            if taken > 0 && (over || request.stream() != first.stream()) {
                return (taken, false);
            }
        }
        let full = entries >= GROUP_ENTRIES_MAX || bytes >= GROUP_BYTES_MAX;
        (self.requests.len(), !full)
    }
}

pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    room: Arc<Semaphore>,
    room_max: u32,
}

impl Queue {
    pub(crate) fn new(bytes_max: u32) -> Self {
        let room = Arc::new(Semaphore::new(bytes_max as usize));
        Self { state: Mutex::default(), changed: Condvar::new(), room, room_max: bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, then takes its place in the order.
    pub(crate) async fn submit(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Committed, StoreError>>, StoreError> {
        let (bytes, entries) = (append.bytes(), append.entries.len() as u64);
        if bytes as u64 > APPEND_BYTES_MAX || entries > APPEND_ENTRIES_MAX {
            let (bytes_max, entries_max) = (APPEND_BYTES_MAX, APPEND_ENTRIES_MAX);
            return Err(StoreError::TooLarge {
                bytes: bytes as u64,
                entries,
                bytes_max,
                entries_max,
            });
        }
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.room_max);
        let room = Arc::clone(&self.room).acquire_many_owned(share).await;
        let room = room.map_err(|_| self.lock().refusal().unwrap_or(StoreError::Closed))?;
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if let Some(error) = state.refusal() {
            return Err(error);
        }
        state.requests.push_back(Request { append, answer, room, came: monotonic(), bytes });
        drop(state);
        self.changed.notify_all();
        Ok(answered)
    }

    /// The next group, all for one log; `None` once the queue is closed and empty. Goes at once when no
    /// sync is under way; else waits for more until the sync ends, the group is full or 5 ms old.
    pub(crate) fn gather(&self) -> Option<Vec<Request>> {
        let mut state = self.lock();
        loop {
            let (count, may_grow) = state.group();
            let Some(first) = state.requests.front() else {
                if state.closed || state.failed.is_some() {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = GROUP_WAIT_MAX.saturating_sub(monotonic().duration_since(first.came));
            if !state.syncing || !may_grow || state.closed || left.is_zero() {
                return Some(state.requests.drain(..count).collect());
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the last written frame is durable.
    pub(crate) fn wait_synced(&self) -> Result<(), StoreError> {
        let state = self.lock();
        let syncing = |state: &mut State| state.syncing && state.failed.is_none();
        let state = self.changed.wait_while(state, syncing).unwrap_or_else(PoisonError::into_inner);
        match &state.failed {
            Some(reason) => Err(StoreError::Failed(Arc::clone(reason))),
            None => Ok(()),
        }
    }

    pub(crate) fn set_syncing(&self, syncing: bool) {
        self.lock().syncing = syncing;
        self.changed.notify_all();
    }

    /// No further appends; those in the queue are still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.changed.notify_all();
    }

    /// From now on every append fails, those in the queue too.
    pub(crate) fn fail(&self, reason: &str) {
        let mut state = self.lock();
        let reason = Arc::clone(state.failed.get_or_insert_with(|| reason.into()));
        let waiting: Vec<_> = state.requests.drain(..).collect();
        drop(state);
        self.room.close();
        self.changed.notify_all();
        let error = StoreError::Failed(reason);
        for request in waiting {
            request.refuse(&error);
        }
    }

    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.lock().failed.as_ref().map(|reason| StoreError::Failed(Arc::clone(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::block_on;
    use custos_event::{Entry, LogId};

    /// Appends of so many entries, each to its log.
    type Appends<'a> = &'a [(LogId, u64)];

    fn queue(appends: Appends<'_>) -> Queue {
        let queue = Queue::new(1 << 20);
        for (log, entries) in appends {
            let entry = || Entry { bytes: bytes::Bytes::from_static(b"x"), parsed: None };
            let entries = (0..*entries).map(|_| entry()).collect();
            drop(block_on(queue.submit(Append::new(*log, entries))).unwrap());
        }
        queue
    }

    #[test]
    fn a_group_is_of_one_log_and_waits_for_more_until_it_is_full() {
        let (log, journal) = (LogId::TELEMETRY, LogId::JOURNAL);
        let max = GROUP_ENTRIES_MAX as u64;
        let cases: [(Appends<'_>, (usize, bool)); 7] = [
            (&[], (0, true)),
            (&[(log, 1), (log, 2)], (2, true)),
            (&[(log, 1), (journal, 1), (log, 1)], (1, false)),
            (&[(log, max - 1)], (1, true)),
            (&[(log, max)], (1, false)),
            (&[(log, max - 1), (log, 1)], (2, false)),
            (&[(log, max), (log, 1)], (1, false)),
        ];
        for (appends, expected) in cases {
            assert_eq!(queue(appends).lock().group(), expected, "{appends:?}");
        }
        // One that is larger than a group goes alone.
        assert_eq!(queue(&[(log, max + 1), (log, 1)]).lock().group(), (1, false));
    }
}
