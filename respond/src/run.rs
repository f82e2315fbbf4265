//! A playbook's run: which step is next, who has to agree, what was intended and what came of it.
//!
//! The order for each effect is fixed: intent (durable), effect, result. A result that is not known is never
//! guessed and never met with a second try: the precheck is asked, and after it a person.

mod advance;
mod answer;
mod command;
mod resolve;
pub mod state;
#[cfg(test)]
mod tests;

pub(crate) use answer::holds;
pub use command::Command;
pub use resolve::{protected, targets};
pub use state::{Doubtful, Intent, Stage, StepState, Undo, name as step_of};

use crate::Rejection;
use custos_event::{
    Actor, AlertId, Decider, IncidentId, RunId,
    respond::{Finish, InputValue, Plan, RunEvent},
};
use std::collections::BTreeMap;

/// One run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Known once the run is opened.
    pub opened: Option<Opened>,
    pub steps: Vec<StepState>,
    pub finished: Option<Finish>,
}

/// What a run was opened with.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    pub id: RunId,
    pub incident: IncidentId,
    pub incident_title: String,
    pub plan: Plan,
    pub inputs: BTreeMap<String, InputValue>,
    pub requester: Actor,
    pub alert: Option<AlertId>,
}

/// Where a run stands, as a person sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    /// A step waits for somebody's approval.
    Waiting,
    /// A step failed, or its outcome is unknown: a person has to say how to go on.
    Asks,
    Done,
    Stopped,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting_approval",
            Self::Asks => "needs_person",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

impl Run {
    pub fn status(&self) -> Status {
        match (self.finished, self.current().map(|step| &step.stage)) {
            (Some(Finish::Done), _) => Status::Done,
            (Some(Finish::Stopped), _) => Status::Stopped,
            (None, Some(Stage::Approving { .. })) => Status::Waiting,
            (None, Some(Stage::Failed | Stage::Unknown)) => Status::Asks,
            (None, _) => Status::Running,
        }
    }

    /// Whether anything about it may still change by itself.
    pub fn is_active(&self) -> bool {
        let undoing = |step: &StepState| {
            step.intent.is_some() || matches!(step.undo, Undo::Open { due: Some(_) })
        };
        self.opened.is_some() && (self.finished.is_none() || self.steps.iter().any(undoing))
    }

    /// The first step that is not over.
    pub fn current(&self) -> Option<&StepState> {
        self.steps.iter().find(|step| !step.stage.is_over())
    }

    pub fn step(&self, name: &str) -> Option<&StepState> {
        self.steps.iter().find(|step| step.step.name == name)
    }

    fn named(&self, name: &str) -> Result<(&Opened, &StepState), Rejection> {
        let opened = self.opened.as_ref().ok_or_else(|| Rejection::unknown("such run"))?;
        let step = self.step(name).ok_or_else(|| {
            Rejection::Unknown(format!(
                "step '{name}' in {} of playbook {}",
                opened.id, opened.plan.playbook
            ))
        })?;
        Ok((opened, step))
    }
}

impl Decider for Run {
    type Command = Command;
    type Event = RunEvent;
    type Rejection = Rejection;

    fn decide(&self, command: Command) -> Result<Vec<RunEvent>, Rejection> {
        match command {
            Command::Open(opened) => self.open(*opened),
            Command::Advance { at, limits } => Ok(self.advance(at, &limits)),
            Command::Approve { step, hash, by, roles, at } => {
                self.approve(&step, &hash, by, &roles, at)
            }
            Command::Deny { step, hash, by, roles, reason } => {
                self.deny(&step, &hash, by, &roles, &reason)
            }
            Command::Answer { step, intent, answer, at } => {
                Ok(self.answered(&step, intent, answer, at))
            }
            Command::Recover { step, intent } => Ok(self.recover(&step, intent)),
            Command::Undo { step, by } => self.undo(&step, by),
            Command::Resolve { step, resolution, by, note, at } => {
                self.resolve(&step, resolution, by, &note, at)
            }
            Command::Tick { at } => Ok(self.tick(at)),
        }
    }

    fn apply(&mut self, event: &RunEvent) {
        state::apply(self, event);
    }
}

impl Run {
    fn open(&self, opened: Opened) -> Result<Vec<RunEvent>, Rejection> {
        if self.opened.is_some() {
            return Err(Rejection::conflict(format!("{} is open already", opened.id)));
        }
        let Opened { id, incident, incident_title, plan, inputs, requester, alert } = opened;
        Ok(vec![RunEvent::Opened {
            run: id,
            incident,
            incident_title,
            plan,
            inputs,
            requester,
            alert,
        }])
    }
}
