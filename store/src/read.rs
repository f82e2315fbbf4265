//! Reading entries by place: single ones and ranges, each block decoded once.

use crate::{
    error::StoreError,
    opened::BlockRef,
    shared::Shared,
    stream::{Segment, Stream},
};
use bytes::Bytes;
use custos_event::{LogId, Partition, Seq, commit::ReadError};
use std::sync::Arc;

/// Calls `each` with the entries `from..to` that are durable; see `LogReader::scan`.
pub(crate) fn scan(
    shared: &Shared,
    (log, partition): (LogId, Partition),
    from: Seq,
    to: Seq,
    each: &mut dyn FnMut(Seq, Bytes) -> bool,
) -> Result<(), ReadError> {
    let Some(stream) = shared.stream((log, partition)) else { return Ok(()) };
    let to = to.min(stream.next_seq());
    let segments = stream.segments_from(|segment| segment.first_seq <= from);
    let mut walk = Walk { shared, stream, next: from, to, each, ended: false };
    if let Some(first) = segments.first() {
        walk.next = walk.next.max(first.first_seq);
    }
    let walked = segments.iter().try_for_each(|segment| walk.segment(segment));
    let walked = walked.and_then(|()| walk.reach(walk.to));
    walked.map_err(|error| ReadError { log, partition, seq: walk.next, source: Box::new(error) })
}

struct Walk<'a> {
    shared: &'a Shared,
    stream: Arc<Stream>,
    next: Seq,
    to: Seq,
    each: &'a mut dyn FnMut(Seq, Bytes) -> bool,
    ended: bool,
}

impl Walk<'_> {
    fn done(&self) -> bool {
        self.ended || self.next >= self.to
    }

    /// Every place before `place` must have been read by now.
    fn reach(&mut self, place: Seq) -> Result<(), StoreError> {
        let dropped = self.stream.dropped();
        while !self.done() && self.next < place {
            let Some(gone) = dropped.at(self.next) else { break };
            self.next = Seq(gone.end);
        }
        if self.done() || place <= self.next {
            return Ok(());
        }
        Err(StoreError::Lost {
            log: self.stream.id.0,
            first: self.next,
            last: Seq(place.0.min(self.to.0).saturating_sub(1)),
            reason: "their bytes were damaged and are in quarantine".into(),
        })
    }

    fn segment(&mut self, segment: &Segment) -> Result<(), StoreError> {
        self.reach(segment.first_seq)?;
        if self.done() {
            return Ok(());
        }
        let opened = match self.shared.opened(&self.stream, segment) {
            Ok(opened) => opened,
            // Let go of since the segments were listed.
            Err(_) if self.stream.dropped().holds_number(segment.number) => return Ok(()),
            Err(error) => return Err(error),
        };
        let from = self.next;
        let start = opened.find(|blocks| blocks.partition_point(|b| b.next_seq() <= from));
        let mut index = start;
        while !self.done() {
            let Some(at) = opened.find(|blocks| blocks.get(index).copied()) else { break };
            self.reach(at.first_seq)?;
            self.block(&opened, &at)?;
            index += 1;
        }
        Ok(())
    }

    fn block(&mut self, opened: &crate::opened::Opened, at: &BlockRef) -> Result<(), StoreError> {
        let block = self.shared.cache.block(opened, at)?;
        while !self.done() && self.next < at.next_seq() {
            let Some(record) = block.record(self.next) else { break };
            let seq = self.next;
            self.next = seq.plus(1);
            self.ended = !(self.each)(seq, record);
        }
        Ok(())
    }
}
