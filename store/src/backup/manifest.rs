//! What a backup says of itself: which files make up the store at one commit, and where each piece of them
//! lies. One line of JSON, signed as a C2SP note (FORMAT.md, "Backup").

use crate::{crypt::hex, error::StoreError, note, segment::parse_name};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use custos_event::{CommitNo, LogId, Partition, Seq, Timestamp};
use custos_evidence::Keys;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, path::Path};

pub(super) const VERSION: u64 = 1;
/// 64 MiB: some 200,000 segments of 300 bytes each, 12 TB of raw.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// A segment that is still open grows by a piece with each incremental; with more than so many it is stored
/// whole again, so that a restore asks for each file at most so often.
pub(super) const PIECES_MAX: usize = 64;

/// What of the store a backup holds itself; the rest lies in earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// Everything.
    Full,
    /// What is new since the last full one.
    Differential,
    /// What is new since the last one.
    Incremental,
}

impl BackupKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Differential => "differential",
            Self::Incremental => "incremental",
        }
    }
}

impl std::str::FromStr for BackupKind {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let all = [Self::Full, Self::Differential, Self::Incremental];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            StoreError::Refused(format!(
                "'{text}' is no kind of backup; there are full, differential and incremental"
            ))
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u64,
    /// Also the name of the backup's folder.
    pub id: String,
    pub kind: BackupKind,
    /// The store it is of, by its signing key: `custos-1f2e3d4c`.
    pub node: String,
    /// The public key that signs it, in the text form of signed notes.
    pub key: String,
    /// The backup that this one builds on, and the SHA-256 of that one's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    pub created_at: Timestamp,
    /// Every commit up to this one is in it, and none after.
    pub commit: CommitNo,
    /// When that commit was made.
    pub commit_at: Timestamp,
    /// The version of Custos that made it.
    pub custos: String,
    /// The master key that opens it, and where that lay when the backup was made.
    pub master_key: MasterKeyHint,
    pub logs: Vec<LogState>,
    pub files: Vec<FileEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    pub id: String,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MasterKeyHint {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How one log stands after the backup's commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogState {
    pub log: LogId,
    pub partition: u16,
    /// The first record that is there; those before were dropped by retention.
    pub first: Seq,
    pub size: u64,
    pub root: String,
    /// The same, signed: a checkpoint.
    pub note: String,
}

impl LogState {
    pub(crate) fn stream(&self) -> (LogId, Partition) {
        (self.log, Partition(self.partition))
    }
}

/// One file of the data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the data folder.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    pub pieces: Vec<Piece>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentEntry>,
}

/// A stretch of a file, and the backup whose folder holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    pub backup: String,
    pub offset: u64,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// SHA-256 of the segment's header, which holds its wrapped key: no other file ever has the same.
    pub head: String,
    pub sealed: bool,
    pub first: Seq,
    /// The place after its last record.
    pub next: Seq,
    pub first_commit: CommitNo,
    pub last_commit: CommitNo,
    pub last_at: Timestamp,
    /// The tree's root after it; absent where bytes of it were damaged already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

impl Piece {
    /// Its name below the target.
    pub(super) fn object(&self, path: &str) -> String {
        match self.offset {
            0 => format!("{}/{path}", self.backup),
            offset => format!("{}/{path}.from-{offset}", self.backup),
        }
    }
}

impl Manifest {
    pub(super) fn object(id: &str) -> String {
        format!("{id}/manifest")
    }

    /// Its bytes as they are stored: JSON, an empty line, the signature.
    pub(super) fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, StoreError> {
        let json = serde_json::to_string(self).map_err(|e| bad(&self.id, &e.to_string()))?;
        Ok(signed(&json, &signer_name(&key.verifying_key()), key).into_bytes())
    }

    /// Reads a manifest and checks that it is signed by the key it names, and that all it says can be.
    pub(super) fn parse(id: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let bad = |reason: &str| bad(id, reason);
        let text = std::str::from_utf8(bytes).map_err(|_| bad("its manifest is no text"))?;
        let (json, _) = text.split_once('\n').ok_or_else(|| bad("its manifest breaks off"))?;
        let version: Version =
            serde_json::from_str(json).map_err(|e| bad(&format!("its manifest: {e}")))?;
        if version.version > VERSION {
            let path = Path::new(id).into();
            return Err(StoreError::Newer { path, found: version.version, reads: VERSION });
        }
        let manifest: Self =
            serde_json::from_str(json).map_err(|e| bad(&format!("its manifest: {e}")))?;
        let key = manifest.public_key()?;
        check_signature(text, json, &key).map_err(bad)?;
        if manifest.id != id {
            return Err(bad("its manifest is that of another backup"));
        }
        manifest.check().map_err(|reason| bad(&reason))?;
        Ok(manifest)
    }

