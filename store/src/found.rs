//! A data folder's segment files as a start finds them, before anything is judged or mended.

use crate::{
    crypt::Key,
    disk::{Disk, File},
    error::StoreError,
    frame,
    keys::{Keyring, Masters},
    opened::{BlockRef, Opened, read_head},
    retention::Dropped,
    scan::{Piece, scan},
    segment::{self, SegmentHeader},
    stream::StreamId,
};
use custos_event::{CommitNo, LogId};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A segment file as it was found.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) number: u64,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Sealed(SegmentHeader),
    /// Closed and not sealed yet: read when its turn comes, for there may be many.
    Closed(SegmentHeader),
    /// The last of its log, in which the end may be torn.
    Open(Box<OpenBody>),
    /// The header does not read: nothing of the segment does.
    Lost(StoreError),
}

/// A segment that was not sealed, read whole.
pub(crate) struct OpenBody {
    pub(crate) file: File,
    pub(crate) header: SegmentHeader,
    pub(crate) key: Key,
    pub(crate) header_bytes: u64,
    /// What follows the header, and its pieces.
    pub(crate) bytes: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
}

impl OpenBody {
    pub(crate) fn read(disk: &Disk, path: &Path, masters: &Masters) -> Result<Self, StoreError> {
        let file = disk.open_to_write(path)?;
        let (header, key, header_bytes) = read_head(&file, masters)?;
        // What the process before wrote and did not sync may be all there is: make it durable first.
        file.sync()?;
        let bytes = file.read_from(header_bytes)?;
        let (pieces, _) = scan(&bytes, 0);
        Ok(Self { file, header, key, header_bytes, bytes, pieces })
    }

    fn frames(&self) -> impl Iterator<Item = &frame::Header> {
        self.pieces.iter().filter_map(Piece::header)
    }
}

impl Found {
    pub(crate) fn header(&self) -> Option<&SegmentHeader> {
        match &self.body {
            Body::Sealed(header) | Body::Closed(header) => Some(header),
            Body::Open(open) => Some(&open.header),
            Body::Lost(_) => None,
        }
    }
}

/// Removes what a crash left half-made, and lists the rest.
fn segment_files(disk: &Disk, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for folder in disk.list(dir)? {
        let name = folder.file_name().and_then(|name| name.to_str());
        if name.and_then(|name| name.parse::<LogId>().ok()).is_none() {
            continue;
        }
        for path in disk.list(&folder)? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("tmp") => disk.remove(&path)?,
                Some("seg") => files.push(path),
                _ => {}
            }
        }
    }
    Ok(files)
}

/// Which log and segment a file is by its folder and name.
pub(crate) fn identify(dir: &Path, path: &Path) -> Option<(StreamId, u64)> {
    let folder = path.strip_prefix(dir).ok()?.parent()?.to_str()?;
    let (partition, number) = segment::parse_name(path)?;
    Some(((folder.parse().ok()?, partition), number))
}

/// Every log's segments in order, with their headers read, and the last one of each read whole.
pub(crate) fn find(
    disk: &Disk,
    dir: &Path,
    keyring: &Keyring,
) -> Result<BTreeMap<StreamId, Vec<Found>>, StoreError> {
    let mut paths = BTreeMap::<StreamId, Vec<(u64, PathBuf)>>::new();
    for path in segment_files(disk, dir)? {
        if let Some((id, number)) = identify(dir, &path) {
            paths.entry(id).or_default().push((number, path));
        }
    }
    let mut all = BTreeMap::new();
    for (id, mut paths) in paths {
        paths.sort_unstable();
        let last = paths.last().map_or(0, |(number, _)| *number);
        let mut found = Vec::new();
        for (number, path) in paths {
            let body = read_segment(disk, &path, (id, number, number == last), keyring.masters())?;
            found.push(Found { path, number, body });
        }
        all.insert(id, found);
    }
    Ok(all)
}

