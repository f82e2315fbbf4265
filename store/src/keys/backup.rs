//! Copies of the keyring that expire. Erasure is only as good as its oldest copy of a key: none is taken for
//! more than thirty days, and an expired one is refused. The times are part of what is authenticated.

use super::{
    KeyDays, KeySource, Keyring, beside,
    people::{People, file},
    ring::{MASTER, Ring, SUBJECTS},
    source,
    subjects::{Name, Subjects, ValueHash},
};
use crate::{
    crypt::{self, KeyBytes, MasterKey, hex, unhex},
    disk::{Disk, Lock},
    error::StoreError,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use custos_event::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const VERSION: u64 = 1;

/// What a copy is under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupKey {
    /// The folder's own master key.
    Master,
    /// A file of 64 hex digits, kept apart from the copy and from the master key.
    File(PathBuf),
}

/// Why there is no copy, or none was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("a copy of the keyring is kept 1 to {max} days, not {0}", max = KeyDays::MAX.get())]
    Days(u32),
    #[error("{} expired at {expired}; make newer copies in time, and destroy this one", path.display())]
    Expired { path: PathBuf, expired: Timestamp },
    #[error("{} is no copy of a keyring: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{} is under the key {found}, not under {given}; name the right one with --key-file",
        path.display())]
    OtherKey { path: PathBuf, found: String, given: String },
    #[error("{} is there already; a copy is not put in the place of a keyring", .0.display())]
    Present(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a restored copy held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub made: Timestamp,
    pub subjects: usize,
}

#[derive(Serialize, Deserialize)]
struct Copy {
    version: u64,
    made: Timestamp,
    expires: Timestamp,
    /// Id of the key that it is under.
    under: String,
    salt: String,
    sealed: String,
}

/// What is sealed: keys in hex.
#[derive(Serialize, Deserialize)]
struct Content {
    keys: Vec<(String, String, String)>,
    /// Absent before the first person: lookup key apart (it is in `keys`), people and values.
    people: Vec<(String, String)>,
    values: Vec<(String, String, String)>,
    generation: u64,
}

impl Copy {
    fn aad(&self) -> Vec<u8> {
        let (made, expires) = (self.made.0.to_le_bytes(), self.expires.0.to_le_bytes());
        [&made[..], &expires, self.under.as_bytes()].concat()
    }
}

impl Keyring {
    /// A copy of every key, under `key`, that is worth nothing after `days`.
    pub fn backup(
        &self,
        key: &BackupKey,
        now: Timestamp,
        days: u32,
    ) -> Result<Vec<u8>, BackupError> {
        let lasts = KeyDays::new(days).ok_or(BackupError::Days(days))?;
        let under = match key {
            BackupKey::Master => self.masters.current.clone(),
            BackupKey::File(path) => source::of_file(&self.disk, path, true)?,
        };
        self.persist_subjects()?;
        let salt: [u8; 16] = crypt::random()?;
        let mut copy = Copy {
            version: VERSION,
            made: now,
            expires: lasts.end(now),
            under: hex(&under.id),
            salt: hex(&salt),
            sealed: String::new(),
        };
        let content = json(&self.content()?, &self.path)?;
        let key = under.derive(b"custos keyring backup 1", &salt);
        let sealed = crypt::seal_secret(&key, &copy.aad(), &content, salt);
        let sealed = sealed.map_err(|_| StoreError::damaged(&self.path, "it does not encrypt"))?;
        copy.sealed = STANDARD.encode(sealed);
        let mut bytes = json(&copy, &self.path)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn content(&self) -> Result<Content, StoreError> {
        let people = self.people();
        let ring = self.lock();
        let mut keys = Vec::new();
        for key in ring.keys.iter().filter(|key| key.kind != SUBJECTS) {
            let bytes = key.open(&self.masters.current, &self.path)?;
            keys.push((key.kind.clone(), key.name.clone(), hex(&bytes)));
        }
        let current = &self.masters.current;
        keys.push((MASTER.into(), hex(&current.id), hex(current.bytes())));
        let mut content = Content { keys, people: Vec::new(), values: Vec::new(), generation: 0 };
        if let Some(People { subjects, .. }) = people.as_ref() {
            let people = subjects.people().map(|(name, key)| (hex(name), hex(key)));
            content.people = people.collect();
            let values = subjects.pairs();
            content.values = values.map(|(v, name, t)| (hex(&v), hex(&name), hex(&t))).collect();
            content.generation = subjects.generation();
        }
        Ok(content)
    }
}

fn json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|e| StoreError::damaged(path, e.to_string()))
}

/// Puts the keys of a copy into `dir`, which has no keyring, under the master key of `master` (made anew
/// where its file is absent). Nothing may have the folder open.
pub fn restore(
    dir: &Path,
    copy: &Path,
    key: &BackupKey,
    master: Option<&KeySource>,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    let disk = &Disk::default();
    let source = master.cloned().unwrap_or_else(|| beside(dir));
    let path = dir.join("keys/keyring");
    if disk.read(&path)?.is_some() {
        return Err(BackupError::Present(path));
    }
    let (made, content) = read(disk, copy, key, (&source, now))?;
    disk.create_dir(&dir.join("keys"))?;
    let _lock = Lock::take(disk, dir)?;
    let master = source.load(disk, true)?;
    let mut ring = Ring::empty(&master);
    for (kind, name, bytes) in &content.keys {
        let bytes: KeyBytes = unhex(bytes).ok_or_else(|| unreadable(copy, "a key is none"))?;
        if kind != MASTER || *name != hex(&master.id) {
            ring.add(kind, name, &bytes, &master, &path)?;
        }
    }
    if content.generation > 0 {
        let own = crypt::random()?;
        let mut subjects = Subjects::create(disk, &file(&path), own)?;
        subjects.fill(people(&content), pairs(&content));
        subjects.write_whole()?;
        ring.add(SUBJECTS, &subjects.generation().to_string(), &own, &master, &path)?;
    }
    ring.write(disk, &path, &master)?;
    Ok(Restored { made, subjects: content.people.len() })
}

