//! One YAML document becomes one rule.

use super::{
    Body, Parsed, Problem, Rule, RuleSource, baseline, correlation, detection, exception,
    first_seen, legacy, list,
    suggest::did_you_mean,
    suppress, velocity,
    yaml::{Key, Node, Value},
};
use custos_event::RuleId;
use sha2::{Digest, Sha256};
use std::{fmt::Write as _, sync::Arc};

const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
/// What a critical match weighs.
const RISK_MAX: i64 = 100;
/// Keys that a rule cannot do without, so that a slip in one is told as such.
const KEYS: [&str; 6] = ["title", "detection", "logsource", "correlation", "filter", "level"];

/// Reads document number `index` of the file at `path` into `parsed`.
pub(crate) fn read(node: &Node, path: &str, index: usize, parsed: &mut Parsed) {
    let id = if index == 0 { path.to_owned() } else { format!("{path}#{}", index + 1) };
    match legacy::split(node, &id) {
        None => one(node, path, &id, parsed),
        Some(Err(problem)) => parsed.errors.push(problem),
        Some(Ok((documents, notice))) => {
            parsed.warnings.push(notice);
            for node in &documents {
                one(node, path, &id, parsed);
            }
        }
    }
}

fn one(node: &Node, path: &str, id: &str, parsed: &mut Parsed) {
    let mut warnings = Vec::new();
    match rule(node, path, id, &mut warnings) {
        Ok(rule) => parsed.rules.push(rule),
        Err(problems) => parsed.errors.extend(problems),
    }
    parsed.warnings.extend(warnings);
}

fn rule(
    node: &Node,
    path: &str,
    fallback: &str,
    warnings: &mut Vec<Problem>,
) -> Result<Rule, Vec<Problem>> {
    if !matches!(node.value, Value::Map(_)) {
        return Err(vec![node.at.problem(format!("a rule is a map, found {}", node.kind()))]);
    }
    let mut problems = Vec::new();
    let title = text(node, "title").unwrap_or_default();
    if title.is_empty() {
        problems.push(node.at.problem(missing(node, "title")));
    }
    if let Some(action) = node.get("action") {
        problems
            .push(action.at.problem("'action' is no longer Sigma; write each rule out in full"));
    }
    let level = word(node, "level", &LEVELS, warnings);
    let status = word(node, "status", &STATUSES, warnings);
    let logsource = source(node, &mut problems);
    let body = match body(node, logsource.as_ref(), warnings) {
        Ok(body) => Some(body),
        Err(more) => {
            problems.extend(more);
            None
        }
    };
    let exceptions = or_told(exception::read(node), &mut problems);
    let first_seen = or_told(first_seen::read(node), &mut problems);
    let velocity = or_told(velocity::read(node), &mut problems);
    let baseline = or_told(baseline::read(node), &mut problems);
    let suppress = or_told(suppress::read(node), &mut problems);
    let risk = or_told(risk(node).map_err(|problem| vec![problem]), &mut problems);
    let (Some(body), true) = (body, problems.is_empty()) else { return Err(problems) };
    Ok(Rule {
        id: RuleId(id(node).unwrap_or_else(|| fallback.to_owned()).into()),
        name: text(node, "name"),
        title,
        title_zh: of_custos(node, "title_zh"),
        description: text(node, "description").unwrap_or_default(),
        description_zh: of_custos(node, "description_zh"),
        status,
        level,
        risk,
        tags: tags(node),
        path: path.into(),
        version: version(node),
        logsource: logsource.unwrap_or_default(),
        exceptions,
        first_seen,
        velocity,
        baseline,
        suppress,
        body,
    })
}

/// What was read, or nothing and why.
fn or_told<T: Default>(read: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> T {
    read.unwrap_or_else(|more| {
        problems.extend(more);
        T::default()
    })
}

fn missing(node: &Node, key: &str) -> String {
    let near = |name: &str| did_you_mean(name, [key]);
    let slip = node.entries().iter().find(|(entry, _)| !near(&entry.name).is_empty());
    match slip {
        Some((entry, _)) => format!("rule has no '{key}', but '{}'; a slip?", entry.name),
        None => format!("rule has no '{key}'"),
    }
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::scalar)
}

fn id(node: &Node) -> Option<String> {
    text(node, "id").filter(|id| !id.is_empty())
}

fn of_custos(node: &Node, key: &str) -> String {
    node.get("custos").and_then(|own| text(own, key)).unwrap_or_default()
}

