//! The keyring: every key but those of segments, each wrapped under the master key. The one mutable
//! truth, for destroying a key is the point of some.
//!
//! `source`: where the master key comes from. `ring`: the file. `subjects`, `sealed`, `people`: keys of
//! people and what is sealed under them. `rotate` and `backup`: what is done while nobody writes. `expiry`: how long a
//! copy is worth something.

mod backup;
mod expiry;
mod people;
mod ring;
mod rotate;
mod sealed;
mod source;
mod subjects;

pub use backup::{BackupError, BackupKey, Restored, restore};
pub use expiry::KeyDays;
pub use people::Erased;
pub use ring::Rotated;
pub use rotate::rotate;
pub use source::KeySource;

use crate::{
    crypt::{self, KeyBytes, MasterId, MasterKey, hex},
    disk::Disk,
    error::StoreError,
};
use custos_event::Private;
use ed25519_dalek::SigningKey;
use people::People;
use ring::{MASTER, Ring, SECRET, SIGNING, TOKEN};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The master keys that may have wrapped a segment's key: the present one and those before it.
#[derive(Clone)]
pub(crate) struct Masters {
    current: MasterKey,
    retired: Vec<MasterKey>,
}

impl Masters {
    pub(crate) fn current(&self) -> &MasterKey {
        &self.current
    }

    pub(crate) fn get(&self, id: MasterId) -> Option<&MasterKey> {
        std::iter::once(&self.current).chain(&self.retired).find(|master| master.id == id)
    }

    #[cfg(test)]
    pub(crate) fn of(current: MasterKey) -> Self {
        Self { current, retired: Vec::new() }
    }
}

/// The keys of one data folder. What it returns is on the disk before.
pub struct Keyring {
    disk: Disk,
    path: PathBuf,
    masters: Masters,
    signing: SigningKey,
    ring: Mutex<Ring>,
    /// Locked before `ring` where both are.
    people: Mutex<Option<People>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Reads `DIR/keys/keyring` under the master key of `source`, by default `DIR/keys/master.key`. Makes
    /// both if they are absent and `create` is set. Changes nothing that is there.
    pub(crate) fn load(
        disk: &Disk,
        dir: &Path,
        source: Option<&KeySource>,
        create: bool,
    ) -> Result<Self, StoreError> {
        let folder = dir.join("keys");
        let source = source.cloned().unwrap_or_else(|| beside(dir));
        let path = folder.join("keyring");
        let (ring, master) = match disk.read(&path)? {
            Some(bytes) => Ring::read(&bytes, &path, |id| source.find(disk, id))?,
            None if create => {
                let master = source.load(disk, true)?;
                disk.create_dir(&folder)?;
                (Ring::first(disk, &path, &master)?, master)
            }
            None => {
                let reason = "there is no such file".into();
                return Err(StoreError::KeyMissing { path, reason });
            }
        };
        let people = People::load(disk, &folder, &ring, &master)?;
        Self::open(disk, path, (ring, people), master)
    }

    /// A keyring that lies elsewhere than in a data folder, to be read from, people's keys left out; `path` is what errors call it.
    pub(crate) fn parse(path: &Path, bytes: &[u8], master: MasterKey) -> Result<Self, StoreError> {
        let (ring, master) = Ring::read(bytes, path, |id| {
            let reason = || format!("it is for master key {}, not {}", hex(&id), hex(&master.id));
            if master.id == id { Ok(master) } else { Err(missing(path, reason())) }
        })?;
        Self::open(&Disk::default(), path.into(), (ring, None), master)
    }

    fn open(
        disk: &Disk,
        path: PathBuf,
        (ring, people): (Ring, Option<People>),
        master: MasterKey,
    ) -> Result<Self, StoreError> {
        let mut retired = Vec::new();
        for wrapped in ring.of_kind(MASTER) {
            retired.push(MasterKey::new(wrapped.open(&master, &path)?));
        }
        let signing = ring.of_kind(SIGNING).next();
        let signing = signing.ok_or_else(|| StoreError::damaged(&path, "it has no signing key"))?;
        let signing = SigningKey::from_bytes(&signing.open(&master, &path)?);
        let masters = Masters { current: master, retired };
        let (ring, people) = (Mutex::new(ring), Mutex::new(people));
        Ok(Self { disk: disk.clone(), path, masters, signing, ring, people })
    }

    /// Ends what a crash broke off; for who holds the folder's lock.
    pub(crate) fn settle(&self, source: Option<&KeySource>) -> Result<(), StoreError> {
        let source = source.cloned().unwrap_or_else(|| beside(self.folder()));
        rotate::settle(&self.disk, &source, self.masters.current.id)?;
        self.forget_generations()
    }

