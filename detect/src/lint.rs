//! What is doubtful about a rule that reads: fields that no event has, conditions that nothing meets, rules that
//! find the same as others.

mod lacks;
mod overlap;
mod satisfiable;

pub use lacks::lacks;
pub use overlap::{Overlap, overlaps};

use crate::{
    fields,
    logsource::{self, EventSource},
    rule::{Body, Detection, Parsed, Problem, Rule, parse},
};
use custos_event::{FieldTable, suggest::did_you_mean};
use std::collections::BTreeSet;

/// Reads a text, and holds its rules against the others that are live.
///
/// `table` knows the fields of the schema and those met in events and in other rules; it has to be asked before
/// these rules are compiled with it.
pub fn lint(text: &str, path: &str, others: &[Rule], table: &FieldTable) -> Parsed {
    let mut parsed = parse(text, path);
    let own: BTreeSet<_> = parsed.rules.iter().map(|rule| rule.id.clone()).collect();
    let others: Vec<&Rule> = others.iter().filter(|rule| !own.contains(&rule.id)).collect();
    let telling: Vec<&Rule> =
        others.iter().filter(|rule| !rule.minds_the_past()).copied().collect();
    let mut found = Vec::new();
    for rule in &parsed.rules {
        let detection = match &rule.body {
            Body::Detection(detection) | Body::Filter { detection, .. } => detection,
            Body::Correlation(_) | Body::List(_) => continue,
        };
        let sources = sources(rule);
        if sources.is_empty() {
            let message =
                "no events that Custos knows are of this logsource: the rule never sees one";
            found.push(at(text, "logsource", message.to_owned()));
        } else {
            found.extend(unknown_fields(text, (rule, detection), &sources, table));
        }
        if !satisfiable::is_satisfiable(detection) {
            let message =
                "nothing meets this condition, unless one event has several values of a field";
            found.push(at(text, "condition", message.to_owned()));
        }
        // What is only counted tells nobody, and of what minds the past it is not known beforehand what it tells.
        if parsed.rules.iter().any(|other| other.counts(rule)) {
            continue;
        }
        for Overlap { rule: other, same } in overlaps(rule, &telling) {
            let other = others.iter().find(|it| it.id == other).map_or("", |it| &it.title);
            let message = if same {
                format!("it finds exactly what the live rule '{other}' finds")
            } else {
                format!("whatever it finds, the live rule '{other}' finds too")
            };
            found.push(at(text, "detection", message));
        }
    }
    let all: Vec<Rule> = parsed.rules.iter().chain(others).cloned().collect();
    let own = parsed.rules.len();
    found.extend(counted_all(text, &parsed.rules, &all));
    let unlinked = crate::problems(&all).into_iter().chain(crate::unfilled(&all));
    let unlinked = unlinked.filter(|(place, _)| *place < own);
    found.extend(unlinked.map(|(_, problem)| problem));
    parsed.warnings.extend(found);
    parsed.warnings.sort_by_key(|problem| (problem.line, problem.column));
    parsed
}

/// The canonical names of the fields that the rules of a text ask for, in events that they see.
pub fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rule in &parse(text, "").rules {
        let Body::Detection(detection) = &rule.body else { continue };
        let items = detection.searches.iter().flat_map(|search| search.part.items());
        let asked: BTreeSet<&str> = items.filter_map(|item| item.field.as_deref()).collect();
        for source in sources(rule) {
            names.extend(asked.iter().flat_map(|field| fields::paths(&source, field).names));
        }
    }
    names
}

/// The sources whose events a rule sees.
fn sources(rule: &Rule) -> Vec<EventSource> {
    // Of a product that is not known by name an event is still JSON of some kind: nothing is said of it.
    let mut all = logsource::all();
    all.retain(|source| source.serves(&rule.logsource));
    all
}

/// Where correlations among `all` count rules that mind what is new: they count all that these match.
fn counted_all(text: &str, own: &[Rule], all: &[Rule]) -> Vec<Problem> {
    let counting = |rule: &Rule| all.iter().find(|it| it.counts(rule)).map(|it| &it.title);
    let say = |rule: &Rule, by: &String| {
        let key = match rule {
            Rule { first_seen: Some(_), .. } => "first_seen",
            Rule { velocity: Some(_), .. } => "velocity",
            _ => "baseline",
        };
        let message = format!(
            "the correlation '{by}' counts all that this rule matches, and not only what '{key}' leaves"
        );
        at(text, key, message)
    };
    own.iter()
        .filter(|rule| rule.minds_the_past())
        .filter_map(|rule| Some(say(rule, counting(rule)?)))
        .collect()
}

fn unknown_fields(
    text: &str,
    (rule, detection): (&Rule, &Detection),
    sources: &[EventSource],
    table: &FieldTable,
) -> Vec<Problem> {
    let searches = detection.searches.iter();
    let items = searches.flat_map(|search| search.part.items());
    let asked: BTreeSet<&str> =
        items.filter_map(|item| item.field.as_deref()).chain(rule.minded()).collect();
    let is_known = |field: &str| {
        let has_been_met = |path: &String| table.get(path).is_some();
        sources.iter().any(|source| {
            fields::mapped(source, field).is_some()
                || fields::paths(source, field).names.iter().any(has_been_met)
        })
    };
    let unknown = asked.into_iter().filter(|field| !is_known(field));
    let say = |field: &str| {
        let hint = did_you_mean(field, custos_event::ecs::NAMES.iter().copied());
        let message = format!(
            "no event and no other rule had a field '{field}' since the start of this process{hint}"
        );
        at(text, field, message)
    };
    unknown.map(say).collect()
}

/// A problem where a key stands first; in the first line where it is not found.
pub fn at(text: &str, key: &str, message: String) -> Problem {
    let (line, column) = place(text, key).unwrap_or((1, 1));
    Problem { line, column, message }
}

fn place(text: &str, key: &str) -> Option<(u32, u32)> {
    let is_key = |line: &str, column: usize| {
        let before = line.get(..column).unwrap_or_default().chars().next_back();
        let after = line.get(column + key.len()..).unwrap_or_default().chars().next();
        before.is_none_or(|it| " {,'\"-".contains(it))
            && after.is_some_and(|it| ":|'\"".contains(it))
    };
    text.lines().zip(1_u32..).find_map(|(line, number)| {
        let (column, _) = line.match_indices(key).find(|(column, _)| is_key(line, *column))?;
        let before = line.get(..column).unwrap_or_default().chars().count();
        Some((number, u32::try_from(before + 1).unwrap_or(u32::MAX)))
    })
}
