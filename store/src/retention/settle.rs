//! The step after which records are dropped, and what a start makes of one that broke off: dropped where the journal
//! says so, else nothing happened.

use super::{
    file,
    gone::{Dropped, DroppedRange},
};
use crate::{
    disk::Disk,
    error::StoreError,
    found::identify,
    read, segment,
    shared::Shared,
    stream::{Stream, StreamId},
};
use custos_event::{Envelope, Fact, LogId, Partition, UpkeepEvent};
use std::{collections::BTreeMap, path::Path, sync::Arc};

pub(super) const JOURNAL: StreamId = (LogId::JOURNAL, Partition(0));

/// Makes `state` what holds, and lets the files go. Reached only once the journal tells of it.
pub(super) fn commit(shared: &Shared, stream: &Stream, state: Dropped) -> Result<(), StoreError> {
    let (disk, dir) = (shared.disk(), &shared.dir);
    disk.rename(&file::next_path(dir, stream.id), &file::path(dir, stream.id))?;
    let paths = stream.let_go(&Arc::new(state));
    for (number, path) in paths {
        shared.cache.forget(stream.id, number);
        disk.remove(&path)?;
    }
    Ok(())
}

/// Completes or forgets the step that was begun last, if it was broken off.
pub(super) fn complete(shared: &Shared, stream: &Stream) -> Result<(), StoreError> {
    let path = file::next_path(&shared.dir, stream.id);
    let Some(bytes) = shared.disk().read(&path)? else { return Ok(()) };
    let (state, journal) = file::decode(&path, &bytes, stream.id)?;
    let newest = state.ranges().iter().flat_map(|gone| &gone.drops);
    let fresh = |step: &&DroppedRange| stream.dropped().drop_of(step.first).is_none();
    let step = newest.filter(fresh).max_by_key(|step| step.at).cloned();
    let (mut told, mut unread) = (false, None);
    read::scan(shared, JOURNAL, journal, custos_event::Seq(u64::MAX), &mut |_, bytes| {
        match Envelope::decode(&bytes) {
            Ok(envelope) => told |= step.as_ref().is_some_and(|step| tells(&envelope.fact, step)),
            Err(error) => unread = Some(error.to_string()),
        }
        !told
    })
    .map_err(|error| StoreError::damaged(&path, error.to_string()))?;
    match (told, unread) {
        (true, _) => commit(shared, stream, state),
        (false, None) => shared.disk().remove(&path),
        (false, Some(reason)) => Err(StoreError::damaged(&path, reason)),
    }
}

fn tells(fact: &Fact, step: &DroppedRange) -> bool {
    let Fact::Upkeep { event: UpkeepEvent::SegmentsDropped { log, first, last, .. } } = fact else {
        return false;
    };
    (*log, *first, *last) == (step.log, step.first, step.last)
}

/// What a process before began, of every log.
pub(crate) fn settle(shared: &Shared) -> Result<(), StoreError> {
    shared.all_streams().iter().try_for_each(|stream| complete(shared, stream))
}

/// Removes the files of dropped segments that a crash left.
pub(crate) fn sweep(
    disk: &Disk,
    dir: &Path,
    dropped: &BTreeMap<StreamId, Dropped>,
) -> Result<(), StoreError> {
    for (id, dropped) in dropped {
        for path in disk.list(&segment::folder(dir, id.0))? {
            let gone = |(of, number): (StreamId, u64)| of == *id && dropped.holds_number(number);
            if identify(dir, &path).is_some_and(gone) {
                disk.remove(&path)?;
            }
        }
    }
    Ok(())
}