    /// The data folder.
    fn folder(&self) -> &Path {
        self.path.parent().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    pub(crate) fn masters(&self) -> &Masters {
        &self.masters
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key for tokens of this name (`card`): made at first use, the same ever after.
    pub fn token_key(&self, name: &str) -> Result<Private<[u8; 32]>, StoreError> {
        self.get_or_make(TOKEN, name)
    }

    /// Ids of the master key and of those before it that older segments are under.
    pub fn master_ids(&self) -> (String, Vec<String>) {
        let retired = self.masters.retired.iter().map(|master| hex(&master.id));
        (hex(&self.masters.current.id), retired.collect())
    }

    /// What the ring holds, by kind and name; no key.
    pub fn names(&self) -> Vec<(String, String)> {
        let ring = self.lock();
        ring.keys.iter().map(|key| (key.kind.clone(), key.name.clone())).collect()
    }

    /// A change of the master key that the journal may not tell of yet.
    pub fn untold_rotation(&self) -> Option<Rotated> {
        self.lock().rotated.clone()
    }

    /// The journal tells of it.
    pub fn rotation_told(&self) -> Result<(), StoreError> {
        self.change(|ring| ring.rotated = None)
    }

    /// Encrypts a secret that goes into a fact. It opens only under the same `kind` and `owner`.
    pub fn seal(&self, kind: &str, owner: &str, secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        let key = self.get_or_make(SECRET, kind)?;
        let sealed = crypt::seal_secret(key.reveal(), owner.as_bytes(), secret, crypt::random()?);
        sealed.map_err(|_| StoreError::damaged(&self.path, "a secret does not encrypt"))
    }

    /// What was sealed; `None` for bytes that were not, or for another owner.
    pub fn unseal(
        &self,
        kind: &str,
        owner: &str,
        sealed: &[u8],
    ) -> Result<Option<Private<Vec<u8>>>, StoreError> {
        let key = self.get_or_make(SECRET, kind)?;
        Ok(crypt::open_secret(key.reveal(), owner.as_bytes(), sealed).ok().map(Private::new))
    }

    fn get_or_make(&self, kind: &str, name: &str) -> Result<Private<KeyBytes>, StoreError> {
        let mut ring = self.lock();
        if let Some(key) = ring.get(kind, name) {
            return Ok(Private::new(key.open(&self.masters.current, &self.path)?));
        }
        let bytes = crypt::random()?;
        let mut next = ring.clone();
        next.add(kind, name, &bytes, &self.masters.current, &self.path)?;
        next.write(&self.disk, &self.path, &self.masters.current)?;
        *ring = next;
        Ok(Private::new(bytes))
    }

    /// Changes the ring, on the disk before in memory.
    fn change(&self, change: impl FnOnce(&mut Ring)) -> Result<(), StoreError> {
        let mut ring = self.lock();
        let mut next = ring.clone();
        change(&mut next);
        next.write(&self.disk, &self.path, &self.masters.current)?;
        *ring = next;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(path: &Path, reason: String) -> StoreError {
    StoreError::KeyMissing { path: path.into(), reason }
}

fn beside(dir: &Path) -> KeySource {
    KeySource::File(dir.join("keys/master.key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_once_given_is_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let card = ring.token_key("card").unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, false).unwrap();
        assert_eq!(ring.token_key("card").unwrap(), card);
        assert_ne!(ring.token_key("iban").unwrap(), card);
    }

    /// By kind and name: `custos key` lists them.
    #[test]
    fn a_keyring_tells_of_each_key_that_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let mut names = ring.names();
        assert!(names.iter().all(|(kind, _)| kind != TOKEN), "{names:?}");
        for name in ["card", "iban"] {
            ring.token_key(name).unwrap();
            names.push((TOKEN.into(), name.into()));
        }
        assert_eq!(ring.names(), names);
    }

    #[test]
    fn a_keyring_shows_where_it_lies_and_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let path = dir.path().join("keys/keyring");
        assert_eq!(format!("{ring:?}"), format!("Keyring {{ path: {path:?}, .. }}"));
    }

    #[test]
    fn a_sealed_secret_opens_after_a_restart_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let sealed = ring.seal("password", "lin", b"hash").unwrap();
        assert_ne!(ring.seal("password", "lin", b"hash").unwrap(), sealed, "a salt of its own");
        let ring = Keyring::load(&Disk::default(), dir.path(), None, false).unwrap();
        let open = |kind, owner, bytes: &[u8]| ring.unseal(kind, owner, bytes).unwrap();
        assert_eq!(open("password", "lin", &sealed).unwrap().reveal(), b"hash");
        assert_eq!(open("password", "wei", &sealed), None);
        assert_eq!(open("totp", "lin", &sealed), None);
        assert_eq!(open("password", "lin", &sealed[..20]), None);
        assert_eq!(open("password", "lin", b"short"), None);
    }

    #[test]
    fn a_changed_keyring_or_a_foreign_master_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let path = dir.path().join("keys/keyring");
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, good.replacen("ed25519", "ed25518", 1)).unwrap();
        let error =
            Keyring::load(&Disk::default(), dir.path(), None, false).unwrap_err().to_string();
        assert!(error.contains("changed outside"), "{error}");
        std::fs::write(&path, good.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
        assert!(matches!(
            Keyring::load(&Disk::default(), dir.path(), None, false),
            Err(StoreError::Newer { .. })
        ));
        std::fs::write(&path, good).unwrap();
        std::fs::write(dir.path().join("keys/master.key"), "ab".repeat(32)).unwrap();
        assert!(matches!(
            Keyring::load(&Disk::default(), dir.path(), None, false),
            Err(StoreError::KeyMissing { .. })
        ));
    }
}
