//! What a run can be told. Time, positions and limits come with the command.

use super::Opened;
use crate::Limits;
use custos_event::{
    Actor, Position, Timestamp,
    respond::{Answer, Resolution},
};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Command {
    Open(Box<Opened>),
    /// Says what comes next; nothing while something is awaited.
    Advance {
        at: Timestamp,
        limits: Arc<Limits>,
    },
    Approve {
        step: String,
        hash: String,
        by: Actor,
        roles: Vec<String>,
        at: Timestamp,
    },
    Deny {
        step: String,
        hash: String,
        by: Actor,
        roles: Vec<String>,
        reason: String,
    },
    /// What came of the intent at `intent`.
    Answer {
        step: String,
        intent: Position,
        answer: Answer,
        at: Timestamp,
    },
    /// The process that carried the intent out is gone, and left no result.
    Recover {
        step: String,
        intent: Position,
    },
    Undo {
        step: String,
        by: Actor,
    },
    Resolve {
        step: String,
        resolution: Resolution,
        by: Actor,
        note: String,
        at: Timestamp,
    },
    /// Time has passed: approvals expire, effects are undone.
    Tick {
        at: Timestamp,
    },
}
