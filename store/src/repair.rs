//! Puts a backup's bytes in the place of damaged ones: fetched whole, proven, and swapped in as one step.

use crate::{
    backup::{Segments, Source, Target},
    crypt,
    error::StoreError,
    inspect::{Inspected, inspect},
    quarantine::{self, Range},
    scrub,
    seal::{self, seal_bytes},
    segment,
    shared::Shared,
    stream::{Segment, Stream},
};
use bytes::Bytes;
use custos_event::{LogId, Partition, Seq};
use std::sync::{Arc, PoisonError};

/// Records that are there again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    pub log: LogId,
    pub partition: Partition,
    pub first: Seq,
    pub last: Seq,
    /// The backup they are from.
    pub backup: String,
}

/// Records that are still damaged, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrepaired {
    pub log: LogId,
    pub partition: Partition,
    pub first: Seq,
    pub last: Seq,
    pub reason: String,
}

#[derive(Clone, Debug, Default)]
pub struct RepairReport {
    pub repaired: Vec<Repaired>,
    pub left: Vec<Unrepaired>,
}

/// See [`crate::Store::repair`].
pub(crate) fn repair(
    shared: &Shared,
    target: &Target,
    record: &mut dyn FnMut(&Repaired) -> Result<(), StoreError>,
) -> Result<RepairReport, StoreError> {
    let _upkeep = shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
    let (disk, dir) = (shared.disk(), &shared.dir);
    let ranges = quarantine::open(disk, dir)?;
    let mut report = RepairReport::default();
    if ranges.is_empty() {
        return Ok(report);
    }
    let segments = Segments::read(target, &shared.keyring.signing().verifying_key())?;
    for range in ranges {
        let ((log, partition), first, last) = (range.id, Seq(range.first), range.last());
        match mend(shared, &segments, range) {
            Ok(backup) => {
                let repaired = Repaired { log, partition, first, last, backup };
                record(&repaired)?;
                quarantine::close(disk, dir, range)?;
                report.repaired.push(repaired);
            }
            Err(
                error @ (StoreError::Failed(_) | StoreError::Full { .. } | StoreError::Io { .. }),
            ) => {
                return Err(error);
            }
            Err(error) => {
                let reason = error.chain();
                tracing::error!(%log, %first, %last, reason, "a damaged range cannot be repaired");
                report.left.push(Unrepaired { log, partition, first, last, reason });
            }
        }
    }
    Ok(report)
}

/// Mends every segment that the range is in; the backup of the last of them.
fn mend(shared: &Shared, backups: &Segments<'_>, range: Range) -> Result<String, StoreError> {
    let stream = shared.stream(range.id).ok_or(StoreError::Closed)?;
    let (mut at, mut backup) = (range.first, String::new());
    while at < range.end {
        if let Some(gone) = stream.dropped().at(Seq(at)) {
            at = gone.end;
            continue;
        }
        let found = backups.with(range.id, Seq(at));
        let source = found.first().ok_or_else(|| {
            refused(range, &format!("no backup there holds record {at} undamaged"))
        })?;
        (at, backup) = (mend_segment(shared, &stream, backups, &found)?, source.backup.clone());
    }
    Ok(backup)
}

