//! One rule against one event, word by word as Sigma says it: no index, no automaton, no short cut. The
//! oracle that the engine is tested against, and what explains a match.

use crate::{
    compile::contains,
    fields,
    logsource::{EventSource, source_for},
    rule::{
        Asked, Body, Detection, Exception, Expr, Item, Part, Rule, Test,
        pattern::{DASHES, Pattern, Token, fold},
    },
};
use custos_event::{FieldTable, ParsedEvent, Shape, ValueRef};

/// Whether `rule` matches `event`. Filters are rules of their own and not applied.
pub fn matches(rule: &Rule, event: &ParsedEvent, table: &FieldTable) -> bool {
    let source = source_for(&rule.logsource, event, table);
    let Body::Detection(detection) = &rule.body else { return false };
    let unfilled = |part: &Part| part.items().into_iter().any(Item::is_unfilled);
    let question = Question { event, table, source };
    source.serves(&rule.logsource)
        && !detection.searches.iter().any(|search| unfilled(&search.part))
        && question.expr(&detection.condition, detection)
        && !question.is_excepted(rule)
}

pub(crate) struct Question<'e> {
    pub(crate) event: &'e ParsedEvent,
    pub(crate) table: &'e FieldTable,
    pub(crate) source: EventSource,
}

impl<'e> Question<'e> {
    /// Whether an exception of `rule` that held when the event was received leaves it alone.
    pub(crate) fn is_excepted(&self, rule: &Rule) -> bool {
        let holds = |it: &Exception| self.event.header.received < it.until && self.part(&it.part);
        rule.exceptions.iter().any(holds)
    }

    pub(crate) fn expr(&self, expr: &Expr, detection: &Detection) -> bool {
        match expr {
            Expr::Search(index) => {
                detection.searches.get(*index).is_some_and(|search| self.part(&search.part))
            }
            Expr::All(terms) => terms.iter().all(|term| self.expr(term, detection)),
            Expr::Any(terms) => terms.iter().any(|term| self.expr(term, detection)),
            Expr::Not(inner) => !self.expr(inner, detection),
        }
    }

    pub(crate) fn part(&self, part: &Part) -> bool {
        match part {
            Part::All(parts) => parts.iter().all(|part| self.part(part)),
            Part::Any(parts) => parts.iter().any(|part| self.part(part)),
            Part::Item(item) => self.item(item),
        }
    }

    pub(crate) fn item(&self, item: &Item) -> bool {
        let mut asked = item.asked.iter().map(|asked| self.asked(item, asked).is_some());
        let answer = if item.all { asked.all(|yes| yes) } else { asked.any(|yes| yes) };
        answer != item.negated
    }

    /// The value that answers a question with yes; an empty one where absence does.
    pub(crate) fn asked(&self, item: &Item, asked: &Asked) -> Option<String> {
        let values = self.values(item.field.as_deref());
        let present =
            !values.is_empty() || item.field.as_deref().is_some_and(|it| self.has_below(it));
        let test = &asked.test;
        if let Test::Null | Test::Exists(false) = test {
            return (!present).then(String::new);
        }
        if matches!(test, Test::Exists(true)) || test.is_any_text() {
            return present.then(|| values.first().map_or(String::new(), text));
        }
        let found = values.iter().find(|value| self.test(test, **value)).map(text);
        found.or_else(|| self.raw(item).filter(|raw| self.test(test, ValueRef::Str(raw))))
    }

    /// What the event says of a field, as text.
    pub(crate) fn shown(&self, field: &str) -> Vec<String> {
        self.values(Some(field)).iter().map(text).collect()
    }

