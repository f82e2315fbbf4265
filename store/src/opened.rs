//! A segment file opened for reading: its key, its dictionary, and where each block lies.

use crate::{
    block::{self, Block},
    crypt::Key,
    disk::{Disk, File},
    error::StoreError,
    footer::Footer,
    frame::{self, FrameError, Framed, Header, Kind},
    keys::Masters,
    scan::{Piece, scan},
    segment::{self, SegmentHeader, TRAILER_BYTES},
    tree::{self, Hash},
};
use custos_event::{CommitNo, Seq};
use std::{
    path::Path,
    sync::{PoisonError, RwLock},
};
use zstd::dict::DecoderDictionary;

/// Where one frame lies and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockRef {
    pub(crate) at: u64,
    pub(crate) len: u32,
    pub(crate) count: u32,
    pub(crate) first_seq: Seq,
    pub(crate) first_commit: CommitNo,
    pub(crate) last_commit: CommitNo,
}

impl BlockRef {
    pub(crate) fn of(at: u64, framed: &Framed) -> Self {
        let header = &framed.header;
        Self {
            at,
            len: u32::try_from(framed.frame_bytes()).unwrap_or(u32::MAX),
            count: header.count,
            first_seq: header.first_seq,
            first_commit: header.first_commit,
            last_commit: header.last_commit,
        }
    }

    /// The place after its last record.
    pub(crate) fn next_seq(&self) -> Seq {
        self.first_seq.plus(self.count.into())
    }
}

pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) header: SegmentHeader,
    pub(crate) header_bytes: u64,
    pub(crate) key: Key,
    dictionary: Option<DecoderDictionary<'static>>,
    blocks: RwLock<Vec<BlockRef>>,
    /// The tree's kept nodes whose last leaf is in this segment; none where it is damaged.
    nodes: RwLock<Vec<Hash>>,
    /// Some of its bytes are in quarantine: it stays as it is, as evidence.
    pub(crate) damaged: bool,
}

/// Reads and decrypts a segment file's header.
pub(crate) fn read_head(
    file: &File,
    masters: &Masters,
) -> Result<(SegmentHeader, Key, u64), StoreError> {
    let path = file.path();
    let len = file.len()?;
    let short = || StoreError::damaged(path, "it ends within its header");
    if len < 20 {
        return Err(short());
    }
    let head = file.read_at(0, 20)?;
    let head_bytes = segment::header_bytes(&head).map_err(|e| e.at(path))?;
    if len < head_bytes as u64 {
        return Err(short());
    }
    let head = file.read_at(0, head_bytes)?;
    let (header, key) = segment::decode(&head, masters).map_err(|e| e.at(path))?;
    Ok((header, key, head_bytes as u64))
}

impl Opened {
    /// An open segment whose blocks the caller knows.
    pub(crate) fn live(
        file: File,
        (header, key, header_bytes): (SegmentHeader, Key, u64),
        blocks: Vec<BlockRef>,
        nodes: Vec<Hash>,
    ) -> Self {
        let (blocks, nodes) = (RwLock::new(blocks), RwLock::new(nodes));
        Self { file, header, header_bytes, key, dictionary: None, blocks, nodes, damaged: false }
    }

    /// A sealed segment, by its footer; or by its frames where the footer is damaged.
    pub(crate) fn sealed(disk: &Disk, path: &Path, masters: &Masters) -> Result<Self, StoreError> {
        let file = disk.open(path)?;
        let (header, key, header_bytes) = read_head(&file, masters)?;
        let mut opened = Self::live(file, (header, key, header_bytes), Vec::new(), Vec::new());
        let (blocks, nodes) = match opened.footer() {
            Ok((footer, _)) => (footer.blocks, footer.nodes),
            Err(error) => {
                tracing::error!(path = %path.display(), error = %error.chain(),
                    "footer of a sealed segment is damaged, reading its blocks one by one");
                (opened.blocks_by_scan()?, Vec::new())
            }
        };
        if blocks.first().is_some_and(|block| block.at > header_bytes) {
            opened.dictionary = Some(DecoderDictionary::copy(&opened.read_dictionary()?));
        }
        (opened.blocks, opened.nodes) = (RwLock::new(blocks), RwLock::new(nodes));
        Ok(opened)
    }

