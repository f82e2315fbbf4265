//! The backups that a target holds: their manifests read, and what was begun and never finished.

use super::{
    manifest::{MANIFEST_BYTES_MAX, Manifest, Parent, bad, is_id, sha256},
    target::Target,
};
use crate::error::StoreError;
use bytes::Bytes;

/// A manifest as it was found.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) sha256: String,
    pub(super) manifest: Result<Manifest, StoreError>,
}

/// What lies at a target, the oldest first.
pub(super) struct Shelf {
    pub(super) found: Vec<Found>,
    /// Folders without a manifest: a backup under way, or one that broke off.
    pub(super) unfinished: Vec<String>,
}

impl Shelf {
    pub(super) fn read(target: &Target) -> Result<Self, StoreError> {
        let (mut found, mut unfinished) = (Vec::new(), Vec::new());
        for id in target.list("")?.0.into_iter().filter(|id| is_id(id)) {
            match target.get(&Manifest::object(&id), MANIFEST_BYTES_MAX)? {
                None => unfinished.push(id),
                Some(bytes) => found.push(Found::read(id, &bytes)),
            }
        }
        found.sort_by_key(|found| {
            let commit = found.manifest.as_ref().map(|manifest| manifest.commit).ok();
            (commit.is_none(), commit, found.id.clone())
        });
        Ok(Self { found, unfinished })
    }

    pub(super) fn readable(&self) -> impl DoubleEndedIterator<Item = &Manifest> {
        self.found.iter().filter_map(|found| found.manifest.as_ref().ok())
    }

    /// The first manifest that does not read.
    pub(super) fn damage(&self) -> Option<StoreError> {
        self.found.iter().find_map(|found| found.manifest.as_ref().err().cloned())
    }

    pub(super) fn get(&self, id: &str) -> Result<&Manifest, StoreError> {
        let found = self.found.iter().find(|found| found.id == id);
        let found = found.ok_or_else(|| bad(id, "it is not there, or has no manifest"))?;
        found.manifest.as_ref().map_err(Clone::clone)
    }

    pub(super) fn parent(&self, id: &str) -> Option<Parent> {
        let found = self.found.iter().find(|found| found.id == id)?;
        Some(Parent { id: found.id.clone(), sha256: found.sha256.clone() })
    }

    /// The backup and those that it builds on, each of them the very one it was built on.
    pub(super) fn chain(&self, id: &str) -> Result<Vec<&Manifest>, StoreError> {
        let mut chain = vec![self.get(id)?];
        while let Some(parent) = chain.last().and_then(|last| last.parent.as_ref()) {
            let manifest = self.get(&parent.id)?;
            let known = self.parent(&parent.id);
            if known.as_ref() != Some(parent) || chain.iter().any(|m| m.id == manifest.id) {
                return Err(bad(id, &format!("it was not built on this backup {}", parent.id)));
            }
            chain.push(manifest);
        }
        Ok(chain)
    }
}

impl Found {
    fn read(id: String, bytes: &Bytes) -> Self {
        let manifest = Manifest::parse(&id, bytes);
        Self { sha256: sha256(bytes), manifest, id }
    }
}
