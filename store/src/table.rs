//! The tables that ride with the log: how far each numbered source was taken in, and the last batches of
//! each idempotent producer.

use custos_event::{
    CommitNo, ProducerEntry, SourceRange,
    wire::{Reader, WireError, put_bytes, put_varint},
};
use std::collections::{BTreeMap, VecDeque};

/// A row and the commit it came with.
pub(crate) type Stamped<T> = (T, CommitNo);

/// As many batches as an idempotent producer may have under way (Kafka's own number).
const BATCHES_PER_PRODUCER: usize = 5;
/// 4,096 producers of five batches of about 40 bytes: at most 800 KiB in a segment's header, once in
/// 64 MiB. The producer that was quiet the longest goes first.
const PRODUCERS_MAX: usize = 4_096;

type SourceKey = (String, String, i32);
type ProducerKey = (String, i32, i64);

/// The state after some commit; a fold over the rows of the commits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tables {
    sources: BTreeMap<SourceKey, Stamped<SourceRange>>,
    producers: BTreeMap<ProducerKey, VecDeque<Stamped<ProducerEntry>>>,
}

/// Rows as one frame or header holds them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) sources: Vec<Stamped<SourceRange>>,
    pub(crate) producers: Vec<Stamped<ProducerEntry>>,
}

impl Tables {
    pub(crate) fn apply(&mut self, rows: &Rows) {
        for (source, commit) in &rows.sources {
            let key = (source.cluster.clone(), source.topic.clone(), source.partition);
            let newer = self.sources.get(&key).is_none_or(|(_, known)| known <= commit);
            if newer {
                self.sources.insert(key, (source.clone(), *commit));
            }
        }
        for (producer, commit) in &rows.producers {
            let key = (producer.topic.clone(), producer.partition, producer.producer);
            let batches = self.producers.entry(key).or_default();
            let known = |(batch, _): &Stamped<ProducerEntry>| batch == producer;
            if !batches.iter().any(known) {
                batches.push_back((producer.clone(), *commit));
            }
            batches.make_contiguous().sort_by_key(|(_, commit)| *commit);
            while batches.len() > BATCHES_PER_PRODUCER {
                batches.pop_front();
            }
        }
        while self.producers.len() > PRODUCERS_MAX {
            let last = |batches: &VecDeque<Stamped<ProducerEntry>>| batches.back().map(|b| b.1);
            let oldest = self.producers.iter().min_by_key(|(_, batches)| last(batches));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.producers.remove(&key);
        }
    }

    pub(crate) fn rows(&self) -> Rows {
        Rows {
            sources: self.sources.values().cloned().collect(),
            producers: self.producers.values().flatten().cloned().collect(),
        }
    }
}

impl Rows {
    /// Adds the rows of a later commit, joining ranges that touch.
    pub(crate) fn join(&mut self, later: Self) {
        for (range, commit) in later.sources {
            let touches = |(known, _): &&mut Stamped<SourceRange>| {
                known.cluster == range.cluster
                    && known.topic == range.topic
                    && known.partition == range.partition
                    && known.epoch == range.epoch
                    && known.last.checked_add(1) == Some(range.first)
            };
            match self.sources.iter_mut().rev().find(touches) {
                Some((known, at)) => {
                    known.last = range.last;
                    known.last_digest = range.last_digest;
                    *at = commit;
                }
                None => self.sources.push((range, commit)),
            }
        }
        self.producers.extend(later.producers);
    }

    pub(crate) fn encode_sources(&self, out: &mut Vec<u8>) {
        put_varint(out, self.sources.len() as u64);
        for (row, commit) in &self.sources {
            put_varint(out, commit.0);
            put_bytes(out, row.cluster.as_bytes());
            put_bytes(out, row.topic.as_bytes());
            put_signed(out, row.partition.into());
            put_varint(out, row.epoch.into());
            put_signed(out, row.first);
            put_signed(out, row.last);
            out.extend_from_slice(&row.last_digest.to_le_bytes());
        }
    }

    pub(crate) fn decode_sources(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(bytes);
        for _ in 0..reader.varint("source count")? {
            let commit = CommitNo(reader.varint("source commit")?);
            let row = SourceRange {
                cluster: reader.str("cluster")?.into(),
                topic: reader.str("topic")?.into(),
                partition: signed(&mut reader, "partition")?,
                epoch: reader.number("epoch")?,
                first: signed(&mut reader, "first offset")?,
                last: signed(&mut reader, "last offset")?,
                last_digest: reader.u32("last digest")?,
            };
            self.sources.push((row, commit));
        }
        Ok(())
    }

    pub(crate) fn encode_producers(&self, out: &mut Vec<u8>) {
        put_varint(out, self.producers.len() as u64);
        for (row, commit) in &self.producers {
            put_varint(out, commit.0);
            put_bytes(out, row.topic.as_bytes());
            put_signed(out, row.partition.into());
            put_signed(out, row.producer);
            put_signed(out, row.epoch.into());
            put_signed(out, row.base_sequence.into());
            put_signed(out, row.records.into());
            put_signed(out, row.base_offset);
        }
    }

    pub(crate) fn decode_producers(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(bytes);
        for _ in 0..reader.varint("producer count")? {
            let commit = CommitNo(reader.varint("producer commit")?);
            let row = ProducerEntry {
                topic: reader.str("topic")?.into(),
                partition: signed(&mut reader, "partition")?,
                producer: signed(&mut reader, "producer id")?,
                epoch: signed(&mut reader, "producer epoch")?,
                base_sequence: signed(&mut reader, "base sequence")?,
                records: signed(&mut reader, "record count")?,
                base_offset: signed(&mut reader, "base offset")?,
            };
            self.producers.push((row, commit));
        }
        Ok(())
    }
}

/// Zigzag: 0, -1, 1, -2, … become 0, 1, 2, 3, …
fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn signed<T: TryFrom<i64>>(reader: &mut Reader<'_>, what: &'static str) -> Result<T, WireError> {
    let at = reader.at();
    let zigzag = reader.varint(what)?;
    let value = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
    T::try_from(value).map_err(|_| WireError::Impossible { at, what })
}
