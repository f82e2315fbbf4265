//! The last frame of a sealed segment: where its blocks lie, the tree's nodes that its records complete,
//! and the state after it.

use crate::{
    frame::{Header, put_sections, sections},
    opened::BlockRef,
    table::Rows,
    tree::{Frontier, Hash},
};
use custos_event::{
    CommitNo, Seq, Timestamp,
    wire::{Reader, WireError, put_bytes, put_varint},
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Footer {
    pub(crate) blocks: Vec<BlockRef>,
    /// Nodes of the tree's level 8 whose last leaf is in this segment, in order.
    pub(crate) nodes: Vec<Hash>,
    /// The tree's right edge after this segment.
    pub(crate) frontier: Frontier,
    /// The tables after this segment.
    pub(crate) rows: Rows,
    /// When the last commit was made; in the frame's header.
    pub(crate) last_at: Timestamp,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.blocks.len() as u64);
        let mut end = 0;
        let mut commit = 0;
        for block in &self.blocks {
            put_varint(&mut out, block.at.wrapping_sub(end));
            put_varint(&mut out, block.len.into());
            put_varint(&mut out, block.count.into());
            put_varint(&mut out, block.first_commit.0.wrapping_sub(commit));
            put_varint(&mut out, block.last_commit.0.wrapping_sub(block.first_commit.0));
            end = block.at.wrapping_add(block.len.into());
            commit = block.last_commit.0;
        }
        put_bytes(&mut out, self.nodes.as_flattened());
        put_varint(&mut out, self.frontier.size());
        put_sections(&self.rows, self.frontier.peaks(), &mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let mut blocks = Vec::new();
        let (mut end, mut commit, mut first_seq) = (0_u64, 0_u64, header.first_seq);
        for _ in 0..reader.varint("block count")? {
            let at = end.wrapping_add(reader.varint("block offset")?);
            let len = reader.number("block length")?;
            let count = reader.number("records of a block")?;
            let first_commit = commit.wrapping_add(reader.varint("first commit")?);
            commit = first_commit.wrapping_add(reader.varint("last commit")?);
            blocks.push(BlockRef {
                at,
                len,
                count,
                first_seq,
                first_commit: CommitNo(first_commit),
                last_commit: CommitNo(commit),
            });
            end = at.wrapping_add(len.into());
            first_seq = Seq(first_seq.0.wrapping_add(count.into()));
        }
        let at = reader.at();
        let (nodes, rest) = reader.bytes("tree nodes")?.as_chunks();
        let size = reader.varint("tree size")?;
        let (rows, peaks) = sections(reader)?;
        let impossible = WireError::Impossible { at, what: "tree" };
        let frontier = Frontier::new(size, peaks).filter(|_| rest.is_empty()).ok_or(impossible)?;
        Ok(Self { blocks, nodes: nodes.to_vec(), frontier, rows, last_at: header.last_at })
    }
}