fn read_segment(
    disk: &Disk,
    path: &Path,
    (id, number, last): (StreamId, u64, bool),
    masters: &Masters,
) -> Result<Body, StoreError> {
    let header = match read_head(&disk.open(path)?, masters) {
        Ok((header, _, _)) => header,
        Err(error @ StoreError::Damaged { .. }) => return Ok(Body::Lost(error)),
        Err(error) => return Err(error),
    };
    if (header.log, header.partition, header.number) != (id.0, id.1, number) {
        return Ok(Body::Lost(StoreError::damaged(path, "it belongs elsewhere")));
    }
    Ok(match (header.sealed, last) {
        (true, _) => Body::Sealed(header),
        (false, false) => Body::Closed(header),
        (false, true) => Body::Open(Box::new(OpenBody::read(disk, path, masters)?)),
    })
}

pub(crate) fn synced_through(found: &Found) -> Option<CommitNo> {
    let headed = found.header().map(|header| header.synced_through);
    let Body::Open(open) = &found.body else { return headed };
    open.frames().map(|header| header.synced_through).chain(headed).max()
}

/// Whether a commit up to `through` is in no log, though it was durable: asked where a log ends in damage
/// that does not even say which commit it was.
pub(crate) fn is_missing(
    disk: &Disk,
    found: &BTreeMap<StreamId, Vec<Found>>,
    id: StreamId,
    through: CommitNo,
    (masters, dropped): (&Masters, &BTreeMap<StreamId, Dropped>),
) -> Result<bool, StoreError> {
    let Some(Body::Open(last)) = found.get(&id).and_then(|f| f.last()).map(|f| &f.body) else {
        return Ok(false);
    };
    let unreadable = |piece: &Piece| matches!(piece, Piece::Damage(d) if d.framed.is_none());
    if !last.pieces.last().is_some_and(unreadable) {
        return Ok(false);
    }
    let before = CommitNo(last.header.first_commit.0.saturating_sub(1));
    let after = last.frames().map(|header| header.last_commit).max().unwrap_or(before);
    let mut held = BTreeSet::new();
    for found in found.values().flatten() {
        // Numbers that a start left out on purpose.
        if let Some(header) = found.header() {
            let burnt = header.synced_through.next().0..header.first_commit.0;
            held.extend(burnt.map(CommitNo));
        }
        match &found.body {
            Body::Open(open) => held.extend(open.frames().map(|header| header.first_commit)),
            Body::Sealed(_) => held.extend(commits_of(disk, &found.path, after, masters)?),
            Body::Closed(_) => {
                let open = OpenBody::read(disk, &found.path, masters)?;
                held.extend(open.frames().map(|header| header.first_commit));
            }
            Body::Lost(_) => {}
        }
    }
    let span = through.0.saturating_sub(after.0);
    // Of commits that were dropped only the number is known. One across the border counts as none: rather an alarm
    // too many than an event too few.
    let gone = dropped.values().flat_map(Dropped::ranges);
    let gone = gone.filter(|gone| after < gone.commits.0 && gone.commits.1 <= through);
    let gone: u64 = gone.map(|gone| gone.commit_count).sum();
    let held = held.range(after.next()..).take_while(|commit| **commit <= through).count() as u64;
    Ok(held.saturating_add(gone) < span)
}

fn commits_of(
    disk: &Disk,
    path: &Path,
    after: CommitNo,
    masters: &Masters,
) -> Result<Vec<CommitNo>, StoreError> {
    let opened = Opened::sealed(disk, path, masters)?;
    let mut blocks = opened.find(<[BlockRef]>::to_vec);
    blocks.retain(|block| block.last_commit > after);
    let mut commits = Vec::new();
    for at in blocks {
        let (_, block) = opened.read_block(&at)?;
        commits.extend(block.parts.iter().map(|part| part.commit));
    }
    Ok(commits)
}
