//! The keyring: every key but those of segments, each wrapped under the master key. The one mutable
//! truth, for destroying a key is the point of some.

use crate::{
    crypt::{self, KeyBytes, MasterId, MasterKey, WRAPPED_BYTES, hex, unhex},
    disk::Disk,
    error::StoreError,
};
use custos_event::Private;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub(crate) const VERSION: u64 = 1;
/// 100,000 subjects of about 220 bytes: 22 MB, rewritten in about 50 ms when one is added.
const KEYS_MAX: usize = 100_000;

const SIGNING: &str = "signing";
const MASTER: &str = "master";
const TOKEN: &str = "token";
const SUBJECT: &str = "subject";
const SECRET: &str = "secret";

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

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ring {
    version: u64,
    /// The master key that wraps the rest.
    master: String,
    keys: Vec<Wrapped>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wrapped {
    kind: String,
    name: String,
    key: String,
}

impl Wrapped {
    fn aad(kind: &str, name: &str) -> Vec<u8> {
        [kind.as_bytes(), &[0], name.as_bytes()].concat()
    }

    fn open(&self, master: &MasterKey, path: &Path) -> Result<KeyBytes, StoreError> {
        let wrapped: Option<[u8; WRAPPED_BYTES]> = unhex(&self.key);
        let opened = wrapped
            .and_then(|wrapped| master.unwrap(&wrapped, &Self::aad(&self.kind, &self.name)).ok());
        opened.ok_or_else(|| {
            StoreError::damaged(path, format!("key '{} {}' does not decrypt", self.kind, self.name))
        })
    }
}

/// The keys of one data folder. What it returns is on the disk before.
pub struct Keyring {
    disk: Disk,
    path: PathBuf,
    masters: Masters,
    signing: SigningKey,
    ring: Mutex<Ring>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Reads `DIR/keys/keyring` under the master key in `master`, by default `DIR/keys/master.key`. Makes
    /// both if they are absent and `create` is set.
    pub(crate) fn load(
        disk: &Disk,
        dir: &Path,
        master: Option<&Path>,
        create: bool,
    ) -> Result<Self, StoreError> {
        let folder = dir.join("keys");
        let beside = folder.join("master.key");
        let master = MasterKey::load(disk, master.unwrap_or(&beside), create)?;
        let path = folder.join("keyring");
        let ring = match disk.read(&path)? {
            Some(bytes) => parse(&bytes, &path, &master)?,
            None if create => {
                disk.create_dir(&folder)?;
                first(disk, &path, &master)?
            }
            None => {
                let reason = "there is no such file".into();
                return Err(StoreError::KeyMissing { path, reason });
            }
        };
        Self::open(disk, path, ring, master)
    }

    /// A keyring that lies elsewhere than in a data folder, to be read from; `path` is what errors call it.
    pub(crate) fn parse(path: &Path, bytes: &[u8], master: MasterKey) -> Result<Self, StoreError> {
        let ring = parse(bytes, path, &master)?;
        Self::open(&Disk::default(), path.into(), ring, master)
    }

    fn open(disk: &Disk, path: PathBuf, ring: Ring, master: MasterKey) -> Result<Self, StoreError> {
        let mut retired = Vec::new();
        for wrapped in ring.keys.iter().filter(|wrapped| wrapped.kind == MASTER) {
            retired.push(MasterKey::new(wrapped.open(&master, &path)?));
        }
        let signing = ring.keys.iter().find(|wrapped| wrapped.kind == SIGNING);
        let signing = signing.ok_or_else(|| StoreError::damaged(&path, "it has no signing key"))?;
        let signing = SigningKey::from_bytes(&signing.open(&master, &path)?);
        let masters = Masters { current: master, retired };
        Ok(Self { disk: disk.clone(), path, masters, signing, ring: Mutex::new(ring) })
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

    /// The key that a person's fields are encrypted under. The keyring holds the person's name only as a
    /// keyed hash.
    pub fn subject_key(&self, subject: &str) -> Result<Private<[u8; 32]>, StoreError> {
        self.get_or_make(SUBJECT, &self.subject_name(subject))
    }

    /// Forgets a person's key; false if there was none. The key is gone from the disk when this returns
    /// (backups of the keyring apart).
    pub fn destroy_subject(&self, subject: &str) -> Result<bool, StoreError> {
        let name = self.subject_name(subject);
        let mut ring = self.lock();
        let mut next = ring.clone();
        next.keys.retain(|key| key.kind != SUBJECT || key.name != name);
        if next.keys.len() == ring.keys.len() {
            return Ok(false);
        }
        write(&self.disk, &self.path, &next, &self.masters.current)?;
        *ring = next;
        Ok(true)
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

    fn subject_name(&self, subject: &str) -> String {
        // Under the signing key, which is never changed: master keys come and go.
        hex(&crypt::hmac(&self.signing.to_bytes(), b"custos subject 1", subject.as_bytes()))
    }

    fn get_or_make(&self, kind: &str, name: &str) -> Result<Private<KeyBytes>, StoreError> {
        let mut ring = self.lock();
        if let Some(key) = ring.keys.iter().find(|key| key.kind == kind && key.name == name) {
            return Ok(Private::new(key.open(&self.masters.current, &self.path)?));
        }
        if ring.keys.len() >= KEYS_MAX {
            let reason = format!("it holds {KEYS_MAX} keys, the most it may");
            return Err(StoreError::damaged(&self.path, reason));
        }
        let bytes = crypt::random()?;
        let mut next = ring.clone();
        next.keys.push(wrap(kind, name, &bytes, &self.masters.current, &self.path)?);
        write(&self.disk, &self.path, &next, &self.masters.current)?;
        *ring = next;
        Ok(Private::new(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first(disk: &Disk, path: &Path, master: &MasterKey) -> Result<Ring, StoreError> {
    let seed = crypt::random()?;
    let keys = vec![wrap(SIGNING, "ed25519", &seed, master, path)?];
    let ring = Ring { version: VERSION, master: hex(&master.id), keys };
    write(disk, path, &ring, master)?;
    Ok(ring)
}

fn wrap(
    kind: &str,
    name: &str,
    key: &KeyBytes,
    master: &MasterKey,
    path: &Path,
) -> Result<Wrapped, StoreError> {
    let wrapped = master.wrap(key, &Wrapped::aad(kind, name), crypt::random()?);
    let wrapped = wrapped.map_err(|_| StoreError::damaged(path, "a key does not encrypt"))?;
    Ok(Wrapped { kind: kind.into(), name: name.into(), key: hex(&wrapped) })
}

/// One line of JSON, one line with its HMAC.
fn write(disk: &Disk, path: &Path, ring: &Ring, master: &MasterKey) -> Result<(), StoreError> {
    let mut bytes = serde_json::to_vec(ring).map_err(std::io::Error::from);
    let bytes = bytes.as_mut().map_err(|e| StoreError::damaged(path, e.to_string()))?;
    let mac = hex(&master.mac(bytes));
    bytes.extend_from_slice(format!("\n{mac}\n").as_bytes());
    disk.replace(path, bytes)
}

fn parse(bytes: &[u8], path: &Path, master: &MasterKey) -> Result<Ring, StoreError> {
    let damaged = |reason: &str| StoreError::damaged(path, reason);
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    let (json, mac) = text.split_once('\n').ok_or_else(|| damaged("it breaks off"))?;
    let ring: Ring = serde_json::from_str(json).map_err(|e| damaged(&e.to_string()))?;
    if ring.version > VERSION {
        return Err(StoreError::Newer { path: path.into(), found: ring.version, reads: VERSION });
    }
    if ring.master != hex(&master.id) {
        let reason = format!("it is for master key {}, not {}", ring.master, hex(&master.id));
        return Err(StoreError::KeyMissing { path: path.into(), reason });
    }
    if mac.trim_end() != hex(&master.mac(json.as_bytes())) {
        return Err(damaged("it was changed outside Custos"));
    }
    Ok(ring)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_once_given_is_the_same_after_a_restart_and_gone_after_destruction() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        let card = ring.token_key("card").unwrap();
        let anna = ring.subject_key("anna@example.org").unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, false).unwrap();
        assert_eq!(ring.token_key("card").unwrap(), card);
        assert_ne!(ring.token_key("iban").unwrap(), card);
        assert_eq!(ring.subject_key("anna@example.org").unwrap(), anna);
        let text = std::fs::read_to_string(dir.path().join("keys/keyring")).unwrap();
        assert!(!text.contains("anna"), "the keyring names nobody");
        assert!(ring.destroy_subject("anna@example.org").unwrap());
        assert!(!ring.destroy_subject("anna@example.org").unwrap());
        let ring = Keyring::load(&Disk::default(), dir.path(), None, false).unwrap();
        assert_ne!(ring.subject_key("anna@example.org").unwrap(), anna);
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
