//! The store as it stands after one durable commit: which bytes of which files, while the writer goes on.

use super::manifest::LogState;
use crate::{
    crypt::hex,
    disk::Disk,
    error::StoreError,
    note,
    opened::{BlockRef, Opened},
    scan, segment,
    shared::Shared,
    stream::{Segment, Stream, StreamId},
    tree::{self, Frontier},
};
use custos_event::{CommitNo, Seq, Timestamp};
use std::{path::PathBuf, sync::Arc};

/// A segment sealed between two readings of the state is so rare that a third trial would be a fault.
const TRIALS_MAX: usize = 10;

pub(super) struct Snapshot {
    pub(super) commit: CommitNo,
    pub(super) commit_at: Timestamp,
    pub(super) logs: Vec<LogState>,
    pub(super) segments: Vec<Cut>,
}

/// A segment file up to the snapshot's commit.
pub(super) struct Cut {
    /// Below the data folder.
    pub(super) path: String,
    source: Source,
    pub(super) bytes: u64,
    pub(super) sealed: bool,
    /// Bytes of it are in quarantine: it is kept as it is and cannot be proven.
    pub(super) damaged: bool,
    pub(super) first: Seq,
    pub(super) next: Seq,
    pub(super) first_commit: CommitNo,
    pub(super) last_commit: CommitNo,
    pub(super) last_at: Timestamp,
    /// The tree after it.
    frontier: Option<Frontier>,
}

enum Source {
    /// Held open, for its name is given to another file when it is sealed.
    Live(Arc<Opened>),
    Sealed(Disk, PathBuf),
}

impl Cut {
    /// Its bytes up to the cut.
    pub(super) fn read(&self) -> Result<Vec<u8>, StoreError> {
        let len = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        match &self.source {
            Source::Live(opened) => opened.file.read_at(0, len),
            Source::Sealed(disk, path) => disk.open(path)?.read_at(0, len),
        }
    }

    pub(super) fn root(&self) -> Option<String> {
        self.frontier.as_ref().filter(|_| !self.damaged).map(|frontier| hex(&frontier.root()))
    }
}

impl Snapshot {
    pub(super) fn take(shared: &Shared) -> Result<Self, StoreError> {
        for _ in 0..TRIALS_MAX {
            if let Some(snapshot) = Self::at(shared, shared.ring.last())? {
                return Ok(snapshot);
            }
        }
        Err(StoreError::Refused("the store changes too fast to be backed up; try again".into()))
    }

    /// `None` where a sealed segment already holds later commits.
    fn at(shared: &Shared, commit: CommitNo) -> Result<Option<Self>, StoreError> {
        let mut snapshot = Self {
            commit,
            commit_at: Timestamp::default(),
            logs: Vec::new(),
            segments: Vec::new(),
        };
        for stream in shared.all_streams() {
            // Before the blocks are listed: they are told of first.
            let durable = stream.durable().frontier.clone();
            let (mut cuts, mut clipped) = (Vec::new(), false);
            for segment in stream.segments_from(|_| false) {
                let cut = match &segment.live {
                    Some(opened) => {
                        let cut = live(&stream, &segment, opened, commit)?;
                        let last = opened.find(|blocks| blocks.last().map(|b| b.last_commit));
                        clipped |= last.is_some_and(|last| last > commit);
                        cut
                    }
                    None => match sealed(shared, &stream, &segment)? {
                        cut if cut.last_commit > commit => return Ok(None),
                        cut => Some(cut),
                    },
                };
                cuts.extend(cut);
            }
            let frontier = head(&cuts, clipped, durable);
            if frontier.size() == 0 && cuts.is_empty() {
                continue;
            }
            snapshot.logs.push(log_state(shared, stream.id, &cuts, &frontier));
            let last_at = cuts.iter().map(|cut| cut.last_at).max();
            snapshot.commit_at = snapshot.commit_at.max(last_at.unwrap_or_default());
            snapshot.segments.extend(cuts);
        }
        Ok(Some(snapshot))
    }
}

