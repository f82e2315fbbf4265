//! Batches on their way to the store: a bounded queue, and the thread that hands them on in order.
//!
//! One append is with the store at a time; what was gathered meanwhile goes with the next. A batch is
//! never sent again from here: when the store refuses one, it and all that followed are dropped, and the
//! reader goes back to what is stored.

use super::gather::Gathered;
use crate::batch::{Intake, IntakeError};
use custos_event::SourceRange;
use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

/// An append is closed at 8,192 events or 4 MiB: some 30 ms of the store's work, of which its sync is a
/// third.
const APPEND_EVENTS_MAX: usize = 8_192;
const APPEND_BYTES_MAX: usize = 4 << 20;

/// Why nothing more goes to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// For now: the disk is full, or the store is closing.
    Paused(Arc<str>),
    /// For good.
    Failed(Arc<str>),
}

/// The next offset to be stored, by topic and partition.
pub(crate) type NextOffsets = HashMap<(String, i32), i64>;

#[derive(Debug, Default)]
struct State {
    /// Batches taken and neither durable nor dropped.
    flying: usize,
    durable: NextOffsets,
    halt: Option<Halt>,
    restart: bool,
}

#[derive(Debug)]
pub(crate) struct Flight {
    state: Mutex<State>,
    changed: Condvar,
    queue: Mutex<Option<SyncSender<Gathered>>>,
}

impl Flight {
    /// Room for `batches_max` batches; the receiver is [`carry`]'s.
    pub(crate) fn new(batches_max: usize) -> (Self, Receiver<Gathered>) {
        let (sender, receiver) = sync_channel(batches_max.max(1));
        let queue = Mutex::new(Some(sender));
        (Self { state: Mutex::default(), changed: Condvar::new(), queue }, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a batch on its way; gives it back where there is no room.
    pub(crate) fn offer(&self, batch: Gathered) -> Result<(), Gathered> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = &*queue else { return Err(batch) };
        self.lock().flying += 1;
        queue.try_send(batch).map_err(|error| {
            self.lock().flying -= 1;
            match error {
                TrySendError::Full(batch) | TrySendError::Disconnected(batch) => batch,
            }
        })
    }

    /// Waits until nothing is on its way; false when that took longer than `limit`.
    pub(crate) fn wait_idle(&self, limit: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |state| state.flying > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until something ended, or for `limit`.
    pub(crate) fn wait_change(&self, limit: Duration) {
        drop(self.changed.wait_timeout(self.lock(), limit));
    }

    pub(crate) fn halt(&self) -> Option<Halt> {
        self.lock().halt.clone()
    }

    /// Goes on after a pause, once everything that was on its way is dropped.
    pub(crate) fn clear_pause(&self) {
        self.lock().halt.take_if(|halt| matches!(halt, Halt::Paused(_)));
    }

    /// The client is of no use any more; asked for where no error can be returned.
    pub(crate) fn want_restart(&self) {
        self.lock().restart = true;
    }

    /// Whether a restart was wanted; asking clears it.
    pub(crate) fn restart_wanted(&self) -> bool {
        std::mem::take(&mut self.lock().restart)
    }

    /// What has become durable since this was last asked.
    pub(crate) fn take_durable(&self) -> NextOffsets {
        std::mem::take(&mut self.lock().durable)
    }

    /// No batch is taken any more: [`carry`] ends when it has handed on what is queued.
    pub(crate) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn landed(&self, batches: usize, ranges: &[SourceRange]) {
        let mut state = self.lock();
        state.flying -= batches;
        for range in ranges {
            state.durable.insert((range.topic.clone(), range.partition), range.last + 1);
        }
        self.changed.notify_all();
    }

    fn dropped(&self, batches: usize, halt: Option<Halt>) {
        let mut state = self.lock();
        state.flying -= batches;
        state.halt = halt.or(state.halt.take());
        self.changed.notify_all();
    }
}

/// Hands batches to the store until the flight is closed and empty.
pub(crate) fn carry<I: Intake>(intake: &I, queue: &Receiver<Gathered>, flight: &Flight) {
    let mut other = None;
    while let Some(mut append) = other.take().or_else(|| queue.recv().ok()) {
        let mut batches = 1;
        while append.batch.events.len() < APPEND_EVENTS_MAX && append.bytes < APPEND_BYTES_MAX {
            let Ok(next) = queue.try_recv() else { break };
            if next.batch.log != append.batch.log {
                other = Some(next);
                break;
            }
            append.append(next);
            batches += 1;
        }
        if flight.halt().is_some() {
            flight.dropped(batches, None);
            continue;
        }
        let Gathered { batch, tallies, .. } = append;
        let ranges = batch.sources.clone();
        match intake.submit_blocking(batch) {
            Ok(_) => {
                tallies.iter().for_each(crate::counters::Tally::count);
                flight.landed(batches, &ranges);
            }
            Err(IntakeError::Paused(reason)) => flight.dropped(batches, Some(Halt::Paused(reason))),
            Err(IntakeError::Failed(reason)) => flight.dropped(batches, Some(Halt::Failed(reason))),
        }
    }
}
