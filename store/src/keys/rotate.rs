//! A new master key. The keyring is written anew under it, with the old one wrapped in it for the segments
//! of before, none of which is touched.
//!
//! A key in a file: the new one lies beside the old (`.next`) before the keyring is under it, and takes its
//! place after. Whatever a crash leaves, the key that the keyring names is there, and the next start puts
//! it in its place. A key that a command gives is the key store's to change: before, under a command
//! of its own, so that the old one still answers should the rotation not come about.

use super::{
    KeySource, beside,
    ring::{MASTER, Ring, Rotated, SIGNING},
    source,
};
use crate::{
    crypt::{self, MasterId, MasterKey, hex},
    disk::{Disk, Lock},
    error::StoreError,
};
use std::path::Path;

/// Puts the keyring of `dir` under a new master key: the one of `to`, or without it a fresh one in the file
/// of `from`. Nothing may have the folder open. The ids of both; tell the journal.
pub fn rotate(
    dir: &Path,
    from: Option<&KeySource>,
    to: Option<&KeySource>,
) -> Result<Rotated, StoreError> {
    let disk = &Disk::default();
    let _lock = Lock::take(disk, dir)?;
    let from = from.cloned().unwrap_or_else(|| beside(dir));
    let path = dir.join("keys/keyring");
    let (ring, old) = read(disk, &path, &from)?;
    settle(disk, &from, old.id)?;
    let new = match to {
        Some(to) => to.load(disk, true)?,
        None => lay_beside(disk, &from)?,
    };
    let rotated = rewrite(disk, &path, &ring, (&old, &new))?;
    settle(disk, &from, new.id)?;
    Ok(rotated)
}

fn read(disk: &Disk, path: &Path, source: &KeySource) -> Result<(Ring, MasterKey), StoreError> {
    let bytes = disk.read(path)?.ok_or_else(|| StoreError::KeyMissing {
        path: path.into(),
        reason: "there is no such file".into(),
    })?;
    Ring::read(disk, &bytes, path, source)
}

/// Step 1: the new key is durable, and counts for nothing yet.
fn lay_beside(disk: &Disk, from: &KeySource) -> Result<MasterKey, StoreError> {
    let next = from.next().ok_or_else(|| StoreError::KeyMissing {
        path: from.name(),
        reason:
            "a command gives it, so its key store makes the new one; name the command or the file \
            that gives the new one"
                .into(),
    })?;
    let key = crypt::random()?;
    source::write(disk, &next, &key)?;
    Ok(MasterKey::new(key))
}

/// Step 2, one replacement of one file: from here on the new key counts.
fn rewrite(
    disk: &Disk,
    path: &Path,
    ring: &Ring,
    (old, new): (&MasterKey, &MasterKey),
) -> Result<Rotated, StoreError> {
    if old.id == new.id {
        let reason = "the new master key is the old one".to_owned();
        return Err(StoreError::KeyMissing { path: path.into(), reason });
    }
    let rotated = Rotated { from: hex(&old.id), to: hex(&new.id) };
    let mut next = Ring::empty(new);
    for key in &ring.keys {
        next.add(&key.kind, &key.name, &key.open(old, path)?, new, path)?;
    }
    next.remove(MASTER, |name| name == rotated.to);
    next.add(MASTER, &rotated.from, old.bytes(), new, path)?;
    debug_assert!(next.of_kind(SIGNING).next().is_some());
    next.rotated = Some(rotated.clone());
    next.write(disk, path, new)?;
    Ok(rotated)
}

/// Step 3: the key that the keyring names takes its place; one that came to nothing is removed.
pub(super) fn settle(disk: &Disk, source: &KeySource, id: MasterId) -> Result<(), StoreError> {
    let (KeySource::File(path), Some(next)) = (source, source.next()) else { return Ok(()) };
    if disk.read(&next)?.is_none() {
        return Ok(());
    }
    let counts = source::of_file(disk, &next, false).is_ok_and(|key| key.id == id);
    if counts { disk.rename(&next, path) } else { disk.remove(&next) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keyring;

    fn folder() -> (tempfile::TempDir, KeySource) {
        let dir = tempfile::tempdir().unwrap();
        Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let source = beside(dir.path());
        (dir, source)
    }

    fn keys(ring: &Keyring) -> (Vec<u8>, [u8; 32]) {
        (ring.signing().to_bytes().to_vec(), *ring.token_key("pan").unwrap().reveal())
    }

    #[test]
    fn a_rotation_broken_off_after_any_step_leaves_a_keyring_that_opens_and_ends_at_the_next_start()
    {
        for steps in 0..=3 {
            let (dir, from) = folder();
            let path = dir.path().join("keys/keyring");
            let before = keys(&Keyring::load(&Disk::default(), dir.path(), None, false).unwrap());
            let (ring, old) = read(&Disk::default(), &path, &from).unwrap();
            let mut expected = old.id;
            if steps >= 1 {
                let new = lay_beside(&Disk::default(), &from).unwrap();
                if steps >= 2 {
                    rewrite(&Disk::default(), &path, &ring, (&old, &new)).unwrap();
                    expected = new.id;
                }
                if steps >= 3 {
                    settle(&Disk::default(), &from, new.id).unwrap();
                }
            }
            // A reader beside, which may write nothing, and then a start.
            for _ in 0..2 {
                let ring = Keyring::load(&Disk::default(), dir.path(), None, false).unwrap();
                assert_eq!(keys(&ring), before, "after step {steps}");
                assert_eq!(ring.masters().current().id, expected);
                assert!(ring.masters().get(old.id).is_some(), "older segments open");
                ring.settle(None).unwrap();
            }
            assert!(!from.next().unwrap().exists(), "after step {steps}");
            assert_eq!(from.load(&Disk::default(), false).unwrap().id, expected);
        }
    }

    #[test]
    fn every_master_key_of_before_still_opens_its_segments() {
        let (dir, from) = folder();
        let mut ids = vec![from.load(&Disk::default(), false).unwrap().id];
        for _ in 0..3 {
            let rotated = rotate(dir.path(), None, None).unwrap();
            assert_eq!(rotated.from, hex(ids.last().unwrap()));
            ids.push(from.load(&Disk::default(), false).unwrap().id);
        }
        let ring = Keyring::load(&Disk::default(), dir.path(), None, false).unwrap();
        assert!(ids.iter().all(|id| ring.masters().get(*id).is_some()));
        assert_eq!(ring.untold_rotation().unwrap().to, hex(ids.last().unwrap()));
        ring.rotation_told().unwrap();
        assert_eq!(
            Keyring::load(&Disk::default(), dir.path(), None, false).unwrap().untold_rotation(),
            None
        );
    }

    #[test]
    fn a_key_of_a_command_is_followed_by_the_one_of_another() {
        let (dir, _) = folder();
        let command = |digit: &str| KeySource::Command(vec!["echo".into(), digit.repeat(64)]);
        let (one, two) = (command("1"), command("2"));
        rotate(dir.path(), None, Some(&one)).unwrap();
        let error = rotate(dir.path(), Some(&one), None).unwrap_err().to_string();
        assert!(error.contains("name the command"), "{error}");
        assert!(rotate(dir.path(), Some(&one), Some(&one)).is_err(), "that is no new key");
        rotate(dir.path(), Some(&one), Some(&two)).unwrap();
        assert!(Keyring::load(&Disk::default(), dir.path(), Some(&one), false).is_err());
        assert!(Keyring::load(&Disk::default(), dir.path(), Some(&two), false).is_ok());
    }
}
