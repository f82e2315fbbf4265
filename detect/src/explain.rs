//! Why a rule matched: which of its searches, by which values.

use crate::{
    logsource::source_for,
    naive::Question,
    rule::{Body, Expr, Item, Part, Rule},
};
use custos_event::{FieldTable, Matched, ParsedEvent};

/// [`Matched::value`] is cut here.
const VALUE_CHARS_MAX: usize = 256;
/// Values of one alert; a rule that matched by more is shown by the first ones.
const MATCHED_MAX: usize = 64;

/// What in `event` answers the rule's questions, in the order of the rule. Searches that count only by
/// their absence are not shown.
pub fn explain(rule: &Rule, event: &ParsedEvent, table: &FieldTable) -> Vec<Matched> {
    let Body::Detection(detection) = &rule.body else { return Vec::new() };
    let question = Question { event, table, source: source_for(&rule.logsource, event, table) };
    let mut wanted = vec![false; detection.searches.len()];
    positive(&detection.condition, true, &mut wanted);
    let mut matched = Vec::new();
    for (search, _) in detection.searches.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
        if question.part(&search.part) {
            collect(&question, &search.name, &search.part, &mut matched);
        }
    }
    matched.truncate(MATCHED_MAX);
    matched
}

/// Marks the searches that stand under an even number of negations.
fn positive(expr: &Expr, sign: bool, wanted: &mut [bool]) {
    match expr {
        Expr::Search(index) => {
            if let (Some(wanted), true) = (wanted.get_mut(*index), sign) {
                *wanted = true;
            }
        }
        Expr::All(terms) | Expr::Any(terms) => {
            for term in terms {
                positive(term, sign, wanted);
            }
        }
        Expr::Not(inner) => positive(inner, !sign, wanted),
    }
}

fn collect(question: &Question<'_>, search: &str, part: &Part, matched: &mut Vec<Matched>) {
    match part {
        Part::All(parts) => {
            for part in parts {
                collect(question, search, part, matched);
            }
        }
        Part::Any(parts) => {
            let holding = parts.iter().filter(|part| question.part(part));
            holding.for_each(|part| collect(question, search, part, matched));
        }
        Part::Item(item) if item.negated => {}
        Part::Item(item) => answers(question, search, item, matched),
    }
}

fn answers(question: &Question<'_>, search: &str, item: &Item, matched: &mut Vec<Matched>) {
    for asked in &item.asked {
        let Some(value) = question.asked(item, asked) else { continue };
        let modifiers = item.modifiers.replace('|', " ");
        let space = if modifiers.is_empty() { "" } else { " " };
        matched.push(Matched {
            selection: search.to_owned(),
            field: item.field.as_deref().unwrap_or_default().to_owned(),
            pattern: format!("{modifiers}{space}'{}'", asked.text),
            value: value.chars().take(VALUE_CHARS_MAX).collect(),
        });
        if !item.all {
            return;
        }
    }
}
