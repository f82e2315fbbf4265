//! The keyring's file: one line of JSON, one line with its MAC under the master key.

use super::KeySource;
use crate::{
    crypt::{self, KeyBytes, MasterKey, WRAPPED_BYTES, hex, unhex},
    disk::Disk,
    error::StoreError,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(super) const VERSION: u64 = 1;
/// Each stands for a purpose, not for a person: some dozens are used.
const KEYS_MAX: usize = 10_000;

pub(super) const SIGNING: &str = "signing";
/// A retired master key.
pub(super) const MASTER: &str = "master";
pub(super) const TOKEN: &str = "token";
pub(super) const SECRET: &str = "secret";
/// What `keys/subjects` is under; its name is the file's generation.
pub(super) const SUBJECTS: &str = "subjects";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ring {
    version: u64,
    /// The master key that wraps the rest.
    pub(super) master: String,
    pub(super) keys: Vec<Wrapped>,
    /// Until the journal tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotated: Option<Rotated>,
}

/// A change of the master key, by the ids of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Wrapped {
    pub(super) kind: String,
    pub(super) name: String,
    key: String,
}

impl Wrapped {
    fn aad(kind: &str, name: &str) -> Vec<u8> {
        [kind.as_bytes(), &[0], name.as_bytes()].concat()
    }

    pub(super) fn open(&self, master: &MasterKey, path: &Path) -> Result<KeyBytes, StoreError> {
        let wrapped: Option<[u8; WRAPPED_BYTES]> = unhex(&self.key);
        let opened = wrapped
            .and_then(|wrapped| master.unwrap(&wrapped, &Self::aad(&self.kind, &self.name)).ok());
        opened.ok_or_else(|| {
            StoreError::damaged(path, format!("key '{} {}' does not decrypt", self.kind, self.name))
        })
    }
}

impl Ring {
    pub(super) fn empty(master: &MasterKey) -> Self {
        Self { version: VERSION, master: hex(&master.id), keys: Vec::new(), rotated: None }
    }

    /// The ring of a new folder.
    pub(super) fn first(disk: &Disk, path: &Path, master: &MasterKey) -> Result<Self, StoreError> {
        let mut ring = Self::empty(master);
        ring.add(SIGNING, "ed25519", &crypt::random()?, master, path)?;
        ring.write(disk, path, master)?;
        Ok(ring)
    }

    /// The ring, and the master key that it is under.
    pub(super) fn read(
        disk: &Disk,
        bytes: &[u8],
        path: &Path,
        source: &KeySource,
    ) -> Result<(Self, MasterKey), StoreError> {
        let damaged = |reason: &str| StoreError::damaged(path, reason);
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
        let (json, mac) = text.split_once('\n').ok_or_else(|| damaged("it breaks off"))?;
        let ring: Self = serde_json::from_str(json).map_err(|e| damaged(&e.to_string()))?;
        if ring.version > VERSION {
            let (found, reads) = (ring.version, VERSION);
            return Err(StoreError::Newer { path: path.into(), found, reads });
        }
        let id = unhex(&ring.master).ok_or_else(|| damaged("it names no master key"))?;
        let master = source.find(disk, id)?;
        if mac.trim_end() != hex(&master.mac(json.as_bytes())) {
            return Err(damaged("it was changed outside Custos"));
        }
        Ok((ring, master))
    }

    pub(super) fn write(
        &self,
        disk: &Disk,
        path: &Path,
        master: &MasterKey,
    ) -> Result<(), StoreError> {
        let mut bytes = serde_json::to_vec(self).map_err(std::io::Error::from);
        let bytes = bytes.as_mut().map_err(|e| StoreError::damaged(path, e.to_string()))?;
        let mac = hex(&master.mac(bytes));
        bytes.extend_from_slice(format!("\n{mac}\n").as_bytes());
        disk.replace(path, bytes)
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Wrapped> {
        self.keys.iter().filter(move |key| key.kind == kind)
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> Option<&Wrapped> {
        self.of_kind(kind).find(|key| key.name == name)
    }

    /// Adds a key, in the place of one of the same kind and name.
    pub(super) fn add(
        &mut self,
        kind: &str,
        name: &str,
        key: &KeyBytes,
        master: &MasterKey,
        path: &Path,
    ) -> Result<(), StoreError> {
        self.remove(kind, |other| other == name);
        if self.keys.len() >= KEYS_MAX {
            let reason = format!("it holds {KEYS_MAX} keys, the most it may");
            return Err(StoreError::damaged(path, reason));
        }
        let wrapped = master.wrap(key, &Wrapped::aad(kind, name), crypt::random()?);
        let wrapped = wrapped.map_err(|_| StoreError::damaged(path, "a key does not encrypt"))?;
        self.keys.push(Wrapped { kind: kind.into(), name: name.into(), key: hex(&wrapped) });
        Ok(())
    }

    pub(super) fn remove(&mut self, kind: &str, which: impl Fn(&str) -> bool) {
        self.keys.retain(|key| key.kind != kind || !which(&key.name));
    }
}
