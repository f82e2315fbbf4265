//! Where partitions are begun that were never read, and where they were begun.

use super::{
    config::{ConsumerConfig, Start},
    place::{Named, Place},
    topics::ByTopic,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Lives as long as the process. A rebalance, or a client made anew, finds the end of a partition elsewhere
/// than it was when reading began; what came between would be passed over. One entry for each partition that
/// was begun.
pub(crate) struct Starts {
    usual: Start,
    others: ByTopic<Start>,
    /// By cluster, topic and partition.
    begun: Mutex<HashMap<(String, String, i32), Place>>,
}

impl Starts {
    pub(crate) fn new(config: &ConsumerConfig) -> Self {
        let (usual, others) = (config.start, config.starts.clone());
        Self { usual, others, begun: Mutex::default() }
    }

    /// What the operator wants of `topic`.
    pub(crate) fn wanted(&self, topic: &str) -> Start {
        self.others.of(topic).copied().unwrap_or(self.usual)
    }

    /// Where a partition was begun; what counts as long as nothing of it is stored.
    pub(crate) fn begun(&self, of: Named<'_>) -> Option<Place> {
        self.lock().get(&key(of)).copied()
    }

    pub(crate) fn note(&self, of: Named<'_>, place: Place) {
        self.lock().insert(key(of), place);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String, i32), Place>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(of: Named<'_>) -> (String, String, i32) {
    (of.cluster.to_owned(), of.topic.to_owned(), of.partition)
}