    pub(super) fn public_key(&self) -> Result<VerifyingKey, StoreError> {
        let keys = Keys::parse(&self.key).map_err(|e| bad(&self.id, &e.to_string()))?;
        let key = keys.all().next().copied();
        let key = key.ok_or_else(|| bad(&self.id, "its manifest names no key"))?;
        if node_name(&key) != self.node {
            return Err(bad(&self.id, "its manifest names a node that is not its key's"));
        }
        Ok(key)
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Bytes that lie in this backup's own folder, and those that lie in others'.
    pub fn bytes(&self) -> (u64, u64) {
        let pieces = self.files.iter().flat_map(|file| &file.pieces);
        pieces.fold((0, 0), |(own, others), piece| {
            if piece.backup == self.id {
                (own + piece.bytes, others)
            } else {
                (own, others + piece.bytes)
            }
        })
    }

    /// Segments that were damaged already when the backup was made.
    pub fn damaged(&self) -> impl Iterator<Item = &str> {
        let damaged =
            |file: &&FileEntry| file.segment.as_ref().is_some_and(|segment| segment.root.is_none());
        self.files.iter().filter(damaged).map(|file| file.path.as_str())
    }

    /// The other backups that a restore of this one reads from.
    pub fn needs(&self) -> BTreeSet<&str> {
        let pieces = self.files.iter().flat_map(|file| &file.pieces);
        let holders = pieces.map(|piece| piece.backup.as_str());
        let parent = self.parent.iter().map(|parent| parent.id.as_str());
        holders.chain(parent).filter(|id| *id != self.id).collect()
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for file in &self.files {
            if !is_path(&file.path) {
                return Err(format!("it names a file '{}', which no store has", file.path));
            }
            if !seen.insert(file.path.as_str()) {
                return Err(format!("it names {} twice", file.path));
            }
            let mut end = 0;
            for piece in &file.pieces {
                if piece.offset != end || !is_id(&piece.backup) {
                    return Err(format!("the pieces of {} do not fit together", file.path));
                }
                end = end.saturating_add(piece.bytes);
            }
            if end != file.bytes {
                return Err(format!("the pieces of {} are not all of it", file.path));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// Digits, letters and what a time is written with; never a path.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The files that a data folder may hold: nothing else is ever written by a restore.
fn is_path(path: &str) -> bool {
    let plain = |name: &str| {
        !name.starts_with('.')
            && (1..=200).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match path.split_once('/') {
        None => path == "FORMAT",
        Some((_, name)) if !plain(name) => false,
        Some(("keys", name)) => matches!(name, "keyring" | "subjects" | "master.key"),
        Some(("checkpoints" | "torn" | "quarantine" | "config" | "retention", _)) => true,
        Some((log, name)) => log.parse::<LogId>().is_ok() && parse_name(Path::new(name)).is_some(),
    }
}

pub(super) fn bad(id: &str, reason: &str) -> StoreError {
    StoreError::BadBackup { id: id.into(), reason: reason.into() }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The store's name, from its key; as in the origin of its checkpoints.
pub(super) fn node_name(key: &VerifyingKey) -> String {
    let origin = note::origin(key, LogId::TELEMETRY, Partition(0));
    origin.split('/').next().unwrap_or_default().to_owned()
}

pub(super) fn signer_name(key: &VerifyingKey) -> String {
    format!("{}/backup", node_name(key))
}

fn signed(json: &str, name: &str, key: &SigningKey) -> String {
    let signature = key.sign(format!("{json}\n").as_bytes()).to_bytes();
    let bytes = [&key_hash(name, &key.verifying_key()), signature.as_slice()].concat();
    format!("{json}\n\n\u{2014} {name} {}\n", BASE64.encode(bytes))
}

/// The whole text must be what the key's holder would have written; not a byte more or other.
fn check_signature(text: &str, json: &str, key: &VerifyingKey) -> Result<(), &'static str> {
    let name = signer_name(key);
    let forged = "its manifest is not signed by its key: it was changed";
    let line = text.get(json.len()..).and_then(|rest| rest.strip_prefix("\n\n\u{2014} "));
    let line = line.and_then(|line| line.strip_suffix('\n')).ok_or(forged)?;
    let (signer, encoded) = line.split_once(' ').ok_or(forged)?;
    let bytes = BASE64.decode(encoded).map_err(|_| forged)?;
    let (hash, signature) = bytes.split_at_checked(4).ok_or(forged)?;
    if signer != name || hash != key_hash(&name, key) {
        return Err(forged);
    }
    let signature = Signature::from_slice(signature).map_err(|_| forged)?;
    key.verify_strict(format!("{json}\n").as_bytes(), &signature).map_err(|_| forged)
}

/// As C2SP's signed notes have it.
fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', 1])
        .chain_update(key.to_bytes())
        .finalize()
        .into();
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_a_path_nor_endless() {
        assert!(is_id("20261127T080000-1a2B") && is_id(&"a".repeat(64)));
        let long = "a".repeat(65);
        for text in ["", "..", "../a", "a/b", "a.b", "ä", "a b", &long] {
            assert!(!is_id(text), "'{text}'");
        }
    }
}
