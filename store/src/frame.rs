//! One frame: a header in clear that the cipher authenticates, and a body that is compressed, then
//! encrypted (FORMAT.md, "Frame"). No I/O here.

use crate::{
    crypt::{Key, TAG_BYTES},
    table::Rows,
    tree::{Frontier, Hash},
};
use custos_event::{
    CommitNo, LogId, Partition, Seq, Timestamp,
    wire::{Reader, WireError, put_bytes, put_varint},
};
use zstd::{bulk::Decompressor, dict::DecoderDictionary};

pub(crate) const MAGIC: [u8; 4] = *b"CuFr";
pub(crate) const VERSION: u8 = 1;
/// The header up to its sections.
const FIXED_BYTES: usize = 96;
pub(crate) const CRC_BYTES: usize = 4;
/// A frame's last byte. It is not zero, so that the zeros of reserved room never pass for a frame's end: where
/// it is missing, the frame was not written to its end.
const END: u8 = 0xfe;
/// The header's checksum, the checksum of it all, and the end mark.
const AROUND_BODY_BYTES: usize = 2 * CRC_BYTES + 1;
/// Room for 800 KiB of producers and some 100,000 sources of 60 bytes.
pub(crate) const HEADER_BYTES_MAX: u32 = 8 << 20;
/// One frame's raw bytes at most; an append may hold half of it, the rest is for lengths.
pub(crate) const RAW_BYTES_MAX: u32 = 128 << 20;

const CIPHER_AES_256_GCM: u8 = 1;

/// What a frame's body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// One commit, as it was made.
    Commit = 1,
    /// Records of one or more commits, rewritten when the segment was sealed.
    Block = 2,
    /// The zstd dictionary of the blocks that follow.
    Dictionary = 3,
    /// The index of a sealed segment.
    Footer = 4,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Commit, Self::Block, Self::Dictionary, Self::Footer]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Everything about a frame but its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) log: LogId,
    pub(crate) partition: Partition,
    /// Which of the segment's data keys encrypts it, and with which nonce.
    pub(crate) key: u32,
    pub(crate) counter: u64,
    /// 0 where the body is compressed without a dictionary.
    pub(crate) dictionary: u32,
    pub(crate) first_commit: CommitNo,
    pub(crate) last_commit: CommitNo,
    /// The highest commit known durable when this frame was written.
    pub(crate) synced_through: CommitNo,
    pub(crate) first_seq: Seq,
    pub(crate) count: u32,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) rows: Rows,
    /// The tree's right edge before this frame's records; only in commits.
    pub(crate) peaks: Vec<Hash>,
}

/// A frame's header with the lengths that follow from its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Framed {
    pub(crate) header: Header,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) raw_bytes: usize,
}

impl Framed {
    pub(crate) fn frame_bytes(&self) -> usize {
        self.header_bytes + self.body_bytes + AROUND_BODY_BYTES
    }
}

/// Bytes that are no whole, unchanged frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("no frame begins here")]
    NoMagic,
    #[error("the frame is of version {0}, newer than this Custos reads")]
    Newer(u8),
    #[error("the frame header does not match its checksum")]
    HeaderChecksum,
    #[error("the frame header {0}")]
    Header(#[from] WireError),
    #[error("the frame does not match its checksum")]
    Checksum,
    #[error("the frame does not decrypt: it was changed, or belongs elsewhere")]
    Forged,
    #[error("the frame does not decompress")]
    Compression,
    #[error("the frame's body {0}")]
    Body(WireError),
}

const SECTION_SOURCES: u64 = 1;
const SECTION_PRODUCERS: u64 = 2;
const SECTION_PEAKS: u64 = 3;

/// Appends the sections that are not empty.
pub(crate) fn put_sections(rows: &Rows, peaks: &[Hash], out: &mut Vec<u8>) {
    let mut section = Vec::new();
    if !rows.sources.is_empty() {
        rows.encode_sources(&mut section);
        put_varint(out, SECTION_SOURCES);
        put_bytes(out, &section);
    }
    if !rows.producers.is_empty() {
        section.clear();
        rows.encode_producers(&mut section);
        put_varint(out, SECTION_PRODUCERS);
        put_bytes(out, &section);
    }
    if !peaks.is_empty() {
        put_varint(out, SECTION_PEAKS);
        put_bytes(out, peaks.as_flattened());
    }
}