/// Mends one segment from the newest source that has all of it; where it ends.
fn mend_segment(
    shared: &Shared,
    stream: &Stream,
    backups: &Segments<'_>,
    sources: &[Source<'_>],
) -> Result<u64, StoreError> {
    let mut last = None;
    for source in sources {
        let number = source.number;
        let path =
            segment::folder(&shared.dir, stream.id.0).join(segment::file_name(stream.id.1, number));
        let place = |first_seq, first_commit| Segment {
            number,
            path: path.clone(),
            first_seq,
            first_commit,
            live: None,
        };
        let there = place(source.first, source.first_commit);
        if let Some(bytes) = shared.disk().read(&path)?
            && scrub::whole(shared, stream, &there, &bytes).is_ok()
        {
            // Swapped in before, and the process ended before that was told.
            take_in(shared, stream, there);
            return Ok(source.next.0);
        }
        match prove(shared, stream, source, &backups.fetch(source)?) {
            Ok(bytes) => {
                swap(shared, &path, &bytes)?;
                take_in(shared, stream, there);
                return Ok(source.next.0);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(StoreError::Closed))
}

fn take_in(shared: &Shared, stream: &Stream, segment: Segment) {
    shared.cache.forget(stream.id, segment.number);
    stream.put(segment);
}

/// The segment's bytes, sealed, if they are what the log goes on from.
fn prove(
    shared: &Shared,
    stream: &Stream,
    source: &Source<'_>,
    bytes: &Bytes,
) -> Result<Vec<u8>, StoreError> {
    let masters = shared.keyring.masters();
    let (mut dictionary, mut frames) = (Vec::new(), Vec::new());
    let read = inspect(bytes, masters, &mut dictionary, &mut |frame| {
        frames.push((frame.header.clone(), frame.block.clone()));
    });
    let wrong = |reason: String| StoreError::BadBackup {
        id: source.backup.clone(),
        reason: format!("{}: {reason}", source.path),
    };
    let read = read.map_err(|error| wrong(error.to_string()))?;
    let there = (read.header.log, read.header.partition, read.header.number);
    if there != (stream.id.0, stream.id.1, source.number) {
        return Err(wrong("it is another segment".into()));
    }
    if crypt::hex(&read.frontier.root()) != source.root {
        return Err(wrong("its tree is not what the signed manifest says".into()));
    }
    follows(shared, stream, source, &read)?;
    if read.header.sealed {
        return Ok(bytes.to_vec());
    }
    let keys = (crypt::random()?, crypt::random()?);
    seal_bytes(&read.header, masters, keys, &[], &frames)
}

/// The log must go on exactly where these records end.
fn follows(
    shared: &Shared,
    stream: &Stream,
    source: &Source<'_>,
    read: &Inspected,
) -> Result<(), StoreError> {
    let refused = |reason: &str| {
        StoreError::Refused(format!("{} of backup {}: {reason}", source.path, source.backup))
    };
    let end = read.frontier.size();
    let mut later: Vec<Arc<Segment>> = stream.segments_from(|_| false);
    later.retain(|segment| segment.number > source.number);
    let Some(next) = later.first() else {
        let durable = stream.durable().frontier.clone();
        return match durable {
            durable if durable == read.frontier => Ok(()),
            durable if durable.size() > end => {
                Err(refused("the backup has not all of its records"))
            }
            _ => Err(refused(
                "the log has counted these records as lost since, and its tree goes on without them",
            )),
        };
    };
    if next.first_seq.0 > end && stream.dropped().at(Seq(end)).is_none() {
        // Another damaged segment may lie between; one that was sealed had all of its records.
        let between = next.number > source.number + 1;
        return if between && source.sealed {
            Ok(())
        } else {
            Err(refused("the backup has not all of its records"))
        };
    }
    let header = shared.opened(stream, next)?.header.frontier();
    if next.first_seq.0 == end && header.as_ref() != Some(&read.frontier) {
        return Err(refused(
            "the log has counted these records as lost since, and its tree goes on without them",
        ));
    }
    Ok(())
}

fn swap(shared: &Shared, path: &std::path::Path, bytes: &[u8]) -> Result<(), StoreError> {
    let (disk, temporary) = (shared.disk(), path.with_extension("tmp"));
    if disk.is_there(&temporary)? {
        disk.remove(&temporary)?;
    }
    path.parent().map_or(Ok(()), |folder| disk.create_dir(folder))?;
    seal::write(disk, &temporary, bytes)?;
    let back = disk.read(&temporary)?.unwrap_or_default();
    if back != bytes {
        return Err(StoreError::damaged(&temporary, "it does not read back as it was written"));
    }
    disk.rename(&temporary, path)
}

fn refused(range: Range, reason: &str) -> StoreError {
    let (log, first, last) = (range.id.0, range.first, range.last());
    StoreError::Refused(format!("records {first} to {last} of log {log}: {reason}"))
}
