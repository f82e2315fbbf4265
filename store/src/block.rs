//! The body of a frame that holds records: which commits, how long each record, the records.

use crate::frame::{FrameError, Header, Kind};
use bytes::Bytes;
use custos_event::{
    CommitNo, Seq, Timestamp,
    wire::{Reader, WireError, put_varint},
};

/// A commit's records, or those of them that fell into one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) commit: CommitNo,
    pub(crate) first: Seq,
    pub(crate) count: u32,
    pub(crate) at: Timestamp,
}

/// A frame's records, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) first: Seq,
    pub(crate) parts: Vec<Part>,
    /// Where each record ends; the first begins at 0.
    ends: Vec<u32>,
    records: Bytes,
}

impl Block {
    pub(crate) fn record(&self, seq: Seq) -> Option<Bytes> {
        let index = usize::try_from(seq.0.checked_sub(self.first.0)?).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        (start <= end && end <= self.records.len()).then(|| self.records.slice(start..end))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Seq, Bytes)> {
        (0..self.ends.len() as u64)
            .map(|n| self.first.plus(n))
            .filter_map(|seq| Some((seq, self.record(seq)?)))
    }

    /// What the block takes in memory.
    pub(crate) fn weight(&self) -> usize {
        self.records.len() + self.ends.len() * 4 + self.parts.len() * size_of::<Part>() + 256
    }
}

/// Appends the commit table of a block: for each, commit number and time as differences to the one before.
pub(crate) fn put_parts(parts: &[Part], out: &mut Vec<u8>) {
    put_varint(out, parts.len() as u64);
    let Some(first) = parts.first() else { return };
    let (mut commit, mut at) = (first.commit.0, first.at.0);
    for part in parts {
        put_varint(out, part.commit.0.wrapping_sub(commit));
        put_varint(out, part.count.into());
        put_varint(out, part.at.0.wrapping_sub(at).cast_unsigned());
        (commit, at) = (part.commit.0, part.at.0);
    }
}

/// Reads a body. The bytes of the records are shared, not copied.
pub(crate) fn read(header: &Header, raw: Vec<u8>) -> Result<Block, FrameError> {
    let raw = Bytes::from(raw);
    let mut reader = Reader::new(&raw);
    let parts = parts(header, &mut reader).map_err(FrameError::Body)?;
    let mut ends = Vec::with_capacity((header.count as usize).min(raw.len()));
    let mut end = 0_u32;
    for _ in 0..header.count {
        let at = reader.at();
        let len = reader.number::<u32>("record length").map_err(FrameError::Body)?;
        let impossible = WireError::Impossible { at, what: "record length" };
        end = end.checked_add(len).ok_or(FrameError::Body(impossible))?;
        ends.push(end);
    }
    let records = raw.slice(reader.at()..);
    if records.len() != end as usize {
        let short = WireError::Impossible { at: reader.at(), what: "sum of record lengths" };
        return Err(FrameError::Body(short));
    }
    Ok(Block { first: header.first_seq, parts, ends, records })
}

fn parts(header: &Header, reader: &mut Reader<'_>) -> Result<Vec<Part>, WireError> {
    if header.kind == Kind::Commit {
        let (commit, at) = (header.first_commit, header.first_at);
        return Ok(vec![Part { commit, first: header.first_seq, count: header.count, at }]);
    }
    let mut parts = Vec::new();
    let (mut commit, mut at) = (header.first_commit.0, header.first_at.0);
    let mut first = header.first_seq;
    for _ in 0..reader.varint("commit count")? {
        commit = commit.wrapping_add(reader.varint("commit number")?);
        let count = reader.number::<u32>("records of a commit")?;
        at = at.wrapping_add(reader.varint("time of a commit")?.cast_signed());
        parts.push(Part { commit: CommitNo(commit), first, count, at: Timestamp(at) });
        first = first.plus(count.into());
    }
    let sum = first.0.wrapping_sub(header.first_seq.0);
    if sum != u64::from(header.count) || commit != header.last_commit.0 {
        return Err(WireError::Impossible { at: reader.at(), what: "commit table" });
    }
    Ok(parts)
}
