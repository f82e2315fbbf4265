//! Lets whole sealed segments go, and keeps what proves the rest (FORMAT.md, "Retention").
//!
//! What was dropped is a state of its own, one small file a log: `gone` (what stays of a stretch of records),
//! `file` (its bytes), `drop` (letting go), `settle` (what a crash left). The state is replaced as one step, after
//! the journal tells of it and before any segment file goes; a start completes or forgets what was begun.

mod drop;
mod file;
mod gone;
mod settle;

pub(crate) use drop::drop_segments;
pub use drop::{DropRequest, Record};
pub(crate) use file::load_all;
pub(crate) use gone::Dropped;
pub use gone::DroppedRange;
pub(crate) use settle::{settle, sweep};

use crate::{
    error::StoreError,
    shared::Shared,
    stream::{Segment, Stream, StreamId},
};
use custos_event::{CommitNo, Seq, Timestamp};

/// A sealed segment that could be let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    pub number: u64,
    pub first: Seq,
    /// The place after its last record.
    pub end: Seq,
    pub last_commit: CommitNo,
    /// When it was begun, and when its last record was appended.
    pub created_at: Timestamp,
    pub last_at: Timestamp,
    /// As it lies on the disk.
    pub bytes: u64,
}

/// The sealed segments of a log in order, but for the last that holds records: what comes next is numbered from it.
pub(crate) fn sealed(shared: &Shared, id: StreamId) -> Result<Vec<SegmentInfo>, StoreError> {
    let Some(stream) = shared.stream(id) else { return Ok(Vec::new()) };
    let next = stream.next_seq();
    let mut all = Vec::new();
    for segment in stream.segments_from(|_| false) {
        if segment.live.is_none() {
            all.extend(info(shared, &stream, &segment)?.filter(|info| info.end < next));
        }
    }
    Ok(all)
}

/// `None` where its footer does not read: nobody knows where it ends, and it stays, as evidence.
fn info(
    shared: &Shared,
    stream: &Stream,
    segment: &Segment,
) -> Result<Option<SegmentInfo>, StoreError> {
    if let Some(info) = stream.ends().get(&segment.number) {
        return Ok(Some(*info));
    }
    let opened = match shared.opened(stream, segment) {
        Ok(opened) => opened,
        Err(StoreError::Damaged { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Ok((footer, _)) = opened.footer() else { return Ok(None) };
    let info = SegmentInfo {
        number: segment.number,
        first: segment.first_seq,
        end: Seq(footer.frontier.size()),
        last_commit: footer.blocks.last().map_or(CommitNo(0), |block| block.last_commit),
        created_at: opened.header.created_at,
        last_at: footer.last_at,
        bytes: opened.file.len()?,
    };
    stream.ends().insert(segment.number, info);
    Ok(Some(info))
}
