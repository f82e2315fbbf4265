//! Letting go: reads the segments once more, keeps what proves the others, has the journal tell of it, and only then
//! removes the files.

use super::{
    file,
    gone::{Dropped, DroppedRange, Gone, root_over, tiles},
    settle,
};
use crate::{
    checkpoint,
    error::StoreError,
    inspect::{Inspected, inspect},
    shared::Shared,
    stream::{Segment, Stream},
    tree::{self, Frontier},
};
use custos_event::{CommitNo, LogId, Partition, Seq, Timestamp};
use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{Arc, PoisonError},
};

/// Sealed segments of one log that follow each other, to be let go together.
#[derive(Clone, Debug)]
pub struct DropRequest {
    pub log: LogId,
    pub partition: Partition,
    /// By number; see [`super::SegmentInfo`].
    pub numbers: RangeInclusive<u64>,
    /// As the journal and whoever asks for the records are told.
    pub reason: String,
}

/// Appends the fact, durably, before anything goes; an error leaves everything as it is.
pub type Record<'a> = dyn FnMut(&DroppedRange) -> Result<(), StoreError> + 'a;

/// See [`crate::Store::drop_segments`].
pub(crate) fn drop_segments(
    shared: &Shared,
    request: &DropRequest,
    record: &mut Record<'_>,
) -> Result<DroppedRange, StoreError> {
    let _upkeep = shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
    let id = (request.log, request.partition);
    let stream = shared.stream(id).ok_or_else(|| refused(request, "there is no such log"))?;
    settle::complete(shared, &stream)?;
    let (segments, after) = chosen(shared, &stream, request)?;
    let (notes, _) = checkpoint::load(shared.disk(), &shared.dir, id, &shared.keyring)?;
    let sizes: Vec<u64> = notes.iter().map(|note| note.size).collect();
    let taken = take(shared, request, &segments, &sizes)?;
    if taken.frontier != after {
        return Err(refused(request, "the tree after them is not the one that goes on"));
    }
    let range = taken.range.clone();
    let state = taken.fold(&stream.dropped(), &sizes);
    let state = state.ok_or_else(|| refused(request, "they are not whole segments of the log"))?;
    let disk = shared.disk();
    disk.create_dir(&shared.dir.join(file::FOLDER))?;
    let journal = shared.stream(settle::JOURNAL).map_or(Seq(0), |journal| journal.next_seq());
    disk.replace(&file::next_path(&shared.dir, id), &file::encode(&state, id, journal))?;
    record(&range)?;
    settle::commit(shared, &stream, state)?;
    Ok(range)
}

fn refused(request: &DropRequest, reason: &str) -> StoreError {
    let (log, numbers) = (request.log, &request.numbers);
    let (from, to) = (numbers.start(), numbers.end());
    StoreError::Refused(format!("segments {from} to {to} of log {log} are not let go: {reason}"))
}

/// The segments, and the tree's edge where the log goes on behind them.
fn chosen(
    shared: &Shared,
    stream: &Stream,
    request: &DropRequest,
) -> Result<(Vec<Arc<Segment>>, Frontier), StoreError> {
    let known = super::sealed(shared, stream.id)?;
    let known: BTreeSet<u64> = known.into_iter().map(|info| info.number).collect();
    let asked = |segment: &&Arc<Segment>| request.numbers.contains(&segment.number);
    let all = stream.segments_from(|_| false);
    let segments: Vec<_> = all.iter().filter(asked).cloned().collect();
    let Some(last) = segments.last() else {
        return Err(refused(request, "they are not there"));
    };
    if let Some(other) = segments.iter().find(|segment| !known.contains(&segment.number)) {
        let number = other.number;
        return Err(refused(
            request,
            &format!("{number} is not sealed, or is the last of the log"),
        ));
    }
    let next = all.iter().find(|segment| segment.number > last.number);
    let Some(next) = next else {
        return Err(refused(request, "the log does not go on behind them"));
    };
    let end = Seq(stream.ends().get(&last.number).map_or(0, |info| info.end.0));
    // Where something is damaged or gone behind them, the segment's own footer says how its tree ends.
    let frontier = if next.first_seq == end {
        shared.opened(stream, next)?.header.frontier()
    } else {
        Some(shared.opened(stream, last)?.footer()?.0.frontier)
    };
    Ok((segments, frontier.unwrap_or_default()))
}

