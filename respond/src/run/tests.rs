//! The order of a run: what is asked, done, doubted, undone, and by whom.

use super::*;
use crate::{Limits, Playbook, playbook};
use custos_event::{
    LogId, Partition, Position, Seq, Timestamp,
    respond::{Answer, Doubt, Outcome, Phase, Resolution, RunEvent},
};
use serde_json::{Value, json};
use std::sync::Arc;

const PLAYBOOK: &str = "
playbook: p
title: P
inputs: {address: {type: address, default: 203.0.113.7}}
steps:
  - step: block
    effect: EFFECT
    target: '{inputs.address}'
    http: {endpoint: fw, method: PUT, path: '/blocks/{inputs.address}'}
    precheck:
      http: {endpoint: fw, method: GET, path: '/blocks/{inputs.address}'}
      holds: answer.status == 200
    approval: {roles: [lead], expires: 1h}
";
const UNDO: &str = "
    undo:
      http: {endpoint: fw, method: DELETE, path: '/blocks/{inputs.address}'}
    undo_after: 2h
";

struct Rig {
    run: Run,
    facts: Vec<RunEvent>,
}

fn person(name: &str) -> Actor {
    Actor::User { name: name.into() }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn place(seq: usize) -> Position {
    let seq = Seq(u64::try_from(seq).unwrap());
    Position { log: LogId::JOURNAL, partition: Partition::default(), seq }
}

fn answer(outcome: Outcome, output: Value) -> Answer {
    Answer { outcome, detail: String::new(), output }
}

impl Rig {
    fn new(text: &str, requester: Actor) -> Self {
        let Playbook { plan, inputs, .. } = playbook::parse(text).unwrap();
        let inputs = crate::input::fill(&inputs, &BTreeMap::new(), None).unwrap();
        let mut rig = Self { run: Run::default(), facts: Vec::new() };
        let (id, incident, incident_title) = (RunId(1), IncidentId(1), "t".into());
        let opened = Opened { id, incident, incident_title, plan, inputs, requester, alert: None };
        rig.tell(Command::Open(Box::new(opened))).unwrap();
        rig.advance();
        rig
    }

    fn reversible() -> Self {
        let text = PLAYBOOK.replace("EFFECT", "reversible") + UNDO.trim_start_matches('\n');
        Self::new(&text, person("ann"))
    }

    fn irreversible() -> Self {
        Self::new(&PLAYBOOK.replace("EFFECT", "irreversible"), person("ann"))
    }

    fn tell(&mut self, command: Command) -> Result<Vec<RunEvent>, Rejection> {
        let events = self.run.decide(command)?;
        for event in &events {
            self.run.apply(event);
        }
        self.facts.extend(events.iter().cloned());
        Ok(events)
    }

    fn advance(&mut self) {
        let limits = Arc::new(Limits::default());
        self.tell(Command::Advance { at: at(0), limits }).unwrap();
    }

    fn approve_by(&mut self, by: Actor, hash: &str, secs: i64) -> Result<Vec<RunEvent>, Rejection> {
        let (step, hash, roles) = ("block".into(), hash.to_owned(), vec!["lead".to_owned()]);
        self.tell(Command::Approve { step, hash, by, roles, at: at(secs) })
    }

    fn hash(&self) -> String {
        self.run.step("block").unwrap().hash.clone()
    }

    /// Approved, prechecked with "not there", and the act intended.
    fn acting(mut self) -> Self {
        let hash = self.hash();
        self.approve_by(person("bob"), &hash, 1).unwrap();
        self.advance();
        self.answer(answer(Outcome::Done, json!({"status": 404})));
        self.advance();
        assert_eq!(self.pending(), Some(Phase::Act));
        self
    }

    fn pending(&self) -> Option<Phase> {
        self.run.step("block").unwrap().intent.map(|intent| intent.phase)
    }

    fn answer(&mut self, answer: Answer) -> Vec<RunEvent> {
        let command =
            Command::Answer { step: "block".into(), intent: place(7), answer, at: at(10) };
        self.tell(command).unwrap()
    }

    fn recover(&mut self) -> Vec<RunEvent> {
        self.tell(Command::Recover { step: "block".into(), intent: place(7) }).unwrap()
    }

    fn stage(&self) -> &'static str {
        self.run.step("block").unwrap().stage.name()
    }

    fn undo(&self) -> Undo {
        self.run.step("block").unwrap().undo
    }

    /// Every history folds to the state that the run had.
    fn folds(self) {
        assert_eq!(Run::fold(&self.facts), self.run);
    }
}

