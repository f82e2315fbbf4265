//! Exceptions of a rule, in its `custos:` block: who said that which events are none of its business, why, and
//! until when.

use super::{
    Problem,
    detection::{self, Part},
    suggest::did_you_mean,
    yaml::{Node, Place, Value},
};
use custos_event::Timestamp;

const KEYS: [&str; 4] = ["author", "reason", "until", "when"];
const DAY_SECS: i64 = 86_400;

/// A rule with more than these is the wrong rule.
const EXCEPTIONS_MAX: usize = 100;

/// Events that a rule leaves alone, for a while.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) part: Part,
    /// An event received at this time or later is no exception.
    pub(crate) until: Timestamp,
}

/// Those of a rule's document.
pub(crate) fn read(document: &Node) -> Result<Vec<Exception>, Vec<Problem>> {
    let Some(list) = document.get("custos").and_then(|block| block.get("exceptions")) else {
        return Ok(Vec::new());
    };
    if document.get("correlation").is_some() {
        let message = "a correlation has no exceptions of its own; give them to a rule it counts";
        return Err(vec![list.at.problem(message)]);
    }
    if list.items().len() > EXCEPTIONS_MAX {
        let message = format!("more than {EXCEPTIONS_MAX} exceptions; write a filter");
        return Err(vec![list.at.problem(message)]);
    }
    let mut problems = Vec::new();
    let mut exceptions = Vec::new();
    for node in list.items() {
        match one(node) {
            Ok(exception) => exceptions.push(exception),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(exceptions) } else { Err(problems) }
}

fn one(node: &Node) -> Result<Exception, Vec<Problem>> {
    if !matches!(node.value, Value::Map(_)) {
        let message =
            format!("an exception is a map of {}, found {}", KEYS.join(", "), node.kind());
        return Err(vec![node.at.problem(message)]);
    }
    let mut problems = Vec::new();
    for (key, _) in node.entries() {
        if !KEYS.contains(&key.name.as_str()) {
            let hint = did_you_mean(&key.name, KEYS);
            problems.push(key.at.problem(format!("unknown key '{}' in exception{hint}", key.name)));
        }
    }
    for key in ["author", "reason"] {
        let text = node.get(key).and_then(Node::scalar).unwrap_or_default();
        if text.trim().is_empty() {
            problems.push(node.at.problem(format!("exception has no '{key}'")));
        }
    }
    let until = node.get("until").map_or_else(
        || Err(node.at.problem("exception has no 'until', as in 'until: 2027-01-31'")),
        |until| time(&until.scalar().unwrap_or_default(), until.at),
    );
    let part = node.get("when").map_or_else(
        || Err(node.at.problem("exception has no 'when': a search as in 'detection'")),
        detection::part,
    );
    match (until, part, problems.is_empty()) {
        (Ok(until), Ok(part), true) => Ok(Exception { part, until }),
        (until, part, _) => {
            problems.extend(until.err());
            problems.extend(part.err());
            Err(problems)
        }
    }
}

/// A time, or a day to its end in UTC.
fn time(text: &str, at: Place) -> Result<Timestamp, Problem> {
    let day = || format!("{text}T00:00:00Z").parse().map(|day: Timestamp| day.plus_secs(DAY_SECS));
    text.parse().or_else(|_| day()).map_err(|_| {
        at.problem(format!(
            "'{text}' is neither a day nor a time, as in 2027-01-31 or 2027-01-31T12:00:00Z"
        ))
    })
}
