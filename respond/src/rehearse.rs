//! A playbook's cases: walked through without the world, with the answers, approvals and denials that the case gives.
//!
//! ```yaml
//! - case: blocks and tells
//!   inputs: {address: 203.0.113.7}
//!   by_alert: true                      # Custos itself asks; else a person
//!   approve: [block]                    # or deny: [block]
//!   answers: {block.precheck: 404, block: unknown, traces: {count: 0}}
//!   undo: [block]                       # asked for when the run has ended
//!   expect: {run: done, steps: {block: done}, undo: {block: undone}, calls: [PUT firewall/blocks/203.0.113.7]}
//! ```
//! An act that the case says nothing about works (200); a precheck finds nothing (404).

use crate::{
    Limits, Playbook, input,
    run::{Command, Opened, Run},
};
use custos_event::{
    Actor, Decider as _, IncidentId, LogId, Partition, Position, RunId, Seq, Timestamp,
    respond::{Action, Answer, MailText, Outcome, Phase, RunEvent},
    yaml::{self, Node, Place, Problem},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// More turns than any playbook needs: a walk that does not end is told, not waited for.
const TURNS_MAX: usize = 1_000;

/// One case as written.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub name: String,
    pub line: u32,
    inputs: BTreeMap<String, Value>,
    by_alert: bool,
    approve: Vec<String>,
    deny: Vec<String>,
    undo: Vec<String>,
    answers: BTreeMap<String, Value>,
    expect: Expect,
}

#[derive(Clone, Debug, Default)]
struct Expect {
    run: Option<String>,
    steps: BTreeMap<String, String>,
    undo: BTreeMap<String, String>,
    calls: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    /// What was expected, and what came.
    Differs(String),
}

/// Reads a file of cases.
pub fn cases(text: &str) -> Result<Vec<Case>, Vec<Problem>> {
    let (documents, broken) = yaml::documents(text);
    let mut problems: Vec<_> = broken.into_iter().collect();
    let mut cases = Vec::new();
    for item in documents.iter().flat_map(Node::items) {
        case(item, &mut cases, &mut problems);
    }
    if cases.is_empty() && problems.is_empty() {
        problems.push(Place { line: 1, column: 1 }.problem("no case in this file"));
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

fn case(node: &Node, cases: &mut Vec<Case>, problems: &mut Vec<Problem>) {
    let known = ["case", "inputs", "by_alert", "approve", "deny", "undo", "answers", "expect"];
    unknown_keys(node, &known, problems);
    let expect = node.get("expect");
    if let Some(expect) = expect {
        unknown_keys(expect, &["run", "steps", "undo", "calls"], problems);
    } else {
        problems.push(node.at.problem("a case without 'expect' shows nothing"));
    }
    let list = |key| node.get(key).map_or_else(Vec::new, texts);
    let inner = |key| expect.and_then(|expect| expect.get(key));
    cases.push(Case {
        name: node.get("case").and_then(Node::scalar).unwrap_or_default(),
        line: node.at.line,
        inputs: map(node.get("inputs")),
        by_alert: node.get("by_alert").and_then(Node::scalar).as_deref() == Some("true"),
        approve: list("approve"),
        deny: list("deny"),
        undo: list("undo"),
        answers: map(node.get("answers")),
        expect: Expect {
            run: inner("run").and_then(Node::scalar),
            steps: words(inner("steps")),
            undo: words(inner("undo")),
            calls: inner("calls").map(texts),
        },
    });
}

fn unknown_keys(node: &Node, known: &[&str], problems: &mut Vec<Problem>) {
    for (key, _) in node.entries().iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
        let near = custos_event::suggest::did_you_mean(&key.name, known.iter().copied());
        problems.push(key.at.problem(format!("unknown key '{}'{near}", key.name)));
    }
}

fn texts(node: &Node) -> Vec<String> {
    node.items().iter().filter_map(Node::scalar).collect()
}

fn words(node: Option<&Node>) -> BTreeMap<String, String> {
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().map(|(key, n)| (key.name.clone(), n.scalar().unwrap_or_default())).collect()
}

fn map(node: Option<&Node>) -> BTreeMap<String, Value> {
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().map(|(key, node)| (key.name.clone(), node.json())).collect()
}

/// Walks the playbook through the case.
pub fn run(playbook: &Playbook, case: &Case) -> Verdict {
    let inputs = match input::fill(&playbook.inputs, &case.inputs, None) {
        Ok(inputs) => inputs,
        Err(error) => return Verdict::Differs(error.to_string()),
    };
    let requester = if case.by_alert {
        Actor::System { part: "respond".into() }
    } else {
        Actor::User { name: "first".into() }
    };
    let opened = Opened {
        id: RunId(1),
        incident: IncidentId(1),
        incident_title: "a case".into(),
        plan: playbook.plan.clone(),
        inputs,
        requester,
        alert: None,
    };
    let mut walk = Walk { run: Run::default(), case, calls: Vec::new(), seq: 0 };
    let ended = walk.tell(Command::Open(Box::new(opened))).and_then(|()| walk.walk_on());
    match ended.and_then(|()| walk.undo()) {
        Ok(()) => walk.judge(),
        Err(why) => Verdict::Differs(why),
    }
}

struct Walk<'c> {
    run: Run,
    case: &'c Case,
    calls: Vec<String>,
    seq: u64,
}