#[test]
fn an_approval_of_other_arguments_is_refused() {
    let mut rig = Rig::reversible();
    let refused = rig.approve_by(person("bob"), &"0".repeat(64), 1).unwrap_err();
    assert!(matches!(&refused, Rejection::Conflict(now) if now.contains(&rig.hash())), "{refused}");
    rig.folds();
}

#[test]
fn only_another_person_with_the_role_approves_and_only_in_time() {
    let mut rig = Rig::reversible();
    let hash = rig.hash();
    let own = rig.approve_by(person("ann"), &hash, 1);
    assert!(matches!(own, Err(Rejection::Forbidden(_))), "{own:?}");
    let program = rig.approve_by(Actor::Token { name: "api".into() }, &hash, 1);
    assert!(matches!(program, Err(Rejection::Forbidden(_))), "{program:?}");
    let (step, by, roles) = ("block".into(), person("bob"), vec!["analyst".to_owned()]);
    let lacking = Command::Approve { step, hash: hash.clone(), by, roles, at: at(1) };
    assert!(matches!(rig.tell(lacking), Err(Rejection::Forbidden(_))));
    let late = rig.approve_by(person("bob"), &hash, 3_600);
    assert!(matches!(late, Err(Rejection::Conflict(_))), "{late:?}");
    assert_eq!(rig.stage(), "waiting_approval");
}

#[test]
fn a_second_approval_changes_nothing_and_says_who_was_first() {
    let mut rig = Rig::reversible();
    let hash = rig.hash();
    rig.approve_by(person("bob"), &hash, 1).unwrap();
    let second = rig.approve_by(person("eve"), &hash, 2).unwrap_err();
    assert!(matches!(&second, Rejection::Conflict(now) if now.contains("bob")), "{second}");
}

#[test]
fn the_intent_comes_before_the_effect_and_is_what_was_approved() {
    let rig = Rig::reversible().acting();
    let approved = rig.run.step("block").unwrap().actioned.clone().unwrap();
    let intended = rig.facts.iter().rev().find_map(|fact| {
        let RunEvent::Intended { phase: Phase::Act, action, hash, .. } = fact else { return None };
        Some((action, hash))
    });
    let (action, hash) = intended.unwrap();
    assert_eq!((action, hash), (&approved.action, &rig.hash()));
    rig.folds();
}

#[test]
fn after_a_restart_the_precheck_decides_and_done_is_not_done_again() {
    let mut rig = Rig::reversible().acting();
    let events = rig.recover();
    assert!(matches!(events[0], RunEvent::Doubted { doubt: Doubt::Restart, .. }), "{events:?}");
    assert_eq!(rig.pending(), Some(Phase::Precheck));
    rig.answer(answer(Outcome::Done, json!({"status": 200})));
    assert_eq!((rig.stage(), rig.pending()), ("done", None));
    assert_eq!(rig.undo(), Undo::Open { due: Some(at(10 + 7_200)) });
    rig.folds();
}

#[test]
fn after_a_restart_a_reversible_act_that_was_not_done_goes_out_under_its_own_key() {
    let mut rig = Rig::reversible().acting();
    rig.recover();
    let events = rig.answer(answer(Outcome::Done, json!({"status": 404})));
    let resumed = events.iter().any(|event| {
        matches!(event, RunEvent::Resumed { phase: Phase::Act, intent, .. } if *intent == place(7))
    });
    assert!(resumed, "{events:?}");
    rig.answer(answer(Outcome::Done, json!({"status": 201})));
    assert_eq!(rig.stage(), "done");
    rig.folds();
}

#[test]
fn an_irreversible_act_in_doubt_is_never_tried_again_by_itself() {
    let mut rig = Rig::irreversible().acting();
    rig.recover();
    rig.answer(answer(Outcome::Done, json!({"status": 404})));
    rig.advance();
    assert_eq!((rig.stage(), rig.pending()), ("unknown", None));
    assert_eq!(rig.run.status(), Status::Asks);
    rig.folds();
}

#[test]
fn a_precheck_that_cannot_tell_asks_a_person() {
    for outcome in [Outcome::Failed, Outcome::Unknown] {
        let mut rig = Rig::reversible().acting();
        rig.recover();
        rig.answer(answer(outcome, Value::Null));
        rig.advance();
        assert_eq!((rig.stage(), rig.pending()), ("unknown", None));
    }
}

