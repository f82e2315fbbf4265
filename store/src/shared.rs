//! What the store's handle, its threads and its readers share.

use crate::{
    cache::Cache,
    disk::Disk,
    error::StoreError,
    keeper::Pending,
    keys::Keyring,
    opened::Opened,
    options::Options,
    queue::Queue,
    retention::Dropped,
    ring::Ring,
    room::Room,
    stream::{Durable, Segment, Stream, StreamId},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) keyring: Keyring,
    pub(crate) streams: RwLock<BTreeMap<StreamId, Arc<Stream>>>,
    pub(crate) cache: Cache,
    pub(crate) ring: Ring,
    pub(crate) queue: Queue,
    pub(crate) pending: Pending,
    pub(crate) room: Room,
    /// Held while files of the folder are listed and read, or removed: by backups, retention and repair.
    pub(crate) upkeep: Mutex<()>,
}

impl Shared {
    pub(crate) fn disk(&self) -> &Disk {
        &self.options.disk
    }

    pub(crate) fn stream(&self, id: StreamId) -> Option<Arc<Stream>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn all_streams(&self) -> Vec<Arc<Stream>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The log's stream, made now if nothing was ever appended to it.
    pub(crate) fn stream_or_new(&self, id: StreamId) -> Arc<Stream> {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let dropped = (Dropped::default(), 0);
            Arc::new(Stream::new(id, Vec::new(), Durable::default(), None, dropped))
        };
        Arc::clone(streams.entry(id).or_insert_with(new))
    }

    pub(crate) fn opened(
        &self,
        stream: &Stream,
        segment: &Segment,
    ) -> Result<Arc<Opened>, StoreError> {
        self.cache.opened(self.disk(), stream.id, segment, self.keyring.masters())
    }
}
