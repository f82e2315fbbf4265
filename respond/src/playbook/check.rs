//! What has to hold between a playbook's parts: every look-up has a source, what acts can be undone or approved,
//! only reads are tried again.

use super::{Playbook, read::Problems};
use crate::{
    expr::Expr,
    input::{InputKind, duration},
    template::{Part, parts},
};
use custos_event::{
    respond::{Action, Check, EffectClass, Http, Step},
    suggest::did_you_mean,
    yaml::{Node, Place},
};
use serde_json::Value;

pub(super) fn playbook(playbook: &Playbook, node: &Node, problems: &mut Problems) {
    let nodes = node.get("steps").map_or(&[][..], Node::items);
    let mut scope = Scope { playbook, before: Vec::new() };
    for step in &playbook.plan.steps {
        let named = |node: &&Node| node.get("step").and_then(Node::as_str) == Some(&step.name);
        let before = scope.before.iter().filter(|name| **name == step.name).count();
        let node = nodes.iter().filter(named).nth(before).unwrap_or(node);
        if scope.before.contains(&step.name.as_str()) {
            problems.add(node.at, format!("a step '{}' stands above already", step.name));
        }
        scope.step(step, node, problems);
        scope.before.push(&step.name);
    }
    trigger(playbook, node, problems);
}

/// Whoever is shown a proposed run has to find something to approve before it acts.
fn trigger(playbook: &Playbook, node: &Node, problems: &mut Problems) {
    let Some(at) = node.get("trigger").map(|node| node.at) else { return };
    for input in playbook.inputs.iter().filter(|i| i.from.is_none() && i.default.is_none()) {
        let name = &input.name;
        problems.add(
            at,
            format!("an alert cannot start this: input '{name}' has neither 'from' nor 'default'"),
        );
    }
}

struct Scope<'p> {
    playbook: &'p Playbook,
    /// Steps above.
    before: Vec<&'p str>,
}

