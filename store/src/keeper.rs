//! Work that nobody waits for: signing checkpoints as records come in, and sealing closed segments.

use crate::{
    checkpoint,
    error::StoreError,
    room,
    seal::{self, SealJob},
    shared::Shared,
};
use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A checkpoint at least so often while records come in: 60 s is the most that nobody vouches for.
const CHECKPOINT_SECS_MAX: u64 = 60;
/// And after so many records; 200,000/s make 20 signatures a second at the very most.
const CHECKPOINT_RECORDS: u64 = 10_000;

#[derive(Default)]
struct State {
    records: u64,
    jobs: VecDeque<SealJob>,
    /// Those that found no room on the disk.
    deferred: VecDeque<SealJob>,
    sealing: bool,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
    /// Tells a sealing under way to give up.
    pub(crate) stop: AtomicBool,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts records that became durable.
    pub(crate) fn count(&self, records: u64) {
        let mut state = self.lock();
        state.records += records.max(1);
        let due = state.records >= CHECKPOINT_RECORDS;
        drop(state);
        if due {
            self.changed.notify_all();
        }
    }

    pub(crate) fn seal(&self, job: SealJob) {
        self.lock().jobs.push_back(job);
        self.changed.notify_all();
    }

    /// Once there is room again.
    pub(crate) fn retry(&self) {
        let mut state = self.lock();
        let mut deferred = std::mem::take(&mut state.deferred);
        state.jobs.append(&mut deferred);
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until a checkpoint is due; false once the store closes.
    fn wait_checkpoint(&self) -> bool {
        let idle = |state: &mut State| !state.closed && state.records < CHECKPOINT_RECORDS;
        let timeout = Duration::from_secs(CHECKPOINT_SECS_MAX);
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.records = 0;
        !state.closed
    }

    /// Waits until no closed segment is left to be sealed.
    pub(crate) fn wait_sealed(&self) {
        let busy = |state: &mut State| !state.closed && (state.sealing || !state.jobs.is_empty());
        drop(self.changed.wait_while(self.lock(), busy));
    }

    fn wait_job(&self) -> Option<SealJob> {
        let idle = |state: &mut State| !state.closed && state.jobs.is_empty();
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.sealing = !state.closed;
        if state.closed { None } else { state.jobs.pop_front() }
    }
}

/// The thread that signs checkpoints.
pub(crate) fn keep_checkpoints(shared: &Shared) {
    while shared.pending.wait_checkpoint() {
        if let Err(error) = checkpoint::save_all(shared) {
            tracing::error!(error = %error.chain(), "cannot save a checkpoint");
        }
    }
}

/// The thread that seals.
pub(crate) fn keep_sealing(shared: &Shared) {
    while let Some(job) = shared.pending.wait_job() {
        let sealed = seal::seal(shared, &job);
        if let Err(error) = &sealed {
            let path = job.opened.file.path().display();
            tracing::error!(%path, error = %error.chain(), "cannot seal a segment; it stays as it is");
        }
        if let Err(StoreError::Full { .. }) = sealed {
            shared.pending.lock().deferred.push_back(job);
            room::pause(shared);
        }
        shared.pending.lock().sealing = false;
        shared.pending.changed.notify_all();
    }
}
