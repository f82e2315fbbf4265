//! What comes next by itself, by a person's word, and by time.

use super::{Opened, Run, Stage, StepState, Undo, resolve};
use crate::{Limits, Rejection, rejection};
use custos_event::{
    Actor, Timestamp,
    respond::{Action, Approval, Check, EffectClass, Finish, Phase, Resolution, RunEvent, Step},
};

/// Who approves the first act of a run that an alert started, where the step itself names nobody.
const ROLES: [&str; 1] = ["lead"];
const APPROVAL_SECS: u64 = 8 * 3_600;

impl Run {
    pub(super) fn advance(&self, at: Timestamp, limits: &Limits) -> Vec<RunEvent> {
        let (Some(opened), None) = (&self.opened, self.finished) else { return Vec::new() };
        let Some(state) = self.current() else {
            return vec![RunEvent::Finished { status: Finish::Done }];
        };
        if state.stage.stops() {
            return vec![RunEvent::Finished { status: Finish::Stopped }];
        }
        match &state.stage {
            Stage::Waiting => self.begin(opened, state, at, limits),
            Stage::Approved => self.act(state),
            Stage::Prechecked => self.intend(state, Phase::Act),
            Stage::Unverified => self.intend(state, Phase::Verify),
            Stage::Failed if self.may_try_again(state) => self.intend(state, Phase::Act),
            Stage::Approving { .. }
            | Stage::Doing
            | Stage::Failed
            | Stage::Unknown
            | Stage::Done
            | Stage::AlreadySo
            | Stage::Skipped
            | Stage::Refused
            | Stage::Denied
            | Stage::Expired
            | Stage::GivenUp => Vec::new(),
        }
    }

    /// Only reads, and only as often as the playbook says.
    fn may_try_again(&self, state: &StepState) -> bool {
        let attempts = state.attempts.get(&Phase::Act).copied().unwrap_or(0);
        !state.acts() && attempts <= u32::from(state.step.retries) && self.finished.is_none()
    }

    fn begin(
        &self,
        opened: &Opened,
        state: &StepState,
        at: Timestamp,
        limits: &Limits,
    ) -> Vec<RunEvent> {
        let values = self.values();
        let step = state.step.name.clone();
        let refused = |reason| vec![RunEvent::StepRefused { step: step.clone(), reason }];
        match resolve::wanted(&state.step, &values) {
            Ok(true) => {}
            Ok(false) => return vec![RunEvent::StepSkipped { step }],
            Err(reason) => return refused(reason),
        }
        let actioned = match resolve::actioned(&state.step, &values) {
            Ok(actioned) => actioned,
            Err(reason) => return refused(reason),
        };
        if let Some(reason) = resolve::out_of_reach(&state.step, &actioned, opened, limits) {
            return refused(reason);
        }
        let Some(Approval { roles, expires_secs }) = self.approval(opened, &state.step) else {
            return self.act(state);
        };
        let expires_at = at.plus_secs(i64::try_from(expires_secs).unwrap_or(i64::MAX));
        let hash = resolve::hash(opened.id, &step, &actioned);
        vec![RunEvent::ApprovalRequested { step, hash, actioned, roles, expires_at }]
    }

    /// What the step asks for; and what an alert started never acts before some person has agreed.
    fn approval(&self, opened: &Opened, step: &Step) -> Option<Approval> {
        let by_alert = matches!(opened.requester, Actor::System { .. });
        let acts = step.effect != EffectClass::Read;
        let agreed = self
            .steps
            .iter()
            .any(|state| state.approver.is_some() && !matches!(state.stage, Stage::Denied));
        let standard =
            || Approval { roles: ROLES.map(str::to_owned).to_vec(), expires_secs: APPROVAL_SECS };
        let needed = by_alert && acts && !agreed;
        step.approval.clone().or_else(|| needed.then(standard))
    }

    /// Asks first whether it is so already, where the step knows how.
    fn act(&self, state: &StepState) -> Vec<RunEvent> {
        let first = if state.step.precheck.is_some() { Phase::Precheck } else { Phase::Act };
        self.intend(state, first)
    }

    /// The intent for one phase of a step; a refusal where its texts cannot be filled any more.
    pub(super) fn intend(&self, state: &StepState, phase: Phase) -> Vec<RunEvent> {
        let step = state.step.name.clone();
        let attempt = state.attempts.get(&phase).copied().unwrap_or(0).saturating_add(1);
        match self.action_of(state, phase) {
            Ok(action) => vec![RunEvent::Intended {
                step,
                phase,
                attempt,
                hash: state.hash.clone(),
                action,
                timeout_secs: state.step.timeout_secs,
            }],
            Err(reason) => vec![RunEvent::StepRefused { step, reason }],
        }
    }

    /// What one phase of a step does. What was approved is what is done: the very arguments.
    pub(super) fn action_of(&self, state: &StepState, phase: Phase) -> Result<Action, String> {
        let values = self.values();
        let read = |check: Option<&Check>| -> Result<Action, String> {
            let check = check.ok_or("the step has no such check")?;
            let check = resolve::check(check, &values).map_err(|error| error.to_string())?;
            Ok(Action::Http(check.http))
        };
        let actioned = || match &state.actioned {
            Some(approved) => Ok(approved.clone()),
            None => resolve::actioned(&state.step, &values),
        };
        match phase {
            Phase::Precheck => read(state.step.precheck.as_ref()),
            Phase::Verify => read(state.step.verify.as_ref()),
            Phase::Act => Ok(actioned()?.action),
            Phase::Undo => actioned()?.undo.ok_or_else(|| "the step has no undo".to_owned()),
        }
    }

