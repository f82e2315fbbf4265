//! Reads the log around damage: what is lost is counted and told, the rest is read on.

use bytes::Bytes;
use custos_event::{
    LogId, Partition, Seq,
    commit::{LogReader, ReadError},
};
use custos_store::{Store, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::error;

/// The store, for readers that must not stop at a damaged range.
pub(crate) struct Tolerant<'s> {
    store: &'s Store,
    lost: AtomicU64,
}

impl<'s> Tolerant<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store, lost: AtomicU64::new(0) }
    }

    /// How many entries could not be read so far; an entry that was asked for twice counts twice.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl LogReader for Tolerant<'_> {
    fn scan(
        &self,
        log: LogId,
        partition: Partition,
        from: Seq,
        to: Seq,
        each: &mut dyn FnMut(Seq, Bytes) -> bool,
    ) -> Result<(), ReadError> {
        let mut next = from;
        loop {
            let Err(error) = self.store.scan(log, partition, next, to, each) else {
                return Ok(());
            };
            let Some((first, last)) = lost_range(&error).filter(|(_, last)| *last >= next) else {
                return Err(error);
            };
            // Both ends are inclusive; only what was asked for is missed.
            let missed = last.0.min(to.0.saturating_sub(1)).saturating_sub(first.0.max(next.0)) + 1;
            self.lost.fetch_add(missed, Ordering::Relaxed);
            let source = error.source.to_string();
            error!(%log, %first, %last, source, "damaged entries are passed over");
            next = last.plus(1);
            if next >= to {
                return Ok(());
            }
        }
    }
}

fn lost_range(error: &ReadError) -> Option<(Seq, Seq)> {
    let Some(StoreError::Lost { first, last, .. }) = error.source.downcast_ref() else {
        return None;
    };
    Some((*first, *last))
}
