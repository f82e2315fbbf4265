//! A correlation block is checked in full, so that the rule runs as it stands once correlations do.

use super::{
    Problem,
    suggest::did_you_mean,
    yaml::{Node, Value},
};

const KEYS: [&str; 8] =
    ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "timeframe"];
const TYPES: [&str; 9] = [
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "chained",
];
const ORDERS: [&str; 6] = ["gt", "gte", "lt", "lte", "eq", "neq"];

pub(crate) fn check(block: &Node) -> Result<(), Vec<Problem>> {
    if !matches!(block.value, Value::Map(_)) {
        return Err(vec![
            block.at.problem(format!("'correlation' is a map, found {}", block.kind())),
        ]);
    }
    let mut problems = Vec::new();
    for (key, _) in block.entries() {
        if !KEYS.contains(&key.name.as_str()) {
            let hint = did_you_mean(&key.name, KEYS);
            problems
                .push(key.at.problem(format!("unknown key '{}' in correlation{hint}", key.name)));
        }
    }
    let kind = kind(block, &mut problems);
    if block.get("rules").is_none_or(|rules| rules.scalar().is_none() && rules.items().is_empty()) {
        problems.push(block.at.problem("correlation has no 'rules': the ids or names it counts"));
    }
    timespan(block, &mut problems);
    condition(block, &kind, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn kind(block: &Node, problems: &mut Vec<Problem>) -> String {
    let Some(node) = block.get("type") else {
        problems.push(block.at.problem("correlation has no 'type'"));
        return String::new();
    };
    let kind = node.scalar().unwrap_or_default();
    if !TYPES.contains(&kind.as_str()) {
        let hint = did_you_mean(&kind, TYPES);
        problems.push(node.at.problem(format!("unknown correlation type '{kind}'{hint}")));
    }
    kind
}

fn timespan(block: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = block.get("timespan").or_else(|| block.get("timeframe")) else {
        problems.push(block.at.problem("correlation has no 'timespan', as in '5m'"));
        return;
    };
    let text = node.scalar().unwrap_or_default();
    let unit = text.chars().last().filter(|unit| "smhdwMy".contains(*unit));
    let count = unit.and_then(|unit| text.strip_suffix(unit)).and_then(|n| n.parse::<u32>().ok());
    if count.is_none_or(|count| count == 0) {
        problems.push(node.at.problem(format!(
            "'{text}' is no time span; expected a count and one of s, m, h, d, w, M, y, as in '5m'"
        )));
    }
}

fn condition(block: &Node, kind: &str, problems: &mut Vec<Problem>) {
    let temporal = kind.starts_with("temporal") || kind == "chained";
    let Some(node) = block.get("condition") else {
        if !temporal {
            problems.push(block.at.problem("correlation has no 'condition', as in 'gte: 10'"));
        }
        return;
    };
    let orders = node.entries().iter().filter(|(key, _)| ORDERS.contains(&key.name.as_str()));
    let mut numbers = orders.map(|(_, value)| value).peekable();
    if numbers.peek().is_none() && node.as_str().is_none() {
        problems.push(node.at.problem("condition compares with none of gt, gte, lt, lte, eq, neq"));
    }
    for value in numbers.filter(|value| !matches!(value.value, Value::Int(_) | Value::Float(_))) {
        let message = format!("condition: expected a number, found {}", value.kind());
        problems.push(value.at.problem(message));
    }
    if kind.starts_with("value_") && node.get("field").is_none() {
        problems.push(node.at.problem(format!("'{kind}' needs the 'field' whose values it takes")));
    }
}
