//! Reads files of a backup, each byte checked against the manifest, and the keys that open them.

use super::{
    catalog::Shelf,
    create::{KEYRING, MASTER},
    manifest::{FileEntry, Manifest, bad, sha256},
    target::Target,
};
use crate::{
    crypt::{MasterKey, hex},
    disk::Disk,
    error::StoreError,
    keys::{KeySource, Keyring},
};
use bytes::{Bytes, BytesMut};
use std::path::{Path, PathBuf};

/// A file's bytes from all its pieces.
pub(super) fn file(
    target: &Target,
    manifest: &Manifest,
    file: &FileEntry,
) -> Result<Bytes, StoreError> {
    let mut whole = BytesMut::new();
    for piece in &file.pieces {
        let name = piece.object(&file.path);
        let bytes = target.get(&name, piece.bytes)?;
        let bytes = bytes.ok_or_else(|| bad(&manifest.id, &format!("{name} is missing")))?;
        if bytes.len() as u64 != piece.bytes || sha256(&bytes) != piece.sha256 {
            return Err(bad(&manifest.id, &format!("{name} is not what was written")));
        }
        if file.pieces.len() == 1 {
            whole = BytesMut::from(bytes);
        } else {
            whole.extend_from_slice(&bytes);
        }
    }
    let whole = whole.freeze();
    if sha256(&whole) != file.sha256 {
        return Err(bad(&manifest.id, &format!("{} is not what was written", file.path)));
    }
    Ok(whole)
}

/// The newest keyring that the target holds: keys that were destroyed since an older backup stay destroyed.
pub(super) fn newest_keyring<'s>(
    shelf: &'s Shelf,
    node: &str,
) -> Option<(&'s Manifest, &'s FileEntry)> {
    let mut of_node = shelf.readable().rev().filter(|manifest| manifest.node == node);
    of_node.find_map(|manifest| manifest.file(KEYRING).map(|file| (manifest, file)))
}

/// The master key that opens a backup, as the text of a key file: the one given, else the backup's own, else the
/// one that still lies where the backup found it.
pub(super) fn master_key(
    target: &Target,
    manifest: &Manifest,
    given: Option<&Path>,
) -> Result<Vec<u8>, StoreError> {
    let (disk, wanted) = (Disk::default(), &manifest.master_key);
    let missing = |path: PathBuf, reason: String| StoreError::KeyMissing { path, reason };
    if let Some(path) = given {
        let master = KeySource::File(path.into()).load(&disk, false)?;
        if hex(&master.id) != wanted.id {
            let reason = format!("it is key {}, the backup's is {}", hex(&master.id), wanted.id);
            return Err(missing(path.into(), reason));
        }
        return Ok(disk.read(path)?.unwrap_or_default());
    }
    if let Some(entry) = manifest.file(MASTER) {
        return Ok(file(target, manifest, entry)?.to_vec());
    }
    let known = wanted.path.as_ref().map(PathBuf::from).unwrap_or_default();
    match KeySource::File(known.clone()).load(&disk, false) {
        Ok(master) if hex(&master.id) == wanted.id => Ok(disk.read(&known)?.unwrap_or_default()),
        _ => {
            let reason = format!(
                "the backup is under master key {}, which is not in it and no longer there; \
                 name its file with --master-key",
                wanted.id
            );
            Err(missing(known, reason))
        }
    }
}

/// The keyring of a backup opened in memory, which also shows that the manifest is signed by its key.
pub(super) fn keyring(
    manifest: &Manifest,
    bytes: &[u8],
    master: &[u8],
) -> Result<Keyring, StoreError> {
    let path = Path::new(KEYRING);
    let master = MasterKey::parse(master).ok_or_else(|| {
        let reason = "it is not 64 hex digits".to_owned();
        StoreError::KeyMissing { path: MASTER.into(), reason }
    })?;
    let keyring = Keyring::parse(path, bytes, master)?;
    if keyring.signing().verifying_key() != manifest.public_key()? {
        return Err(bad(&manifest.id, "its manifest is not signed by the store's own key"));
    }
    Ok(keyring)
}
