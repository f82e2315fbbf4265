//! Batches of events become appends of their class's log.

use crate::{enrich::Enricher, upkeep::classes::Classes};
use bytes::Bytes;
use custos_event::{
    Append, Committed, Entry, FieldTable, Flags, LogId, ParsedEvent, ProducerEntry, SourceRange,
    record,
};
use custos_ingest::{Batch, Intake, IntakeError};
use custos_store::{Store, StoreError, Ticket};
use std::sync::Arc;

/// The store as intakes see it.
#[derive(Clone)]
pub(crate) struct StoreIntake {
    store: Store,
    table: Arc<FieldTable>,
    classes: Arc<Classes>,
    enricher: Enricher,
}

impl StoreIntake {
    pub(crate) fn new(store: Store, table: Arc<FieldTable>) -> Self {
        Self { store, table, classes: Arc::default(), enricher: Enricher::default() }
    }

    /// The same, with sources that are kept apart.
    #[must_use]
    pub(crate) fn with_classes(self, classes: Classes) -> Self {
        Self { classes: Arc::new(classes), ..self }
    }

    /// The same, with what is looked up of addresses.
    #[must_use]
    pub(crate) fn with_enricher(self, enricher: Enricher) -> Self {
        Self { enricher, ..self }
    }

    /// Hands a batch over without waiting; the ticket tells when it is durable.
    pub(crate) fn begin(&self, batch: Batch) -> Result<Ticket, StoreError> {
        self.store.submit_blocking(self.append_of(batch))
    }

    fn append_of(&self, batch: Batch) -> Append {
        let Batch { log, mut events, sources, producers } = batch;
        self.enricher.add(&mut events);
        let entries = events.into_iter().map(|event| entry(event, &self.table)).collect();
        Append { sources, producers, ..Append::new(log, entries) }
    }
}

/// The bytes of `event`, and the event itself for the followers. Its raw bytes are then a part of the
/// stored ones, so that they are held once.
fn entry(mut event: ParsedEvent, table: &FieldTable) -> Entry {
    // Header and fields take about 300 bytes beside the raw.
    let mut bytes = Vec::with_capacity(event.raw.len() + 512);
    record::encode(&event, table, &mut bytes);
    let bytes = Bytes::from(bytes);
    event.raw = bytes.slice(bytes.len() - event.raw.len()..);
    Entry { bytes, parsed: Some(Arc::new(event)) }
}

/// How many of `events` were understood.
pub(crate) fn stored(events: &[ParsedEvent]) -> u64 {
    events.iter().filter(|event| !event.header.flags.has(Flags::REJECTED)).count() as u64
}

fn intake_error(error: &StoreError) -> IntakeError {
    let text: Arc<str> = format!("{:#}", anyhow::Error::new(error.clone())).into();
    if matches!(error, StoreError::Full { .. } | StoreError::Closed) {
        IntakeError::Paused(text)
    } else {
        IntakeError::Failed(text)
    }
}

impl Intake for StoreIntake {
    async fn submit(&self, batch: Batch) -> Result<Committed, IntakeError> {
        let append = self.append_of(batch);
        self.store.append(append).await.map_err(|error| intake_error(&error))
    }

    fn submit_blocking(&self, batch: Batch) -> Result<Committed, IntakeError> {
        let append = self.append_of(batch);
        self.store.append_blocking(append).map_err(|error| intake_error(&error))
    }

    fn log_of(&self, source: &str) -> LogId {
        self.classes.log_of(source)
    }

    fn sources(&self) -> Vec<SourceRange> {
        self.store.sources()
    }

    fn producers(&self) -> Vec<ProducerEntry> {
        self.store.producers()
    }
}
