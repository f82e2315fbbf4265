//! What a run's facts add up to. Total: whatever the history, it folds.

use super::{Opened, Run};
use custos_event::{
    Actor, Position, Timestamp,
    respond::{Actioned, Answer, Doubt, EffectClass, Outcome, Phase, Resolution, RunEvent, Step},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// One step as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct StepState {
    pub step: Step,
    pub stage: Stage,
    /// Intended, and no result yet.
    pub intent: Option<Intent>,
    /// An intent whose result the precheck is asked for.
    pub doubtful: Option<Doubtful>,
    /// Filled in when an approval is asked.
    pub actioned: Option<Actioned>,
    pub hash: String,
    pub approver: Option<Actor>,
    pub attempts: BTreeMap<Phase, u32>,
    /// The newest answer of each phase.
    pub answers: BTreeMap<Phase, Answer>,
    pub undo: Undo,
    /// Why it was refused, denied or given up.
    pub reason: String,
}

/// How far a step's own work is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    Waiting,
    Approving {
        roles: Vec<String>,
        expires_at: Timestamp,
    },
    /// May be begun: approved, or none was needed.
    Approved,
    /// The precheck found that it is still to be done.
    Prechecked,
    /// Done; to be verified.
    Unverified,
    /// Something is under way.
    Doing,
    /// Known not to have happened; a read may be tried again.
    Failed,
    Unknown,
    Done,
    /// It was so already; nothing of ours is to be undone.
    AlreadySo,
    Skipped,
    Refused,
    Denied,
    Expired,
    GivenUp,
}

impl Stage {
    /// Whether the run goes on behind this step.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadySo | Self::Skipped)
    }

    /// Whether the run ends here.
    pub fn stops(&self) -> bool {
        matches!(self, Self::Refused | Self::Denied | Self::Expired | Self::GivenUp)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approving { .. } => "waiting_approval",
            Self::Approved => "approved",
            Self::Prechecked | Self::Unverified | Self::Doing => "running",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Done => "done",
            Self::AlreadySo => "already_so",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::GivenUp => "given_up",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    pub phase: Phase,
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubtful {
    pub phase: Phase,
    pub attempt: u32,
    /// The intent's place, and so its key.
    pub intent: Position,
    pub doubt: Doubt,
}

/// What is left of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// No effect of ours, or none that can be undone.
    None,
    /// In force; undone by itself at `due`.
    Open {
        due: Option<Timestamp>,
    },
    Undoing,
    Undone,
    /// In force: the undo did not work.
    Failed,
    Unknown,
}

impl Undo {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open { .. } => "open",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the effect is, or may be, in force.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open { .. } | Self::Undoing | Self::Failed | Self::Unknown)
    }

    pub fn due(self) -> Option<Timestamp> {
        if let Self::Open { due } = self { due } else { None }
    }
}

impl StepState {
    fn new(step: &Step) -> Self {
        Self {
            step: step.clone(),
            stage: Stage::Waiting,
            intent: None,
            doubtful: None,
            actioned: None,
            hash: String::new(),
            approver: None,
            attempts: BTreeMap::new(),
            answers: BTreeMap::new(),
            undo: Undo::None,
            reason: String::new(),
        }
    }

    pub fn acts(&self) -> bool {
        self.step.effect != EffectClass::Read
    }

    /// What later steps can look up.
    pub fn output(&self) -> &Value {
        self.answers.get(&Phase::Act).map_or(&Value::Null, |answer| &answer.output)
    }

    fn intended(&mut self, phase: Phase, attempt: u32) {
        self.intent = Some(Intent { phase, attempt });
        self.attempts.insert(phase, attempt);
        if phase == Phase::Undo {
            self.undo = Undo::Undoing;
        } else if self.doubtful.is_none() {
            self.stage = Stage::Doing;
        }
    }

    fn resulted(&mut self, phase: Phase, answer: &Answer, due: Option<Timestamp>) {
        if self.intent.is_some_and(|intent| intent.phase == phase) {
            self.intent = None;
        }
        if self.doubtful.is_some_and(|doubtful| doubtful.phase == phase) {
            self.doubtful = None;
        }
        self.answers.insert(phase, answer.clone());
        match phase {
            Phase::Undo => self.undo = undo_after(answer.outcome),
            Phase::Act => {
                self.stage = self.stage_after(answer.outcome);
                if answer.outcome == Outcome::Done && self.step.undo.is_some() {
                    self.undo = Undo::Open { due };
                }
            }
            Phase::Verify => {
                self.stage =
                    if answer.outcome == Outcome::Done { Stage::Done } else { Stage::Failed };
            }
            Phase::Precheck if self.doubtful.is_some() => {}
            Phase::Precheck => {
                self.stage = match answer.outcome {
                    Outcome::AlreadySo => Stage::AlreadySo,
                    Outcome::Done => Stage::Prechecked,
                    Outcome::Failed | Outcome::Unknown => Stage::Failed,
                }
            }
        }
    }

