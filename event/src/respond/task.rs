//! What happens to a recovery task.

use super::{IncidentId, RunId, TaskOrder};
use crate::{fact::Actor, time::Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that happened to a recovery task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "handled one at a time, never kept in numbers")]
pub enum TaskEvent {
    Opened {
        incident: IncidentId,
        order: TaskOrder,
        due: Timestamp,
        /// The run and step that asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<(RunId, String)>,
    },
    Assigned {
        owner: String,
    },
    Started {
        by: Actor,
    },
    /// Somebody says that the work is done; the probe is asked where there is one.
    Done {
        by: Actor,
        note: String,
    },
    /// What the probe answered: clean, or what it found.
    Probed {
        clean: bool,
        detail: String,
    },
    /// Another person than the one who did it looked and agrees.
    SignedOff {
        by: Actor,
        note: String,
    },
}