impl Walk<'_> {
    fn tell(&mut self, command: Command) -> Result<(), String> {
        let events = self.run.decide(command).map_err(|rejection| rejection.to_string())?;
        for event in &events {
            self.run.apply(event);
        }
        for event in events {
            self.seq += 1;
            self.follow(event)?;
        }
        Ok(())
    }

    fn follow(&mut self, event: RunEvent) -> Result<(), String> {
        let intent =
            Position { log: LogId::JOURNAL, partition: Partition::default(), seq: Seq(self.seq) };
        match event {
            RunEvent::Intended { step, phase, action, .. }
            | RunEvent::Resumed { step, phase, action, .. } => {
                self.calls.push(shown(&action));
                let answer = self.answer(&step, phase)?;
                self.tell(Command::Answer { step, intent, answer, at: Timestamp::default() })
            }
            RunEvent::ApprovalRequested { step, hash, roles, .. } => {
                let by = Actor::User { name: "second".into() };
                let at = Timestamp::default();
                if self.case.approve.contains(&step) {
                    return self.tell(Command::Approve { step, hash, by, roles, at });
                }
                if self.case.deny.contains(&step) {
                    let reason = "the case says so".to_owned();
                    return self.tell(Command::Deny { step, hash, by, roles, reason });
                }
                Ok(())
            }
            RunEvent::Opened { .. }
            | RunEvent::StepSkipped { .. }
            | RunEvent::StepRefused { .. }
            | RunEvent::Approved { .. }
            | RunEvent::Denied { .. }
            | RunEvent::ApprovalExpired { .. }
            | RunEvent::Doubted { .. }
            | RunEvent::Resulted { .. }
            | RunEvent::UndoRequested { .. }
            | RunEvent::Resolved { .. }
            | RunEvent::Finished { .. } => Ok(()),
        }
    }

    fn walk_on(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            let before = self.run.clone();
            let (at, limits) = (Timestamp::default(), Arc::new(Limits::default()));
            self.tell(Command::Advance { at, limits })?;
            if self.run == before {
                return Ok(());
            }
        }
        Err(format!("does not end within {TURNS_MAX} turns"))
    }

    fn undo(&mut self) -> Result<(), String> {
        for step in self.case.undo.clone() {
            let by = Actor::User { name: "second".into() };
            self.tell(Command::Undo { step, by })?;
        }
        Ok(())
    }

    /// `step.phase`, else `step` for the act: a status, a map that is the output, `failed` or `unknown`.
    fn answer(&self, step: &str, phase: Phase) -> Result<Answer, String> {
        let name = match phase {
            Phase::Precheck => format!("{step}.precheck"),
            Phase::Verify => format!("{step}.verify"),
            Phase::Undo => format!("{step}.undo"),
            Phase::Act => step.to_owned(),
        };
        let (outcome, output) = match self.case.answers.get(&name) {
            None if phase == Phase::Precheck => (Outcome::Done, json!({"status": 404})),
            None => (Outcome::Done, json!({"status": 200, "count": 3})),
            Some(Value::Number(status)) => (Outcome::Done, json!({"status": status})),
            Some(output @ Value::Object(_)) => (Outcome::Done, output.clone()),
            Some(Value::String(word)) if word == "failed" => (Outcome::Failed, Value::Null),
            Some(Value::String(word)) if word == "unknown" => (Outcome::Unknown, Value::Null),
            Some(other) => {
                return Err(format!(
                    "answer {name}: {other} is no status, map, 'failed' or 'unknown'"
                ));
            }
        };
        Ok(Answer { outcome, detail: String::new(), output })
    }

    fn judge(self) -> Verdict {
        let expect = &self.case.expect;
        let mut differs = Vec::new();
        let status = self.run.status().name().to_owned();
        if expect.run.as_ref().is_some_and(|expected| *expected != status) {
            differs.push(format!("the run is {status}"));
        }
        for (name, expected) in &expect.steps {
            let stage = self.run.step(name).map_or("no such step", |step| step.stage.name());
            if stage != expected {
                differs.push(format!("step {name} is {stage}, not {expected}"));
            }
        }
        for (name, expected) in &expect.undo {
            let undo = self.run.step(name).map_or("no such step", |step| step.undo.name());
            if undo != expected {
                differs.push(format!("undo of {name} is {undo}, not {expected}"));
            }
        }
        if expect.calls.as_ref().is_some_and(|expected| *expected != self.calls) {
            differs.push(format!("the calls are {:?}", self.calls));
        }
        if differs.is_empty() { Verdict::Holds } else { Verdict::Differs(differs.join("; ")) }
    }
}

fn shown(action: &Action) -> String {
    match action {
        Action::Http(http) => format!("{} {}{}", http.method, http.endpoint, http.path),
        Action::Email(MailText { customer: Some(id), subject, .. }) => {
            format!("email customer {id}: {subject}")
        }
        Action::Email(mail) => format!("email {}: {}", mail.to.join(","), mail.subject),
        Action::Kafka(message) => format!("kafka {}", message.topic),
        Action::Query(query) => format!("query {}", query.query),
        Action::Task(task) => format!("task {}", task.title),
    }
}