    pub(super) fn approve(
        &self,
        step: &str,
        hash: &str,
        by: Actor,
        roles: &[String],
        at: Timestamp,
    ) -> Result<Vec<RunEvent>, Rejection> {
        let expires_at = self.may_judge(step, hash, &by, roles)?;
        if at >= expires_at {
            let text = format!("the approval expired at {expires_at}; start the playbook anew");
            return Err(Rejection::conflict(text));
        }
        Ok(vec![RunEvent::Approved { step: step.into(), hash: hash.into(), by }])
    }

    pub(super) fn deny(
        &self,
        step: &str,
        hash: &str,
        by: Actor,
        roles: &[String],
        reason: &str,
    ) -> Result<Vec<RunEvent>, Rejection> {
        self.may_judge(step, hash, &by, roles)?;
        let reason = rejection::text("the reason", reason)?;
        Ok(vec![RunEvent::Denied { step: step.into(), hash: hash.into(), by, reason }])
    }

    /// Whether `by` may judge these arguments of the step now; until when.
    fn may_judge(
        &self,
        step: &str,
        hash: &str,
        by: &Actor,
        roles: &[String],
    ) -> Result<Timestamp, Rejection> {
        let (opened, state) = self.named(step)?;
        let Stage::Approving { roles: wanted, expires_at } = &state.stage else {
            return Err(Rejection::conflict(waits_no_more(state)));
        };
        if state.hash != hash {
            let text =
                format!("step '{step}' waits for approval of other arguments: {}", state.hash);
            return Err(Rejection::conflict(text));
        }
        if *by == opened.requester {
            let text = "whoever asked for the run does not approve it; ask another person";
            return Err(Rejection::forbidden(text));
        }
        if !matches!(by, Actor::User { .. }) {
            return Err(Rejection::forbidden("an approval is a signed-in person's; sign in"));
        }
        if !wanted.iter().any(|role| roles.contains(role)) {
            let text = format!("step '{step}' is approved by: {}", wanted.join(" or "));
            return Err(Rejection::forbidden(text));
        }
        Ok(*expires_at)
    }

    pub(super) fn undo(&self, step: &str, by: Actor) -> Result<Vec<RunEvent>, Rejection> {
        let (_, state) = self.named(step)?;
        match state.undo {
            Undo::Open { .. } | Undo::Failed | Undo::Unknown => Ok(self.undo_events(state, by)),
            Undo::Undoing => Err(Rejection::conflict(format!("step '{step}' is being undone"))),
            Undo::Undone => Err(Rejection::conflict(format!("step '{step}' is undone already"))),
            Undo::None => {
                let text = format!("step '{step}' left nothing that could be undone");
                Err(Rejection::conflict(text))
            }
        }
    }

    fn undo_events(&self, state: &StepState, by: Actor) -> Vec<RunEvent> {
        let step = state.step.name.clone();
        let mut events = vec![RunEvent::UndoRequested { step, by }];
        events.extend(self.intend(state, Phase::Undo));
        events
    }

    pub(super) fn resolve(
        &self,
        step: &str,
        resolution: Resolution,
        by: Actor,
        note: &str,
        at: Timestamp,
    ) -> Result<Vec<RunEvent>, Rejection> {
        let (_, state) = self.named(step)?;
        let phase = if matches!(state.stage, Stage::Failed | Stage::Unknown) {
            Phase::Act
        } else if matches!(state.undo, Undo::Failed | Undo::Unknown) {
            Phase::Undo
        } else {
            let text =
                format!("step '{step}' is {}: nothing is asked about it", state.stage.name());
            return Err(Rejection::conflict(text));
        };
        let note = rejection::text("the note", note)?;
        let done = phase == Phase::Act && resolution == Resolution::Done;
        let undo_due = if done { self.undo_due(state, at) } else { None };
        let step = step.to_owned();
        let mut events = vec![RunEvent::Resolved { step, phase, resolution, by, note, undo_due }];
        if resolution == Resolution::Retry {
            // After a verification that failed the effect is in force: only that is asked again.
            events.extend(match phase {
                Phase::Act if state.undo.is_open() => self.intend(state, Phase::Verify),
                Phase::Act => self.act(state),
                Phase::Precheck | Phase::Verify | Phase::Undo => self.intend(state, phase),
            });
        }
        Ok(events)
    }

    /// When the effect of a step that is done at `at` is undone by itself.
    pub(super) fn undo_due(&self, state: &StepState, at: Timestamp) -> Option<Timestamp> {
        let actioned = match &state.actioned {
            Some(approved) => approved.clone(),
            None => resolve::actioned(&state.step, &self.values()).ok()?,
        };
        let secs = i64::try_from(actioned.undo_after_secs?).ok()?;
        Some(at.plus_secs(secs))
    }

    pub(super) fn tick(&self, at: Timestamp) -> Vec<RunEvent> {
        let mut events = Vec::new();
        for state in &self.steps {
            let step = state.step.name.clone();
            match (&state.stage, state.undo) {
                (Stage::Approving { expires_at, .. }, _) if *expires_at <= at => {
                    events.push(RunEvent::ApprovalExpired { step, hash: state.hash.clone() });
                }
                (_, Undo::Open { due: Some(due) }) if due <= at => {
                    let by = Actor::System { part: "respond".into() };
                    events.extend(self.undo_events(state, by));
                }
                _ => {}
            }
        }
        events
    }
}

fn waits_no_more(state: &StepState) -> String {
    let step = &state.step.name;
    match (&state.approver, &state.stage) {
        (Some(by), Stage::Denied) => format!("step '{step}' was denied by {}", rejection::name(by)),
        (Some(by), _) => format!("step '{step}' was approved by {} already", rejection::name(by)),
        (None, now) => format!("step '{step}' is {}, not waiting for approval", now.name()),
    }
}
