//! What came of an intent, and what to do where that is not known.

use super::{Doubtful, Run, StepState};
use crate::expr::Expr;
use custos_event::{
    Position, Timestamp,
    respond::{Action, Answer, Check, Doubt, EffectClass, Outcome, Phase, RunEvent},
};
use serde_json::{Value, json};

impl Run {
    /// Nothing where the step awaits no answer any more: a late or repeated one changes nothing.
    pub(super) fn answered(
        &self,
        step: &str,
        intent: Position,
        answer: Answer,
        at: Timestamp,
    ) -> Vec<RunEvent> {
        let Some(state) = self.step(step) else { return Vec::new() };
        let Some(pending) = state.intent else { return Vec::new() };
        match (pending.phase, state.doubtful) {
            (Phase::Precheck, Some(doubtful)) => self.told(state, doubtful, &answer, at),
            (Phase::Precheck, None) => self.prechecked(state, answer, at),
            (Phase::Verify, _) => {
                let answer =
                    judged(state.step.verify.as_ref(), answer, Outcome::Done, Outcome::Failed);
                vec![self.resulted(state, Phase::Verify, answer, at)]
            }
            (phase @ (Phase::Act | Phase::Undo), _) if answer.outcome == Outcome::Unknown => self
                .doubt(state, phase, intent, Doubt::Answer)
                .unwrap_or_else(|| vec![self.resulted(state, phase, answer, at)]),
            (phase @ (Phase::Act | Phase::Undo), _) => {
                vec![self.resulted(state, phase, answer, at)]
            }
        }
    }

    /// What is so already is somebody else's doing, unless an earlier attempt of this step may have done it.
    fn prechecked(&self, state: &StepState, answer: Answer, at: Timestamp) -> Vec<RunEvent> {
        let check = state.step.precheck.as_ref();
        let mut answer = judged(check, answer, Outcome::AlreadySo, Outcome::Done);
        let before = state.answers.get(&Phase::Act).map(|answer| answer.outcome);
        let ours = answer.outcome == Outcome::AlreadySo && before == Some(Outcome::Unknown);
        if ours {
            answer.outcome = Outcome::Done;
        }
        let mut events = vec![self.resulted(state, Phase::Precheck, answer.clone(), at)];
        if ours {
            let detail = "found done by the precheck".to_owned();
            events.push(self.resulted(state, Phase::Act, Answer { detail, ..answer }, at));
        }
        events
    }

    fn resulted(&self, state: &StepState, phase: Phase, answer: Answer, at: Timestamp) -> RunEvent {
        let done =
            phase == Phase::Act && answer.outcome == Outcome::Done && state.step.undo.is_some();
        let undo_due = if done { self.undo_due(state, at) } else { None };
        let attempt = state.attempts.get(&phase).copied().unwrap_or(1);
        RunEvent::Resulted { step: state.step.name.clone(), phase, attempt, answer, undo_due }
    }

    /// Asks the precheck about an act or undo; `None` where the step has none.
    fn doubt(
        &self,
        state: &StepState,
        phase: Phase,
        intent: Position,
        doubt: Doubt,
    ) -> Option<Vec<RunEvent>> {
        state.step.precheck.as_ref()?;
        let step = state.step.name.clone();
        let mut events = vec![RunEvent::Doubted { step, phase, intent, doubt }];
        events.extend(self.intend(state, Phase::Precheck));
        Some(events)
    }

    /// After a restart: an intent that has no result.
    pub(super) fn recover(&self, step: &str, intent: Position) -> Vec<RunEvent> {
        let Some(state) = self.step(step) else { return Vec::new() };
        let Some(pending) = state.intent else { return Vec::new() };
        if is_harmless(state, pending.phase) {
            return self.resume(state, pending.phase, intent);
        }
        self.doubt(state, pending.phase, intent, Doubt::Restart).unwrap_or_else(|| {
            let detail = "Custos ended between intent and result, and this step has no precheck: look \
                          whether it happened, and say so";
            vec![self.unknown(state, pending.phase, detail)]
        })
    }

    fn resume(&self, state: &StepState, phase: Phase, intent: Position) -> Vec<RunEvent> {
        let step = state.step.name.clone();
        match self.action_of(state, phase) {
            Ok(action) => {
                let timeout_secs = state.step.timeout_secs;
                vec![RunEvent::Resumed { step, phase, intent, action, timeout_secs }]
            }
            Err(reason) => vec![self.unknown(state, phase, &reason)],
        }
    }

    fn unknown(&self, state: &StepState, phase: Phase, detail: &str) -> RunEvent {
        let (outcome, detail) = (Outcome::Unknown, detail.to_owned());
        let answer = Answer { outcome, detail, output: Value::Null };
        self.resulted(state, phase, answer, Timestamp::default())
    }

    /// The precheck's word on an intent that is in doubt.
    fn told(
        &self,
        state: &StepState,
        doubtful: Doubtful,
        answer: &Answer,
        at: Timestamp,
    ) -> Vec<RunEvent> {
        let phase = doubtful.phase;
        let holds = match (&state.step.precheck, answer.outcome) {
            (Some(check), Outcome::Done) => holds(check, &answer.output),
            _ => None,
        };
        let happened = holds.map(|so| so == (phase == Phase::Act));
        let mut events = vec![self.resulted(state, Phase::Precheck, answer.clone(), at)];
        events.extend(match happened {
            Some(true) => {
                let detail = "found done by the precheck".to_owned();
                let answer =
                    Answer { outcome: Outcome::Done, detail, output: answer.output.clone() };
                vec![self.resulted(state, phase, answer, at)]
            }
            Some(false) if may_resume(state, doubtful) => {
                self.resume(state, phase, doubtful.intent)
            }
            Some(false) => {
                let detail =
                    "the precheck does not find it done, but it may yet happen: look, and say so";
                vec![self.unknown(state, phase, detail)]
            }
            None => {
                let detail = format!("the precheck could not tell either ({})", answer.detail);
                vec![self.unknown(state, phase, &detail)]
            }
        });
        events
    }
}

/// The same intent under its own key may go out again only where the sender is dead and the peer has been
/// asked, and where doing it twice could still be undone.
fn may_resume(state: &StepState, doubtful: Doubtful) -> bool {
    doubtful.doubt == Doubt::Restart && state.step.effect == EffectClass::Reversible
}

/// Doing it again changes nothing outside: reads; and tasks, which live in the same journal.
fn is_harmless(state: &StepState, phase: Phase) -> bool {
    let own = matches!(state.step.action, Action::Task(_));
    matches!(phase, Phase::Precheck | Phase::Verify)
        || (phase == Phase::Act && (own || !state.acts()))
}

/// A check's answer with the outcome that its condition gives.
fn judged(check: Option<&Check>, answer: Answer, so: Outcome, not_so: Outcome) -> Answer {
    let found = check.filter(|_| answer.outcome == Outcome::Done);
    match found.and_then(|check| holds(check, &answer.output).map(|holds| (check, holds))) {
        Some((_, true)) => Answer { outcome: so, ..answer },
        Some((check, false)) => {
            let detail = format!("does not hold: {}", check.holds);
            Answer { outcome: not_so, detail, ..answer }
        }
        None => answer,
    }
}

/// Whether the condition holds for an answer; `None` where it does not read.
pub(crate) fn holds(check: &Check, output: &Value) -> Option<bool> {
    let expr = Expr::parse(&check.holds).ok()?;
    Some(expr.holds(&json!({"answer": output})))
}
