//! `retention/<log>-<partition>.dropped`: what one log has lost to retention, replaced as one step.

use super::gone::{Dropped, DroppedRange, Gone};
use crate::{disk::Disk, error::StoreError, stream::StreamId};
use custos_event::{
    CommitNo, LogId, Partition, Seq, Timestamp,
    wire::{Reader, WireError, put_bytes, put_varint},
};
use custos_evidence::proof::Leaves;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The folder's name below the data folder.
pub(super) const FOLDER: &str = "retention";
const MAGIC: [u8; 8] = *b"CUSTODRP";
const VERSION: u16 = 1;
const CRC_BYTES: usize = 4;

/// The state of a log: what holds, or what is about to.
pub(super) fn path(dir: &Path, (log, partition): StreamId) -> PathBuf {
    dir.join(FOLDER).join(format!("{log}-{}.dropped", partition.0))
}

/// What holds once the journal tells of it.
pub(super) fn next_path(dir: &Path, id: StreamId) -> PathBuf {
    path(dir, id).with_extension("next")
}

fn identify(path: &Path) -> Option<StreamId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".dropped")?;
    let (log, partition) = name.rsplit_once('-')?;
    Some((log.parse().ok()?, Partition(partition.parse().ok()?)))
}

/// What each log has lost.
pub(crate) fn load_all(disk: &Disk, dir: &Path) -> Result<BTreeMap<StreamId, Dropped>, StoreError> {
    let mut all = BTreeMap::new();
    for path in disk.list(&dir.join(FOLDER))? {
        let Some(id) = identify(&path) else { continue };
        let Some(bytes) = disk.read(&path)? else { continue };
        all.insert(id, decode(&path, &bytes, id)?.0);
    }
    Ok(all)
}

