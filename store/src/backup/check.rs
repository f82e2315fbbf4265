//! Is a backup what was written? Every byte against its manifest, the manifest against its signature and those it
//! builds on, and, where the master key is at hand, every record against the tree.

use super::{
    catalog::Shelf,
    create::is_keys,
    fetch,
    manifest::{BackupKind, FileEntry, LogState, Manifest, bad, sha256},
    progress::{Meter, Tell},
    prune::EXPIRED,
    target::Target,
};
use crate::{crypt::hex, error::StoreError, inspect::inspect, keys::Keyring};
use custos_event::Timestamp;
use custos_evidence::Keys;
use std::{collections::HashSet, path::PathBuf};

/// What to hold a backup against besides itself.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// The backup to check; without it, all.
    pub id: Option<String>,
    pub master_key: Option<PathBuf>,
    /// Public keys in text, one of which must be that of the manifests.
    pub public_key: Option<String>,
}

/// What was found of one backup.
#[derive(Clone, Debug)]
pub struct BackupReport {
    pub id: String,
    /// `None` where the manifest does not read.
    pub kind: Option<BackupKind>,
    pub created_at: Timestamp,
    pub logs: Vec<LogState>,
    pub bytes: u64,
    /// Every record was decrypted and is in the tree; false where there was no master key to do so.
    pub proven: bool,
    pub errors: Vec<String>,
}

impl BackupReport {
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Checks one backup of the target, or all, the oldest first.
pub fn check(
    target: &Target,
    options: &CheckOptions,
    progress: &mut Tell<'_>,
) -> Result<Vec<BackupReport>, StoreError> {
    let shelf = Shelf::read(target)?;
    let chosen: Vec<_> = match &options.id {
        Some(id) if !shelf.found.iter().any(|found| found.id == *id) => {
            return Err(StoreError::Refused(format!("{} has no backup {id}", target.url())));
        }
        Some(id) => vec![id.clone()],
        None => shelf.found.iter().map(|found| found.id.clone()).collect(),
    };
    let mut checking = Checking {
        target,
        shelf: &shelf,
        options,
        meter: Meter::new(progress),
        seen: HashSet::new(),
    };
    let parts = shelf.readable().filter(|m| chosen.contains(&m.id));
    let (parts, bytes) = parts.fold((0, 0), |(parts, bytes), manifest| {
        (parts + manifest.files.len() as u64, bytes + manifest.bytes().0)
    });
    checking.meter.expect(parts, bytes);
    chosen.iter().map(|id| checking.backup(id)).collect()
}

struct Checking<'a> {
    target: &'a Target,
    shelf: &'a Shelf,
    options: &'a CheckOptions,
    meter: Meter<'a>,
    /// Files that hold, by what their bytes are: a later backup has most of an earlier one's.
    seen: HashSet<(String, String)>,
}

impl Checking<'_> {
    fn backup(&mut self, id: &str) -> Result<BackupReport, StoreError> {
        let mut report = BackupReport {
            id: id.into(),
            kind: None,
            created_at: Timestamp::default(),
            logs: Vec::new(),
            bytes: 0,
            proven: false,
            errors: Vec::new(),
        };
        let manifest = match self.shelf.chain(id) {
            Ok(chain) => chain.first().copied(),
            Err(error) => {
                report.errors.push(error.chain());
                self.shelf.get(id).ok()
            }
        };
        let Some(manifest) = manifest else { return Ok(report) };
        report.kind = Some(manifest.kind);
        report.created_at = manifest.created_at;
        report.logs.clone_from(&manifest.logs);
        report.bytes = manifest.files.iter().map(|file| file.bytes).sum();
        if let Err(error) = self.signer(manifest) {
            report.errors.push(error.chain());
        }
        let keyring = match self.keyring(manifest) {
            Ok(keyring) => Some(keyring),
            // Without the key, bytes and signatures still hold or do not.
            Err(StoreError::KeyMissing { .. }) if self.options.master_key.is_none() => None,
            Err(error) => {
                report.errors.push(error.chain());
                None
            }
        };
        for file in &manifest.files {
            self.meter.passed(file.bytes)?;
            if let Err(error) = self.file(manifest, file, keyring.as_ref()) {
                report.errors.push(error.chain());
            }
        }
        report.proven = keyring.is_some() && report.errors.is_empty();
        Ok(report)
    }

    /// Whether the key that signed it is one that the caller holds.
    fn signer(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let Some(given) = &self.options.public_key else { return Ok(()) };
        let keys = Keys::parse(given).map_err(|e| StoreError::Refused(e.to_string()))?;
        let signer = manifest.public_key()?;
        let known = keys.all().any(|key| *key == signer);
        let other = || bad(&manifest.id, "its manifest is not signed by the given key");
        known.then_some(()).ok_or_else(other)
    }

    fn keyring(&self, manifest: &Manifest) -> Result<Keyring, StoreError> {
        let newest = fetch::newest_keyring(self.shelf, &manifest.node);
        let (holder, entry) = newest.ok_or_else(|| bad(&manifest.id, "it has no keyring"))?;
        let master = fetch::master_key(self.target, holder, self.options.master_key.as_deref())?;
        fetch::keyring(manifest, &fetch::file(self.target, holder, entry)?, &master)
    }

    fn file(
        &mut self,
        manifest: &Manifest,
        file: &FileEntry,
        keyring: Option<&Keyring>,
    ) -> Result<(), StoreError> {
        let key = (file.path.clone(), file.sha256.clone());
        if self.seen.contains(&key) && !is_keys(&file.path) {
            return Ok(());
        }
        if is_keys(&file.path) && self.expired(manifest)? {
            return Ok(());
        }
        let bytes = fetch::file(self.target, manifest, file)?;
        if let (Some(segment), Some(keyring)) = (&file.segment, keyring)
            && let Some(root) = &segment.root
        {
            let wrong = |reason: String| bad(&manifest.id, &format!("{}: {reason}", file.path));
            let found = inspect(&bytes, keyring.masters(), &mut Vec::new(), &mut |_| ());
            let found = found.map_err(|e| wrong(e.to_string()))?;
            if hex(&found.frontier.root()) != *root || hex(&found.head) != segment.head {
                return Err(wrong("its tree is not what the manifest says".into()));
            }
        }
        self.seen.insert(key);
        Ok(())
    }

    /// Keys are kept for a time only; a later backup then has them.
    fn expired(&self, manifest: &Manifest) -> Result<bool, StoreError> {
        let newest = fetch::newest_keyring(self.shelf, &manifest.node);
        if newest.is_none_or(|(newest, _)| newest.id == manifest.id) {
            return Ok(false);
        }
        let marker = self.target.get(&format!("{}/{EXPIRED}", manifest.id), 1 << 10)?;
        Ok(marker.is_some_and(|text| text == expired_text(&manifest.id)))
    }
}

/// What stands in the place of a keyring that was let go.
pub(super) fn expired_text(id: &str) -> String {
    format!(
        "the keys of backup {} are no longer kept; restore takes those of the newest one\n",
        sha256(id.as_bytes())
    )
}
