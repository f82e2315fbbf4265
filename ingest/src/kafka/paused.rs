//! Topics that people have paused.

use std::{
    collections::BTreeSet,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The names of sources that are not read for now. Changed while the consumer runs.
#[derive(Debug, Default)]
pub struct Paused {
    names: RwLock<BTreeSet<String>>,
    changes: AtomicU64,
    /// The last change that the consumer acts by.
    heeded: AtomicU64,
}

impl Paused {
    /// The name that stands for all topics.
    pub const ALL: &str = "kafka";

    /// From now on these and no others: `kafka:TOPIC`, or [`Self::ALL`].
    pub fn set(&self, names: BTreeSet<String>) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn has(&self, source: &str) -> bool {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.contains(Self::ALL) || names.contains(source)
    }

    /// A change that the consumer does not act by yet. Costs two loads where there is none.
    pub(crate) fn news(&self) -> Option<u64> {
        let change = self.changes.load(Ordering::Acquire);
        (change != self.heeded.load(Ordering::Acquire)).then_some(change)
    }

    pub(crate) fn heeded(&self, change: u64) {
        self.heeded.store(change, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_and_all_is_each() {
        let paused = Paused::default();
        assert!(paused.news().is_none() && !paused.has("kafka:doors"));
        paused.set(["kafka:doors".to_owned()].into());
        assert!(paused.has("kafka:doors") && !paused.has("kafka:door"));
        let change = paused.news().unwrap();
        paused.set([Paused::ALL.to_owned()].into());
        paused.heeded(change);
        assert!(paused.has("kafka:door"));
        paused.heeded(paused.news().unwrap());
        assert!(paused.news().is_none());
    }
}
