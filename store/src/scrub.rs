//! Sealed segments read once more, so that damage is found while a backup still has what was there.

use crate::{
    error::StoreError,
    inspect::inspect,
    opened::{BlockRef, Opened},
    quarantine::{self, Range},
    shared::Shared,
    stream::{Segment, Stream},
};
use custos_event::{Fact, LogId, Partition, Seq};
use std::sync::{Arc, PoisonError};

/// How far a scrub has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubProgress {
    pub segments: u64,
    pub segments_total: u64,
    /// Read so far.
    pub bytes: u64,
}

/// A sealed segment that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedSegment {
    pub log: LogId,
    pub partition: Partition,
    pub segment: String,
    /// The first and the last record that cannot be read; all of the segment's where only its index is damaged.
    pub first: Seq,
    pub last: Seq,
    pub reason: String,
}

#[derive(Clone, Debug, Default)]
pub struct ScrubReport {
    pub segments: u64,
    pub bytes: u64,
    pub damaged: Vec<DamagedSegment>,
    /// What the journal does not know yet.
    pub facts: Vec<Fact>,
}

/// See [`crate::Store::scrub`].
pub(crate) fn scrub(
    shared: &Shared,
    each: &mut dyn FnMut(ScrubProgress) -> bool,
) -> Result<ScrubReport, StoreError> {
    let mut report = ScrubReport::default();
    let sealed = |stream: Arc<Stream>| {
        let segments = stream.segments_from(|_| false).into_iter();
        let sealed = segments.filter(|segment| segment.live.is_none());
        sealed.map(|segment| (Arc::clone(&stream), segment)).collect::<Vec<_>>()
    };
    let all: Vec<_> = shared.all_streams().into_iter().flat_map(sealed).collect();
    let mut progress = ScrubProgress { segments_total: all.len() as u64, ..Default::default() };
    for (stream, segment) in &all {
        if !each(progress) {
            return Err(StoreError::Stopped);
        }
        // Not for the whole of it: a scrub takes hours, and a backup or retention must not wait for it.
        let _upkeep = shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.dropped().holds_number(segment.number) {
            continue;
        }
        let bytes = match shared.disk().open(&segment.path).and_then(|file| file.read_from(0)) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.damaged.push(found(shared, stream, segment, &error.chain(), &[])?);
                continue;
            }
        };
        progress.segments += 1;
        progress.bytes += bytes.len() as u64;
        if let Err(reason) = whole(shared, stream, segment, &bytes) {
            report.damaged.push(found(shared, stream, segment, &reason, &bytes)?);
        }
    }
    (report.segments, report.bytes) = (progress.segments, progress.bytes);
    report.facts = quarantine::untold(shared.disk(), &shared.dir)?;
    Ok(report)
}

/// Whether a segment's bytes are all that they should be, at the place they should be.
pub(crate) fn whole(
    shared: &Shared,
    stream: &Stream,
    segment: &Segment,
    bytes: &[u8],
) -> Result<(), String> {
    let read = inspect(bytes, shared.keyring.masters(), &mut Vec::new(), &mut |_| ());
    let read = read.map_err(|error| error.to_string())?;
    let there = (read.header.log, read.header.partition, read.header.number);
    if !read.header.sealed || there != (stream.id.0, stream.id.1, segment.number) {
        return Err("it is another segment".into());
    }
    let after = stream.segments_from(|_| false).into_iter();
    let after = after.filter(|next| next.first_seq.0 == read.frontier.size());
    let next = after.min_by_key(|next| next.number).filter(|next| next.number > segment.number);
    let opened = next.and_then(|next| shared.opened(stream, &next).ok());
    match opened {
        Some(next) if next.header.frontier().as_ref() != Some(&read.frontier) => {
            Err("the tree after it is not the one that the next segment goes on with".into())
        }
        _ => Ok(()),
    }
}

/// Puts what cannot be read into quarantine.
fn found(
    shared: &Shared,
    stream: &Stream,
    segment: &Segment,
    reason: &str,
    bytes: &[u8],
) -> Result<DamagedSegment, StoreError> {
    let (range, kept) = unreadable(shared, stream, segment, bytes);
    let name = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (log, partition) = stream.id;
    tracing::error!(%log, segment = name, first = range.first, last = %range.last(), reason,
        "a sealed segment is damaged");
    let text = format!("{}: {reason}", segment.path.display());
    quarantine::keep(shared.disk(), &shared.dir, range, &text, &kept)?;
    let (first, last, reason) = (Seq(range.first), range.last(), reason.to_owned());
    Ok(DamagedSegment { log, partition, segment: name, first, last, reason })
}

/// The records of a damaged segment that cannot be read, and their bytes.
fn unreadable(
    shared: &Shared,
    stream: &Stream,
    segment: &Segment,
    bytes: &[u8],
) -> (Range, Vec<u8>) {
    let opened = Opened::sealed(shared.disk(), &segment.path, shared.keyring.masters()).ok();
    let blocks = opened.as_ref().map(|opened| opened.find(<[BlockRef]>::to_vec));
    let blocks = blocks.unwrap_or_default();
    let damaged = |at: &&BlockRef| opened.as_ref().is_some_and(|o| o.read_block(at).is_err());
    let damaged: Vec<&BlockRef> = blocks.iter().filter(damaged).collect();
    if let (Some(first), Some(last)) = (damaged.first(), damaged.last()) {
        let part = |at: &&BlockRef| {
            let from = usize::try_from(at.at).ok()?;
            bytes.get(from..from + at.len as usize)
        };
        let kept = damaged.iter().filter_map(part).flatten().copied().collect();
        return (Range { id: stream.id, first: first.first_seq.0, end: last.next_seq().0 }, kept);
    }
    let mut next = stream.segments_from(|_| false).into_iter();
    let next = next.find(|next| next.number > segment.number).map(|next| next.first_seq);
    let end = next.unwrap_or_else(|| stream.next_seq()).0;
    (Range { id: stream.id, first: segment.first_seq.0, end }, bytes.to_vec())
}
