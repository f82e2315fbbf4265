//! Rewrites a closed segment into blocks of at most 64 KiB with a trained dictionary, so that reading and
//! size no longer depend on how the records arrived. The old file stays until the new one is proven.

use crate::{
    block::{Block, Part, put_parts},
    crypt::{self, Key, KeyBytes},
    disk::Disk,
    error::StoreError,
    footer::Footer,
    frame::{self, Header, Kind},
    keys::Masters,
    opened::{BlockRef, Opened},
    segment::{self, SegmentHeader},
    shared::Shared,
    stream::{Segment, Stream},
    table::{Rows, Tables},
    tree::{self, Frontier, Hash},
};
use bytes::Bytes;
use custos_event::{CommitNo, Seq, Timestamp, wire::put_varint};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

/// A closed segment, and the tree after it.
pub(crate) struct SealJob {
    pub(crate) stream: Arc<Stream>,
    pub(crate) opened: Arc<Opened>,
    pub(crate) frontier: Frontier,
}

/// 64 KiB: one event back in 40 µs; larger blocks save 3 % of the size and double that.
const BLOCK_BYTES_MAX: usize = 64 << 10;
/// A dictionary is 0.1 % of a full segment.
const DICTIONARY_BYTES_MAX: usize = 64 << 10;
/// Less raw than eight blocks does not pay for a dictionary.
const DICTIONARY_RAW_BYTES_MIN: usize = 8 * BLOCK_BYTES_MAX;
/// Training takes 4 MiB of samples, about 0.3 s.
const SAMPLES_BYTES_MAX: usize = 4 << 20;
/// Frames that samples are taken from: of full ones, 64 to a segment, each; of single events 2 KiB from each.
const FRAMES_SAMPLED_MAX: usize = 2_048;
const WRITE_BYTES: usize = 1 << 20;

/// Seals one segment; nothing is changed if that fails or the store closes meanwhile.
pub(crate) fn seal(shared: &Shared, job: &SealJob) -> Result<(), StoreError> {
    let old = &job.opened;
    if old.damaged {
        return Ok(());
    }
    let Some(bytes) = rewrite(shared, job)? else { return Ok(()) };
    let path = old.file.path();
    let temporary = path.with_extension("tmp");
    let disk = shared.disk();
    let swapped = write(disk, &temporary, &bytes)
        .and_then(|()| prove(&temporary, shared, job))
        .and_then(|()| disk.rename(&temporary, path));
    if let Err(error) = swapped {
        if disk.remove(&temporary).is_err() {
            tracing::warn!(path = %temporary.display(), "cannot remove a temporary file");
        }
        return Err(error);
    }
    job.stream.replace(Segment {
        number: old.header.number,
        path: path.to_path_buf(),
        first_seq: old.header.first_seq,
        first_commit: old.header.first_commit,
        live: None,
    });
    Ok(())
}

pub(crate) fn write(disk: &Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let file = disk.create(path)?;
    let mut at = 0;
    for part in bytes.chunks(WRITE_BYTES) {
        file.write_at(at, part)?;
        at += part.len() as u64;
    }
    file.sync()
}

/// Reads the new file as any reader would: its records must make the same tree.
fn prove(path: &Path, shared: &Shared, job: &SealJob) -> Result<(), StoreError> {
    let sealed = Opened::sealed(shared.disk(), path, shared.keyring.masters())?;
    let mut frontier = job.opened.header.frontier().unwrap_or_default();
    let mut nodes = Vec::new();
    for at in sealed.find(<[BlockRef]>::to_vec) {
        let (_, block) = sealed.read_block(&at)?;
        block.iter().for_each(|(_, record)| frontier.push(tree::leaf(&record), &mut nodes));
    }
    let (footer, _) = sealed.footer()?;
    if frontier != job.frontier || footer.frontier != job.frontier || footer.nodes != nodes {
        return Err(StoreError::damaged(path, "its tree is not that of the open segment"));
    }
    Ok(())
}

/// The sealed segment's bytes; `None` when the store closes meanwhile.
fn rewrite(shared: &Shared, job: &SealJob) -> Result<Option<Vec<u8>>, StoreError> {
    let old = &job.opened;
    let frames = old.find(<[BlockRef]>::to_vec);
    let dictionary = train(old, &frames)?;
    let (path, masters) = (old.file.path(), shared.keyring.masters());
    let keys = (crypt::random()?, crypt::random()?);
    let level = shared.options.seal_level;
    let mut sealing = Sealing::begin(path, &old.header, masters, keys, level, &dictionary)?;
    for at in &frames {
        if shared.pending.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (header, block) = old.read_block(at)?;
        sealing.take(&header, &block)?;
    }
    sealing.finish().map(Some)
}

