//! What Custos and its operators do to keep the log itself: backups, drills, retention, holds, repairs.

use crate::{
    id::{CommitNo, LogId, Seq},
    respond::IncidentId,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// One such thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UpkeepEvent {
    /// A backup was made, and each part of it read back.
    BackupCreated {
        /// The target's address.
        to: String,
        id: String,
        /// `full`, `differential`, `incremental`.
        kind: String,
        /// Everything up to this commit is in it.
        commit: CommitNo,
        /// What a restore would bring back, and what of it was stored now.
        bytes: u64,
        stored_bytes: u64,
        millis: u64,
        /// Segments that were damaged already and are kept as they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        damaged: Vec<String>,
    },
    /// A backup, a check, a drill or a pruning could not be done.
    BackupFailed {
        to: String,
        what: String,
        reason: String,
    },
    /// A backup was read and held against its manifest, and against the tree where the key was at hand.
    BackupVerified {
        to: String,
        id: String,
        ok: bool,
        proven: bool,
        bytes: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        errors: Vec<String>,
    },
    /// Old backups were let go.
    BackupsPruned {
        to: String,
        removed: Vec<String>,
        bytes: u64,
        /// Backups whose copy of the keyring was let go; what they hold is read with a newer one's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys_expired: Vec<String>,
    },
    /// A backup was restored beside, verified to its signed checkpoint, its projections made anew, and its
    /// answers compared.
    RestoreDrilled {
        to: String,
        id: String,
        ok: bool,
        commit: CommitNo,
        records: u64,
        bytes: u64,
        /// How many answers were compared.
        compared: u32,
        millis: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        errors: Vec<String>,
    },
    /// This data folder was made from a backup.
    Restored {
        from: String,
        id: String,
        /// The last commit of it that is in the folder, where it was cut there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// Records were let go because they were old or too many; their hashes stay, so that proofs hold.
    SegmentsDropped {
        log: LogId,
        first: Seq,
        last: Seq,
        segments: u32,
        bytes: u64,
        /// When the newest of them was received.
        through: Timestamp,
        reason: String,
    },
    /// What the hold covers is not let go, however old, until it is lifted.
    LegalHoldPlaced {
        hold: String,
        scope: HoldScope,
        reason: String,
    },
    LegalHoldLifted {
        hold: String,
        reason: String,
    },
    /// Damaged records were fetched from a backup, proven against the tree and put back.
    RangeRepaired {
        log: LogId,
        first: Seq,
        last: Seq,
        from: String,
        backup: String,
    },
    /// Every sealed segment was read once more.
    ScrubCompleted {
        segments: u64,
        bytes: u64,
        damaged: u64,
    },
}

/// What a legal hold covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HoldScope {
    /// The events that the incident's alerts were raised by.
    Incident { incident: IncidentId },
    /// Everything that one source sent.
    Source { source: String },
    /// Everything received from one instant to another, the latter left out.
    Received { from: Timestamp, to: Timestamp },
}
