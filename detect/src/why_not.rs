//! Why a rule did not match: what keeps the event from it, or which of its searches says no, and by which value.

use crate::{
    logsource::{EventSource, source_for},
    naive::Question,
    rule::{Body, Detection, Expr, Item, Part, Rule, RuleSource},
};
use custos_event::{FieldTable, ParsedEvent, ecs, suggest::did_you_mean};
use std::sync::Arc;

/// Reasons that are told; the first ones are what one mends first.
const REASONS_MAX: usize = 4;
/// A value is cut here.
const VALUE_CHARS_MAX: usize = 80;

/// In the rule's own words; nothing for a rule that matches, or that is no detection.
pub fn why_not(rule: &Rule, event: &ParsedEvent, table: &FieldTable) -> Option<String> {
    let Body::Detection(detection) = &rule.body else { return None };
    let source = source_for(&rule.logsource, event, table);
    if !source.serves(&rule.logsource) {
        return Some(not_seen(&rule.logsource, &source, event));
    }
    let question = Question { event, table, source };
    if question.is_excepted(rule) {
        return Some("an exception under custos.exceptions leaves it out".to_owned());
    }
    let mut reasons = Vec::new();
    let blame = Blame { question: &question, detection };
    blame.expr(&detection.condition, true, &mut reasons);
    let more = reasons.len().saturating_sub(REASONS_MAX);
    reasons.truncate(REASONS_MAX);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn not_seen(wanted: &RuleSource, source: &EventSource, event: &ParsedEvent) -> String {
    let named = |key: &str, value: Option<&str>| value.map(|value| format!("{key}: {value}"));
    let wanted = [
        named("product", wanted.product.as_deref()),
        named("category", wanted.category.as_deref()),
        named("service", wanted.service.as_deref()),
    ];
    let wanted: Vec<_> = wanted.into_iter().flatten().collect();
    let dataset = event.get(ecs::EVENT_DATASET).map_or_else(String::new, |it| it.to_string());
    if source.product.is_empty() {
        return format!(
            "its logsource ({}) does not take this event, which is of none that is known (event.dataset {dataset})",
            wanted.join(", ")
        );
    }
    let several = |key: &str, all: &[&str]| {
        (!all.is_empty()).then(|| format!(", {key}: {}", all.join(" or ")))
    };
    format!(
        "its logsource ({}) does not take this event, which is of product: {}{}{}",
        wanted.join(", "),
        source.product,
        several("category", source.categories).unwrap_or_default(),
        several("service", source.services).unwrap_or_default(),
    )
}

/// Finds what keeps a condition from what is wanted of it.
struct Blame<'q> {
    question: &'q Question<'q>,
    detection: &'q Detection,
}

