//! The names that this node's logs have in signed notes.

use custos_event::{LogId, Partition};
pub(crate) use custos_evidence::note::{parse_all, parse_kept, public_key, sign};
pub use custos_evidence::{Checkpoint, Keys, NoteError};
use ed25519_dalek::VerifyingKey;

/// `telemetry`; a partition beyond the first has its number behind it: `telemetry/1`.
pub(crate) fn log_name(log: LogId, partition: Partition) -> String {
    match partition.0 {
        0 => log.to_string(),
        part => format!("{log}/{part}"),
    }
}

/// Names the log within its node and the node by its key: `custos-1f2e3d4c/telemetry`.
pub(crate) fn origin(key: &VerifyingKey, log: LogId, partition: Partition) -> String {
    custos_evidence::note::origin(key, &log_name(log, partition))
}
