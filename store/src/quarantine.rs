//! Damaged ranges: their bytes as they were found, and whether the journal knows of them.
//!
//! `quarantine/<log>-<partition>-<first>-<end>` with `.untold` (the fact's reason, until the fact is durable), `.bin`
//! (the bytes; a range is told once for each), `.repaired` (those bytes, once a backup's are in their place).

use crate::{disk::Disk, error::StoreError, stream::StreamId};
use custos_event::{Fact, Partition, Seq};
use std::path::{Path, PathBuf};

const FOLDER: &str = "quarantine";

/// Records of one log, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) id: StreamId,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Range {
    pub(crate) fn last(self) -> Seq {
        Seq(self.end.saturating_sub(1).max(self.first))
    }

    fn path(self, dir: &Path, extension: &str) -> PathBuf {
        let Self { id: (log, partition), first, end } = self;
        dir.join(FOLDER).join(format!("{log}-{}-{first}-{end}.{extension}", partition.0))
    }

    fn parse(path: &Path) -> Option<Self> {
        let mut parts = path.file_stem()?.to_str()?.rsplitn(4, '-');
        let end = parts.next()?.parse().ok()?;
        let first = parts.next()?.parse().ok()?;
        let partition = Partition(parts.next()?.parse().ok()?);
        Some(Self { id: (parts.next()?.parse().ok()?, partition), first, end })
    }
}

/// Keeps damaged bytes, once for each range. The fact that tells of it is among [`untold`]'s from now on.
pub(crate) fn keep(
    disk: &Disk,
    dir: &Path,
    range: Range,
    reason: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let known = range.path(dir, "bin");
    if disk.is_there(&known)? {
        return Ok(());
    }
    disk.create_dir(&dir.join(FOLDER))?;
    // Before the bytes, whose presence means that it need not be told again.
    disk.replace(&range.path(dir, "untold"), reason.as_bytes())?;
    disk.replace(&known, bytes)
}

/// The facts of ranges of which no process was sure that the journal knows.
pub(crate) fn untold(disk: &Disk, dir: &Path) -> Result<Vec<Fact>, StoreError> {
    let mut facts = Vec::new();
    for (path, range) in with(disk, dir, "untold")? {
        let Some(reason) = disk.read(&path)? else { continue };
        let reason = String::from_utf8_lossy(&reason).into_owned();
        let (log, first, last) = (range.id.0, Seq(range.first), range.last());
        facts.push(Fact::RangeQuarantined { log, first, last, reason });
    }
    Ok(facts)
}

/// The journal knows of all of them.
pub(crate) fn told(disk: &Disk, dir: &Path) -> Result<(), StoreError> {
    with(disk, dir, "untold")?.iter().try_for_each(|(path, _)| disk.remove(path))
}

/// Ranges that are damaged still.
pub(crate) fn open(disk: &Disk, dir: &Path) -> Result<Vec<Range>, StoreError> {
    Ok(with(disk, dir, "bin")?.into_iter().map(|(_, range)| range).collect())
}

/// A backup's bytes are in their place. Should the range be damaged again, that is told again.
pub(crate) fn close(disk: &Disk, dir: &Path, range: Range) -> Result<(), StoreError> {
    disk.rename(&range.path(dir, "bin"), &range.path(dir, "repaired"))
}

fn with(disk: &Disk, dir: &Path, extension: &str) -> Result<Vec<(PathBuf, Range)>, StoreError> {
    let files = disk.list(&dir.join(FOLDER))?.into_iter();
    let of = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    Ok(of.filter_map(|path| Range::parse(&path).map(|range| (path, range))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::LogId;

    #[test]
    fn a_files_name_says_which_range_it_is_of() {
        for log in [LogId::TELEMETRY, LogId::JOURNAL, LogId(7)] {
            let range = Range { id: (log, Partition(3)), first: 12, end: 40 };
            assert_eq!(Range::parse(&range.path(Path::new("/d"), "bin")), Some(range));
        }
        assert_eq!(Range::parse(Path::new("/d/quarantine/readme.bin")), None);
    }
}
