//! A dry run: what a playbook would do, with its reads done and nothing else.

use super::evidence::Searcher;
use crate::{clock::SystemClock, respond::desk::journal};
use custos_event::{
    Clock as _, Decider as _, Seq, Timestamp,
    respond::{Action, Actioned, Answer, EffectClass, Outcome, Phase, Query, RunEvent},
};
use custos_respond::{
    Key, Limits, Run,
    effect::{Order, World},
    react::is_clean,
    run::{Command, Opened, Stage},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// One step as it would go.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) title: String,
    /// In Chinese; empty where nobody wrote one.
    pub(crate) title_zh: String,
    /// read, reversible or irreversible
    pub(crate) effect: &'static str,
    #[schema(value_type = Object)]
    pub(crate) action: Value,
    pub(crate) target: String,
    #[schema(value_type = Option<Object>)]
    pub(crate) undo: Option<Value>,
    pub(crate) undo_after_secs: Option<u64>,
    /// Who would have to approve.
    pub(crate) approval: Option<Vec<String>>,
    /// Its condition does not hold.
    pub(crate) skipped: bool,
    /// Why it would be refused; the run would stop here.
    pub(crate) refused: Option<String>,
    /// What its reads found, where they were made.
    pub(crate) detail: Option<String>,
    #[schema(value_type = Object)]
    pub(crate) output: Value,
    /// The search that was made, and how many events it found: a read that has to be told.
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) searched: Option<(String, u64)>,
}

impl Planned {
    fn search(&mut self, searcher: &Searcher, query: &Query) -> Answer {
        match searcher.count(query, SystemClock.now()) {
            Ok(count) => {
                self.searched = Some((query.query.clone(), count));
                self.detail = Some(format!("finds {count} events now"));
                self.output = json!({"count": count});
                done(self.output.clone())
            }
            Err(error) => {
                self.refused = Some(format!("{error:#}"));
                done(json!({"count": 0}))
            }
        }
    }

    /// For people, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut head = format!("{}: {}", self.name, self.effect);
        if self.skipped {
            head.push_str(", left out: its condition does not hold");
        }
        if let Some(why) = &self.refused {
            head = format!("{head}, REFUSED: {why}");
        }
        if let Some(roles) = &self.approval {
            head = format!("{head}, waits for {}", roles.join(" or "));
        }
        let action = (!self.action.is_null()).then(|| format!("  does {}", self.action));
        let undo = self.undo.as_ref().map(|undo| format!("  undo {undo}"));
        let detail = self.detail.as_ref().map(|detail| format!("  {detail}"));
        [Some(head), action, undo, detail].into_iter().flatten().collect()
    }
}

/// Walks the run to its end, as if everybody agreed and every act worked. Reads are made where there is
/// somebody to ask.
pub(crate) fn walk(
    opened: Opened,
    limits: &Limits,
    world: Option<&World>,
    searcher: Option<&Searcher>,
) -> Vec<Planned> {
    let mut walk = Walk { run: Run::default(), limits: Arc::new(limits.clone()), world, searcher };
    walk.apply(Command::Open(Box::new(opened)));
    let names: Vec<_> = walk.run.steps.iter().map(|step| step.step.name.clone()).collect();
    let mut planned = Vec::new();
    for name in names {
        let step = walk.step(&name);
        let ends = step.refused.is_some();
        planned.push(step);
        if ends {
            break;
        }
    }
    planned
}

struct Walk<'w> {
    run: Run,
    limits: Arc<Limits>,
    world: Option<&'w World>,
    searcher: Option<&'w Searcher>,
}

