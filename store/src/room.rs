//! Room on the disk. Where it runs short, intake pauses before all of it is gone, and the journal goes on in
//! what was held back; once there is room again, intake goes on by itself.

use crate::{error::StoreError, options::Options, shared::Shared};
use custos_event::Timestamp;
use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Held back for the journal: one step, 16 MiB, some 16,000 facts even if none of them compressed.
const RESERVE: &str = "RESERVE";
/// A small step of the journal while room is short: at most so much of it is left unused.
pub(crate) const SMALL_STEP_BYTES: u64 = 64 << 10;
/// Intake goes on at most so long after there is room: the promise is 5 s.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why nothing is taken in at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub since: Timestamp,
    /// Bytes that were free when it began.
    pub free: u64,
    /// With so many free, intake goes on.
    pub wanted: u64,
}

#[derive(Default)]
struct State {
    paused: Option<Pause>,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn paused(&self) -> Option<Pause> {
        self.lock().paused
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for the time of the next look; false once the store closes.
    fn wait(&self) -> bool {
        let open = |state: &mut State| !state.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), LOOK_EVERY, open);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }
}

/// How much room a log's segment reserves at once: a quarter of the raw bytes of a full one, about what those
/// come to. At most 16 MiB, so that a quiet log holds no more than that back.
pub(crate) fn step(options: &Options) -> u64 {
    (options.segment_bytes / 4).clamp(SMALL_STEP_BYTES, 16 << 20)
}

fn reserve_path(shared: &Shared) -> PathBuf {
    shared.dir.join(RESERVE)
}

/// How much must be free for intake to go on: the least, what is held back, and a step for each of two logs.
fn wanted(shared: &Shared) -> u64 {
    shared.options.free_bytes_min.saturating_add(3 * step(&shared.options))
}

/// Stops intake.
pub(crate) fn pause(shared: &Shared) {
    let free = shared.disk().free_bytes(&shared.dir).unwrap_or(0);
    let pause = Pause { since: shared.options.clock.now(), free, wanted: wanted(shared) };
    let mut state = shared.room.lock();
    if state.paused.is_none() {
        state.paused = Some(pause);
        drop(state);
        tracing::error!(dir = %shared.dir.display(), free, wanted = pause.wanted,
            "room on the disk is short, nothing is taken in; free some, intake goes on by itself");
    }
}

/// Whether `bytes` more for events leave what must stay free.
pub(crate) fn allows(shared: &Shared, bytes: u64) -> Result<bool, StoreError> {
    let least = shared.options.free_bytes_min.saturating_add(bytes);
    Ok(shared.disk().free_bytes(&shared.dir)? >= least)
}

/// Keeps room for the journal, if it is not kept yet.
pub(crate) fn hold_back(shared: &Shared) -> Result<(), StoreError> {
    let (disk, path) = (shared.disk(), reserve_path(shared));
    let wanted = step(&shared.options);
    let file = if disk.is_there(&path)? { disk.open_to_write(&path) } else { disk.create(&path) }?;
    if file.len()? >= wanted {
        return Ok(());
    }
    let held = file.reserve(0, wanted).and_then(|()| file.sync());
    if held.is_err() {
        disk.remove(&path)?;
    }
    held
}

/// Gives the journal what was held back for it; false if that is gone already.
pub(crate) fn give_up(shared: &Shared) -> Result<bool, StoreError> {
    let (disk, path) = (shared.disk(), reserve_path(shared));
    if !disk.is_there(&path)? {
        return Ok(false);
    }
    tracing::warn!("the disk is full, the journal goes on in the room held back for it");
    disk.remove(&path).map(|()| true)
}

/// The thread that looks how much room there is.
pub(crate) fn keep_room(shared: &Shared) {
    while shared.room.wait() {
        if let Err(error) = look(shared) {
            tracing::warn!(error = %error.chain(), "cannot see to room on the disk");
        }
    }
}

fn look(shared: &Shared) -> Result<(), StoreError> {
    let free = shared.disk().free_bytes(&shared.dir)?;
    let paused = shared.room.paused();
    if paused.is_none() && free < shared.options.free_bytes_min {
        pause(shared);
    }
    if paused.is_some_and(|pause| free >= pause.wanted) {
        hold_back(shared)?;
        shared.room.lock().paused = None;
        tracing::info!(free, "there is room on the disk again, intake goes on");
        shared.pending.retry();
    }
    Ok(())
}