/// Reads sections to the end; those of unknown number are passed over.
pub(crate) fn sections(mut reader: Reader<'_>) -> Result<(Rows, Vec<Hash>), WireError> {
    let (mut rows, mut peaks) = (Rows::default(), Vec::new());
    while !reader.rest().is_empty() {
        let number = reader.varint("section number")?;
        let at = reader.at();
        let section = reader.bytes("section")?;
        match number {
            SECTION_SOURCES => rows.decode_sources(section)?,
            SECTION_PRODUCERS => rows.decode_producers(section)?,
            SECTION_PEAKS => {
                let (hashes, rest) = section.as_chunks();
                if !rest.is_empty() {
                    return Err(WireError::Impossible { at, what: "tree edge" });
                }
                peaks = hashes.to_vec();
            }
            _ => {}
        }
    }
    Ok((rows, peaks))
}

impl Header {
    /// The tree before this frame's records, if the frame says.
    pub(crate) fn frontier(&self) -> Option<Frontier> {
        Frontier::new(self.first_seq.0, self.peaks.clone())
    }

    fn encode(&self, body_bytes: u32, raw_bytes: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + 256);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.kind as u8, CIPHER_AES_256_GCM, self.log.0]);
        out.extend_from_slice(&self.partition.0.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&[0; 4]); // header length, below
        out.extend_from_slice(&body_bytes.to_le_bytes());
        out.extend_from_slice(&raw_bytes.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.dictionary.to_le_bytes());
        out.extend_from_slice(&self.counter.to_le_bytes());
        out.extend_from_slice(&self.first_commit.0.to_le_bytes());
        out.extend_from_slice(&self.last_commit.0.to_le_bytes());
        out.extend_from_slice(&self.synced_through.0.to_le_bytes());
        out.extend_from_slice(&self.first_seq.0.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.first_at.0.to_le_bytes());
        out.extend_from_slice(&self.last_at.0.to_le_bytes());
        put_sections(&self.rows, &self.peaks, &mut out);
        let len = u32::try_from(out.len()).unwrap_or(u32::MAX).to_le_bytes();
        out.splice(12..16, len);
        out
    }
}

/// Makes a frame of a compressed body: encrypts it and puts it behind its header.
pub(crate) fn build(
    header: &Header,
    mut body: Vec<u8>,
    raw_bytes: usize,
    key: &Key,
) -> Result<Vec<u8>, FrameError> {
    let impossible = |what| FrameError::Header(WireError::Impossible { at: 0, what });
    let body_bytes =
        u32::try_from(body.len() + TAG_BYTES).map_err(|_| impossible("body length"))?;
    let raw_bytes = u32::try_from(raw_bytes).ok().filter(|len| *len <= RAW_BYTES_MAX);
    let raw_bytes = raw_bytes.ok_or_else(|| impossible("raw length"))?;
    let mut out = header.encode(body_bytes, raw_bytes);
    if out.len() > HEADER_BYTES_MAX as usize {
        return Err(impossible("header length"));
    }
    key.seal(header.counter, &out, &mut body).map_err(|_| FrameError::Forged)?;
    out.reserve(body.len() + AROUND_BODY_BYTES);
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&body);
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.push(END);
    Ok(out)
}

/// The lengths that a header claims, checked for nothing: header and whole frame.
pub(crate) fn claimed_bytes(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut reader = Reader::new(bytes);
    reader.take(12, "header").ok()?;
    let header = u64::from(reader.u32("header length").ok()?);
    let body = u64::from(reader.u32("body length").ok()?);
    Some((header, header + body + AROUND_BODY_BYTES as u64))
}

/// Reads the header at the front of `bytes`; the body need not be there.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Framed, FrameError> {
    let mut reader = Reader::new(bytes);
    if reader.take(4, "magic").ok() != Some(&MAGIC) {
        return Err(FrameError::NoMagic);
    }
    let len = claimed_bytes(bytes).map(|(header, _)| header);
    let len = len.filter(|len| *len <= u64::from(HEADER_BYTES_MAX) && *len >= FIXED_BYTES as u64);
    let len = usize::try_from(len.ok_or(FrameError::HeaderChecksum)?).unwrap_or(usize::MAX);
    let header = bytes.get(..len).ok_or(FrameError::HeaderChecksum)?;
    let stored = bytes.get(len..len + CRC_BYTES).ok_or(FrameError::HeaderChecksum)?;
    if crc32c::crc32c(header).to_le_bytes() != stored {
        return Err(FrameError::HeaderChecksum);
    }
    decode(header, len)
}

