//! A backup as its manifest has it: what `custos backup list` and `create` print, here or from a server.

use custos_event::Timestamp;
use custos_store::backup::{LogState, Manifest};
use serde::Serialize;
use utoipa::ToSchema;

/// One backup at the place where backups go.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedBackup)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// full, differential, incremental.
    pub(crate) kind: String,
    /// The backup that it builds on.
    pub(crate) parent: Option<String>,
    #[schema(value_type = String)]
    pub(crate) created_at: Timestamp,
    /// Everything up to this commit is in it.
    pub(crate) commit: u64,
    #[schema(value_type = String)]
    pub(crate) commit_at: Timestamp,
    /// What a restore brings back, and what of it this one stores itself.
    pub(crate) bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) logs: Vec<ListedLog>,
}

/// CLI.md's line of one log of a backup.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedLog {
    id: String,
    kind: String,
    log: String,
    records: u64,
    bytes: u64,
    root: String,
}

impl Listed {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let (stored_bytes, others) = manifest.bytes();
        Self {
            id: manifest.id.clone(),
            kind: manifest.kind.as_str().into(),
            parent: manifest.parent.as_ref().map(|parent| parent.id.clone()),
            created_at: manifest.created_at,
            commit: manifest.commit.0,
            commit_at: manifest.commit_at,
            bytes: stored_bytes + others,
            stored_bytes,
            logs: manifest.logs.iter().map(|log| ListedLog::of(manifest, log)).collect(),
        }
    }
}

impl ListedLog {
    fn of(manifest: &Manifest, log: &LogState) -> Self {
        let folder = format!("{}/", log.log);
        let files = manifest.files.iter().filter(|file| file.path.starts_with(&folder));
        Self {
            id: manifest.id.clone(),
            kind: manifest.kind.as_str().into(),
            log: crate::cli::backup_log_name(log),
            records: log.size - log.first.0,
            bytes: files.map(|file| file.bytes).sum(),
            root: log.root.clone(),
        }
    }
}