    fn stage_after(&self, outcome: Outcome) -> Stage {
        match outcome {
            Outcome::Done if self.step.verify.is_some() => Stage::Unverified,
            Outcome::Done => Stage::Done,
            Outcome::AlreadySo => Stage::AlreadySo,
            Outcome::Failed => Stage::Failed,
            Outcome::Unknown => Stage::Unknown,
        }
    }

    fn resolved(&mut self, phase: Phase, resolution: Resolution, due: Option<Timestamp>) {
        match (phase, resolution) {
            (_, Resolution::Retry) => {}
            (Phase::Undo, Resolution::Done) => self.undo = Undo::Undone,
            (Phase::Undo, Resolution::NotDone) => self.undo = Undo::Open { due: None },
            (_, Resolution::Done) => {
                self.stage = Stage::Done;
                if self.step.undo.is_some() && self.undo == Undo::None {
                    self.undo = Undo::Open { due };
                }
            }
            (_, Resolution::NotDone) => self.stage = Stage::GivenUp,
        }
    }
}

fn undo_after(outcome: Outcome) -> Undo {
    match outcome {
        Outcome::Done | Outcome::AlreadySo => Undo::Undone,
        Outcome::Failed => Undo::Failed,
        Outcome::Unknown => Undo::Unknown,
    }
}

pub(super) fn apply(run: &mut Run, event: &RunEvent) {
    if let RunEvent::Opened { run: id, incident, incident_title, plan, inputs, requester, alert } =
        event
    {
        run.steps = plan.steps.iter().map(StepState::new).collect();
        run.opened = Some(Opened {
            id: *id,
            incident: *incident,
            incident_title: incident_title.clone(),
            plan: plan.clone(),
            inputs: inputs.clone(),
            requester: requester.clone(),
            alert: *alert,
        });
    } else if let RunEvent::Finished { status } = event {
        run.finished = Some(*status);
    } else if let Some(step) = name(event)
        && let Some(state) = run.steps.iter_mut().find(|state| state.step.name == step)
    {
        apply_step(state, event);
    }
}

fn apply_step(state: &mut StepState, event: &RunEvent) {
    match event {
        RunEvent::StepSkipped { .. } => state.stage = Stage::Skipped,
        RunEvent::StepRefused { reason, .. } => {
            state.stage = Stage::Refused;
            state.reason.clone_from(reason);
        }
        RunEvent::ApprovalRequested { hash, actioned, roles, expires_at, .. } => {
            state.stage = Stage::Approving { roles: roles.clone(), expires_at: *expires_at };
            state.hash.clone_from(hash);
            state.actioned = Some(actioned.clone());
        }
        RunEvent::Approved { by, .. } => {
            state.stage = Stage::Approved;
            state.approver = Some(by.clone());
        }
        RunEvent::Denied { reason, by, .. } => {
            state.stage = Stage::Denied;
            state.approver = Some(by.clone());
            state.reason.clone_from(reason);
        }
        RunEvent::ApprovalExpired { .. } => state.stage = Stage::Expired,
        RunEvent::Intended { phase, attempt, .. } => state.intended(*phase, *attempt),
        RunEvent::Doubted { phase, intent, doubt, .. } => {
            let attempt = state.attempts.get(phase).copied().unwrap_or(1);
            state.intent = None;
            state.doubtful =
                Some(Doubtful { phase: *phase, attempt, intent: *intent, doubt: *doubt });
        }
        RunEvent::Resumed { phase, .. } => {
            state.doubtful = state.doubtful.filter(|doubtful| doubtful.phase != *phase);
            let attempt = state.attempts.get(phase).copied().unwrap_or(1);
            state.intent = Some(Intent { phase: *phase, attempt });
        }
        RunEvent::Resulted { phase, answer, undo_due, .. } => {
            state.resulted(*phase, answer, *undo_due);
        }
        RunEvent::UndoRequested { .. } => state.undo = Undo::Undoing,
        RunEvent::Resolved { phase, resolution, undo_due, .. } => {
            state.resolved(*phase, *resolution, *undo_due);
        }
        RunEvent::Opened { .. } | RunEvent::Finished { .. } => {}
    }
}

/// The step that an event is about.
pub fn name(event: &RunEvent) -> Option<&str> {
    match event {
        RunEvent::Opened { .. } | RunEvent::Finished { .. } => None,
        RunEvent::StepSkipped { step }
        | RunEvent::StepRefused { step, .. }
        | RunEvent::ApprovalRequested { step, .. }
        | RunEvent::Approved { step, .. }
        | RunEvent::Denied { step, .. }
        | RunEvent::ApprovalExpired { step, .. }
        | RunEvent::Intended { step, .. }
        | RunEvent::Doubted { step, .. }
        | RunEvent::Resumed { step, .. }
        | RunEvent::Resulted { step, .. }
        | RunEvent::UndoRequested { step, .. }
        | RunEvent::Resolved { step, .. } => Some(step),
    }
}
