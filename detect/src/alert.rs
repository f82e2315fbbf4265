//! A match becomes an alert, the same one in every replay.

use crate::{
    correlate::{Fired, hit::kind},
    entity::{entities, merge},
    explain::explain,
    rule::{
        Rule,
        correlation::{Amount, Correlation, Measure},
    },
    ruleset::Ruleset,
};
use custos_event::{Alert, AlertId, Entity, FieldTable, Matched, ParsedEvent, Position};
use sha2::{Digest, Sha256};

/// Events that an alert of a correlation names: the first ones, and the last. The count says how many
/// there are.
const EVENTS_MAX: usize = 100;

/// Counted values that an alert shows.
const COUNTED_MAX: usize = 20;

/// The alert that `rule`, one on single events, raises by an event is known by this.
pub(crate) fn id_of_single(rule: &Rule, position: Position) -> AlertId {
    id(rule, "", position)
}

/// The alert that `rule` raises by the event at `position`.
pub fn alert(rule: &Rule, position: Position, event: &ParsedEvent, table: &FieldTable) -> Alert {
    Alert {
        id: id_of_single(rule, position),
        rule: rule.id.clone(),
        rule_version: rule.version.clone(),
        title: rule.title.clone(),
        title_zh: rule.title_zh.clone(),
        level: rule.level.clone(),
        risk: rule.risk,
        tags: rule.tags.clone(),
        time: event.header.time,
        events: vec![position],
        matched: explain(rule, event, table),
        entities: entities(event),
    }
}

/// The alert of a correlation; `event` is the last one of `fired`.
pub fn of_correlation(ruleset: &Ruleset, fired: &Fired, event: &ParsedEvent) -> Alert {
    let rule = ruleset.rule(fired.rule);
    let mut events = fired.events.clone();
    if let (true, Some(last)) = (events.len() > EVENTS_MAX, events.last().copied()) {
        events.truncate(EVENTS_MAX - 1);
        events.push(last);
    }
    let first = events.first().copied();
    Alert {
        id: first.map_or(AlertId([0; 16]), |first| id(rule, &fired.key, first)),
        rule: rule.id.clone(),
        rule_version: rule.version.clone(),
        title: rule.title.clone(),
        title_zh: rule.title_zh.clone(),
        level: rule.level.clone(),
        risk: rule.risk,
        tags: rule.tags.clone(),
        time: fired.end,
        events,
        matched: rule.correlation().map_or_else(Vec::new, |it| counted(it, fired)),
        entities: about(fired, event),
    }
}

/// The group, the counted values, then what else the last event names.
fn about(fired: &Fired, event: &ParsedEvent) -> Vec<Entity> {
    let mut about = Vec::new();
    let named = |value: &String| Some(Entity { kind: kind(event, value)?, value: value.clone() });
    merge(&mut about, fired.group.iter().filter_map(named));
    if let Some(kind) = fired.counted_kind {
        let values = fired.counted.iter().take(COUNTED_MAX).cloned();
        merge(&mut about, values.map(|value| Entity { kind, value }));
    }
    let known = |it: &Entity| about.iter().any(|other| same(other, it));
    let rest: Vec<_> = entities(event).into_iter().filter(|it| !known(it)).collect();
    merge(&mut about, rest);
    about
}

/// Groups and counted values mind no case.
fn same(a: &Entity, b: &Entity) -> bool {
    a.kind == b.kind && a.value.to_lowercase() == b.value.to_lowercase()
}

/// The group, what was counted and how much of it, and the share of each rule.
fn counted(correlation: &Correlation, fired: &Fired) -> Vec<Matched> {
    let matched = |selection: &str, field: &str, pattern: String, value: String| Matched {
        selection: selection.to_owned(),
        field: field.to_owned(),
        pattern,
        value,
    };
    let group = correlation.group_by.iter().zip(&fired.group);
    let mut all: Vec<_> = group
        .map(|(field, value)| matched("group-by", field, String::new(), value.clone()))
        .collect();
    let what = match &correlation.measure {
        Measure::Events => "event_count",
        Measure::Values(_) => "value_count",
        Measure::Rules | Measure::RulesThat(_) => "temporal",
        Measure::RulesInOrder => "temporal_ordered",
        Measure::Numbers(Amount::Sum, _) => "value_sum",
        Measure::Numbers(Amount::Average, _) => "value_avg",
        Measure::Numbers(Amount::Median, _) => "value_median",
        Measure::Numbers(Amount::Percentile(_), _) => "value_percentile",
    };
    let field = &correlation.measure.fields().join(", ");
    let bounds = correlation.condition.iter().map(|(bound, n)| format!("{} {n}", bound.word()));
    let bounds = bounds.collect::<Vec<_>>().join(" and ");
    let of = if let Measure::Numbers(Amount::Percentile(percent), _) = &correlation.measure {
        format!("{percent} % of them ")
    } else {
        String::new()
    };
    let pattern = format!("{of}{bounds} within {}", correlation.timespan_text);
    all.push(matched(what, field, pattern, fired.measured.to_string()));
    all.push(matched("events", "", String::new(), fired.events.len().to_string()));
    for (reference, count) in correlation.rules.iter().zip(&fired.by_rule) {
        all.push(matched("rule", "", reference.name.clone(), count.to_string()));
    }
    for value in fired.counted.iter().take(COUNTED_MAX) {
        all.push(matched("value", field, String::new(), value.clone()));
    }
    all
}

/// The first half of SHA-256 over rule, version, group and first position. A rule on single events has
/// no group.
pub(crate) fn id(rule: &Rule, group: &str, first: Position) -> AlertId {
    let text = format!("{}\0{}\0{group}\0{first}", rule.id, rule.version);
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    AlertId(half)
}
