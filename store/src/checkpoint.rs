//! Signed tree heads of this node's logs, and the files that keep them: `checkpoints/<log>.notes`, one
//! note after the other.

use crate::{
    disk::Disk,
    error::StoreError,
    keys::Keyring,
    note::{self, Checkpoint},
    shared::Shared,
    stream::StreamId,
};
use custos_event::{LogId, Partition};
use ed25519_dalek::VerifyingKey;
use std::path::{Path, PathBuf};

/// The folder's name below the data folder.
pub(crate) const FOLDER: &str = "checkpoints";
/// 4,096 notes of about 250 bytes: 1 MiB, read at each start; then every second one of the older half goes.
const NOTES_MAX: usize = 4_096;

pub(crate) fn path(dir: &Path, (log, partition): StreamId) -> PathBuf {
    let name = match partition.0 {
        0 => format!("{log}.notes"),
        part => format!("{log}.p{part}.notes"),
    };
    dir.join(FOLDER).join(name)
}

/// Which log a file of notes is of.
pub(crate) fn identify(path: &Path) -> Option<StreamId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".notes")?;
    let (log, partition) = name.split_once(".p").unwrap_or((name, "0"));
    Some((log.parse().ok()?, Partition(partition.parse().ok()?)))
}

/// The tree head of one log as it is durable now.
pub(crate) fn head(shared: &Shared, id: StreamId) -> Option<Checkpoint> {
    let frontier = shared.stream(id)?.durable().frontier.clone();
    let key = shared.keyring.signing();
    let origin = note::origin(&key.verifying_key(), id.0, id.1);
    Some(note::sign(key, &origin, frontier.size(), frontier.root()))
}

/// Signs and keeps a checkpoint of each log that grew since its last one.
pub(crate) fn save_all(shared: &Shared) -> Result<Vec<Checkpoint>, StoreError> {
    let mut heads = Vec::new();
    for stream in shared.all_streams() {
        let Some(head) = head(shared, stream.id) else { continue };
        let mut saved = stream.saved_size();
        if *saved != Some(head.size) {
            shared.disk().create_dir(&shared.dir.join(FOLDER))?;
            shared.disk().append(&path(&shared.dir, stream.id), head.note.as_bytes())?;
            *saved = Some(head.size);
        }
        drop(saved);
        heads.push(head);
    }
    Ok(heads)
}

/// The kept checkpoints of a log that the node's own key signed, in the order of their sizes; and false if
/// behind them there is the unfinished write of another.
pub(crate) fn load(
    disk: &Disk,
    dir: &Path,
    id: StreamId,
    keyring: &Keyring,
) -> Result<(Vec<Checkpoint>, bool), StoreError> {
    let path = path(dir, id);
    let Some(bytes) = disk.read(&path)? else { return Ok((Vec::new(), true)) };
    let key = keyring.signing().verifying_key();
    let origin = note::origin(&key, id.0, id.1);
    let keys = note::Keys::new(origin.clone(), key);
    let notes = note::parse_kept(&String::from_utf8_lossy(&bytes), &origin, &keys);
    let (mut notes, unfinished) = notes.map_err(|e| StoreError::damaged(&path, e.to_string()))?;
    notes.sort_by_key(|note| note.size);
    Ok((notes, !unfinished))
}

/// Rewrites a file of notes that has become too long, or whose last one is not whole.
pub(crate) fn tidy(
    disk: &Disk,
    dir: &Path,
    id: StreamId,
    notes: &[Checkpoint],
) -> Result<(), StoreError> {
    let path = path(dir, id);
    let stored = disk.read(&path)?.map_or(0, |bytes| bytes.len());
    let whole: usize = notes.iter().map(|note| note.note.len()).sum();
    if notes.len() <= NOTES_MAX && stored == whole {
        return Ok(());
    }
    let older = if notes.len() > NOTES_MAX { NOTES_MAX / 2 } else { 0 };
    let kept = notes.iter().enumerate().filter(|(at, _)| *at >= older || at % 2 == 1);
    let text: String = kept.map(|(_, note)| note.note.as_str()).collect();
    disk.replace(&path, text.as_bytes())
}

/// The public key in text, a line for each log.
pub(crate) fn public_keys(key: &VerifyingKey, logs: impl Iterator<Item = StreamId>) -> String {
    let mut ids: Vec<_> = logs.collect();
    ids.extend([LogId::TELEMETRY, LogId::JOURNAL].map(|log| (log, Partition(0))));
    ids.sort_unstable();
    ids.dedup();
    let line = |(log, partition)| note::public_key(&note::origin(key, log, partition), key) + "\n";
    ids.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: StreamId = (LogId::TELEMETRY, Partition(0));

    /// A folder with notes of the sizes 1 to `count`, and `behind` them.
    fn folder(count: usize, behind: &str) -> (tempfile::TempDir, Keyring) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let ring = Keyring::load(&disk, dir.path(), None, true).unwrap();
        let origin = note::origin(&ring.signing().verifying_key(), ID.0, ID.1);
        let note = |size| note::sign(ring.signing(), &origin, size, [7; 32]).note;
        let text: String = (1..=count as u64).map(note).collect();
        std::fs::create_dir(dir.path().join(FOLDER)).unwrap();
        std::fs::write(path(dir.path(), ID), text + behind).unwrap();
        (dir, ring)
    }

    fn sizes(dir: &Path, ring: &Keyring) -> Vec<u64> {
        let (notes, whole) = load(&Disk::default(), dir, ID, ring).unwrap();
        tidy(&Disk::default(), dir, ID, &notes).unwrap();
        let (after, still) = load(&Disk::default(), dir, ID, ring).unwrap();
        assert!(still, "an unfinished note is gone; whole before: {whole}");
        after.into_iter().map(|note| note.size).collect()
    }

    #[test]
    fn a_file_of_notes_stays_until_it_is_too_long_and_then_thins_out_its_older_half() {
        let max = NOTES_MAX as u64;
        let (dir, ring) = folder(NOTES_MAX, "");
        assert!(sizes(dir.path(), &ring).into_iter().eq(1..=max));
        let (dir, ring) = folder(NOTES_MAX + 1, "");
        let older = (1..=max / 2).filter(|size| size % 2 == 0);
        assert!(sizes(dir.path(), &ring).into_iter().eq(older.chain(max / 2 + 1..=max + 1)));
    }

    #[test]
    fn a_note_that_was_never_finished_is_cut_off() {
        let (dir, ring) = folder(3, "custos-");
        assert_eq!(sizes(dir.path(), &ring), [1, 2, 3]);
    }

    #[test]
    fn a_file_of_notes_names_its_log() {
        for id in [ID, (LogId::JOURNAL, Partition(0)), (LogId(7), Partition(3))] {
            assert_eq!(identify(&path(Path::new("d"), id)), Some(id));
        }
        for name in ["telemetry", "telemetry.seg", "x.notes", "telemetry.px.notes"] {
            assert_eq!(identify(Path::new(name)), None, "{name}");
        }
    }
}
