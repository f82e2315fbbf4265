//! Backups of the store: made, listed, checked, restored, let go (RELIABILITY §7; FORMAT.md, "Backup").
//!
//! A backup is a folder of its own at a target, with the files that no backup before it has, and a signed manifest
//! that names every file of the store at one commit, wherever its pieces lie. Read in this order: `target` (where),
//! `manifest` (what), `snapshot` (the store at one commit), `create`; `catalog`, `fetch` (reading back), `check`;
//! `cut`, `restore` (points in time); `prune`, `segments` (what a repair fetches). What a backup holds is encrypted as it is in the store; the master
//! key is not in it unless somebody asks for that.

mod catalog;
mod check;
mod create;
mod cut;
mod fetch;
mod manifest;
mod progress;
mod prune;
mod restore;
mod segments;
mod snapshot;
mod target;

pub use check::{BackupReport, CheckOptions, check};
pub use create::CreateOptions;
pub(crate) use create::create;
pub use cut::Until;
pub use manifest::{BackupKind, LogState, Manifest};
pub use progress::{Progress, Tell};
pub use prune::{PrunePolicy, Pruned, prune};
pub use restore::{RestoreOptions, Restored, restore};
pub(crate) use segments::{Segments, Source};
pub use target::{S3Options, Target};

use crate::error::StoreError;

/// The backups of a target, the oldest first; an error for each whose manifest does not read.
pub fn list(target: &Target) -> Result<Vec<Result<Manifest, StoreError>>, StoreError> {
    let shelf = catalog::Shelf::read(target)?;
    Ok(shelf.found.into_iter().map(|found| found.manifest).collect())
}