#[test]
fn a_live_answer_that_tells_nothing_is_not_met_with_a_second_try() {
    let mut rig = Rig::reversible().acting();
    rig.answer(answer(Outcome::Unknown, Value::Null));
    assert_eq!(rig.pending(), Some(Phase::Precheck));
    rig.answer(answer(Outcome::Done, json!({"status": 404})));
    rig.advance();
    assert_eq!((rig.stage(), rig.pending()), ("unknown", None));
    rig.folds();
}

#[test]
fn a_second_restart_while_the_precheck_is_asked_still_ends() {
    let mut rig = Rig::reversible().acting();
    rig.recover();
    rig.recover();
    assert_eq!(rig.pending(), Some(Phase::Precheck));
    rig.answer(answer(Outcome::Done, json!({"status": 200})));
    assert_eq!(rig.stage(), "done");
    rig.folds();
}

#[test]
fn what_a_person_says_settles_an_unknown_outcome() {
    let settle = |resolution| {
        let mut rig = Rig::irreversible().acting();
        rig.recover();
        rig.answer(answer(Outcome::Failed, Value::Null));
        let (step, by, note) = ("block".into(), person("bob"), "looked".to_owned());
        rig.tell(Command::Resolve { step, resolution, by, note, at: at(20) }).unwrap();
        rig.advance();
        rig
    };
    assert_eq!(settle(Resolution::Done).run.status(), Status::Done);
    assert_eq!(settle(Resolution::NotDone).run.status(), Status::Stopped);
    assert_eq!(settle(Resolution::Retry).pending(), Some(Phase::Precheck));
}

#[test]
fn time_undoes_the_effect_and_ends_what_nobody_approved() {
    let mut rig = Rig::reversible().acting();
    rig.answer(answer(Outcome::Done, json!({"status": 201})));
    assert!(rig.tell(Command::Tick { at: at(10 + 7_199) }).unwrap().is_empty());
    rig.tell(Command::Tick { at: at(10 + 7_200) }).unwrap();
    assert_eq!((rig.undo(), rig.pending()), (Undo::Undoing, Some(Phase::Undo)));
    rig.answer(answer(Outcome::Done, json!({"status": 200})));
    assert_eq!(rig.undo(), Undo::Undone);
    assert!(rig.tell(Command::Tick { at: at(99_999) }).unwrap().is_empty());
    rig.folds();
    let mut rig = Rig::reversible();
    rig.tell(Command::Tick { at: at(3_600) }).unwrap();
    rig.advance();
    assert_eq!(rig.run.status(), Status::Stopped);
    rig.folds();
}

#[test]
fn an_undo_in_doubt_is_asked_about_by_the_precheck() {
    let undoing = || {
        let mut rig = Rig::reversible().acting();
        rig.answer(answer(Outcome::Done, json!({"status": 201})));
        rig.tell(Command::Undo { step: "block".into(), by: person("bob") }).unwrap();
        rig.recover();
        rig
    };
    let mut rig = undoing();
    rig.answer(answer(Outcome::Done, json!({"status": 404})));
    assert_eq!(rig.undo(), Undo::Undone);
    let mut rig = undoing();
    let events = rig.answer(answer(Outcome::Done, json!({"status": 200})));
    assert!(matches!(events.last(), Some(RunEvent::Resumed { phase: Phase::Undo, .. })));
    rig.folds();
}

#[test]
fn an_undo_twice_is_a_conflict() {
    let mut rig = Rig::reversible().acting();
    rig.answer(answer(Outcome::Done, json!({"status": 201})));
    let undo = || Command::Undo { step: "block".into(), by: person("bob") };
    rig.tell(undo()).unwrap();
    assert!(matches!(rig.tell(undo()), Err(Rejection::Conflict(_))));
}

#[test]
fn what_an_alert_started_never_acts_before_a_person_agreed() {
    let text = PLAYBOOK
        .replace("EFFECT", "irreversible")
        .replace("    approval: {roles: [lead], expires: 1h}\n", "");
    let rig = Rig::new(&text, Actor::System { part: "respond".into() });
    assert_eq!(rig.stage(), "waiting_approval");
    let rig = Rig::new(&text, person("ann"));
    assert_eq!(rig.pending(), Some(Phase::Precheck));
}

#[test]
fn an_answer_that_comes_late_or_twice_changes_nothing() {
    let mut rig = Rig::reversible().acting();
    rig.answer(answer(Outcome::Done, json!({"status": 201})));
    let before = rig.run.clone();
    assert!(rig.answer(answer(Outcome::Failed, Value::Null)).is_empty());
    assert_eq!(rig.run, before);
}
