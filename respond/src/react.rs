//! Which effects one fact calls for. Pure: the runner carries them out, and only for facts that are new to it.

use custos_event::{
    Fact, Position, RunId, TaskId,
    respond::{Action, Check, Phase, RunEvent, TaskEvent},
};
use std::fmt;

/// Tells a repeat from a new effect: the same for the same intent, whoever carries it out, however often.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `RUN-000001/block`, or a task's id.
    pub of: String,
    /// Of the fact that intended it.
    pub intent: Position,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.of, self.intent.seq)
    }
}

/// What one fact calls for.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "handled one at a time, never kept in numbers")]
pub enum Call {
    /// See what the run does next.
    Advance { run: RunId },
    /// Touch the world, and write down what came of it.
    Perform { run: RunId, step: String, phase: Phase, key: Key, action: Action, timeout_secs: u64 },
    /// Ask whether what was recovered is clean.
    Probe { task: TaskId, key: Key },
}

/// The effects of the fact at `position`.
pub fn react(position: Position, fact: &Fact) -> Vec<Call> {
    if let Fact::Run { run, event } = fact {
        return react_run(position, *run, event);
    }
    if let Fact::Task { task, event: TaskEvent::Done { .. } } = fact {
        let key = Key { of: task.to_string(), intent: position };
        return vec![Call::Probe { task: *task, key }];
    }
    Vec::new()
}

fn react_run(position: Position, run: RunId, event: &RunEvent) -> Vec<Call> {
    match event {
        RunEvent::Intended { step, phase, action, timeout_secs, .. } => {
            vec![perform(run, step, *phase, position, action, *timeout_secs)]
        }
        RunEvent::Resumed { step, phase, intent, action, timeout_secs } => {
            vec![perform(run, step, *phase, *intent, action, *timeout_secs)]
        }
        RunEvent::Opened { .. }
        | RunEvent::StepSkipped { .. }
        | RunEvent::StepRefused { .. }
        | RunEvent::Approved { .. }
        | RunEvent::Denied { .. }
        | RunEvent::ApprovalExpired { .. }
        | RunEvent::Resulted { .. }
        | RunEvent::Resolved { .. } => vec![Call::Advance { run }],
        RunEvent::ApprovalRequested { .. }
        | RunEvent::Doubted { .. }
        | RunEvent::UndoRequested { .. }
        | RunEvent::Finished { .. } => Vec::new(),
    }
}

fn perform(
    run: RunId,
    step: &str,
    phase: Phase,
    intent: Position,
    action: &Action,
    timeout_secs: u64,
) -> Call {
    let key = Key { of: format!("{run}/{step}"), intent };
    Call::Perform { run, step: step.into(), phase, key, action: action.clone(), timeout_secs }
}

/// Whether a probe's answer shows that all is clean; `None` where its condition does not read.
pub fn is_clean(probe: &Check, output: &serde_json::Value) -> Option<bool> {
    crate::run::holds(probe, output)
}
