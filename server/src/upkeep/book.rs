//! What is known of backups and drills: a fold of their facts, without clock or disk.

use custos_event::{CommitNo, Timestamp, UpkeepEvent};
use std::collections::BTreeMap;

/// Backups that a page can show; older ones are pruned long before.
const BACKUPS_MAX: usize = 10_000;

/// One backup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) to: String,
    pub(crate) kind: String,
    pub(crate) commit: CommitNo,
    pub(crate) bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) millis: u64,
    pub(crate) damaged: usize,
    pub(crate) checked: Option<Checked>,
}

/// The last check of a backup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    pub(crate) at: Timestamp,
    pub(crate) ok: bool,
    pub(crate) proven: bool,
    pub(crate) errors: Vec<String>,
}

/// The last drill.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drilled {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
    pub(crate) ok: bool,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) compared: u32,
    pub(crate) millis: u64,
    pub(crate) errors: Vec<String>,
}

/// What could not be done last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failed {
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    pub(crate) reason: String,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Book {
    pub(crate) backups: BTreeMap<String, Row>,
    pub(crate) drilled: Option<Drilled>,
    /// None once the same thing was done again.
    pub(crate) failed: Option<Failed>,
}

impl Book {
    pub(crate) fn apply(&mut self, at: Timestamp, event: &UpkeepEvent) {
        match event.clone() {
            UpkeepEvent::BackupCreated {
                to,
                id,
                kind,
                commit,
                bytes,
                stored_bytes,
                millis,
                damaged,
            } => {
                let row = Row {
                    to,
                    kind,
                    commit,
                    bytes,
                    stored_bytes,
                    created_at: at,
                    millis,
                    damaged: damaged.len(),
                    checked: None,
                };
                self.backups.insert(id, row);
                while self.backups.len() > BACKUPS_MAX {
                    self.backups.pop_first();
                }
                self.done("create");
            }
            UpkeepEvent::BackupFailed { what, reason, .. } => {
                self.failed = Some(Failed { at, what, reason });
            }
            UpkeepEvent::BackupVerified { id, ok, proven, errors, .. } => {
                if let Some(row) = self.backups.get_mut(&id) {
                    row.checked = Some(Checked { at, ok, proven, errors });
                }
                self.done("verify");
            }
            UpkeepEvent::BackupsPruned { removed, .. } => {
                for id in removed {
                    self.backups.remove(&id);
                }
                self.done("prune");
            }
            UpkeepEvent::RestoreDrilled {
                id,
                ok,
                records,
                bytes,
                compared,
                millis,
                errors,
                ..
            } => {
                self.drilled =
                    Some(Drilled { at, id, ok, records, bytes, compared, millis, errors });
                self.done("drill");
            }
            UpkeepEvent::SegmentsDropped { .. } => self.done("retain"),
            UpkeepEvent::RangeRepaired { .. } => self.done("repair"),
            UpkeepEvent::Restored { .. }
            | UpkeepEvent::LegalHoldPlaced { .. }
            | UpkeepEvent::LegalHoldLifted { .. }
            | UpkeepEvent::ScrubCompleted { .. } => {}
        }
    }

    fn done(&mut self, what: &str) {
        self.failed.take_if(|failed| failed.what == what);
    }

    /// When the last backup of a kind was made at this target.
    pub(crate) fn last(&self, to: &str, kind: &str) -> Option<Timestamp> {
        let of = self.backups.values().filter(|row| row.to == to && row.kind == kind);
        of.map(|row| row.created_at).max()
    }
}
