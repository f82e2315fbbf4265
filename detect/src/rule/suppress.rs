//! Suppression of a rule, in its `custos:` block: of alike matches within a time one alert, and a count of the rest.

use super::{
    Problem,
    correlation::timespan_secs,
    suggest::did_you_mean,
    yaml::{Node, Value},
};
use custos_event::time::NANOS_PER_SEC;

const KEYS: [&str; 2] = ["by", "within"];

/// Alike in more fields than these is hardly alike.
const FIELDS_MAX: usize = 8;

/// A start reads the log again for as long as an alert may hold others back.
const WITHIN_SECS_MAX: i64 = 86_400;

/// Which matches are alike, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppress {
    /// Sigma fields; matches with the same values are alike. All matches are, where there are none.
    pub(crate) by: Vec<String>,
    /// In nanoseconds.
    pub(crate) within: i64,
}

/// That of a rule's document.
pub(crate) fn read(document: &Node) -> Result<Option<Suppress>, Vec<Problem>> {
    let Some(block) = document.get("custos").and_then(|block| block.get("suppress")) else {
        return Ok(None);
    };
    if document.get("correlation").is_some() || document.get("filter").is_some() {
        let message = "'suppress' is for rules on single events; a correlation raises one alert a group and timespan already";
        return Err(vec![block.at.problem(message)]);
    }
    if !matches!(block.value, Value::Map(_)) {
        let message = format!("'suppress' is a map of {}, found {}", KEYS.join(", "), block.kind());
        return Err(vec![block.at.problem(message)]);
    }
    let mut problems = Vec::new();
    for (key, _) in block.entries() {
        if !KEYS.contains(&key.name.as_str()) {
            let hint = did_you_mean(&key.name, KEYS);
            problems.push(key.at.problem(format!("unknown key '{}' in suppress{hint}", key.name)));
        }
    }
    let by = fields(block, &mut problems);
    let within = within(block, &mut problems);
    if problems.is_empty() { Ok(Some(Suppress { by, within })) } else { Err(problems) }
}

fn fields(block: &Node, problems: &mut Vec<Problem>) -> Vec<String> {
    let Some(node) = block.get("by") else { return Vec::new() };
    let names: Option<Vec<String>> = node.items().iter().map(Node::scalar).collect();
    match names {
        Some(names) if names.len() <= FIELDS_MAX => names,
        Some(_) => {
            problems.push(node.at.problem(format!("'by' has more than {FIELDS_MAX} fields")));
            Vec::new()
        }
        None => {
            problems
                .push(node.at.problem("'by' is a list of fields, as in '[user.name, source.ip]'"));
            Vec::new()
        }
    }
}

fn within(block: &Node, problems: &mut Vec<Problem>) -> i64 {
    let Some(node) = block.get("within") else {
        problems.push(block.at.problem("'suppress' has no 'within', as in '1h'"));
        return 0;
    };
    let text = node.scalar().unwrap_or_default();
    match timespan_secs(&text) {
        Some(secs) if secs <= WITHIN_SECS_MAX => secs * NANOS_PER_SEC,
        Some(_) => {
            let message = format!(
                "'within' is at most 24h, not '{text}': each start reads the log again for as long"
            );
            problems.push(node.at.problem(message));
            0
        }
        None => {
            let message = format!(
                "'{text}' is no time span; expected a count and one of s, m, h, d, as in '1h'"
            );
            problems.push(node.at.problem(message));
            0
        }
    }
}
