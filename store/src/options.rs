//! What the caller chooses when opening a store.

use crate::{disk::Disk, keys::KeySource};
use custos_event::Clock;
use std::sync::Arc;

/// How a store is opened. The limits have defaults that hold on two cores and 1 GiB.
#[derive(Clone)]
pub struct Options {
    /// What the data folder lies on.
    pub disk: Disk,
    pub clock: Arc<dyn Clock>,
    /// Make the data folder if there is none; otherwise that is [`crate::StoreError::Missing`].
    pub create: bool,
    /// Where the master key comes from; without it, the file `keys/master.key` in the data folder.
    pub master_key: Option<KeySource>,
    /// A segment with so many raw bytes is closed and sealed.
    pub segment_bytes: u64,
    /// Intake pauses where less is free on the disk; the journal does not.
    pub free_bytes_min: u64,
    /// Appends wait when so many bytes are queued.
    pub queue_bytes: u32,
    /// Recent commits are kept in memory for followers up to so many bytes.
    pub ring_bytes: usize,
    /// Decoded blocks are kept for readers up to so many bytes.
    pub cache_bytes: usize,
    /// zstd level for sealed segments.
    pub seal_level: i32,
    /// Rewrite full segments in the background. A short-lived command may leave it to the next process.
    pub seal: bool,
}

impl Options {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            disk: Disk::default(),
            clock,
            create: true,
            master_key: None,
            // 64 MiB raw: about 1,000 blocks; one rewriting takes about a second.
            segment_bytes: 64 << 20,
            // 256 MiB: the index merges, the catalog flushes and segments are sealed in it.
            free_bytes_min: 256 << 20,
            // 32 MiB: at 200,000 events/s of 737 bytes, 0.2 s of intake.
            queue_bytes: 32 << 20,
            // 64 MiB: at 15,000 events/s of 2 KiB with their parse, two seconds that a follower may lag.
            ring_bytes: 64 << 20,
            // 16 MiB: 256 blocks of 64 KiB.
            cache_bytes: 16 << 20,
            seal_level: 3,
            seal: true,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .finish_non_exhaustive()
    }
}