fn decode(bytes: &[u8], header_bytes: usize) -> Result<Framed, FrameError> {
    let mut reader = Reader::new(bytes);
    let impossible = |at, what| FrameError::Header(WireError::Impossible { at, what });
    reader.take(4, "magic")?;
    match reader.u8("version")? {
        VERSION => {}
        newer => return Err(FrameError::Newer(newer)),
    }
    let kind = Kind::from_number(reader.u8("kind")?).ok_or_else(|| impossible(5, "kind"))?;
    if reader.u8("cipher")? != CIPHER_AES_256_GCM {
        return Err(impossible(6, "cipher"));
    }
    let log = LogId(reader.u8("log")?);
    let partition = Partition(reader.u16("partition")?);
    reader.take(6, "lengths")?;
    let body_bytes = reader.u32("body length")? as usize;
    let raw_bytes = reader.u32("raw length")?;
    if raw_bytes > RAW_BYTES_MAX {
        return Err(impossible(20, "raw length"));
    }
    let mut header = Header {
        kind,
        log,
        partition,
        key: reader.u32("key")?,
        dictionary: reader.u32("dictionary")?,
        counter: reader.u64("counter")?,
        first_commit: CommitNo(reader.u64("first commit")?),
        last_commit: CommitNo(reader.u64("last commit")?),
        synced_through: CommitNo(reader.u64("synced through")?),
        first_seq: Seq(reader.u64("first seq")?),
        count: reader.u32("count")?,
        first_at: Timestamp::default(),
        last_at: Timestamp::default(),
        rows: Rows::default(),
        peaks: Vec::new(),
    };
    reader.take(4, "reserved")?;
    header.first_at = Timestamp(reader.i64("first time")?);
    header.last_at = Timestamp(reader.i64("last time")?);
    (header.rows, header.peaks) = sections(reader)?;
    Ok(Framed { header, header_bytes, body_bytes, raw_bytes: raw_bytes as usize })
}

/// Reads the header and checks that the whole frame is there and matches its checksum.
pub(crate) fn check(bytes: &[u8]) -> Result<Framed, FrameError> {
    let framed = read_header(bytes)?;
    let (frame, end) = bytes
        .get(..framed.frame_bytes())
        .and_then(<[u8]>::split_last_chunk::<{ CRC_BYTES + 1 }>)
        .ok_or(FrameError::Checksum)?;
    let [checksum @ .., mark] = end;
    if crc32c::crc32c(frame).to_le_bytes() != *checksum || *mark != END {
        return Err(FrameError::Checksum);
    }
    Ok(framed)
}

/// Decrypts and decompresses the body of a checked frame.
pub(crate) fn open(
    bytes: &[u8],
    framed: &Framed,
    key: &Key,
    dictionary: Option<&DecoderDictionary<'_>>,
) -> Result<Vec<u8>, FrameError> {
    let body_at = framed.header_bytes + CRC_BYTES;
    let aad = bytes.get(..framed.header_bytes).ok_or(FrameError::Checksum)?;
    let body = bytes.get(body_at..body_at + framed.body_bytes).ok_or(FrameError::Checksum)?;
    let mut body = body.to_vec();
    key.open(framed.header.counter, aad, &mut body).map_err(|_| FrameError::Forged)?;
    let mut unpacker = match (framed.header.dictionary, dictionary) {
        (0, _) => Decompressor::new(),
        (_, Some(dictionary)) => Decompressor::with_prepared_dictionary(dictionary),
        (_, None) => return Err(FrameError::Compression),
    }
    .map_err(|_| FrameError::Compression)?;
    let raw = unpacker.decompress(&body, framed.raw_bytes).map_err(|_| FrameError::Compression)?;
    if raw.len() != framed.raw_bytes {
        return Err(FrameError::Compression);
    }
    Ok(raw)
}