impl Walk<'_> {
    fn apply(&mut self, command: Command) -> Vec<RunEvent> {
        let events = self.run.decide(command).unwrap_or_default();
        for event in &events {
            self.run.apply(event);
        }
        events
    }

    fn step(&mut self, name: &str) -> Planned {
        let mut planned = self.blank(name);
        let at = SystemClock.now();
        // Each turn decides one thing about the step; a handful ends it.
        for _ in 0..12 {
            let limits = Arc::clone(&self.limits);
            let events = self.apply(Command::Advance { at, limits });
            let Some(event) = events.into_iter().next() else { break };
            if custos_respond::run::step_of(&event) != Some(name) {
                break;
            }
            self.take(&mut planned, event, at);
            let over = self.run.step(name).is_none_or(|s| s.stage.is_over() || s.stage.stops());
            if over {
                break;
            }
        }
        let state = self.run.step(name);
        if state.is_some_and(|state| matches!(state.stage, Stage::Failed | Stage::Unknown)) {
            let found = planned.detail.take().unwrap_or_default();
            planned.refused = Some(format!("a read failed: {found}"));
        }
        planned
    }

    fn take(&mut self, planned: &mut Planned, event: RunEvent, at: Timestamp) {
        match event {
            RunEvent::StepSkipped { .. } => planned.skipped = true,
            RunEvent::StepRefused { reason, .. } => planned.refused = Some(reason),
            RunEvent::ApprovalRequested { step, hash, roles, actioned, .. } => {
                planned.approval = Some(roles);
                planned.shows(&actioned);
                let by = custos_event::Actor::User { name: "dry-run".into() };
                self.run.apply(&RunEvent::Approved { step, hash, by });
            }
            RunEvent::Intended { step, phase, action, timeout_secs, .. } => {
                if phase == Phase::Act {
                    planned.action = json!(action);
                }
                let answer = self.answer(planned, phase, &action, timeout_secs);
                let intent = journal(Seq(0));
                self.apply(Command::Answer { step, intent, answer, at });
            }
            RunEvent::Opened { .. }
            | RunEvent::Approved { .. }
            | RunEvent::Denied { .. }
            | RunEvent::ApprovalExpired { .. }
            | RunEvent::Doubted { .. }
            | RunEvent::Resumed { .. }
            | RunEvent::Resulted { .. }
            | RunEvent::UndoRequested { .. }
            | RunEvent::Resolved { .. }
            | RunEvent::Finished { .. } => {}
        }
    }

    /// What a read says; an act is only written down.
    fn answer(
        &self,
        planned: &mut Planned,
        phase: Phase,
        action: &Action,
        timeout_secs: u64,
    ) -> Answer {
        let reads = phase == Phase::Precheck || planned.effect == "read";
        match (action, reads) {
            (Action::Query(query), true) => match self.searcher {
                Some(searcher) => planned.search(searcher, query),
                None => done(json!({"count": 0})),
            },
            (action, true) => match self.world {
                Some(world) => self.ask(planned, world, phase, action, timeout_secs),
                None => assumed(phase),
            },
            (_, false) => assumed(phase),
        }
    }

    fn ask(
        &self,
        planned: &mut Planned,
        world: &World,
        phase: Phase,
        action: &Action,
        timeout_secs: u64,
    ) -> Answer {
        let key = Key { of: "dry-run".into(), intent: journal(Seq(0)) };
        let timeout = Duration::from_secs(timeout_secs);
        let (at, customer) = (SystemClock.now(), None);
        let order = Order { action, phase, key: &key, timeout, at, customer };
        let answer = world.perform(order);
        let check = self.run.step(&planned.name).and_then(|step| step.step.precheck.clone());
        planned.detail = Some(match check.filter(|_| phase == Phase::Precheck) {
            Some(check) => match is_clean(&check, &answer.output) {
                Some(true) => "precheck: it is so already, nothing would be done".to_owned(),
                Some(false) => "precheck: it would be done".to_owned(),
                None => format!("precheck could not tell: {}", answer.detail),
            },
            None => format!("answered: {} {}", answer.detail, answer.output),
        });
        answer
    }

    fn blank(&self, name: &str) -> Planned {
        let step = self.run.step(name).map(|state| state.step.clone());
        let effect = match step.as_ref().map(|step| step.effect) {
            Some(EffectClass::Reversible) => "reversible",
            Some(EffectClass::Irreversible) => "irreversible",
            Some(EffectClass::Read) | None => "read",
        };
        Planned {
            name: name.to_owned(),
            title_zh: step.as_ref().map(|step| step.title_zh.clone()).unwrap_or_default(),
            title: step.map(|step| step.title).unwrap_or_default(),
            effect,
            action: Value::Null,
            target: String::new(),
            undo: None,
            undo_after_secs: None,
            approval: None,
            skipped: false,
            refused: None,
            detail: None,
            output: Value::Null,
            searched: None,
        }
    }
}

impl Planned {
    fn shows(&mut self, actioned: &Actioned) {
        self.action = json!(actioned.action);
        self.target.clone_from(&actioned.target);
        self.undo = actioned.undo.as_ref().map(|undo| json!(undo));
        self.undo_after_secs = actioned.undo_after_secs;
    }
}

fn done(output: Value) -> Answer {
    Answer { outcome: Outcome::Done, detail: String::new(), output }
}

/// As if the peer had said that it is still to be done, and then that it is done.
fn assumed(phase: Phase) -> Answer {
    let status = if phase == Phase::Precheck { 404 } else { 200 };
    done(json!({"status": status, "body": null}))
}