/// A dictionary from records spread over the whole segment; empty where it would not pay.
fn train(old: &Opened, frames: &[BlockRef]) -> Result<Vec<u8>, StoreError> {
    let step = frames.len().div_ceil(FRAMES_SAMPLED_MAX).max(1);
    let share = SAMPLES_BYTES_MAX / frames.len().div_ceil(step).max(1);
    // Copied, because a record keeps its whole frame in memory.
    let (mut samples, mut lengths, mut raw) = (Vec::new(), Vec::new(), 0);
    for at in frames.iter().step_by(step) {
        let block = old.read_block(at)?.1;
        let records = || block.iter().map(|(_, record)| record).filter(|record| !record.is_empty());
        let bytes: usize = records().map(|record| record.len()).sum();
        // Where the frame's neighbours are as alike as a minute's events are, one in so many tells enough.
        for record in records().step_by(bytes.div_ceil(share.max(1)).max(1)) {
            samples.extend_from_slice(&record);
            lengths.push(record.len());
        }
        raw += bytes;
    }
    if raw.saturating_mul(step) < DICTIONARY_RAW_BYTES_MIN {
        return Ok(Vec::new());
    }
    // Too few or too uniform samples train nothing: then there is no dictionary.
    Ok(zstd::dict::from_continuous(&samples, &lengths, DICTIONARY_BYTES_MAX).unwrap_or_default())
}

/// The block being filled.
#[derive(Default)]
struct Filling {
    parts: Vec<Part>,
    records: Vec<Bytes>,
    bytes: usize,
    rows: Rows,
}

struct Sealing {
    key: Key,
    header: SegmentHeader,
    path: PathBuf,
    packer: zstd::bulk::Compressor<'static>,
    has_dictionary: bool,
    out: Vec<u8>,
    counter: u64,
    filling: Filling,
    blocks: Vec<BlockRef>,
    frontier: Frontier,
    nodes: Vec<Hash>,
    tables: Tables,
    synced_through: CommitNo,
    last: (CommitNo, Timestamp),
}

/// A sealed segment of given frames under a given key and salt: a segment that is cut at a point in time.
pub(crate) fn seal_bytes(
    old: &SegmentHeader,
    masters: &Masters,
    keys: (KeyBytes, [u8; 16]),
    dictionary: &[u8],
    frames: &[(Header, Block)],
) -> Result<Vec<u8>, StoreError> {
    let mut sealing =
        Sealing::begin(Path::new("a cut segment"), old, masters, keys, 3, dictionary)?;
    for (header, block) in frames {
        sealing.take(header, block)?;
    }
    sealing.finish()
}

impl Sealing {
    fn begin(
        path: &Path,
        old: &SegmentHeader,
        masters: &Masters,
        (key, salt): (KeyBytes, [u8; 16]),
        level: i32,
        dictionary: &[u8],
    ) -> Result<Self, StoreError> {
        let header = SegmentHeader { sealed: true, key: old.key + 1, ..old.clone() };
        let out = header.encode(&key, masters, salt).map_err(|e| e.at(path))?;
        let packer = zstd::bulk::Compressor::new(level);
        let mut tables = Tables::default();
        tables.apply(&header.rows);
        let mut sealing = Self {
            key: Key::new(&key),
            packer: packer.map_err(|e| StoreError::io("compress", path, e))?,
            has_dictionary: false,
            out,
            counter: 0,
            filling: Filling::default(),
            blocks: Vec::new(),
            frontier: header.frontier().unwrap_or_default(),
            nodes: Vec::new(),
            tables,
            synced_through: header.synced_through,
            last: (header.first_commit, header.created_at),
            path: path.to_path_buf(),
            header,
        };
        if !dictionary.is_empty() {
            let frame = sealing.frame(Kind::Dictionary, header_of_none());
            sealing.put(&frame, dictionary)?;
            let trained = zstd::bulk::Compressor::with_dictionary(level, dictionary);
            sealing.packer = trained.map_err(|e| StoreError::io("compress", &sealing.path, e))?;
            sealing.has_dictionary = true;
        }
        Ok(sealing)
    }

    /// Takes in one frame of the open segment.
    fn take(&mut self, header: &Header, block: &Block) -> Result<(), StoreError> {
        self.synced_through = self.synced_through.max(header.synced_through);
        self.last = (header.last_commit, header.last_at);
        self.tables.apply(&header.rows);
        let mut rows = Some(header.rows.clone());
        for part in &block.parts {
            self.begin_part(*part, part.first);
            if let Some(rows) = rows.take() {
                self.filling.rows.join(rows);
            }
            for n in 0..u64::from(part.count) {
                let seq = part.first.plus(n);
                let Some(record) = block.record(seq) else { continue };
                self.frontier.push(tree::leaf(&record), &mut self.nodes);
                self.add(*part, seq, record)?;
            }
        }
        Ok(())
    }

