//! One step of a playbook, as written.

use super::read::Problems;
use crate::input::duration;
use custos_event::{
    respond::{
        Action, Approval, Check, EffectClass, Http, MailText, Message, Query, Step, TaskOrder,
    },
    suggest::did_you_mean,
    yaml::{Node, Value},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

const ACTIONS: [&str; 5] = ["http", "email", "kafka", "query", "task"];
const KEYS: [&str; 19] = [
    "step",
    "title",
    "title_zh",
    "if",
    "effect",
    "target",
    "approval",
    "precheck",
    "verify",
    "undo",
    "undo_after",
    "timeout",
    "retries",
    "http",
    "email",
    "kafka",
    "query",
    "task",
    "note",
];
pub(super) const ROLES: [&str; 6] = ["viewer", "analyst", "responder", "lead", "auditor", "admin"];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A peer that has not answered by then is asked about, not waited for.
const TIMEOUT_SECS: u64 = 10;
const TIMEOUT_SECS_MAX: u64 = 120;
/// A shift: who is to approve has seen it by then.
const APPROVAL_SECS: u64 = 8 * 3_600;
const RETRIES_MAX: i64 = 5;
const QUERY_EVENTS_MAX: i64 = 1_000;

pub(super) fn step(node: &Node, problems: &mut Problems) -> Option<Step> {
    if !matches!(node.value, Value::Map(_)) {
        problems.add(node.at, format!("a step is a map with 'step', not {}", node.kind()));
        return None;
    }
    problems.unknown_keys(node, &KEYS);
    let action = action(node, problems)?;
    let effect = effect(node, &action, problems);
    let name = problems.text(node, "step");
    if !name.is_empty() && (!crate::template::is_path(&name) || name.contains('.')) {
        problems.add(node.at, format!("'{name}' is no name; use letters, digits, '_' and '-'"));
    }
    let target = target(node, &action, problems);
    Some(Step {
        name,
        title: problems.text_or_empty(node, "title"),
        title_zh: problems.text_or_empty(node, "title_zh"),
        effect,
        action,
        target,
        condition: node.get("if").map(|_| problems.text(node, "if")),
        approval: node.get("approval").map(|node| approval(node, problems)),
        precheck: node.get("precheck").and_then(|node| check(node, problems)),
        verify: node.get("verify").and_then(|node| check(node, problems)),
        undo: node.get("undo").and_then(|node| undo(node, problems)),
        undo_after: node.get("undo_after").map(|_| problems.text(node, "undo_after")),
        timeout_secs: secs(node, "timeout", TIMEOUT_SECS, TIMEOUT_SECS_MAX, problems),
        retries: u8::try_from(number(node, "retries", 0, RETRIES_MAX, problems)).unwrap_or(0),
    })
}

fn action(node: &Node, problems: &mut Problems) -> Option<Action> {
    let named: Vec<_> =
        node.entries().iter().filter(|(key, _)| ACTIONS.contains(&key.name.as_str())).collect();
    let [(key, inner)] = named.as_slice() else {
        let text = format!("a step does one thing: exactly one of {}", ACTIONS.join(", "));
        problems.add(named.get(1).map_or(node.at, |(key, _)| key.at), text);
        return None;
    };
    match key.name.as_str() {
        "http" => Some(Action::Http(http(inner, problems))),
        "email" => Some(Action::Email(email(inner, problems))),
        "kafka" => Some(Action::Kafka(kafka(inner, problems))),
        "query" => Some(Action::Query(query(inner, problems))),
        _ => Some(Action::Task(task(inner, problems))),
    }
}

fn effect(node: &Node, action: &Action, problems: &mut Problems) -> EffectClass {
    let standard = match action {
        Action::Query(_) => EffectClass::Read,
        Action::Http(http) if http.method == "GET" => EffectClass::Read,
        Action::Http(_) | Action::Email(_) | Action::Kafka(_) | Action::Task(_) => {
            EffectClass::Irreversible
        }
    };
    let Some(written) = node.get("effect") else {
        if matches!(action, Action::Http(_) | Action::Kafka(_)) && standard != EffectClass::Read {
            problems.add(node.at, "'effect' is missing: read, reversible or irreversible");
        }
        return standard;
    };
    let class = match written.as_str().unwrap_or_default() {
        "read" => EffectClass::Read,
        "reversible" => EffectClass::Reversible,
        "irreversible" => EffectClass::Irreversible,
        other => {
            let classes = ["read", "reversible", "irreversible"];
            let near = did_you_mean(other, classes);
            problems.add(
                written.at,
                format!("unknown effect '{other}'{near} (known: {})", classes.join(", ")),
            );
            return standard;
        }
    };
    // A POST may be a read, a search for example; mails and messages never are.
    let never_reads = matches!(action, Action::Email(_) | Action::Kafka(_) | Action::Task(_));
    if class == EffectClass::Read && never_reads {
        problems.add(written.at, "this step is no read: it leaves something behind");
    }
    class
}

/// Who approves a mail to a customer, and who reads the ledger, sees whom it is for.
fn target(node: &Node, action: &Action, problems: &mut Problems) -> String {
    match action {
        Action::Email(MailText { customer: Some(customer), .. })
            if node.get("target").is_none() =>
        {
            customer.clone()
        }
        Action::Email(_)
        | Action::Http(_)
        | Action::Kafka(_)
        | Action::Query(_)
        | Action::Task(_) => problems.text_or_empty(node, "target"),
    }
}

fn http(node: &Node, problems: &mut Problems) -> Http {
    problems.unknown_keys(node, &["endpoint", "method", "path", "headers", "json"]);
    let method = problems.text(node, "method");
    if !method.is_empty() && !METHODS.contains(&method.as_str()) {
        let at = node.get("method").map_or(node.at, |method| method.at);
        problems.add(at, format!("unknown method '{method}' (known: {})", METHODS.join(", ")));
    }
    let mut headers = BTreeMap::new();
    if let Some(map) = node.get("headers") {
        for (key, value) in map.entries() {
            match value.scalar() {
                Some(text) => drop(headers.insert(key.name.clone(), text)),
                None => problems.add(value.at, "a header's value is a text"),
            }
        }
    }
    Http {
        endpoint: problems.text(node, "endpoint"),
        method,
        path: problems.text(node, "path"),
        headers,
        json: node.get("json").map(Node::json),
    }
}

fn email(node: &Node, problems: &mut Problems) -> MailText {
    problems.unknown_keys(node, &["to", "to_customer", "subject", "text"]);
    let to = problems.texts(node, "to");
    let customer = node.get("to_customer").map(|_| problems.text(node, "to_customer"));
    if to.is_empty() == customer.is_none() {
        problems.add(
            node.at,
            "either 'to' (addresses, or groups of [respond.mail.groups]) or 'to_customer' (one customer's id, as in \
             '{inputs.customer}')",
        );
    }
    let (subject, text) = (problems.text(node, "subject"), problems.text(node, "text"));
    MailText { to, customer, subject, text }
}

fn kafka(node: &Node, problems: &mut Problems) -> Message {
    problems.unknown_keys(node, &["topic", "key", "json"]);
    let json = node.get("json").map_or(Json::Null, Node::json);
    if json.is_null() {
        problems.add(node.at, "'json' is missing: what the message says");
    }
    let key = node.get("key").map(|_| problems.text(node, "key"));
    Message { topic: problems.text(node, "topic"), key, json }
}

fn query(node: &Node, problems: &mut Problems) -> Query {
    problems.unknown_keys(node, &["search", "within", "limit"]);
    let limit = number(node, "limit", 100, QUERY_EVENTS_MAX, problems);
    Query {
        query: problems.text(node, "search"),
        within_secs: secs(node, "within", 86_400, 366 * 86_400, problems),
        limit: u32::try_from(limit).unwrap_or(100),
    }
}

fn task(node: &Node, problems: &mut Problems) -> TaskOrder {
    problems.unknown_keys(node, &["title", "title_zh", "owner", "due", "rto", "probe"]);
    let rto = node.get("rto").map(|_| secs(node, "rto", 1, 366 * 86_400, problems));
    TaskOrder {
        title: problems.text(node, "title"),
        title_zh: problems.text_or_empty(node, "title_zh"),
        owner: node.get("owner").map(|_| problems.text(node, "owner")),
        due_secs: secs(node, "due", 86_400, 366 * 86_400, problems),
        rto_secs: rto,
        probe: node.get("probe").and_then(|node| check(node, problems)),
    }
}

fn check(node: &Node, problems: &mut Problems) -> Option<Check> {
    problems.unknown_keys(node, &["http", "holds"]);
    let holds = problems.text(node, "holds");
    let Some(inner) = node.get("http") else {
        problems.add(node.at, "'http' is missing: the read whose answer is judged");
        return None;
    };
    Some(Check { http: http(inner, problems), holds })
}

fn undo(node: &Node, problems: &mut Problems) -> Option<Action> {
    problems.unknown_keys(node, &["http", "kafka"]);
    action(node, problems)
}

fn approval(node: &Node, problems: &mut Problems) -> Approval {
    problems.unknown_keys(node, &["roles", "expires"]);
    let roles = problems.texts(node, "roles");
    if roles.is_empty() {
        problems.add(node.at, "'roles' is missing: who may approve, as in [responder, lead]");
    }
    for role in roles.iter().filter(|role| !ROLES.contains(&role.as_str())) {
        let near = did_you_mean(role, ROLES);
        problems.add(node.at, format!("unknown role '{role}'{near} (known: {})", ROLES.join(", ")));
    }
    let expires_secs = secs(node, "expires", APPROVAL_SECS, 30 * 86_400, problems);
    Approval { roles, expires_secs }
}

fn secs(node: &Node, key: &str, standard: u64, max: u64, problems: &mut Problems) -> u64 {
    let Some(written) = node.get(key) else { return standard };
    match duration(&written.scalar().unwrap_or_default()) {
        Ok(secs) if secs <= max => return secs,
        Ok(secs) => {
            problems.add(written.at, format!("'{key}' is {secs}s; at most {max}s are possible"));
        }
        Err(why) => problems.add(written.at, format!("'{key}': {why}")),
    }
    standard
}

fn number(node: &Node, key: &str, standard: i64, max: i64, problems: &mut Problems) -> i64 {
    match node.get(key).map(|written| (&written.value, written.at)) {
        None => standard,
        Some((Value::Int(number), _)) if (0..=max).contains(number) => *number,
        Some((_, at)) => {
            problems.add(at, format!("'{key}' is a whole number from 0 to {max}"));
            standard
        }
    }
}