impl Blame<'_> {
    fn expr(&self, expr: &Expr, wanted: bool, reasons: &mut Vec<String>) {
        if self.question.expr(expr, self.detection) == wanted {
            return;
        }
        match expr {
            Expr::All(terms) | Expr::Any(terms) => {
                for term in terms {
                    self.expr(term, wanted, reasons);
                }
            }
            Expr::Not(inner) => self.expr(inner, !wanted, reasons),
            Expr::Search(index) => {
                let Some(search) = self.detection.searches.get(*index) else { return };
                if wanted {
                    let mut missing = Vec::new();
                    self.part(&search.part, &mut missing);
                    reasons
                        .extend(missing.into_iter().map(|it| format!("'{}': {it}", search.name)));
                } else {
                    reasons.push(format!(
                        "'{}' holds, and the condition wants it not to",
                        search.name
                    ));
                }
            }
        }
    }

    /// Why a part that should hold does not.
    fn part(&self, part: &Part, reasons: &mut Vec<String>) {
        match part {
            Part::All(parts) | Part::Any(parts) => {
                let failing = parts.iter().filter(|part| !self.question.part(part));
                failing.for_each(|part| self.part(part, reasons));
            }
            Part::Item(item) => reasons.push(self.item(item)),
        }
    }

    fn item(&self, item: &Item) -> String {
        let asked: Vec<_> = item.asked.iter().map(|asked| format!("'{}'", asked.text)).collect();
        let both = if item.all { " and " } else { " or " };
        let (asked, modifiers) = (asked.join(both), item.modifiers.replace('|', " "));
        let Some(field) = item.field.as_deref() else {
            return format!("no value holds {asked}");
        };
        let values = self.question.shown(field);
        if values.is_empty() && !item.negated {
            return format!("the event has no field '{field}'{}", self.near(field));
        }
        let cut = |value: &String| value.chars().take(VALUE_CHARS_MAX).collect::<String>();
        let values: Vec<_> = values.iter().map(|value| format!("'{}'", cut(value))).collect();
        let (is, space) = (values.join(", "), if modifiers.is_empty() { "" } else { " " });
        format!("{field} is {is}; asked for {modifiers}{space}{asked}")
    }

    /// A field of the event whose name is like this one, whole or its last part, as Sigma's own names are.
    fn near(&self, field: &str) -> String {
        let question = self.question;
        let names: Vec<_> = question.event.iter().map(|(id, _)| question.table.name(id)).collect();
        let last = |name: &'_ Arc<str>| name.rsplit('.').next().unwrap_or_default().to_owned();
        let lasts: Vec<_> = names.iter().map(last).collect();
        let whole = names.iter().map(|name| &**name);
        did_you_mean(field, whole.chain(lasts.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::{Header, Parser, Shape, Timestamp};

    /// Of a Windows logon by `mia` on `dc1`.
    fn told(logsource: &str, detection: &str) -> Option<String> {
        let text =
            format!("title: T\nid: t\nlogsource: {{{logsource}}}\ndetection: {{{detection}}}\n");
        let parsed = crate::parse(&text, "t.yml");
        assert_eq!(parsed.errors, [], "{text}");
        let table = Arc::new(FieldTable::new());
        let header =
            Header::new("s".into(), Timestamp(0), Shape::NxlogFlat, "windows.security".into());
        let json =
            r#"{"EventID":4624,"Channel":"Security","TargetUserName":"mia","Computer":"dc1"}"#;
        let event = ParsedEvent::parse(header, json.into(), &mut Parser::new(Arc::clone(&table)));
        let event = event.unwrap();
        let told = why_not(&parsed.rules[0], &event, &table);
        assert_eq!(told.is_none(), crate::naive::matches(&parsed.rules[0], &event, &table));
        told
    }

    #[test]
    fn each_way_of_not_matching_is_told_in_the_rules_own_words() {
        let windows = "product: windows";
        for (logsource, detection, expected) in [
            (windows, "s: {EventID: 4624}, condition: s", None),
            (
                "product: linux, service: sudo",
                "s: {EventID: 4624}, condition: s",
                Some(
                    "its logsource (product: linux, service: sudo) does not take this event, which is of \
                     product: windows, service: security",
                ),
            ),
            (
                windows,
                "s: {TargetUserNam: mia}, condition: s",
                Some("'s': the event has no field 'TargetUserNam'; did you mean 'TargetUserName'?"),
            ),
            (
                windows,
                "s: {EventID: [4625, 4626], TargetUserName|startswith: x}, condition: s",
                Some(
                    "'s': EventID is '4624'; asked for '4625' or '4626'; 's': TargetUserName is 'mia'; asked for \
                     startswith 'x'",
                ),
            ),
            (
                windows,
                "s: {EventID: 4624}, own: {TargetUserName: mia}, condition: s and not own",
                Some("'own' holds, and the condition wants it not to"),
            ),
            (
                windows,
                "a: {EventID: 1}, b: {TargetUserName|neq: mia}, condition: a or b",
                Some(
                    "'a': EventID is '4624'; asked for '1'; 'b': TargetUserName is 'mia'; asked for neq 'mia'",
                ),
            ),
            (
                windows,
                "s: [needle, pin], condition: s",
                Some("'s': no value holds 'needle' or 'pin'"),
            ),
            (
                windows,
                "a: {b: 1}, c: {d: 1}, e: {f: 1}, g: {h: 1}, i: {j: 1}, k: {l: 1}, condition: all of them",
                Some(
                    "'a': the event has no field 'b'; 'c': the event has no field 'd'; 'e': the event has no field \
                     'f'; 'g': the event has no field 'h'; and 2 more",
                ),
            ),
        ] {
            assert_eq!(told(logsource, detection).as_deref(), expected, "{detection}");
        }
    }
}
