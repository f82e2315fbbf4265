//! How records and facts enter the log, and how followers get them out again.

use crate::{
    id::{CommitNo, LogId, Partition, Seq},
    parsed::ParsedEvent,
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One record or fact on its way into a log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The bytes to store: [`crate::record::encode`] or [`crate::fact::Envelope::encode`].
    pub bytes: Bytes,
    /// The same event as its decoder read it, so that followers need not read it again.
    pub parsed: Option<Arc<ParsedEvent>>,
}

/// Which part of a numbered source a commit holds: offsets `first..=last` of one partition. Stored in the
/// same frame as the records, so that both are durable or neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRange {
    /// Kafka's cluster id; `listener` for the built-in one; `crm` for a customer system; `file` for a followed file.
    pub cluster: String,
    pub topic: String,
    pub partition: i32,
    /// Rises when the same place was found to hold other bytes (topic made anew, unclean election).
    pub epoch: u32,
    pub first: i64,
    pub last: i64,
    /// CRC-32C of the last record's key and value, to notice other bytes at the same offset.
    pub last_digest: u32,
}

/// A batch of an idempotent producer, kept with the batch so that a retry after a crash is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerEntry {
    pub topic: String,
    pub partition: i32,
    pub producer: i64,
    pub epoch: i16,
    /// The batch's first sequence number, and how many records it has.
    pub base_sequence: i32,
    pub records: i32,
    /// The offset that its first record was given.
    pub base_offset: i64,
}

/// What is appended together: durable whole or not at all, one frame in one log.
#[derive(Clone, Debug)]
pub struct Append {
    pub log: LogId,
    pub partition: Partition,
    pub entries: Vec<Entry>,
    pub sources: Vec<SourceRange>,
    pub producers: Vec<ProducerEntry>,
}

impl Append {
    pub fn new(log: LogId, entries: Vec<Entry>) -> Self {
        let partition = Partition::default();
        Self { log, partition, entries, sources: Vec::new(), producers: Vec::new() }
    }

    /// Bytes to store, without framing.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes.len()).sum()
    }
}

/// Where an [`Append`] came to stand. It is durable when this exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub commit: CommitNo,
    pub log: LogId,
    pub partition: Partition,
    /// The place of its first entry; the others follow without a gap.
    pub first: Seq,
    pub appended_at: Timestamp,
}

/// A durable commit as a follower gets it, in the order of commit numbers. Several appends may share one.
#[derive(Clone, Debug)]
pub struct Commit {
    pub commit: CommitNo,
    pub log: LogId,
    pub partition: Partition,
    pub first: Seq,
    pub appended_at: Timestamp,
    pub entries: Vec<Entry>,
}

/// Reads the log's entries by place; what `search` is given instead of the store.
pub trait LogReader: Send + Sync {
    /// Calls `each` with the entries of `log` from `from` up to, not including, `to`, in order. Places that
    /// retention has dropped are passed over. Ends early when `each` returns false.
    fn scan(
        &self,
        log: LogId,
        partition: Partition,
        from: Seq,
        to: Seq,
        each: &mut dyn FnMut(Seq, Bytes) -> bool,
    ) -> Result<(), ReadError>;
}

/// The log could not be read where it should be readable.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {log}/{partition} at {seq}", partition = partition.0)]
pub struct ReadError {
    pub log: LogId,
    pub partition: Partition,
    pub seq: Seq,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
