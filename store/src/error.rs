//! What can go wrong in the store; one variant for each thing that a caller may have to decide.

use custos_event::{LogId, Seq};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes here.
    #[error("data folder {} is in use by {}; stop that process, or talk to it with --server",
        dir.display(), holder(*pid))]
    Locked { dir: PathBuf, pid: Option<u32> },
    /// Written by a later Custos.
    #[error("{} is of format version {found}, this Custos reads up to {reads}; use the version that \
        wrote it", path.display())]
    Newer { path: PathBuf, found: u64, reads: u64 },
    /// There is no store where one was to be opened.
    #[error("{} is no Custos data folder (it has no FORMAT file); name the right one with --data",
        dir.display())]
    Missing { dir: PathBuf },
    /// Stored bytes are not what was written.
    #[error("{} is damaged: {reason}; compare with 'custos log verify' and restore it from a backup",
        path.display())]
    Damaged { path: PathBuf, reason: String },
    /// Entries that were stored cannot be read any more; those around them can.
    #[error("entries {first} to {last} of log {log} cannot be read: {reason}")]
    Lost { log: LogId, first: Seq, last: Seq, reason: String },
    /// The key that the data were encrypted under is not there.
    #[error("cannot read the key in {}: {reason}; put the key file of this data folder there",
        path.display())]
    KeyMissing { path: PathBuf, reason: String },
    /// No room on the disk. Nothing of the append was kept; later ones may succeed.
    #[error("no space left on the disk of {}; free some, intake goes on by itself",
        path.display())]
    Full { path: PathBuf },
    /// An append that no frame holds.
    #[error(
        "an append of {bytes} bytes and {entries} entries exceeds the limit of {bytes_max} bytes \
        and {entries_max} entries; split it"
    )]
    TooLarge { bytes: u64, entries: u64, bytes_max: u64, entries_max: u64 },
    /// Writing failed, and nothing more is acknowledged until the process starts anew.
    #[error("the log can no longer be written: {0}; check the disk, then start Custos again")]
    Failed(Arc<str>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A place for backups that does not answer, or says no.
    #[error("cannot {action} {place}")]
    Target {
        action: &'static str,
        place: String,
        #[source]
        source: Arc<object_store::Error>,
    },
    /// A backup whose bytes are not what was written.
    #[error("backup {id} is damaged: {reason}; take another one, and find out what changed it")]
    BadBackup { id: String, reason: String },
    /// The caller said that it should not go on.
    #[error("it was stopped before its end")]
    Stopped,
    /// What was asked for cannot be; the text says why, and what can.
    #[error("{0}")]
    Refused(String),
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&source.kind()) {
            return Self::Full { path };
        }
        Self::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), reason: reason.into() }
    }

    /// The error and its causes in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
