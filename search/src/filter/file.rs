//! The filters on disk: one file that is only appended to, in step with the index's commits.
//!
//! ```text
//! file   = "CUSTOSRF" version:u32 0:u32 entry*
//! entry  = length:u32 crc32c:u32 payload          (crc over the payload)
//! payload = log:u8 partition:u16 first:u64 count:u32 bits                     (little-endian)
//! ```
//! The index's commit says how long the file was and the CRC of all of it. What lies beyond was written
//! before a crash and is cut off; a shorter or different file does not belong to the index.

use super::{
    Place, Run, Runs, Sealed,
    bloom::{self, BLOCK_BYTES},
};
use crate::SearchError;
use custos_event::{
    LogId, Partition, Seq,
    wire::{Reader, WireError},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

const MAGIC: &[u8; 8] = b"CUSTOSRF";
/// Of the file's layout and of how keys are made.
pub(crate) const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
/// Length and CRC, then log, partition, first and count.
const ENTRY_HEAD_BYTES: usize = 8;
const RUN_HEAD_BYTES: usize = 15;
/// 512 events of 2,000 keys each at 10 bits make 1.3 MB; far beyond it a length is damage.
const ENTRY_BYTES_MAX: u32 = 64 << 20;

/// What the index's commit says about the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilterState {
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
}

/// The filters of one index.
#[derive(Debug)]
pub(crate) struct FilterFile {
    dir: PathBuf,
    file: File,
    /// Replaced by the writer, copied by each search.
    runs: RwLock<Runs>,
}

impl FilterFile {
    /// Opens the file as the commit that `state` is from left it; `None` before the first commit.
    pub(crate) fn open(dir: &Path, state: Option<FilterState>) -> Result<Self, SearchError> {
        let io = |action| move |source| SearchError::Io { action, dir: dir.to_path_buf(), source };
        let path = dir.join("filters");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open the filters of"))?;
        let Some(state) = state else {
            return Ok(Self { dir: dir.to_path_buf(), file, runs: RwLock::default() });
        };
        let runs = read(&file, state).map_err(|error| match error {
            Unreadable::Io(source) => io("read the filters of")(source),
            Unreadable::Damaged(what) => {
                SearchError::Damaged { dir: dir.to_path_buf(), what: format!("filters: {what}") }
            }
        })?;
        Ok(Self { dir: dir.to_path_buf(), file, runs: RwLock::new(runs) })
    }

    /// The runs as they are now.
    pub(crate) fn runs(&self) -> Runs {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cuts off what a crash left behind the last commit, or begins the file. For the writer only.
    pub(crate) fn begin(&self, state: Option<FilterState>) -> Result<FilterState, SearchError> {
        let state = match state {
            Some(state) => self.file.set_len(state.bytes).map(|()| state),
            None => begin(&self.file),
        };
        state.map_err(|source| self.io("write the filters of", source))
    }

    /// Appends finished runs and syncs them.
    pub(crate) fn append(
        &self,
        state: FilterState,
        sealed: &[Sealed],
    ) -> Result<FilterState, SearchError> {
        let (mut bytes, mut entries) = (Vec::new(), Vec::with_capacity(sealed.len()));
        for sealed in sealed {
            let at = state.bytes + bytes.len() as u64;
            entries.push((sealed.place, put(&mut bytes, sealed, at)));
        }
        self.file
            .write_all_at(&bytes, state.bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| self.io("write the filters of", source))?;
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        for (place, run) in entries {
            runs.add(place, run);
        }
        let crc = crc32c::crc32c_append(state.crc, &bytes);
        Ok(FilterState { bytes: state.bytes + bytes.len() as u64, crc })
    }

    /// Whether the run's filter may hold `key`.
    pub(crate) fn may_hold(&self, run: Run, key: u64) -> Result<bool, SearchError> {
        let at = u64::from(bloom::block_of(key, run.blocks)) * BLOCK_BYTES as u64;
        let mut block = [0; BLOCK_BYTES];
        self.file
            .read_exact_at(&mut block, run.offset + at)
            .map_err(|source| self.io("read the filters of", source))?;
        Ok(bloom::may_hold(&block, key))
    }

    fn io(&self, action: &'static str, source: io::Error) -> SearchError {
        SearchError::Io { action, dir: self.dir.clone(), source }
    }
}

fn begin(file: &File) -> io::Result<FilterState> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    file.set_len(0)?;
    (&*file).seek(SeekFrom::Start(0))?;
    (&*file).write_all(&header)?;
    file.sync_data()?;
    Ok(FilterState { bytes: HEADER_BYTES as u64, crc: crc32c::crc32c(&header) })
}

