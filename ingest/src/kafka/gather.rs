//! Records become batches: events in order, with the range of each partition they account for.

use crate::{batch::Batch, counters::Tally};
use custos_event::{LogId, ParsedEvent, SourceRange};
use std::sync::Arc;

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) epoch: u32,
    pub(crate) offset: i64,
    pub(crate) digest: u32,
}

/// A batch with the counts of its sources.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) batch: Batch,
    pub(crate) tallies: Vec<Tally>,
    pub(crate) bytes: usize,
}

impl Gathered {
    pub(crate) fn new(log: LogId) -> Self {
        Self { batch: Batch::new(log, Vec::new()), tallies: Vec::new(), bytes: 0 }
    }

    pub(crate) fn push(&mut self, at: At<'_>, event: ParsedEvent) {
        self.bytes += event.raw.len();
        let source = &event.header.source;
        let tally = Tally::of(Arc::clone(source), std::slice::from_ref(&event));
        self.count(tally);
        self.batch.events.push(event);
        match self.range(at.topic, at.partition, at.epoch) {
            Some(range) => (range.last, range.last_digest) = (at.offset, at.digest),
            None => self.batch.sources.push(SourceRange {
                cluster: at.cluster.to_owned(),
                topic: at.topic.to_owned(),
                partition: at.partition,
                epoch: at.epoch,
                first: at.offset,
                last: at.offset,
                last_digest: at.digest,
            }),
        }
    }

    /// Puts `next`, which was gathered later for the same log, behind. A partition has at most one range for each epoch.
    pub(crate) fn append(&mut self, next: Self) {
        self.bytes += next.bytes;
        self.batch.events.extend(next.batch.events);
        next.tallies.into_iter().for_each(|tally| self.count(tally));
        for range in next.batch.sources {
            match self.range(&range.topic, range.partition, range.epoch) {
                Some(known) => (known.last, known.last_digest) = (range.last, range.last_digest),
                None => self.batch.sources.push(range),
            }
        }
    }

    fn range(&mut self, topic: &str, partition: i32, epoch: u32) -> Option<&mut SourceRange> {
        self.batch.sources.iter_mut().find(|range| {
            range.partition == partition && range.topic == topic && range.epoch == epoch
        })
    }

    fn count(&mut self, more: Tally) {
        match self.tallies.iter_mut().find(|tally| tally.source == more.source) {
            Some(tally) => tally.add(&more),
            None => self.tallies.push(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::decoders;
    use custos_event::Timestamp;

    fn gathered(records: &[(&str, i32, u32, i64)]) -> Gathered {
        let mut gathered = Gathered::new(LogId::TELEMETRY);
        for (topic, partition, epoch, offset) in records.iter().copied() {
            let at = At { cluster: "c", topic, partition, epoch, offset, digest: 7 };
            let raw = if offset == 3 { "bad" } else { "good" };
            let event = decoders()(&format!("kafka:{topic}")).decode(raw.into(), Timestamp(0));
            gathered.push(at, event);
        }
        gathered
    }

    fn ranges(gathered: &Gathered) -> Vec<(&str, i32, u32, i64, i64)> {
        let range = |r: &'_ SourceRange| (r.partition, r.epoch, r.first, r.last);
        let sources = gathered.batch.sources.iter();
        sources
            .map(|r| (r.topic.as_str(), range(r)))
            .map(|(t, (p, e, f, l))| (t, p, e, f, l))
            .collect()
    }

    #[test]
    fn each_partition_has_one_range_and_each_source_its_counts() {
        let mut first = gathered(&[("a", 0, 0, 1), ("b", 0, 0, 9), ("a", 0, 0, 3)]);
        first.append(gathered(&[("a", 0, 0, 4), ("a", 1, 0, 0), ("b", 0, 1, 0)]));
        let expected = [("a", 0, 0, 1, 4), ("b", 0, 0, 9, 9), ("a", 1, 0, 0, 0), ("b", 0, 1, 0, 0)];
        assert_eq!(ranges(&first), expected);
        let counts: Vec<_> =
            first.tallies.iter().map(|t| (&*t.source, t.stored, t.rejected)).collect();
        assert_eq!(counts, [("kafka:a", 3, 1), ("kafka:b", 2, 0)]);
        assert_eq!((first.batch.events.len(), first.bytes), (6, 23));
    }
}
