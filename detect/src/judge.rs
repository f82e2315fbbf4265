//! What a match of a rule on single events raises: whether it is new or impossible, as far as the rule minds, and whether
//! an alert before it holds it back.

use crate::{
    alert::{self, alert},
    baseline::Amount,
    correlate::{Firings, hit},
    memory::{Found, Memory, usual_key},
    rule::{Baseline, FirstSeen, Rule, Velocity, pattern::fold},
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
        let minds = [
            own.velocity.as_ref().map(|asks| self.travelled((rule, asks), before.travels)),
            own.first_seen.as_ref().map(|asks| self.is_new(own, asks, before.memory)),
            own.baseline.as_ref().map(|asks| self.is_unusual(own, asks, before.memory)),
        ];
        let also = minds.into_iter().flatten().collect::<Option<Vec<_>>>()?.concat();
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
        Before { suppressing, travels, memory }: &mut Before<'_>,
    ) {
        let own = self.ruleset.rule(rule);
        if let Some(asks) =
            own.baseline.as_ref().filter(|_| memory.baselines.recounts(self.seen.clock))
        {
            self.is_unusual(own, asks, memory);
        }
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
        let pattern = format!("> {} km/h", asks.above_kmh);
        let value = format!("{:.0} km/h: {} → {}, {:.0} km", way.kmh, way.from, way.to, way.km);
        Some(vec![matched("velocity", &asks.place, &pattern, &value)])
    }

    /// Notes the values of a match; what says that they are new, if they are.
    fn is_new(&self, rule: &Rule, asks: &FirstSeen, memory: &mut Memory) -> Option<Vec<Matched>> {
        let event = self.seen.event;
        let of = |fields: &[String]| hit::group(self.ruleset, event, fields);
        let (by, value) = (of(&asks.by)?, of(&asks.value)?);
        let (kept_by, kept_value) = (self.kept(&by), self.kept(&value));
        let found = Found {
            rule: &rule.id,
            asks,
            by: &kept_by,
            value: &kept_value,
            at: self.seen.at(),
            position: self.seen.position,
        };
        memory.is_new(&found).then(|| {
            let asked = asks.to_string();
            let value = asks.value.iter().zip(&value);
            let new = value.map(|(field, it)| matched("first_seen", field, &asked, it));
            new.chain(of_whom(&asks.by, &by)).collect()
        })
    }

    /// Counts a match; what says that it is more than usual, if it makes it so.
    fn is_unusual(
        &self,
        rule: &Rule,
        asks: &Baseline,
        memory: &mut Memory,
    ) -> Option<Vec<Matched>> {
        let event = self.seen.event;
        let by = hit::group(self.ruleset, event, &asks.by)?;
        let amount =
            asks.sum.as_ref().map_or(Some(1.0), |sum| hit::number(self.ruleset, event, sum));
        let amount = Amount {
            rule: &rule.id,
            asks,
            key: usual_key(&rule.id, asks, &self.kept(&by)),
            at: self.seen.at(),
            position: self.seen.position,
            // What is taken back does not make room for more.
            more: amount.filter(|it| *it > 0.0)?,
        };
        let unusual = memory.baselines.take(&amount)?;
        let field = asks.sum.as_deref().unwrap_or("count");
        let pattern = asks.pattern(unusual.usual);
        let total = matched("baseline", field, &pattern, &unusual.total.to_string());
        Some([total].into_iter().chain(of_whom(&asks.by, &by)).collect())
    }

    /// Values as they are kept: what is somebody's in its sealed form.
    fn kept(&self, values: &[String]) -> Vec<String> {
        let kept = |value: &String| (self.seen.kept)(value).unwrap_or_else(|| fold(value));
        values.iter().map(kept).collect()
    }
}

/// Whose values these are.
fn of_whom<'a>(fields: &'a [String], values: &'a [String]) -> impl Iterator<Item = Matched> {
    fields.iter().zip(values).map(|(field, value)| matched("by", field, "", value))
}

fn matched(selection: &str, field: &str, pattern: &str, value: &str) -> Matched {
    let [selection, field, pattern, value] = [selection, field, pattern, value].map(str::to_owned);
    Matched { selection, field, pattern, value }
}