    fn begin_part(&mut self, part: Part, first: Seq) {
        self.filling.bytes += 16;
        self.filling.parts.push(Part { first, count: 0, ..part });
    }

    fn add(&mut self, part: Part, seq: Seq, record: Bytes) -> Result<(), StoreError> {
        let weight = record.len() + 2;
        if self.filling.bytes + weight > BLOCK_BYTES_MAX && !self.filling.records.is_empty() {
            if self.filling.parts.last().is_some_and(|last| last.count == 0) {
                self.filling.parts.pop();
            }
            self.flush()?;
            self.begin_part(part, seq);
        }
        if let Some(last) = self.filling.parts.last_mut() {
            last.count += 1;
        }
        self.filling.bytes += weight;
        self.filling.records.push(record);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let filling = std::mem::take(&mut self.filling);
        let (Some(first), Some(last)) = (filling.parts.first(), filling.parts.last()) else {
            return Ok(());
        };
        let mut raw = Vec::with_capacity(filling.bytes + 64);
        put_parts(&filling.parts, &mut raw);
        filling.records.iter().for_each(|record| put_varint(&mut raw, record.len() as u64));
        filling.records.iter().for_each(|record| raw.extend_from_slice(record));
        let header = Header {
            dictionary: u32::from(self.has_dictionary),
            first_commit: first.commit,
            last_commit: last.commit,
            first_seq: first.first,
            count: u32::try_from(filling.records.len()).unwrap_or(u32::MAX),
            first_at: first.at,
            last_at: last.at,
            rows: filling.rows,
            ..self.frame(Kind::Block, header_of_none())
        };
        let (at, len) = self.put(&header, &raw)?;
        self.blocks.push(BlockRef {
            at,
            len,
            count: header.count,
            first_seq: header.first_seq,
            first_commit: header.first_commit,
            last_commit: header.last_commit,
        });
        Ok(())
    }

    fn frame(&self, kind: Kind, none: Header) -> Header {
        Header {
            kind,
            log: self.header.log,
            partition: self.header.partition,
            key: self.header.key,
            counter: self.counter,
            synced_through: self.synced_through,
            first_commit: self.header.first_commit,
            last_commit: self.last.0,
            first_seq: self.header.first_seq,
            first_at: self.header.created_at,
            last_at: self.last.1,
            ..none
        }
    }

    fn put(&mut self, header: &Header, raw: &[u8]) -> Result<(u64, u32), StoreError> {
        let body = self.packer.compress(raw);
        let body = body.map_err(|e| StoreError::io("compress", &self.path, e))?;
        let frame = frame::build(header, body, raw.len(), &self.key);
        let frame = frame.map_err(|e| StoreError::damaged(&self.path, e.to_string()))?;
        self.counter += 1;
        let at = self.out.len() as u64;
        self.out.extend_from_slice(&frame);
        Ok((at, u32::try_from(frame.len()).unwrap_or(u32::MAX)))
    }

    fn finish(mut self) -> Result<Vec<u8>, StoreError> {
        self.flush()?;
        let count = self.blocks.iter().map(|block| block.count).sum();
        let header = Header { count, ..self.frame(Kind::Footer, header_of_none()) };
        let footer = Footer {
            blocks: std::mem::take(&mut self.blocks),
            nodes: std::mem::take(&mut self.nodes),
            frontier: self.frontier.clone(),
            rows: self.tables.rows(),
            last_at: header.last_at,
        };
        // The footer must be readable before the dictionary is.
        self.packer = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)
            .map_err(|e| StoreError::io("compress", &self.path, e))?;
        let (at, _) = self.put(&header, &footer.encode())?;
        self.out.extend_from_slice(&segment::trailer(at));
        Ok(self.out)
    }
}

fn header_of_none() -> Header {
    Header {
        kind: Kind::Block,
        log: custos_event::LogId::TELEMETRY,
        partition: custos_event::Partition(0),
        key: 0,
        counter: 0,
        dictionary: 0,
        first_commit: CommitNo(0),
        last_commit: CommitNo(0),
        synced_through: CommitNo(0),
        first_seq: Seq(0),
        count: 0,
        first_at: Timestamp(0),
        last_at: Timestamp(0),
        rows: Rows::default(),
        peaks: Vec::new(),
    }
}