fn unreadable(path: &Path, reason: impl Into<String>) -> BackupError {
    BackupError::Unreadable { path: path.into(), reason: reason.into() }
}

fn read(
    disk: &Disk,
    path: &Path,
    key: &BackupKey,
    (master, now): (&KeySource, Timestamp),
) -> Result<(Timestamp, Content), BackupError> {
    let bytes = disk.read(path)?.ok_or_else(|| unreadable(path, "there is no such file"))?;
    let copy: Copy = serde_json::from_slice(&bytes).map_err(|e| unreadable(path, e.to_string()))?;
    if copy.version > VERSION {
        let (found, reads) = (copy.version, VERSION);
        return Err(StoreError::Newer { path: path.into(), found, reads }.into());
    }
    if copy.version != VERSION {
        return Err(unreadable(path, format!("it is of version {}", copy.version)));
    }
    let under: MasterKey = match key {
        BackupKey::Master => master.load(disk, false)?,
        BackupKey::File(path) => source::of_file(disk, path, false)?,
    };
    if hex(&under.id) != copy.under {
        let (found, given) = (copy.under, hex(&under.id));
        return Err(BackupError::OtherKey { path: path.into(), found, given });
    }
    let forged = || unreadable(path, "it was changed after it was made");
    let salt: [u8; 16] = unhex(&copy.salt).ok_or_else(forged)?;
    let sealed = STANDARD.decode(&copy.sealed).map_err(|_| forged())?;
    let key = under.derive(b"custos keyring backup 1", &salt);
    let content = crypt::open_secret(&key, &copy.aad(), &sealed).map_err(|_| forged())?;
    let expired = copy.expires.min(KeyDays::MAX.end(copy.made));
    if now >= expired {
        return Err(BackupError::Expired { path: path.into(), expired });
    }
    let content = serde_json::from_slice(&content).map_err(|e| unreadable(path, e.to_string()))?;
    Ok((copy.made, content))
}

fn people(content: &Content) -> impl Iterator<Item = (Name, KeyBytes)> {
    content.people.iter().filter_map(|(name, key)| Some((unhex(name)?, unhex(key)?)))
}

fn pairs(content: &Content) -> impl Iterator<Item = (ValueHash, Name, [u8; 16])> {
    let of = |(value, name, token): &(String, String, String)| {
        Some((unhex(value)?, unhex(name)?, unhex(token)?))
    };
    content.values.iter().filter_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    #[test]
    fn a_copy_restores_every_key_until_it_expires_and_not_a_moment_longer() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let card = ring.token_key("card").unwrap();
        let anna = ring.seal_field("anna", "f", "anna@example.org").unwrap();
        let apart = BackupKey::File(dir.path().join("backup.key"));
        let path = dir.path().join("copy");
        std::fs::write(&path, ring.backup(&apart, NOW, 7).unwrap()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("anna"));
        let old = ring.masters().current().id;
        let expired = NOW.plus_secs(7 * DAY);
        let new = dir.path().join("new");
        let at = |now| restore(&new, &path, &apart, None, now);
        assert!(matches!(at(expired), Err(BackupError::Expired { .. })));
        let wrong = restore(&new, &path, &BackupKey::Master, Some(&beside(dir.path())), NOW);
        assert!(matches!(wrong, Err(BackupError::OtherKey { .. })), "{wrong:?}");
        assert_eq!(at(Timestamp(expired.0 - 1)).unwrap(), Restored { made: NOW, subjects: 1 });
        assert!(matches!(at(NOW), Err(BackupError::Present(_))));
        let again = Keyring::load(&Disk::default(), &new, None, false).unwrap();
        assert_eq!(again.token_key("card").unwrap(), card);
        assert_eq!(again.signing().to_bytes(), ring.signing().to_bytes());
        assert_eq!(again.open_field(&anna).unwrap().reveal(), "anna@example.org");
        assert_eq!(again.find_value("anna@example.org").len(), 1);
        assert_ne!(again.masters().current().id, old);
        assert!(again.masters().get(old).is_some(), "the segments of before open");
    }

    #[test]
    fn neither_its_times_nor_any_byte_of_a_copy_can_be_changed() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        for days in [0, 31, u32::MAX] {
            assert!(matches!(
                ring.backup(&BackupKey::Master, NOW, days),
                Err(BackupError::Days(_))
            ));
        }
        let good = String::from_utf8(ring.backup(&BackupKey::Master, NOW, 30).unwrap()).unwrap();
        let source = beside(dir.path());
        let path = dir.path().join("copy");
        let new = dir.path().join("new");
        let later = NOW.plus_secs(100 * DAY);
        let copy: serde_json::Value = serde_json::from_str(&good).unwrap();
        for (name, value) in [("expires", later), ("made", later)] {
            let mut forged = copy.clone();
            forged[name] = serde_json::to_value(value).unwrap();
            std::fs::write(&path, forged.to_string()).unwrap();
            let refused = restore(&new, &path, &BackupKey::Master, Some(&source), NOW).unwrap_err();
            assert!(refused.to_string().contains("changed after it was made"), "{refused}");
        }
        for at in (0..good.len()).step_by(7) {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let restored = restore(&new, &path, &BackupKey::Master, Some(&source), NOW);
            assert!(restored.is_err() || bytes[at].is_ascii_whitespace(), "byte {at}");
            assert!(!new.join("keys/keyring").exists());
        }
    }
}
