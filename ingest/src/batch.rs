//! The door through which every intake hands its events on, and hears that they are durable.

use custos_event::{Committed, LogId, ParsedEvent, ProducerEntry, SourceRange};
use std::{future::Future, sync::Arc};

/// Events of one log that become durable together, with the places of their sources they account for.
#[derive(Debug)]
pub struct Batch {
    /// That of the retention class of every source in it.
    pub log: LogId,
    pub events: Vec<ParsedEvent>,
    pub sources: Vec<SourceRange>,
    pub producers: Vec<ProducerEntry>,
}

impl Batch {
    /// Events of sources that number nothing; `log` is [`Intake::log_of`] each of them.
    pub fn new(log: LogId, events: Vec<ParsedEvent>) -> Self {
        Self { log, events, sources: Vec::new(), producers: Vec::new() }
    }
}

/// Why a batch was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// The disk is full or the store is closing: nothing was stored, the same batch may be sent again later.
    #[error("intake is paused: {0}")]
    Paused(Arc<str>),
    /// The store failed; the process ends. Nothing may be acknowledged any more.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}

/// What takes batches in: the store behind `server`'s wiring, or a stand-in in tests.
///
/// Law: batches submitted one after the other by one caller become durable in that order; `Ok` means
/// synced to disk. A full queue makes the caller wait.
pub trait Intake: Send + Sync + 'static {
    fn submit(&self, batch: Batch) -> impl Future<Output = Result<Committed, IntakeError>> + Send;

    /// The same for a thread that may block.
    fn submit_blocking(&self, batch: Batch) -> Result<Committed, IntakeError>;

    /// The log that keeps what a source says: one for each retention class.
    fn log_of(&self, source: &str) -> LogId;

    /// The last durable range of every numbered source.
    fn sources(&self) -> Vec<SourceRange>;

    /// The last durable batches of every idempotent producer (at most five for each producer and partition).
    fn producers(&self) -> Vec<ProducerEntry>;
}
