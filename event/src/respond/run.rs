//! What happens to a run of a playbook.

use super::{Action, IncidentId, InputValue, Plan, RunId};
use crate::{
    fact::Actor,
    id::{AlertId, Position},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One thing that happened to a run. `step` is the step's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "handled one at a time, never kept in numbers")]
pub enum RunEvent {
    Opened {
        run: RunId,
        incident: IncidentId,
        incident_title: String,
        plan: Plan,
        inputs: BTreeMap<String, InputValue>,
        /// Who asked; Custos itself where an alert triggered the playbook.
        requester: Actor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alert: Option<AlertId>,
    },
    /// Its condition did not hold.
    StepSkipped {
        step: String,
    },
    /// It cannot be done as written: a look-up without a value, a target that is never acted on.
    StepRefused {
        step: String,
        reason: String,
    },
    ApprovalRequested {
        step: String,
        /// SHA-256 over `actioned`, hex: an approval speaks of these arguments and no others.
        hash: String,
        actioned: Actioned,
        roles: Vec<String>,
        expires_at: Timestamp,
    },
    Approved {
        step: String,
        hash: String,
        by: Actor,
    },
    Denied {
        step: String,
        hash: String,
        by: Actor,
        reason: String,
    },
    ApprovalExpired {
        step: String,
        hash: String,
    },
    /// What will be done, durable before it is begun. Its position is part of the idempotency key.
    Intended {
        step: String,
        phase: Phase,
        /// From 1, for each phase.
        attempt: u32,
        /// Of the approved arguments; empty where no approval was asked.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hash: String,
        action: Action,
        timeout_secs: u64,
    },
    /// Whether an intent was carried out is not known: the precheck is asked.
    Doubted {
        step: String,
        phase: Phase,
        intent: Position,
        doubt: Doubt,
    },
    /// Nothing was done of an intent, by certain knowledge: it is carried out again under its own key.
    Resumed {
        step: String,
        phase: Phase,
        intent: Position,
        action: Action,
        timeout_secs: u64,
    },
    Resulted {
        step: String,
        phase: Phase,
        attempt: u32,
        answer: Answer,
        /// When the undo happens by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo_due: Option<Timestamp>,
    },
    UndoRequested {
        step: String,
        by: Actor,
    },
    /// A person said what became of a step that failed or whose outcome is unknown.
    Resolved {
        step: String,
        phase: Phase,
        resolution: Resolution,
        by: Actor,
        note: String,
        /// When the undo happens by itself, where the step was said to be done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo_due: Option<Timestamp>,
    },
    Finished {
        status: Finish,
    },
}

/// Why an intent has no certain result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The process ended before the result was written.
    Restart,
    /// The other side did not answer, or not in a way that tells.
    Answer,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// Every step was done or left out.
    Done,
    /// A step was denied, refused, given up, or its approval expired.
    Stopped,
}

/// A part of a step's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Precheck,
    Act,
    Verify,
    Undo,
}

/// A step's action with every look-up filled in: what is approved and carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actioned {
    pub action: Action,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_after_secs: Option<u64>,
}

/// What came of an intent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub outcome: Outcome,
    /// For a person: why it failed, what is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What later steps can look up: `status` and `body` of an answer, `count` of a query.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// It was so before, by somebody else's doing: nothing was done, and nothing is to be undone.
    AlreadySo,
    /// Known not to have happened.
    Failed,
    /// It may have happened or not.
    Unknown,
}

/// A person's word on a step that failed or whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    Done,
    NotDone,
    Retry,
}