impl Scope<'_> {
    fn step(&self, step: &Step, node: &Node, problems: &mut Problems) {
        let at = |key: &str| node.get(key).map_or(node.at, |node| node.at);
        let acts = step.effect != EffectClass::Read;
        if let Some(condition) = &step.condition {
            self.condition(condition, false, at("if"), problems);
        }
        self.action(&step.action, node.at, problems);
        self.text(&step.target, at("target"), problems);
        for (key, check) in [("precheck", &step.precheck), ("verify", &step.verify)] {
            if let Some(check) = check {
                self.check(check, at(key), problems);
                if !acts {
                    problems.add(at(key), format!("'{key}' is for steps that act; this one reads"));
                }
            }
        }
        if step.retries > 0 && acts {
            problems.add(at("retries"), "only reads are tried again; what acts is asked about");
        }
        if acts
            && step.target.is_empty()
            && matches!(step.action, Action::Http(_) | Action::Kafka(_))
        {
            problems
                .add(node.at, "'target' is missing: what is acted on, as in '{inputs.address}'");
        }
        self.undo(step, node, problems);
    }

    fn undo(&self, step: &Step, node: &Node, problems: &mut Problems) {
        let at = |key: &str| node.get(key).map_or(node.at, |node| node.at);
        match (&step.undo, step.effect) {
            (Some(undo), EffectClass::Reversible) => self.action(undo, at("undo"), problems),
            (None, EffectClass::Reversible) => {
                problems.add(at("effect"), "a reversible step says how: 'undo' is missing");
            }
            (Some(_), EffectClass::Read | EffectClass::Irreversible) => {
                problems.add(at("undo"), "'undo' is for a step with effect: reversible");
            }
            (None, EffectClass::Read | EffectClass::Irreversible) => {}
        }
        let Some(after) = &step.undo_after else { return };
        if step.undo.is_none() {
            problems.add(at("undo_after"), "'undo_after' without 'undo'");
        }
        match parts(after).as_deref() {
            Ok([Part::Lookup(path)]) if self.is_duration(path) => {}
            Ok([Part::Text(text)]) if duration(text).is_ok() => {}
            _ => problems.add(
                at("undo_after"),
                format!("'{after}' is no duration; write 4h, or look up an input of type duration"),
            ),
        }
    }

    fn is_duration(&self, path: &str) -> bool {
        let mut inputs = self.playbook.inputs.iter();
        let named = path.strip_prefix("inputs.");
        inputs.any(|input| Some(input.name.as_str()) == named && input.kind == InputKind::Duration)
    }

    fn action(&self, action: &Action, at: Place, problems: &mut Problems) {
        match action {
            Action::Http(http) => self.http(http, at, problems),
            Action::Email(mail) => {
                self.text(&mail.subject, at, problems);
                self.text(&mail.text, at, problems);
                // Where to is the register's word, never the alert's.
                self.text(mail.customer.as_deref().unwrap_or_default(), at, problems);
                for to in &mail.to {
                    literal("to", to, at, problems);
                }
            }
            Action::Kafka(message) => {
                literal("topic", &message.topic, at, problems);
                self.text(message.key.as_deref().unwrap_or_default(), at, problems);
                self.json(&message.json, at, problems);
            }
            Action::Query(query) => self.text(&query.query, at, problems),
            Action::Task(task) => {
                self.text(&task.title, at, problems);
                self.text(&task.title_zh, at, problems);
                self.text(task.owner.as_deref().unwrap_or_default(), at, problems);
                if let Some(probe) = &task.probe {
                    self.check(probe, at, problems);
                }
            }
        }
    }

    fn http(&self, http: &Http, at: Place, problems: &mut Problems) {
        literal("endpoint", &http.endpoint, at, problems);
        self.text(&http.path, at, problems);
        if !http.path.starts_with('/') || http.path.split('/').any(|part| part == "..") {
            problems.add(at, "'path' begins with '/' and goes nowhere upwards");
        }
        for (name, value) in &http.headers {
            literal("header", name, at, problems);
            self.text(value, at, problems);
        }
        if let Some(json) = &http.json {
            self.json(json, at, problems);
        }
    }

    fn check(&self, check: &Check, at: Place, problems: &mut Problems) {
        self.http(&check.http, at, problems);
        self.condition(&check.holds, true, at, problems);
    }

    fn json(&self, json: &Value, at: Place, problems: &mut Problems) {
        match json {
            Value::String(text) => self.text(text, at, problems),
            Value::Array(items) => items.iter().for_each(|item| self.json(item, at, problems)),
            Value::Object(map) => map.values().for_each(|item| self.json(item, at, problems)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&self, text: &str, at: Place, problems: &mut Problems) {
        match parts(text) {
            Ok(parts) => {
                for part in parts {
                    if let Part::Lookup(path) = part {
                        self.lookup(&path, false, at, problems);
                    }
                }
            }
            Err(error) => problems.add(at, error.to_string()),
        }
    }

    fn condition(&self, text: &str, answer: bool, at: Place, problems: &mut Problems) {
        if text.is_empty() {
            return;
        }
        match Expr::parse(text) {
            Ok(expr) => {
                for path in expr.lookups() {
                    self.lookup(path, answer, at, problems);
                }
            }
            Err(error) => problems.add(at, error.to_string()),
        }
    }

    fn lookup(&self, path: &str, answer: bool, at: Place, problems: &mut Problems) {
        let mut names = path.split('.');
        let (root, name) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let inputs: Vec<_> = self.playbook.inputs.iter().map(|i| i.name.as_str()).collect();
        let (known, what) = match root {
            "inputs" => (inputs, "input"),
            "steps" => (self.before.clone(), "step above this one"),
            "incident" => (vec!["id", "title"], "part of an incident"),
            "run" => (vec!["id"], "part of a run"),
            "answer" if answer => (vec!["status", "body"], "part of an answer"),
            _ => {
                let roots = if answer {
                    "inputs, steps, incident, run, answer"
                } else {
                    "inputs, steps, incident, run"
                };
                problems.add(at, format!("'{path}' begins with none of: {roots}"));
                return;
            }
        };
        if !known.contains(&name) {
            let near = did_you_mean(name, known.iter().copied());
            problems.add(at, format!("'{path}': there is no {what} '{name}'{near}"));
        }
    }
}

/// Whom a mail goes to and what is called is fixed by the playbook, never by what an alert says.
fn literal(what: &str, text: &str, at: Place, problems: &mut Problems) {
    if text.contains(['{', '}']) || text.chars().any(char::is_control) {
        problems
            .add(at, format!("'{what}' is written out, without look-ups or control characters"));
    }
}
