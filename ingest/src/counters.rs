//! What was received, stored and rejected, by source; the numbers behind "received = stored + rejected".

use custos_event::{Flags, ParsedEvent};
use std::sync::Arc;

/// Events of one source in one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) source: Arc<str>,
    pub(crate) stored: u64,
    pub(crate) rejected: u64,
}

impl Tally {
    pub(crate) fn of(source: Arc<str>, events: &[ParsedEvent]) -> Self {
        let is_rejected = |event: &&ParsedEvent| event.header.flags.has(Flags::REJECTED);
        let rejected = events.iter().filter(is_rejected).count() as u64;
        Self { source, stored: events.len() as u64 - rejected, rejected }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.stored += more.stored;
        self.rejected += more.rejected;
    }

    pub(crate) fn received(&self) -> u64 {
        self.stored + self.rejected
    }

    /// Counts these events; called once they are durable, so that the three numbers always agree.
    pub(crate) fn count(&self) {
        let source = self.source.to_string();
        metrics::counter!("custos_ingest_received_total", "source" => source.clone())
            .increment(self.received());
        metrics::counter!("custos_ingest_stored_total", "source" => source.clone())
            .increment(self.stored);
        metrics::counter!("custos_ingest_rejected_total", "source" => source)
            .increment(self.rejected);
    }
}
