//! A segment file's header and trailer, and its name (FORMAT.md, "Segment").

use crate::{
    crypt::{Key, KeyBytes, MasterId, WRAPPED_BYTES},
    error::StoreError,
    frame::{CRC_BYTES, HEADER_BYTES_MAX, put_sections, sections},
    keys::Masters,
    table::Rows,
    tree::{Frontier, Hash},
};
use custos_event::{
    CommitNo, LogId, Partition, Seq, Timestamp,
    wire::{Reader, WireError},
};
use std::path::{Path, PathBuf};

pub(crate) const MAGIC: [u8; 8] = *b"CUSTOSEG";
pub(crate) const VERSION: u16 = 1;
const FIXED_BYTES: usize = 88;
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"CUSTOEND";
pub(crate) const TRAILER_BYTES: usize = 20;

/// What the head of a segment file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) log: LogId,
    pub(crate) partition: Partition,
    pub(crate) number: u64,
    pub(crate) sealed: bool,
    /// Number of the data key: 1 while open, one more with each rewriting.
    pub(crate) key: u32,
    pub(crate) first_seq: Seq,
    /// No commit below it is in this segment or a later one of this log.
    pub(crate) first_commit: CommitNo,
    /// Every commit up to here was durable when this header was written. Numbers between this and
    /// `first_commit` are in no log: a start gave them up with an undecided tail.
    pub(crate) synced_through: CommitNo,
    pub(crate) created_at: Timestamp,
    /// The tables as they stood before this segment.
    pub(crate) rows: Rows,
    /// The tree's right edge before this segment.
    pub(crate) peaks: Vec<Hash>,
}

/// Bytes that head no segment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error("it does not begin as a segment does")]
    NoMagic,
    #[error("version {0}")]
    Newer(u16),
    #[error("its header does not match its checksum")]
    Checksum,
    #[error("its header {0}")]
    Wire(#[from] WireError),
    #[error("its header was changed, or its key is wrapped under another master key")]
    Forged,
    #[error("it needs the master key {0}")]
    NoMaster(String),
}

impl SegmentError {
    pub(crate) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Newer(found) => {
                StoreError::Newer { path: path.into(), found: found.into(), reads: VERSION.into() }
            }
            Self::NoMaster(_) => {
                StoreError::KeyMissing { path: path.into(), reason: self.to_string() }
            }
            Self::NoMagic | Self::Checksum | Self::Wire(_) | Self::Forged => {
                StoreError::damaged(path, self.to_string())
            }
        }
    }
}

impl SegmentHeader {
    pub(crate) fn frontier(&self) -> Option<Frontier> {
        Frontier::new(self.first_seq.0, self.peaks.clone())
    }

    /// The header's bytes, with `key` wrapped under the present master key.
    pub(crate) fn encode(
        &self,
        key: &KeyBytes,
        masters: &Masters,
        salt: [u8; 16],
    ) -> Result<Vec<u8>, SegmentError> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[u8::from(self.sealed), self.log.0]);
        out.extend_from_slice(&self.partition.0.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&[0; 4]); // header length, below
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.first_seq.0.to_le_bytes());
        out.extend_from_slice(&self.first_commit.0.to_le_bytes());
        out.extend_from_slice(&self.synced_through.0.to_le_bytes());
        out.extend_from_slice(&self.created_at.0.to_le_bytes());
        out.extend_from_slice(&masters.current().id);
        out.extend_from_slice(&[0; 16]);
        put_sections(&self.rows, &self.peaks, &mut out);
        let len = out.len() + WRAPPED_BYTES + CRC_BYTES;
        let len = u32::try_from(len).ok().filter(|len| *len <= HEADER_BYTES_MAX);
        let impossible = WireError::Impossible { at: 16, what: "header length" };
        out.splice(16..20, len.ok_or(impossible)?.to_le_bytes());
        let wrapped = masters.current().wrap(key, &out, salt).map_err(|_| SegmentError::Forged)?;
        out.extend_from_slice(&wrapped);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }
}