/// `custos.risk`.
fn risk(node: &Node) -> Result<Option<u32>, Problem> {
    let Some(node) = node.get("custos").and_then(|own| own.get("risk")) else { return Ok(None) };
    if let Value::Int(risk @ 0..=RISK_MAX) = node.value {
        return Ok(u32::try_from(risk).ok());
    }
    Err(node.at.problem(format!("'risk' is a whole number from 0 to {RISK_MAX}")))
}

fn word(node: &Node, key: &str, known: &[&str], warnings: &mut Vec<Problem>) -> String {
    let Some(value) = node.get(key) else { return String::new() };
    let word = value.scalar().unwrap_or_default().to_ascii_lowercase();
    if !known.contains(&word.as_str()) {
        let (hint, known) = (did_you_mean(&word, known.iter().copied()), known.join(", "));
        warnings.push(
            value.at.problem(format!("{key} '{word}' is not one of Sigma's ({known}){hint}")),
        );
    }
    word
}

fn tags(node: &Node) -> Vec<String> {
    node.get("tags")
        .map_or_else(Vec::new, |tags| tags.items().iter().filter_map(Node::scalar).collect())
}

/// The logsource block; `None` where there is none.
fn source(node: &Node, problems: &mut Vec<Problem>) -> Option<RuleSource> {
    let block = node.get("logsource")?;
    let part = |key| text(block, key).map(|name| Arc::from(name.to_lowercase()));
    let source = RuleSource {
        product: part("product"),
        category: part("category"),
        service: part("service"),
    };
    if source == RuleSource::default() {
        let message = "logsource names no product, category or service";
        problems.push(block.at.problem(message));
    }
    Some(source)
}

fn body(
    node: &Node,
    logsource: Option<&RuleSource>,
    warnings: &mut Vec<Problem>,
) -> Result<Body, Vec<Problem>> {
    if let Some(block) = node.get("correlation") {
        let generate = correlation::is_true(node.get("generate"));
        return correlation::read(block, generate, warnings).map(Body::Correlation);
    }
    if let Some(block) = node.get("list") {
        if text(node, "name").is_none_or(|name| name.is_empty() || name.contains('%')) {
            let message = "a list has a 'name', by which rules ask for it as '%name%'";
            return Err(vec![block.at.problem(message)]);
        }
        return list::read(block);
    }
    if logsource.is_none() {
        return Err(vec![node.at.problem(missing(node, "logsource"))]);
    }
    if let Some(block) = node.get("filter") {
        return filter(block, warnings);
    }
    let Some(block) = node.get("detection") else {
        return Err(vec![node.at.problem(missing(node, "detection"))]);
    };
    if let Some((key, _)) = node.entries().iter().find(|(key, _)| is_slip(&key.name)) {
        let hint = did_you_mean(&key.name, KEYS);
        warnings.push(key.at.problem(format!("unknown key '{}'{hint}", key.name)));
    }
    detection::read(block, warnings).map(Body::Detection)
}

fn is_slip(key: &str) -> bool {
    !KEYS.contains(&key) && !did_you_mean(key, KEYS).is_empty()
}

/// `filter: {rules: […] | any, <searches>, condition}`.
fn filter(block: &Node, warnings: &mut Vec<Problem>) -> Result<Body, Vec<Problem>> {
    let Some(rules) = block.get("rules") else {
        return Err(vec![block.at.problem("filter has no 'rules': their ids, or 'any'")]);
    };
    let names: Vec<String> = rules.items().iter().filter_map(Node::scalar).collect();
    let any = matches!(&names[..], [word] if word.eq_ignore_ascii_case("any"));
    let searches = |(key, _): &&(Key, Node)| key.name != "rules";
    let rest = block.entries().iter().filter(searches).cloned().collect();
    let detection = detection::read(&Node { at: block.at, value: Value::Map(rest) }, warnings)?;
    Ok(Body::Filter { rules: (!any).then_some(names), detection })
}

/// SHA-256 over the document with its maps in the order of their keys.
fn version(node: &Node) -> String {
    let mut canonical = String::new();
    canonicalise(node, &mut canonical);
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    })
}

fn canonicalise(node: &Node, out: &mut String) {
    match &node.value {
        Value::List(items) => {
            out.push('[');
            for item in items {
                canonicalise(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|a, b| a.0.name.cmp(&b.0.name));
            out.push('{');
            for (key, value) in entries {
                write!(out, "{:?}", key.name).ok();
                canonicalise(value, out);
            }
            out.push('}');
        }
        Value::Str(text) => write!(out, "{text:?}").unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            write!(out, "{} ", node.scalar().unwrap_or_default()).unwrap_or_default();
        }
    }
}
