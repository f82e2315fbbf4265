//! The desk over a real store: what it writes together, whom it lets win, what a restart finds again.

use super::{Command, Desk, DeskError, desk::journal, playbooks};
use crate::{clock::SystemClock, folder::Folder};
use custos_event::{
    Actor, Alert, AlertId, Clock as _, Entity, EntityKind, Fact, RuleId, RunId, Seq, Timestamp,
    respond::RunEvent,
};
use custos_respond::{Limits, Rejection, run};
use custos_store::Store;
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

fn open(dir: &TempDir) -> (Desk, Store) {
    let store = Folder::chosen(Some(dir.path().into())).open(true).unwrap().store;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/playbooks");
    let playbooks = playbooks::accepted(playbooks::read(&[folder]).unwrap());
    let limits = Limits { networks: Vec::new(), users: vec!["root".into()] };
    (Desk::open(&store, playbooks, limits, Arc::new(SystemClock)).unwrap(), store)
}

fn custos() -> Actor {
    super::state::custos()
}

fn person(name: &str) -> Actor {
    Actor::User { name: name.into() }
}

fn alert(n: u8, tag: &str, kind: EntityKind, value: &str) -> Alert {
    Alert {
        id: AlertId([n; 16]),
        rule: RuleId("r".into()),
        rule_version: String::new(),
        title: "Passwords guessed".into(),
        title_zh: "猜测口令".into(),
        level: "high".into(),
        risk: None,
        tags: vec![tag.into()],
        time: Timestamp::from_secs(1_795_507_200),
        events: Vec::new(),
        matched: Vec::new(),
        entities: vec![Entity { kind, value: value.into() }],
    }
}

fn take(desk: &Desk, n: u8, tag: &str, kind: EntityKind, value: &str) -> Vec<Fact> {
    let alert = Box::new(alert(n, tag, kind, value));
    let at = journal(Seq(u64::from(n)));
    let facts = desk.command(&custos(), Some(at), Command::TakeAlert { at, alert }).unwrap();
    facts.into_iter().map(|(_, fact)| fact).collect()
}

#[test]
fn a_grave_alert_opens_an_incident_and_proposes_its_playbook_in_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, store) = open(&dir);
    let before = store.last_commit();
    let facts = take(&desk, 1, "attack.t1110", EntityKind::Address, "203.0.113.7");
    assert_eq!(store.last_commit(), before.next());
    assert_eq!(facts.len(), 3, "{facts:?}");
    assert!(
        matches!(&facts[1], Fact::Run { event: RunEvent::Opened { plan, .. }, .. } if plan.playbook == "block-address")
    );
    // The same alert again, and another one like it: no second incident, no second run.
    assert!(take(&desk, 1, "attack.t1110", EntityKind::Address, "203.0.113.7").is_empty());
    assert_eq!(take(&desk, 2, "attack.t1110", EntityKind::Address, "203.0.113.7").len(), 1);
    // Nor by an alert of another rule, whose title is among the inputs.
    let mut other = alert(3, "attack.t1190", EntityKind::Address, "203.0.113.7");
    other.title = "Severe intrusion attempt let through".into();
    let command = Command::TakeAlert { at: journal(Seq(3)), alert: Box::new(other) };
    assert_eq!(desk.command(&custos(), None, command).unwrap().len(), 1);
    store.close().unwrap();
}

#[test]
fn what_the_limits_refuse_is_not_even_proposed() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, store) = open(&dir);
    assert_eq!(take(&desk, 1, "attack.t1110", EntityKind::Address, "10.0.0.7").len(), 1);
    assert_eq!(take(&desk, 2, "attack.t1567", EntityKind::User, "root").len(), 1);
    assert_eq!(take(&desk, 3, "attack.t1567", EntityKind::User, "j.doe").len(), 3);
    store.close().unwrap();
}

/// Up to the approval of block-address; the hash to approve.
fn waiting(desk: &Desk) -> String {
    take(desk, 1, "attack.t1110", EntityKind::Address, "203.0.113.7");
    let advance = || desk.command(&custos(), None, Command::Advance(RunId(1))).unwrap();
    let intent = advance()[0].0;
    let answer = custos_event::respond::Answer {
        outcome: custos_event::respond::Outcome::Done,
        detail: String::new(),
        output: serde_json::json!({"count": 3}),
    };
    let at = SystemClock.now();
    let answer = run::Command::Answer { step: "traces".into(), intent, answer, at };
    desk.command(&custos(), None, Command::Run(RunId(1), answer)).unwrap();
    advance();
    desk.read(|state| state.runs[&RunId(1)].run.step("block").unwrap().hash.clone())
}

#[test]
fn of_many_who_approve_at_once_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, store) = open(&dir);
    let hash = waiting(&desk);
    let approve = |nth: u8| {
        let by = person(&format!("lead-{nth}"));
        let (step, roles, at) = ("block".into(), vec!["lead".into()], SystemClock.now());
        let command = run::Command::Approve { step, hash: hash.clone(), by: by.clone(), roles, at };
        desk.command(&by, None, Command::Run(RunId(1), command))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|nth| scope.spawn(move || approve(nth))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let lost = results.into_iter().filter_map(Result::err);
    for error in lost {
        assert!(
            matches!(&error, DeskError::Rejected(Rejection::Conflict(now)) if now.contains("lead-")),
            "{error}"
        );
    }
    store.close().unwrap();
}

#[test]
fn a_restart_finds_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, store) = open(&dir);
    waiting(&desk);
    let seen = |desk: &Desk| {
        desk.read(|state| {
            let runs: Vec<_> = state.runs.values().map(|entry| entry.run.clone()).collect();
            let incidents: Vec<_> =
                state.incidents.values().map(|e| (e.incident.clone(), e.facts.clone())).collect();
            (runs, incidents)
        })
    };
    let before = seen(&desk);
    store.close().unwrap();
    drop((desk, store));
    let (desk, store) = open(&dir);
    assert_eq!(seen(&desk), before);
    store.close().unwrap();
}

#[test]
fn an_incident_with_a_run_under_way_is_closed_with_a_reason_only() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, store) = open(&dir);
    waiting(&desk);
    let incident = custos_event::IncidentId(1);
    let close = |reason: Option<&str>| {
        let command = Command::SetStatus(incident, "closed".into(), reason.map(str::to_owned));
        desk.command(&person("ann"), None, command)
    };
    let refused = close(None).unwrap_err().to_string();
    assert!(refused.contains("RUN-000001"), "{refused}");
    assert_eq!(close(Some("a drill")).unwrap().len(), 1);
    store.close().unwrap();
}