    /// The footer and where it begins.
    pub(crate) fn footer(&self) -> Result<(Footer, u64), StoreError> {
        let path = self.file.path();
        let damaged = |reason: &str| StoreError::damaged(path, reason);
        let end = self.file.len()?.checked_sub(TRAILER_BYTES as u64);
        let end = end.ok_or_else(|| damaged("it ends within its trailer"))?;
        let at = segment::footer_at(&self.file.read_at(end, TRAILER_BYTES)?)
            .filter(|at| *at < end)
            .ok_or_else(|| damaged("its trailer is damaged"))?;
        let len = usize::try_from(end - at).map_err(|_| damaged("its footer is too long"))?;
        let bytes = self.file.read_at(at, len)?;
        let read = frame::check(&bytes).and_then(|framed| {
            let raw = frame::open(&bytes, &framed, &self.key, None)?;
            if framed.header.kind != Kind::Footer || framed.frame_bytes() != bytes.len() {
                return Err(FrameError::NoMagic);
            }
            Footer::decode(&raw, &framed.header).map_err(FrameError::Body)
        });
        Ok((read.map_err(|e| damaged(&format!("footer: {e}")))?, at))
    }

    fn blocks_by_scan(&self) -> Result<Vec<BlockRef>, StoreError> {
        let bytes = self.file.read_from(self.header_bytes)?;
        let (pieces, _) = scan(&bytes, 0);
        let frames = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Frame { at, framed } if framed.header.kind == Kind::Block => {
                Some(BlockRef::of(self.header_bytes + at as u64, &framed))
            }
            Piece::Frame { .. } | Piece::Damage(_) => None,
        });
        Ok(frames.collect())
    }

    fn read_dictionary(&self) -> Result<Vec<u8>, StoreError> {
        let path = self.file.path();
        let len = self.file.len()?.saturating_sub(self.header_bytes);
        let len = usize::try_from(len.min(DICTIONARY_FRAME_BYTES_MAX)).unwrap_or(0);
        let bytes = self.file.read_at(self.header_bytes, len)?;
        let read = frame::check(&bytes).and_then(|f| frame::open(&bytes, &f, &self.key, None));
        read.map_err(|e| StoreError::damaged(path, format!("dictionary: {e}")))
    }

    /// Where the blocks with entries or commits from a place on are: see the callers.
    pub(crate) fn find<T>(&self, search: impl FnOnce(&[BlockRef]) -> T) -> T {
        search(&self.blocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The kept node of this number, if it is this segment's and known.
    pub(crate) fn node(&self, number: u64) -> Option<Hash> {
        // The first one whose last leaf is not before the segment.
        let first = self.header.first_seq.0 / tree::GROUP;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(index).copied()
    }

    pub(crate) fn push_block(&self, block: BlockRef, nodes: &[Hash]) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(nodes);
        self.blocks.write().unwrap_or_else(PoisonError::into_inner).push(block);
    }

    /// Reads, checks and decodes one frame of records.
    pub(crate) fn read_block(&self, at: &BlockRef) -> Result<(Header, Block), StoreError> {
        let lost = |reason: String| StoreError::Lost {
            log: self.header.log,
            first: at.first_seq,
            last: Seq(at.next_seq().0.saturating_sub(1)),
            reason: format!("{} at byte {}: {reason}", self.file.path().display(), at.at),
        };
        let bytes = self.file.read_at(at.at, at.len as usize).map_err(|e| lost(e.chain()))?;
        self.decode_block(&bytes).map_err(|e| lost(e.to_string()))
    }

    pub(crate) fn decode_block(&self, bytes: &[u8]) -> Result<(Header, Block), FrameError> {
        let framed = frame::check(bytes)?;
        let ours = framed.header.log == self.header.log
            && framed.header.partition == self.header.partition
            && framed.header.key == self.header.key
            && matches!(framed.header.kind, Kind::Commit | Kind::Block);
        if !ours {
            return Err(FrameError::Forged);
        }
        let raw = frame::open(bytes, &framed, &self.key, self.dictionary.as_ref())?;
        let block = block::read(&framed.header, raw)?;
        Ok((framed.header, block))
    }
}

/// A dictionary has at most 64 KiB; it does not compress well, and has a header.
const DICTIONARY_FRAME_BYTES_MAX: u64 = 128 << 10;
