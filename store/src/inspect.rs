//! One segment's bytes read whole, as any reader would: every checksum, every frame decrypted, the tree grown
//! from its edge. For backups, restores and the scrub, which must know before they trust.

use crate::{
    block::{self, Block},
    footer::Footer,
    frame::{self, FrameError, Framed, Header, Kind},
    keys::Masters,
    opened::BlockRef,
    scan::{Piece, scan},
    segment::{self, SegmentError, SegmentHeader, TRAILER_BYTES},
    tree::{self, Frontier, Hash},
};
use custos_event::{CommitNo, Seq, Timestamp};
use sha2::{Digest, Sha256};
use zstd::dict::DecoderDictionary;

/// Why a segment cannot be believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error(transparent)]
    Header(#[from] SegmentError),
    #[error("byte {at}: {error}")]
    Frame { at: usize, error: FrameError },
    #[error("the frame of record {0} does not follow the one before it")]
    Order(Seq),
    #[error("its end is damaged or missing")]
    End,
    #[error("its tree is not that of its records")]
    Tree,
}

/// A segment that is whole.
pub(crate) struct Inspected {
    pub(crate) header: SegmentHeader,
    pub(crate) header_bytes: usize,
    /// SHA-256 of the header, which holds the segment's wrapped key: no other file ever has the same.
    pub(crate) head: Hash,
    /// The tree after its last record.
    pub(crate) frontier: Frontier,
    pub(crate) records: u64,
    pub(crate) last_commit: CommitNo,
    pub(crate) last_at: Timestamp,
}

/// One frame of records.
pub(crate) struct Frame<'a> {
    /// Where it ends in the file.
    pub(crate) end: usize,
    pub(crate) header: &'a Header,
    pub(crate) block: &'a Block,
}

/// Reads a segment whole, and shows `each` its frames of records; the dictionary goes to `dictionary`.
pub(crate) fn inspect(
    bytes: &[u8],
    masters: &Masters,
    dictionary: &mut Vec<u8>,
    each: &mut dyn FnMut(Frame<'_>),
) -> Result<Inspected, InspectError> {
    let header_bytes = segment::header_bytes(bytes)?;
    let (header, key) = segment::decode(bytes, masters)?;
    let head = Sha256::digest(bytes.get(..header_bytes).unwrap_or_default()).into();
    let frontier = header.frontier().ok_or(InspectError::Tree)?;
    let (last_commit, last_at) = (CommitNo(0), header.created_at);
    let inspected =
        Inspected { header, header_bytes, head, frontier, records: 0, last_commit, last_at };
    let mut reading = Reading {
        inspected,
        key,
        decoder: None,
        blocks: Vec::new(),
        nodes: Vec::new(),
        counter: 0,
        closed: false,
    };
    let sealed = reading.inspected.header.sealed;
    let end = bytes.len().saturating_sub(if sealed { TRAILER_BYTES } else { 0 });
    let body = bytes.get(header_bytes..end).ok_or(InspectError::End)?;
    for piece in scan(body, 0).0 {
        let (at, framed) = match piece {
            Piece::Frame { at, framed } => (at, framed),
            Piece::Damage(damage) => {
                let at = header_bytes + damage.at;
                return Err(InspectError::Frame { at, error: damage.error });
            }
        };
        reading.take(body, at, &framed, dictionary, each)?;
    }
    if sealed {
        let footer_at = segment::footer_at(bytes.get(end..).unwrap_or_default());
        let last = footer_at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < end);
        let whole = last.and_then(|at| frame::check(bytes.get(at..end)?).ok().map(|f| (at, f)));
        let ends = whole.is_some_and(|(at, framed)| at + framed.frame_bytes() == end);
        if !ends || !reading.closed {
            return Err(InspectError::End);
        }
    }
    Ok(reading.inspected)
}

struct Reading {
    inspected: Inspected,
    key: crate::crypt::Key,
    decoder: Option<DecoderDictionary<'static>>,
    blocks: Vec<BlockRef>,
    nodes: Vec<Hash>,
    /// No nonce below it may come again.
    counter: u64,
    /// The footer was read: nothing may follow.
    closed: bool,
}

impl Reading {
    fn take(
        &mut self,
        body: &[u8],
        at: usize,
        framed: &Framed,
        dictionary: &mut Vec<u8>,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), InspectError> {
        let (segment, header) = (&self.inspected.header, &framed.header);
        let place = self.inspected.header_bytes + at;
        let wrong = |error| InspectError::Frame { at: place, error };
        let ours = (header.log, header.partition, header.key)
            == (segment.log, segment.partition, segment.key);
        if !ours || header.counter < self.counter || self.closed {
            return Err(wrong(FrameError::Forged));
        }
        self.counter = header.counter.saturating_add(1);
        let bytes = body.get(at..).unwrap_or_default();
        let raw = frame::open(bytes, framed, &self.key, self.decoder.as_ref()).map_err(wrong)?;
        match (header.kind, segment.sealed) {
            (Kind::Commit, false) | (Kind::Block, true) => {}
            (Kind::Dictionary, true) => {
                self.decoder = Some(DecoderDictionary::copy(&raw));
                *dictionary = raw;
                return Ok(());
            }
            (Kind::Footer, true) => {
                let footer = Footer::decode(&raw, header);
                let footer = footer.map_err(|e| wrong(FrameError::Body(e)))?;
                self.closed = true;
                return self.check_footer(&footer);
            }
            _ => return Err(wrong(FrameError::Forged)),
        }
        let edge = header.frontier().filter(|_| !segment.sealed);
        let follows = header.first_seq.0 == self.inspected.frontier.size()
            && edge.is_none_or(|edge| edge == self.inspected.frontier);
        if !follows {
            return Err(InspectError::Order(header.first_seq));
        }
        let block = block::read(header, raw).map_err(wrong)?;
        for (_, record) in block.iter() {
            self.inspected.frontier.push(tree::leaf(&record), &mut self.nodes);
            self.inspected.records += 1;
        }
        self.blocks.push(BlockRef::of(place as u64, framed));
        self.inspected.last_commit = header.last_commit;
        self.inspected.last_at = header.last_at;
        let end = place + framed.frame_bytes();
        each(Frame { end, header, block: &block });
        Ok(())
    }

    fn check_footer(&self, footer: &Footer) -> Result<(), InspectError> {
        let same = footer.blocks == self.blocks
            && footer.nodes == self.nodes
            && footer.frontier == self.inspected.frontier;
        if same { Ok(()) } else { Err(InspectError::Tree) }
    }
}