    fn values(&self, field: Option<&str>) -> Vec<ValueRef<'e>> {
        let real = |value: &ValueRef<'_>| *value != ValueRef::Null;
        let Some(field) = field else {
            // What its decoder makes of a text is part of the text; of an object it adds words of its own.
            if self.event.header.shape == Shape::Text {
                return self.event.iter().map(|(_, value)| value).filter(real).collect();
            }
            return self.event.native().filter(real).collect();
        };
        let paths = fields::paths(&self.source, field);
        let mut found = Vec::new();
        for path in &paths.names {
            let here = |id| fields::is_at(&self.table.name(id), path);
            let own = self.event.iter().filter(|(id, value)| real(value) && here(*id));
            found.extend(own.map(|(_, value)| value));
            if paths.first_only && !found.is_empty() {
                break;
            }
        }
        found
    }

    /// For keywords, a text's own bytes are a value too.
    fn raw(&self, item: &Item) -> Option<String> {
        let asked = item.field.is_none() && self.event.header.shape == Shape::Text;
        asked.then(|| self.event.raw_text().into_owned())
    }

    /// Whether the field is an object with some value in it.
    fn has_below(&self, field: &str) -> bool {
        let paths = fields::paths(&self.source, field);
        self.event.iter().filter(|(_, value)| *value != ValueRef::Null).any(|(id, _)| {
            let name = self.table.name(id);
            paths.names.iter().any(|path| {
                name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
        })
    }

    fn test(&self, test: &Test, value: ValueRef<'_>) -> bool {
        let own = value.to_string();
        match test {
            Test::Text { pattern, cased } => covers(pattern, *cased, &own),
            #[expect(clippy::float_cmp, reason = "equality is what is asked")]
            Test::Number(number) => value.as_f64().is_some_and(|value| value == *number),
            Test::Compare(order, number) => {
                value.as_f64().is_some_and(|value| order.holds(value, *number))
            }
            Test::Regex(regex) => regex.is_match(&own),
            Test::Cidr(net) => own.parse().is_ok_and(|address| contains(net, address)),
            Test::FieldRef { field, affix, cased } => {
                let form = |it: &str| if *cased { it.to_owned() } else { fold(it) };
                let mut others = self.values(Some(field)).into_iter().map(|it| it.to_string());
                others.any(|other| affix.holds(&form(&own), &form(&other)))
            }
            #[expect(clippy::float_cmp, reason = "both are whole numbers")]
            Test::Time(part, order, number) => part.of(&own).is_some_and(|found| match order {
                None => found == *number,
                Some(order) => order.holds(found, *number),
            }),
            Test::Null | Test::Exists(_) | Test::Unfilled(_) => false,
        }
    }
}

fn text(value: &ValueRef<'_>) -> String {
    value.to_string()
}

/// By the set of places that the tokens so far may end at, unlike the engine.
fn covers(pattern: &Pattern, cased: bool, text: &str) -> bool {
    let (pattern, text) =
        if cased { (pattern.clone(), text.to_owned()) } else { (pattern.folded(), fold(text)) };
    let chars: Vec<char> = text.chars().collect();
    let mut ends = vec![false; chars.len() + 1];
    ends[0] = true;
    for token in pattern.tokens() {
        ends = after(token, &ends, &chars);
    }
    ends.last().is_some_and(|end| *end)
}

/// Where `token` may end if it begins at one of `starts`.
fn after(token: &Token, starts: &[bool], chars: &[char]) -> Vec<bool> {
    let mut ends = vec![false; starts.len()];
    for (at, _) in starts.iter().enumerate().filter(|(_, start)| **start) {
        let rest = &chars[at..];
        match token {
            Token::Text(text) => {
                let text: Vec<char> = text.chars().collect();
                if rest.starts_with(&text) {
                    ends[at + text.len()] = true;
                }
            }
            Token::One if !rest.is_empty() => ends[at + 1] = true,
            Token::Dash if rest.first().is_some_and(|c| DASHES.contains(c)) => ends[at + 1] = true,
            Token::One | Token::Dash => {}
            Token::Many => {
                ends[at..].fill(true);
                break;
            }
        }
    }
    ends
}
