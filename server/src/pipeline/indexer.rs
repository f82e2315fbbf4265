//! Follows the log with the index.

use super::{
    follow::{Projection, events},
    tolerant::Tolerant,
};
use crate::clock::SystemClock;
use custos_event::{
    Clock as _, Commit, Cursor, Envelope, Fact, Parser, Partition, Timestamp, UpkeepEvent,
};
use custos_search::{Index, IndexWriter, SearchError};
use custos_store::Store;

/// Searchable at most about this long after arrival. Shorter makes more and smaller index segments.
const COMMIT_EVERY_MILLIS: i64 = 1_000;

/// Writes events into the index, and commits it about once a second.
pub(crate) struct Indexer {
    writer: IndexWriter,
    taken: Option<Cursor>,
    /// When the event that has waited longest since the last commit was received.
    oldest: Option<Timestamp>,
    committed_at: Timestamp,
}

impl Indexer {
    /// A writer of `index`, which first completes what a stop left unfinished.
    pub(crate) fn new(index: &Index, store: &Store) -> Result<Self, SearchError> {
        let mut writer = index.writer()?;
        writer.fill_gaps(&Tolerant::new(store))?;
        Ok(Self { writer, taken: None, oldest: None, committed_at: SystemClock.now() })
    }
}

impl Indexer {
    /// Lets go of what retention let go, in the order in which both came.
    fn forget(&mut self, commit: &Commit) -> anyhow::Result<()> {
        let named = |bytes: &[u8]| bytes.windows(DROPPED.len()).any(|part| part == DROPPED);
        for entry in commit.entries.iter().filter(|entry| named(&entry.bytes)) {
            let fact = Envelope::decode(&entry.bytes)?.fact;
            if let Fact::Upkeep { event: UpkeepEvent::SegmentsDropped { log, first, last, .. } } =
                fact
            {
                self.writer.drop_range(log, Partition::default(), (first, last.plus(1)))?;
            }
        }
        Ok(())
    }
}

/// Few facts are decoded for it: only those that have the word.
const DROPPED: &[u8] = b"\"segments_dropped\"";

impl Projection for Indexer {
    fn take(&mut self, commits: &[Commit], parser: &mut Parser) -> anyhow::Result<()> {
        for commit in commits {
            if commit.log.is_telemetry() {
                for event in events(commit, parser) {
                    let (position, event) = event?;
                    self.writer.add(position, &event)?;
                    self.oldest.get_or_insert(event.header.received);
                }
                metrics::counter!("custos_index_events_total")
                    .increment(commit.entries.len() as u64);
            } else {
                self.forget(commit)?;
            }
            self.taken = Some(Cursor::after(commit.commit));
        }
        Ok(())
    }

    fn settle(&mut self, last: bool) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let due = now.as_millis() - self.committed_at.as_millis() >= COMMIT_EVERY_MILLIS;
        if !(last || due) {
            return Ok(());
        }
        self.committed_at = now;
        let Some(cursor) = self.taken.take() else { return Ok(()) };
        self.writer.commit(&cursor)?;
        if let Some(received) = self.oldest.take() {
            let waited = SystemClock.now().0.saturating_sub(received.0);
            #[expect(clippy::cast_precision_loss, reason = "a measurement in seconds")]
            metrics::histogram!("custos_index_searchable_after_seconds")
                .record(waited as f64 / 1e9);
        }
        Ok(())
    }
}