/// Appends one entry, whose first byte will stand at `at` in the file.
fn put(out: &mut Vec<u8>, sealed: &Sealed, at: u64) -> Run {
    let mut payload = Vec::with_capacity(RUN_HEAD_BYTES + sealed.filter.len());
    payload.push(sealed.place.0.0);
    payload.extend_from_slice(&sealed.place.1.0.to_le_bytes());
    payload.extend_from_slice(&sealed.first.0.to_le_bytes());
    payload.extend_from_slice(&sealed.count.to_le_bytes());
    payload.extend_from_slice(&sealed.filter);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
    Run {
        first: sealed.first,
        count: sealed.count,
        offset: at + (ENTRY_HEAD_BYTES + RUN_HEAD_BYTES) as u64,
        blocks: u32::try_from(sealed.filter.len() / BLOCK_BYTES).unwrap_or(u32::MAX),
    }
}

enum Unreadable {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged("shorter than the index says".into())
        } else {
            Self::Io(error)
        }
    }
}

impl From<WireError> for Unreadable {
    fn from(error: WireError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Reads and checks all of it: 13 GB/s for the CRC, so that the disk is what takes time.
fn read(file: &File, state: FilterState) -> Result<Runs, Unreadable> {
    let damaged = |what: &str, at: u64| Unreadable::Damaged(format!("{what} at byte {at}"));
    let mut from = BufReader::with_capacity(1 << 20, file);
    from.seek(SeekFrom::Start(0))?;
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header)?;
    if !header.starts_with(MAGIC) || header.get(8..12) != Some(&VERSION.to_le_bytes()) {
        return Err(damaged("no filter file", 0));
    }
    let (mut runs, mut at, mut crc) =
        (Runs::default(), HEADER_BYTES as u64, crc32c::crc32c(&header));
    let mut payload = Vec::new();
    while at < state.bytes {
        let mut head = [0; ENTRY_HEAD_BYTES];
        from.read_exact(&mut head)?;
        let mut reader = Reader::new(&head);
        let (length, expected) = (reader.u32("length")?, reader.u32("crc")?);
        let end = at + ENTRY_HEAD_BYTES as u64 + u64::from(length);
        if length > ENTRY_BYTES_MAX || end > state.bytes {
            return Err(damaged("impossible length", at));
        }
        payload.resize(length as usize, 0);
        from.read_exact(&mut payload)?;
        if crc32c::crc32c(&payload) != expected {
            return Err(damaged("wrong checksum", at));
        }
        let (place, run) = entry(&payload, at)?;
        runs.add(place, run);
        crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, &head), &payload);
        at = end;
    }
    if (at, crc) == (state.bytes, state.crc) {
        Ok(runs)
    } else {
        Err(damaged("not the filters of this index", at))
    }
}

fn entry(payload: &[u8], at: u64) -> Result<(Place, Run), WireError> {
    let mut reader = Reader::new(payload);
    let place = (LogId(reader.u8("log")?), Partition(reader.u16("partition")?));
    let (first, count) = (Seq(reader.u64("first")?), reader.u32("count")?);
    let blocks = u32::try_from(reader.rest().len() / BLOCK_BYTES).unwrap_or(u32::MAX);
    let offset = at + (ENTRY_HEAD_BYTES + reader.at()) as u64;
    Ok((place, Run { first, count, offset, blocks }))
}