/// The tree after the cut. Records lost at a log's end have their places in the durable tree alone.
fn head(cuts: &[Cut], clipped: bool, durable: Frontier) -> Frontier {
    let last = cuts.last().and_then(|cut| cut.frontier.clone());
    match last {
        Some(last) if clipped || last.size() > durable.size() => last,
        None if clipped => Frontier::default(),
        _ => durable,
    }
}

fn log_state(shared: &Shared, id: StreamId, cuts: &[Cut], frontier: &Frontier) -> LogState {
    let key = shared.keyring.signing();
    let origin = note::origin(&key.verifying_key(), id.0, id.1);
    let signed = note::sign(key, &origin, frontier.size(), frontier.root());
    LogState {
        log: id.0,
        partition: id.1.0,
        first: cuts.first().map_or(Seq(0), |cut| cut.first),
        size: frontier.size(),
        root: hex(&frontier.root()),
        note: signed.note,
    }
}

fn name(stream: &Stream, segment: &Segment) -> String {
    format!("{}/{}", stream.id.0, segment::file_name(stream.id.1, segment.number))
}

fn sealed(shared: &Shared, stream: &Stream, segment: &Segment) -> Result<Cut, StoreError> {
    let opened = Opened::sealed(shared.disk(), &segment.path, shared.keyring.masters())?;
    let footer = opened.footer().ok();
    let blocks = opened.find(<[BlockRef]>::to_vec);
    let last = blocks.last();
    Ok(Cut {
        path: name(stream, segment),
        bytes: opened.file.len()?,
        source: Source::Sealed(shared.disk().clone(), segment.path.clone()),
        sealed: true,
        damaged: footer.is_none(),
        first: segment.first_seq,
        next: last.map_or(segment.first_seq, BlockRef::next_seq),
        first_commit: segment.first_commit,
        last_commit: last.map_or(segment.first_commit, |block| block.last_commit),
        last_at: footer.as_ref().map_or(opened.header.created_at, |(footer, _)| footer.last_at),
        frontier: footer.map(|(footer, _)| footer.frontier),
    })
}

/// `None` where nothing of it is as old as the commit.
fn live(
    stream: &Stream,
    segment: &Segment,
    opened: &Arc<Opened>,
    commit: CommitNo,
) -> Result<Option<Cut>, StoreError> {
    let blocks = opened.find(<[BlockRef]>::to_vec);
    let kept = blocks.partition_point(|block| block.last_commit <= commit);
    let last = kept.checked_sub(1).and_then(|last| blocks.get(last));
    if last.is_none() && !opened.damaged {
        return Ok(None);
    }
    let mut cut = Cut {
        path: name(stream, segment),
        source: Source::Live(Arc::clone(opened)),
        bytes: last.map_or(opened.header_bytes, |last| last.at + u64::from(last.len)),
        sealed: false,
        damaged: opened.damaged,
        first: segment.first_seq,
        next: last.map_or(segment.first_seq, BlockRef::next_seq),
        first_commit: segment.first_commit,
        last_commit: last.map_or(segment.first_commit, |last| last.last_commit),
        last_at: opened.header.created_at,
        frontier: opened.header.frontier(),
    };
    if opened.damaged {
        // Nothing is appended to it any more; what stands behind the damage belongs to the evidence.
        cut.bytes = used_bytes(opened)?;
    }
    if let Some(last) = last {
        let (header, block) = opened.read_block(last)?;
        let mut frontier = header.frontier().unwrap_or_default();
        block.iter().for_each(|(_, record)| frontier.push(tree::leaf(&record), &mut Vec::new()));
        (cut.frontier, cut.last_at) = (Some(frontier), header.last_at);
    }
    Ok(Some(cut))
}

fn used_bytes(opened: &Opened) -> Result<u64, StoreError> {
    let bytes = opened.file.read_from(0)?;
    Ok(scan::used(&bytes) as u64)
}