/// What the segments leave behind.
struct Taken {
    gone: Vec<Gone>,
    range: DroppedRange,
    frontier: Frontier,
}

impl Taken {
    fn fold(self, before: &Dropped, sizes: &[u64]) -> Option<Dropped> {
        let (mut parts, range) = (self.gone.into_iter(), self.range);
        let mut whole = Dropped::default();
        for part in parts.by_ref() {
            whole = whole.with(part, sizes)?;
        }
        let [one] = whole.ranges() else { return None };
        before.with(Gone { drops: vec![range], ..one.clone() }, sizes)
    }
}

fn take(
    shared: &Shared,
    request: &DropRequest,
    segments: &[Arc<Segment>],
    sizes: &[u64],
) -> Result<Taken, StoreError> {
    let first = segments.first().map_or(Seq(0), |segment| segment.first_seq);
    let mut taken = Taken {
        gone: Vec::new(),
        range: DroppedRange {
            log: request.log,
            partition: request.partition,
            first,
            last: first,
            segments: u32::try_from(segments.len()).unwrap_or(u32::MAX),
            bytes: 0,
            through: Timestamp::default(),
            at: shared.options.clock.now(),
            reason: request.reason.clone(),
        },
        frontier: Frontier::default(),
    };
    for segment in segments {
        let bytes = shared.disk().open(&segment.path)?.read_from(0)?;
        let (read, gone) = take_one(shared, segment, &bytes, sizes)?;
        let follows = taken.gone.is_empty() || read.header.frontier() == Some(taken.frontier);
        if !follows {
            return Err(refused(request, "they do not follow each other"));
        }
        taken.gone.push(gone);
        taken.range.bytes += bytes.len() as u64;
        taken.range.through = taken.range.through.max(read.last_at);
        taken.range.last = Seq(read.frontier.size().saturating_sub(1));
        taken.frontier = read.frontier;
    }
    Ok(taken)
}

/// Reads one segment whole: what is let go was what it should be, and so are the hashes that stay.
fn take_one(
    shared: &Shared,
    segment: &Segment,
    bytes: &[u8],
    sizes: &[u64],
) -> Result<(Inspected, Gone), StoreError> {
    let (mut leaves, mut commits) = (Vec::new(), BTreeSet::new());
    let read = inspect(bytes, shared.keyring.masters(), &mut Vec::new(), &mut |frame| {
        leaves.extend(frame.block.iter().map(|(_, record)| tree::leaf(&record)));
        commits.extend(frame.block.parts.iter().map(|part| part.commit));
    });
    let damaged = |reason: String| StoreError::damaged(&segment.path, reason);
    let read = read.map_err(|error| damaged(error.to_string()))?;
    let (first, end) = (segment.first_seq.0, read.frontier.size());
    let piece = |at: custos_evidence::proof::Leaves| {
        let from = usize::try_from(at.from.checked_sub(first)?).ok()?;
        let to = usize::try_from(at.to.checked_sub(first)?).ok()?;
        Some((at, root_over(leaves.get(from..to)?)?))
    };
    let pieces = tiles(first, end, sizes).into_iter().map(piece).collect::<Option<Vec<_>>>();
    let gone = Gone {
        first,
        end,
        numbers: (segment.number, segment.number),
        commits: (
            commits.first().copied().unwrap_or(CommitNo(0)),
            commits.last().copied().unwrap_or(CommitNo(0)),
        ),
        commit_count: commits.len() as u64,
        drops: Vec::new(),
        pieces: pieces.ok_or_else(|| damaged("its records are not those of its places".into()))?,
    };
    let mut tree = read.header.frontier().unwrap_or_default();
    if !gone.pass(&mut tree, &mut |_| ()) || tree != read.frontier || commits.is_empty() {
        return Err(damaged("the roots over its records are not its tree's".into()));
    }
    Ok((read, gone))
}
