//! Cuts a segment at a point in time: what came later is left out, what came before is the very same records.

use crate::{
    block::Part, crypt, error::StoreError, inspect::inspect, keys::Masters, seal::seal_bytes,
};
use custos_event::{CommitNo, Timestamp};
use std::path::Path;

/// Up to where, that included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Commit(CommitNo),
    /// When a commit was appended.
    Time(Timestamp),
}

impl std::fmt::Display for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Commit(commit) => write!(f, "commit {commit}"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl Until {
    pub(super) fn keeps(self, commit: CommitNo, at: Timestamp) -> bool {
        match self {
            Self::Commit(last) => commit <= last,
            Self::Time(last) => at <= last,
        }
    }

    fn keeps_part(self, part: &Part) -> bool {
        self.keeps(part.commit, part.at)
    }
}

/// The segment without what came after `until`; `None` where nothing is left. A sealed segment is sealed anew,
/// under a new key.
pub(super) fn cut(
    bytes: &[u8],
    masters: &Masters,
    until: Until,
    path: &Path,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (mut dictionary, mut frames, mut end, mut whole) = (Vec::new(), Vec::new(), 0, true);
    let inspected = inspect(bytes, masters, &mut dictionary, &mut |frame| {
        let kept = frame.block.parts.iter().take_while(|part| until.keeps_part(part)).count();
        whole &= kept == frame.block.parts.len();
        let Some(last) = frame.block.parts.get(..kept).and_then(<[Part]>::last).copied() else {
            return;
        };
        end = frame.end;
        let (mut header, mut block) = (frame.header.clone(), frame.block.clone());
        block.parts.truncate(kept);
        (header.last_commit, header.last_at) = (last.commit, last.at);
        header.synced_through = header.synced_through.min(last.commit);
        // Ranges of a source that were joined over the cut begin again before it: what comes twice is better
        // than what is lost.
        header.rows.sources.retain(|(_, commit)| *commit <= last.commit);
        header.rows.producers.retain(|(_, commit)| *commit <= last.commit);
        frames.push((header, block));
    });
    let inspected = inspected.map_err(|e| StoreError::damaged(path, e.to_string()))?;
    if whole {
        return Ok(Some(bytes.to_vec()));
    }
    if frames.is_empty() {
        return Ok(None);
    }
    if !inspected.header.sealed {
        return Ok(bytes.get(..end).map(<[u8]>::to_vec));
    }
    let keys = (crypt::random()?, crypt::random()?);
    seal_bytes(&inspected.header, masters, keys, &dictionary, &frames).map(Some)
}