/// The bytes of a state, and from where on the journal tells of its last step.
pub(super) fn encode(dropped: &Dropped, (log, partition): StreamId, journal: Seq) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[log.0, 0]);
    out.extend_from_slice(&partition.0.to_le_bytes());
    put_varint(&mut out, journal.0);
    put_varint(&mut out, dropped.ranges().len() as u64);
    for gone in dropped.ranges() {
        let numbers = [
            gone.first,
            gone.end,
            gone.numbers.0,
            gone.numbers.1,
            gone.commits.0.0,
            gone.commits.1.0,
            gone.commit_count,
        ];
        for number in numbers {
            put_varint(&mut out, number);
        }
        put_varint(&mut out, gone.drops.len() as u64);
        for step in &gone.drops {
            put_varint(&mut out, step.first.0);
            put_varint(&mut out, step.last.0);
            put_varint(&mut out, step.segments.into());
            put_varint(&mut out, step.bytes);
            out.extend_from_slice(&step.through.0.to_le_bytes());
            out.extend_from_slice(&step.at.0.to_le_bytes());
            put_bytes(&mut out, step.reason.as_bytes());
        }
        put_varint(&mut out, gone.pieces.len() as u64);
        for (leaves, root) in &gone.pieces {
            let level = leaves.to.saturating_sub(leaves.from).trailing_zeros();
            put_varint(&mut out, level.into());
            out.extend_from_slice(root);
        }
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

pub(super) fn decode(
    path: &Path,
    bytes: &[u8],
    id: StreamId,
) -> Result<(Dropped, Seq), StoreError> {
    let damaged = |reason: &str| StoreError::damaged(path, reason);
    let (signed, checksum) = bytes
        .split_at_checked(bytes.len().saturating_sub(CRC_BYTES))
        .ok_or_else(|| damaged("it breaks off"))?;
    if !signed.starts_with(&MAGIC) {
        return Err(damaged("it does not begin as a list of what was dropped does"));
    }
    let mut reader = Reader::new(signed);
    let wire = |error: WireError| damaged(&error.to_string());
    reader.take(MAGIC.len(), "magic").map_err(wire)?;
    let version = reader.u16("version").map_err(wire)?;
    if version > VERSION {
        let found = version.into();
        return Err(StoreError::Newer { path: path.into(), found, reads: VERSION.into() });
    }
    if crc32c::crc32c(signed).to_le_bytes() != checksum {
        return Err(damaged("it does not match its checksum"));
    }
    read(&mut reader, id).map_err(wire)
}

fn read(reader: &mut Reader<'_>, id: StreamId) -> Result<(Dropped, Seq), WireError> {
    let at = reader.at();
    let log = LogId(reader.u8("log")?);
    reader.u8("reserved")?;
    if (log, Partition(reader.u16("partition")?)) != id {
        return Err(WireError::Impossible { at, what: "log" });
    }
    let journal = Seq(reader.varint("place in the journal")?);
    let mut ranges = Vec::new();
    for _ in 0..reader.varint("ranges")? {
        ranges.push(range(reader, id)?);
    }
    Ok((Dropped::new(ranges), journal))
}

fn range(reader: &mut Reader<'_>, (log, partition): StreamId) -> Result<Gone, WireError> {
    let at = reader.at();
    let mut gone = Gone {
        first: reader.varint("first record")?,
        end: reader.varint("end")?,
        numbers: (reader.varint("first segment")?, reader.varint("last segment")?),
        commits: (CommitNo(reader.varint("commit")?), CommitNo(reader.varint("commit")?)),
        commit_count: reader.varint("commits")?,
        drops: Vec::new(),
        pieces: Vec::new(),
    };
    for _ in 0..reader.varint("steps")? {
        gone.drops.push(DroppedRange {
            log,
            partition,
            first: Seq(reader.varint("first record")?),
            last: Seq(reader.varint("last record")?),
            segments: reader.number("segments")?,
            bytes: reader.varint("bytes")?,
            through: Timestamp(reader.i64("newest")?),
            at: Timestamp(reader.i64("time")?),
            reason: reader.str("reason")?.into(),
        });
    }
    let mut from = gone.first;
    for _ in 0..reader.varint("roots")? {
        let level: u32 = reader.number("level")?;
        let root = reader.array("root")?;
        let count = 1_u64.checked_shl(level).and_then(|count| from.checked_add(count));
        let to = count.ok_or(WireError::Impossible { at, what: "level" })?;
        gone.pieces.push((Leaves { from, to }, root));
        from = to;
    }
    if from != gone.end || gone.first >= gone.end {
        return Err(WireError::Impossible { at, what: "range" });
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: StreamId = (LogId::TELEMETRY, Partition(0));

    fn dropped() -> Dropped {
        let gone = Gone {
            first: 3,
            end: 6,
            numbers: (2, 2),
            commits: (CommitNo(4), CommitNo(9)),
            commit_count: 5,
            drops: vec![DroppedRange {
                log: ID.0,
                partition: ID.1,
                first: Seq(3),
                last: Seq(5),
                segments: 1,
                bytes: 1_000,
                through: Timestamp(-1),
                at: Timestamp(7),
                reason: "older than 90 days".into(),
            }],
            pieces: vec![
                (Leaves { from: 3, to: 4 }, [3; 32]),
                (Leaves { from: 4, to: 6 }, [4; 32]),
            ],
        };
        Dropped::new(vec![gone])
    }

    #[test]
    fn a_state_reads_back_as_it_was_written_and_no_changed_byte_passes() {
        let bytes = encode(&dropped(), ID, Seq(12));
        let (read, journal) = decode(Path::new("x"), &bytes, ID).unwrap();
        assert_eq!((read.ranges(), journal), (dropped().ranges(), Seq(12)));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(decode(Path::new("x"), &changed, ID).is_err(), "byte {at}");
            assert!(decode(Path::new("x"), &bytes[..at], ID).is_err(), "cut at {at}");
        }
        assert!(decode(Path::new("x"), &bytes, (LogId(2), Partition(0))).is_err());
    }

    #[test]
    fn a_files_name_says_which_log_it_is_of() {
        for id in [ID, (LogId(3), Partition(12))] {
            assert_eq!(identify(&path(Path::new("/d"), id)), Some(id));
            assert_eq!(identify(&next_path(Path::new("/d"), id)), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
            let mut whole = MAGIC.to_vec();
            whole.extend_from_slice(&[1, 0, 0, 0, 0, 0]);
            whole.extend_from_slice(&bytes);
            let checksum = crc32c::crc32c(&whole);
            whole.extend_from_slice(&checksum.to_le_bytes());
            drop(decode(Path::new("x"), &whole, ID));
        }
    }
}
