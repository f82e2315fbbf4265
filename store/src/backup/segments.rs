//! Which backups hold a segment undamaged, the newest first: what a repair fetches from.

use super::{
    catalog::Shelf,
    fetch,
    manifest::{FileEntry, Manifest},
    target::Target,
};
use crate::{error::StoreError, segment::parse_name, stream::StreamId};
use bytes::Bytes;
use custos_event::{CommitNo, LogId, Seq};
use ed25519_dalek::VerifyingKey;
use std::path::Path;

pub(crate) struct Segments<'a> {
    target: &'a Target,
    /// Those that the store's own key signed.
    shelf: Shelf,
    key: VerifyingKey,
}

/// One segment as one backup has it.
pub(crate) struct Source<'s> {
    pub(crate) backup: String,
    pub(crate) path: String,
    pub(crate) number: u64,
    pub(crate) sealed: bool,
    pub(crate) first: Seq,
    pub(crate) next: Seq,
    pub(crate) first_commit: CommitNo,
    /// The tree's after it, in hex, as the manifest's signature vouches for it.
    pub(crate) root: String,
    file: &'s FileEntry,
    manifest: &'s Manifest,
}

impl<'a> Segments<'a> {
    pub(crate) fn read(target: &'a Target, key: &VerifyingKey) -> Result<Self, StoreError> {
        Ok(Self { target, shelf: Shelf::read(target)?, key: *key })
    }

    /// The backups that have the segment with this record, the newest first, sealed ones before.
    pub(crate) fn with(&self, id: StreamId, seq: Seq) -> Vec<Source<'_>> {
        let ours = |m: &&Manifest| m.public_key().is_ok_and(|key| key == self.key);
        let manifests = self.shelf.readable().rev().filter(ours);
        let mut found: Vec<_> = manifests.filter_map(|m| source(m, id, seq)).collect();
        found.sort_by_key(|source| !source.sealed);
        found
    }

    pub(crate) fn fetch(&self, source: &Source<'_>) -> Result<Bytes, StoreError> {
        fetch::file(self.target, source.manifest, source.file)
    }
}

fn source(manifest: &Manifest, id: StreamId, seq: Seq) -> Option<Source<'_>> {
    manifest.files.iter().find_map(|file| {
        let (segment, path) = (file.segment.as_ref()?, Path::new(&file.path));
        let log: LogId = path.parent()?.to_str()?.parse().ok()?;
        let (partition, number) = parse_name(path)?;
        let holds = segment.first <= seq && seq < segment.next && (log, partition) == id;
        holds.then_some(())?;
        Some(Source {
            backup: manifest.id.clone(),
            path: file.path.clone(),
            number,
            sealed: segment.sealed,
            first: segment.first,
            next: segment.next,
            first_commit: segment.first_commit,
            root: segment.root.clone()?,
            file,
            manifest,
        })
    })
}
