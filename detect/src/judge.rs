//! What a match of a rule on single events raises: whether it is new or impossible, as far as the rule minds, and whether
//! an alert before it holds it back.

use crate::{
    alert::{self, alert},
    correlate::{Firings, hit},
    memory::{Found, Memory},
    rule::{FirstSeen, Rule, Velocity, pattern::fold},
    ruleset::{RuleIndex, Ruleset},
    suppress::{Match, Suppressing},
    travel::{Place, Travels},
    watch::Seen,
};
use custos_event::{Alert, Matched};

/// What is known of the events before.
pub(crate) struct Before<'w> {
    pub(crate) suppressing: &'w mut Suppressing,
    pub(crate) travels: &'w mut Travels,
    pub(crate) memory: &'w mut Memory,
}

/// An event, and the rules.
pub(crate) struct Judge<'e> {
    pub(crate) ruleset: &'e Ruleset,
    pub(crate) seen: &'e Seen<'e>,
}

impl Judge<'_> {
    /// What a rule that matches raises; nothing where that is neither new nor impossible, as far as the rule minds, or
    /// an alert before holds it back.
    pub(crate) fn alert(&self, rule: RuleIndex, before: &mut Before<'_>) -> Option<Alert> {
        let own = self.ruleset.rule(rule);
        let (travelled, is_new) = (
            own.velocity.as_ref().map(|asks| self.travelled((rule, asks), before.travels)),
            own.first_seen.as_ref().map(|asks| self.is_new(own, asks, before.memory)),
        );
        let also: Vec<_> =
            travelled.into_iter().chain(is_new).collect::<Option<Vec<_>>>()?.concat();
        let (time, position) = (self.seen.event.header.time, self.seen.position);
        let raise = || {
            let mut alert = alert(own, position, self.seen.event, self.ruleset.table());
            alert.matched.extend(also);
            alert
        };
        // Without a value it is like no other.
        let Some((key, within)) = self.alike(own) else { return Some(raise()) };
        let found = Match { rule, key: &key, time, clock: self.seen.clock, within };
        if let Some(by) = before.suppressing.by(&found) {
            before.suppressing.hold(by, &own.id, time, position);
            return None;
        }
        let raised = raise();
        before.suppressing.raised(&found, raised.id);
        Some(raised)
    }

    /// The same of a match that was judged before.
    pub(crate) fn recall(
        &self,
        rule: RuleIndex,
        firings: &Firings,
        (suppressing, travels): (&mut Suppressing, &mut Travels),
    ) {
        let own = self.ruleset.rule(rule);
        if let Some(asks) = &own.velocity {
            self.travelled((rule, asks), travels);
        }
        let Some((key, within)) = self.alike(own) else { return };
        let (position, time) = (self.seen.position, self.seen.event.header.time);
        let id = alert::id_of_single(own, position);
        if firings.has(id, position) {
            let found = Match { rule, key: &key, time, clock: self.seen.clock, within };
            suppressing.raised(&found, id);
        }
    }

    /// By what a match is like others, and for how long.
    fn alike(&self, rule: &Rule) -> Option<(String, i64)> {
        let suppress = rule.suppress.as_ref()?;
        Some((hit::key(self.ruleset, self.seen.event, &suppress.by)?, suppress.within))
    }

    /// Notes where somebody is; what says that they cannot be, if they cannot.
    fn travelled(
        &self,
        (rule, asks): (RuleIndex, &Velocity),
        travels: &mut Travels,
    ) -> Option<Vec<Matched>> {
        let event = self.seen.event;
        let who = hit::key(self.ruleset, event, &asks.by)?;
        let place = Place::of(event, self.ruleset.table(), &asks.place)?;
        let way = travels.take((rule, asks), &who, (place, self.seen.at()))?;
        let matched = Matched {
            selection: "velocity".to_owned(),
            field: asks.place.clone(),
            pattern: format!("> {} km/h", asks.above_kmh),
            value: format!("{:.0} km/h: {} → {}, {:.0} km", way.kmh, way.from, way.to, way.km),
        };
        Some(vec![matched])
    }

    /// Notes the values of a match; what says that they are new, if they are.
    fn is_new(&self, rule: &Rule, asks: &FirstSeen, memory: &mut Memory) -> Option<Vec<Matched>> {
        let event = self.seen.event;
        let of = |fields: &[String]| hit::group(self.ruleset, event, fields);
        let (by, value) = (of(&asks.by)?, of(&asks.value)?);
        let kept = |value: &String| (self.seen.kept)(value).unwrap_or_else(|| fold(value));
        let (kept_by, kept_value): (Vec<_>, Vec<_>) =
            (by.iter().map(kept).collect(), value.iter().map(kept).collect());
        let found = Found {
            rule: &rule.id,
            asks,
            by: &kept_by,
            value: &kept_value,
            at: self.seen.at(),
            position: self.seen.position,
        };
        let matched = |selection: &str, field: &String, pattern: &str, value: &String| Matched {
            selection: selection.to_owned(),
            field: field.clone(),
            pattern: pattern.to_owned(),
            value: value.clone(),
        };
        memory.is_new(&found).then(|| {
            let asked = asks.to_string();
            let by = asks.by.iter().zip(&by).map(|(field, it)| matched("by", field, "", it));
            let value = asks.value.iter().zip(&value);
            value.map(|(field, it)| matched("first_seen", field, &asked, it)).chain(by).collect()
        })
    }
}