/// How long the header at the front of `bytes` says it is; 20 bytes are enough to tell.
pub(crate) fn header_bytes(bytes: &[u8]) -> Result<usize, SegmentError> {
    let mut reader = Reader::new(bytes);
    if reader.take(8, "magic")? != MAGIC {
        return Err(SegmentError::NoMagic);
    }
    let version = reader.u16("version")?;
    if version > VERSION {
        return Err(SegmentError::Newer(version));
    }
    reader.take(6, "header")?;
    let len = reader.u32("header length")?;
    let fits = len <= HEADER_BYTES_MAX && len as usize >= FIXED_BYTES + WRAPPED_BYTES + CRC_BYTES;
    if fits { Ok(len as usize) } else { Err(SegmentError::Checksum) }
}

/// Reads a header and unwraps the segment's key.
pub(crate) fn decode(
    bytes: &[u8],
    masters: &Masters,
) -> Result<(SegmentHeader, Key), SegmentError> {
    let len = header_bytes(bytes)?;
    let (signed, checksum) = bytes
        .get(..len)
        .and_then(|b| b.split_at_checked(len - CRC_BYTES))
        .ok_or(SegmentError::Checksum)?;
    if crc32c::crc32c(signed).to_le_bytes() != checksum {
        return Err(SegmentError::Checksum);
    }
    let (head, wrapped) =
        signed.split_at_checked(signed.len() - WRAPPED_BYTES).ok_or(SegmentError::Checksum)?;
    let mut reader = Reader::new(head);
    reader.take(8, "magic")?;
    if reader.u16("version")? != VERSION {
        return Err(WireError::Impossible { at: 8, what: "version" }.into());
    }
    let sealed = match reader.u8("state")? {
        0 => false,
        1 => true,
        _ => return Err(WireError::Impossible { at: 10, what: "state" }.into()),
    };
    let log = LogId(reader.u8("log")?);
    let partition = Partition(reader.u16("partition")?);
    reader.take(6, "reserved")?;
    let key = reader.u32("key")?;
    let number = reader.u64("number")?;
    let first_seq = Seq(reader.u64("first seq")?);
    let first_commit = CommitNo(reader.u64("first commit")?);
    let synced_through = CommitNo(reader.u64("synced through")?);
    let created_at = Timestamp(reader.i64("time")?);
    let master: MasterId = reader.array("master key id")?;
    reader.take(16, "reserved")?;
    let (rows, peaks) = sections(reader)?;
    let unwrapping =
        masters.get(master).ok_or_else(|| SegmentError::NoMaster(crate::crypt::hex(&master)))?;
    let wrapped = wrapped.try_into().map_err(|_| SegmentError::Checksum)?;
    let data_key = unwrapping.unwrap(wrapped, head).map_err(|_| SegmentError::Forged)?;
    let header = SegmentHeader {
        log,
        partition,
        number,
        sealed,
        key,
        first_seq,
        first_commit,
        synced_through,
        created_at,
        rows,
        peaks,
    };
    Ok((header, Key::new(&data_key)))
}

/// The last bytes of a sealed segment: where its footer begins.
pub(crate) fn trailer(footer_at: u64) -> Vec<u8> {
    let mut out = TRAILER_MAGIC.to_vec();
    out.extend_from_slice(&footer_at.to_le_bytes());
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

pub(crate) fn footer_at(trailer: &[u8]) -> Option<u64> {
    let (signed, checksum) = trailer.split_at_checked(TRAILER_BYTES - CRC_BYTES)?;
    let whole = crc32c::crc32c(signed).to_le_bytes() == checksum;
    let (magic, at) = signed.split_at_checked(8)?;
    (whole && magic == TRAILER_MAGIC).then(|| at.try_into().map(u64::from_le_bytes).ok()).flatten()
}

/// `0000000001.seg`; a partition beyond the first has `p1-` before it.
pub(crate) fn file_name(partition: Partition, number: u64) -> String {
    match partition.0 {
        0 => format!("{number:010}.seg"),
        part => format!("p{part}-{number:010}.seg"),
    }
}

/// Which segment a file is by its name; `None` for any other file.
pub(crate) fn parse_name(path: &Path) -> Option<(Partition, u64)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    let (partition, number) = match name.strip_prefix('p') {
        Some(rest) => rest.split_once('-').and_then(|(p, n)| Some((p.parse().ok()?, n)))?,
        None => (0, name),
    };
    let number = number.parse().ok().filter(|_| number.len() >= 10)?;
    Some((Partition(partition), number))
}

/// Where a log's segments lie.
pub(crate) fn folder(dir: &Path, log: LogId) -> PathBuf {
    dir.join(log.to_string())
}
