//! A mapping's cases: lines, and what each has to be read as, as `<mapping>.cases.yml` beside it has them.

use super::Mappings;
use crate::decode::{DecodeOptions, Decoder, SourceType};
use custos_event::{
    FieldTable, Flags, ParsedEvent, Timestamp,
    suggest::did_you_mean,
    yaml::{self, Node, Place, Problem, Value},
};
use std::sync::Arc;

/// When a line is received that does not say so: 2026-11-10T10:00:00Z. What it is read as does not depend on the
/// day it is tried.
const RECEIVED_SECS: i64 = 1_794_304_800;

const KEYS: [&str; 7] = ["line", "source", "received", "taken_for", "time", "fields", "absent"];

/// Tries each case of a file with all `mappings`; how many there are, and which are read otherwise.
pub fn check(text: &str, mappings: &Arc<Mappings>) -> Result<usize, Vec<Problem>> {
    let (documents, broken) = yaml::documents(text);
    if let Some(problem) = broken {
        return Err(vec![problem]);
    }
    let cases = documents.first().and_then(|document| document.get("cases"));
    let Some(Value::List(cases)) = cases.map(|cases| &cases.value) else {
        let message = "a file of cases has a list 'cases', each with 'line' and 'fields'";
        return Err(vec![Place { line: 1, column: 1 }.problem(message)]);
    };
    let mut problems = Vec::new();
    for case in cases {
        if let Err(problem) = check_one(case, mappings, &mut problems) {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(cases.len()) } else { Err(problems) }
}

fn check_one(
    case: &Node,
    mappings: &Arc<Mappings>,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    if let Some((key, _)) = case.entries().iter().find(|(key, _)| !KEYS.contains(&&*key.name)) {
        let hint = did_you_mean(&key.name, KEYS);
        return Err(key.at.problem(format!("a case has no '{}'{hint}", key.name)));
    }
    let text = |key| case.get(key).and_then(Node::scalar);
    let line = text("line").ok_or_else(|| case.at.problem("'line' is missing; it is a text"))?;
    let source = text("source").unwrap_or_else(|| SourceType::Auto.name().into());
    let at = case.get("source").map_or(case.at, |node| node.at);
    let source = mappings.source_type(&source).map_err(|error| at.problem(error.to_string()))?;
    let received = case.get("received").map_or(Ok(Timestamp(0).plus_secs(RECEIVED_SECS)), when)?;
    let table = Arc::new(FieldTable::new());
    let options = DecodeOptions::new(source, "case".into()).without_protection();
    let options = options.with_mappings(Arc::clone(mappings));
    let mut decoder = Decoder::new(Arc::clone(&table), options);
    let event = decoder.decode(line.into_bytes().into(), received);
    if let Some(reason) = &event.header.rejection {
        let message = format!("the line is rejected: {reason}");
        problems.push(case.at.problem(message));
    }
    header(case, &event, problems)?;
    values(case, &event, &table, problems);
    Ok(())
}

fn when(node: &Node) -> Result<Timestamp, Problem> {
    let text = node.scalar().unwrap_or_default();
    text.parse()
        .map_err(|_| node.at.problem(format!("'{text}' is no time, as 2026-11-10T10:00:00Z is")))
}

fn header(case: &Node, event: &ParsedEvent, problems: &mut Vec<Problem>) -> Result<(), Problem> {
    if let Some(node) = case.get("taken_for") {
        let wanted = node.scalar().unwrap_or_default();
        if *event.header.decoder != *wanted {
            let message = format!("taken for '{}', not for '{wanted}'", event.header.decoder);
            problems.push(node.at.problem(message));
        }
    }
    let Some(node) = case.get("time") else { return Ok(()) };
    let wanted = when(node)?;
    if event.header.flags.has(Flags::NO_TIME) {
        problems.push(node.at.problem(format!("no time was found, not {wanted}")));
    } else if event.header.time != wanted {
        problems.push(node.at.problem(format!("the time is {}, not {wanted}", event.header.time)));
    }
    Ok(())
}

fn values(case: &Node, event: &ParsedEvent, table: &FieldTable, problems: &mut Vec<Problem>) {
    let found = |name: &str| -> Vec<serde_json::Value> {
        table.get(name).map(|field| event.all(field).map(Into::into).collect()).unwrap_or_default()
    };
    for (key, node) in case.get("fields").map(Node::entries).unwrap_or_default() {
        let wanted: Vec<_> = node.items().iter().map(Node::json).collect();
        let found = found(&key.name);
        if found != wanted {
            let list = |values: &[serde_json::Value]| match values {
                [] => "nothing".to_owned(),
                values => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            let message = format!("{} is {}, not {}", key.name, list(&found), list(&wanted));
            problems.push(node.at.problem(message));
        }
    }
    for node in case.get("absent").map(Node::items).unwrap_or_default() {
        let name = node.scalar().unwrap_or_default();
        if let Some(value) = found(&name).first() {
            problems.push(node.at.problem(format!("{name} is {value}, not absent")));
        }
    }
}
