//! A step's texts filled in from the run's own values, the limits on what it may act on, and the hash that an
//! approval is bound to.

use super::{Opened, Run};
use crate::{
    Limits,
    expr::Expr,
    input,
    template::{Part, TemplateError, fill, fill_json, fill_path, parts},
};
use custos_event::{
    RunId,
    respond::{
        Action, Actioned, Check, EffectClass, Http, InputValue, MailText, Message, Query, Step,
        TaskOrder,
    },
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

impl Run {
    /// What look-ups see: inputs, outputs of steps, incident, run.
    pub fn values(&self) -> Value {
        let Some(opened) = &self.opened else { return Value::Null };
        let inputs: Map<_, _> =
            opened.inputs.iter().map(|(name, value)| (name.clone(), input::json(value))).collect();
        let steps: Map<_, _> =
            self.steps.iter().map(|s| (s.step.name.clone(), s.output().clone())).collect();
        json!({
            "inputs": inputs,
            "steps": steps,
            "incident": {"id": opened.incident, "title": opened.incident_title},
            "run": {"id": opened.id},
        })
    }
}

/// Whether the step is to be done at all.
pub(super) fn wanted(step: &Step, values: &Value) -> Result<bool, String> {
    let Some(condition) = &step.condition else { return Ok(true) };
    let expr = Expr::parse(condition).map_err(|error| error.to_string())?;
    Ok(expr.holds(values))
}

/// The step with every look-up filled in.
pub(super) fn actioned(step: &Step, values: &Value) -> Result<Actioned, String> {
    let secs = |text: &String| input::duration(&fill(text, values).map_err(|e| e.to_string())?);
    Ok(Actioned {
        action: action(&step.action, values).map_err(|error| error.to_string())?,
        target: fill(&step.target, values).map_err(|error| error.to_string())?,
        undo: step
            .undo
            .as_ref()
            .map(|undo| action(undo, values))
            .transpose()
            .map_err(|e| e.to_string())?,
        undo_after_secs: step.undo_after.as_ref().map(secs).transpose()?,
    })
}

fn action(action: &Action, values: &Value) -> Result<Action, TemplateError> {
    Ok(match action {
        Action::Http(one) => Action::Http(http(one, values)?),
        Action::Email(mail) => Action::Email(MailText {
            to: mail.to.clone(),
            customer: mail.customer.as_ref().map(|id| fill(id, values)).transpose()?,
            // A subject is one line, whatever an alert's title holds.
            subject: fill(&mail.subject, values)?.replace(char::is_control, " "),
            text: fill(&mail.text, values)?,
        }),
        Action::Kafka(message) => Action::Kafka(Message {
            topic: message.topic.clone(),
            key: message.key.as_ref().map(|key| fill(key, values)).transpose()?,
            json: fill_json(&message.json, values)?,
        }),
        Action::Query(query) => {
            Action::Query(Query { query: fill_query(&query.query, values)?, ..query.clone() })
        }
        Action::Task(task) => Action::Task(TaskOrder {
            title: fill(&task.title, values)?,
            title_zh: fill(&task.title_zh, values)?,
            owner: task.owner.as_ref().map(|owner| fill(owner, values)).transpose()?,
            probe: task.probe.as_ref().map(|probe| check(probe, values)).transpose()?,
            ..task.clone()
        }),
    })
}

fn http(http: &Http, values: &Value) -> Result<Http, TemplateError> {
    let header = |(name, value): (&String, &String)| Ok((name.clone(), fill(value, values)?));
    Ok(Http {
        endpoint: http.endpoint.clone(),
        method: http.method.clone(),
        path: fill_path(&http.path, values)?,
        headers: http.headers.iter().map(header).collect::<Result<_, TemplateError>>()?,
        json: http.json.as_ref().map(|json| fill_json(json, values)).transpose()?,
    })
}

/// Looked-up values stand between quotation marks that the playbook writes; inside them only these two count.
fn fill_query(text: &str, values: &Value) -> Result<String, TemplateError> {
    let mut out = String::new();
    for part in parts(text)? {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Lookup(path) => {
                let value = fill(&format!("{{{path}}}"), values)?;
                out.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
            }
        }
    }
    Ok(out)
}

/// A check with its read filled in; its condition is judged when the answer is there.
pub(super) fn check(check: &Check, values: &Value) -> Result<Check, TemplateError> {
    Ok(Check { http: http(&check.http, values)?, holds: check.holds.clone() })
}

/// Why a run may not do what it was opened for: the first input out of reach that one of its acts names.
pub fn protected(opened: &Opened, limits: &Limits) -> Option<String> {
    opened.plan.steps.iter().find_map(|step| protected_input(step, opened, limits))
}

/// What a run would act on, step by step: two runs of one playbook with the same targets are one proposal,
/// whichever alert brought it up.
pub fn targets(opened: &Opened) -> Vec<String> {
    let inputs: Map<_, _> =
        opened.inputs.iter().map(|(name, value)| (name.clone(), input::json(value))).collect();
    let values = json!({ "inputs": inputs });
    let acts = opened.plan.steps.iter().filter(|step| reaches_out(step));
    acts.filter_map(|step| fill(&step.target, &values).ok()).collect()
}

/// Why the step may not act on what it names: every input that it looks up, and its target.
pub(super) fn out_of_reach(
    step: &Step,
    actioned: &Actioned,
    opened: &Opened,
    limits: &Limits,
) -> Option<String> {
    if !reaches_out(step) {
        return None;
    }
    let target = || {
        let address = actioned.target.parse().ok().and_then(|a| limits.protects_address(a));
        address.or_else(|| limits.protects_user(&actioned.target))
    };
    protected_input(step, opened, limits).or_else(target)
}

fn reaches_out(step: &Step) -> bool {
    step.effect != EffectClass::Read && matches!(step.action, Action::Http(_) | Action::Kafka(_))
}

fn protected_input(step: &Step, opened: &Opened, limits: &Limits) -> Option<String> {
    if !reaches_out(step) {
        return None;
    }
    let protects = |value: &InputValue| match value {
        InputValue::Address(address) => limits.protects_address(*address),
        InputValue::User(user) => limits.protects_user(user),
        InputValue::Text(_)
        | InputValue::Door(_)
        | InputValue::Number(_)
        | InputValue::Duration(_)
        | InputValue::Bool(_) => None,
    };
    let texts = texts(&step.action);
    let named = |(name, value): (&String, &InputValue)| {
        let path = format!("{{inputs.{name}}}");
        let named = step.target.contains(&path) || texts.iter().any(|text| text.contains(&path));
        if named { protects(value) } else { None }
    };
    opened.inputs.iter().find_map(named)
}

/// Every text of an action in which look-ups may stand.
fn texts(action: &Action) -> Vec<String> {
    match serde_json::to_value(action) {
        Ok(value) => {
            let mut all = Vec::new();
            gather(&value, &mut all);
            all
        }
        // An action that does not write itself as JSON cannot be stored either.
        Err(_) => Vec::new(),
    }
}

fn gather(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, all)),
        Value::Object(map) => map.values().for_each(|item| gather(item, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// SHA-256 over run, step and filled-in arguments, hex.
pub(super) fn hash(run: RunId, step: &str, actioned: &Actioned) -> String {
    let bytes = serde_json::to_vec(&json!([run, step, actioned])).unwrap_or_default();
    crate::hex(&Sha256::digest(bytes))
}
