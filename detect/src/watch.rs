//! Events in log order in, alerts out: rules on single events and correlations together.

use crate::{
    alert::{self, alert},
    correlate::{Correlator, Fired, Firings, Hit, Incomplete, LATENESS, hit},
    engine::Engine,
    memory::{Found, Memory},
    rule::{FirstSeen, Rule, Velocity, pattern::fold},
    ruleset::{RuleIndex, Ruleset},
    suppress::{Match, Suppressed, Suppressing},
    travel::{Place, Travels},
};
use custos_event::{Alert, Matched, ParsedEvent, Position, Timestamp};
use std::{fmt, sync::Arc};

/// An event as a watch sees it.
#[derive(Clone, Copy)]
pub struct Seen<'e> {
    pub position: Position,
    /// When its commit was appended.
    pub clock: Timestamp,
    pub event: &'e ParsedEvent,
    /// How a value is written where it is kept; `None`: as it is. What is somebody's is not kept in clear.
    pub kept: &'e dyn Fn(&str) -> Option<String>,
}

impl<'e> Seen<'e> {
    /// With nothing in it that is somebody's.
    pub fn new(position: Position, clock: Timestamp, event: &'e ParsedEvent) -> Self {
        Self { position, clock, event, kept: &|_| None }
    }

    /// When it happened: never later than when it was received.
    fn at(&self) -> Timestamp {
        self.event.header.time.min(self.event.header.received)
    }
}

impl fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("position", &self.position).finish_non_exhaustive()
    }
}

/// An engine and the state of its correlations.
#[derive(Debug)]
pub struct Watch {
    ruleset: Arc<Ruleset>,
    engine: Engine,
    correlator: Correlator,
    hits: Vec<Hit>,
    suppressing: Suppressing,
    travels: Travels,
}

impl Watch {
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self::with(Correlator::new(Arc::clone(&ruleset)), ruleset)
    }

    /// With a correlator of the same ruleset.
    pub fn with(correlator: Correlator, ruleset: Arc<Ruleset>) -> Self {
        let engine = Engine::new(Arc::clone(&ruleset));
        let (hits, suppressing, travels) = Default::default();
        Self { ruleset, engine, correlator, hits, suppressing, travels }
    }

    /// Adds to `alerts`, in order of the rules' ids, what an event raises. `memory`: what was seen before it.
    pub fn see(&mut self, seen: &Seen<'_>, memory: &mut Memory, alerts: &mut Vec<Alert>) {
        let Self { ruleset, engine, correlator, hits, suppressing, travels } = self;
        let Seen { position, clock, event, .. } = *seen;
        let matched = engine.evaluate(event);
        let links = ruleset.links();
        let of_event = OfEvent { ruleset, seen };
        let mut before = Before { suppressing, travels, memory };
        if links.running.is_empty() {
            alerts.extend(matched.iter().filter_map(|rule| of_event.alert(*rule, &mut before)));
            return;
        }
        hits.clear();
        hit::hits(ruleset, event, matched, hits);
        let aloud = matched.iter().filter(|rule| !links.is_silent(**rule));
        let single = |rule: &RuleIndex| Some((*rule, of_event.alert(*rule, &mut before)?));
        let mut raised: Vec<(RuleIndex, Alert)> = aloud.filter_map(single).collect();
        let mut fired = Vec::new();
        for hit in hits.iter() {
            correlator.take(hit, position, clock, &mut fired);
        }
        let of_correlation = |it: &Fired| (it.rule, alert::of_correlation(ruleset, it, event));
        raised.extend(fired.iter().map(of_correlation));
        raised.sort_by_key(|(rule, _)| *rule);
        alerts.extend(raised.into_iter().map(|(_, alert)| alert));
    }

    /// Takes in an event that was seen before: its alerts are in the journal, and `firings` has them.
    pub fn recall(&mut self, seen: &Seen<'_>, firings: &Firings) {
        let Seen { position, clock, event, .. } = *seen;
        let matched = self.engine.evaluate(event);
        let of_event = OfEvent { ruleset: &self.ruleset, seen };
        for rule in matched {
            of_event.recall(*rule, firings, (&mut self.suppressing, &mut self.travels));
        }
        self.hits.clear();
        hit::hits(&self.ruleset, event, matched, &mut self.hits);
        for hit in &self.hits {
            self.correlator.recall(hit, position, clock, firings);
        }
    }

    /// How far back in log time, in nanoseconds, events have to be recalled after a start; `None` when no
    /// correlation runs, no rule suppresses and none minds impossible travel.
    pub fn reach(&self) -> Option<i64> {
        let of_rule = |rule: &Rule| {
            let suppress = rule.suppress.as_ref().map(|it| it.within);
            // An event may have happened some time before the log had it.
            let velocity = rule.velocity.as_ref().map(|it| it.within.saturating_add(LATENESS));
            suppress.max(velocity)
        };
        self.ruleset.rules().iter().filter_map(of_rule).max().max(self.correlator.reach())
    }

    /// What correlations could not count since this was last asked.
    pub fn incomplete(&mut self) -> Vec<Incomplete> {
        self.correlator.incomplete()
    }

    /// Matches that raised no alert of their own since this was last asked.
    pub fn suppressed(&mut self) -> Vec<Suppressed> {
        self.suppressing.take()
    }
}

/// What is known of the events before.
struct Before<'w> {
    suppressing: &'w mut Suppressing,
    travels: &'w mut Travels,
    memory: &'w mut Memory,
}

/// An event, and the rules.
struct OfEvent<'e> {
    ruleset: &'e Ruleset,
    seen: &'e Seen<'e>,
}

impl OfEvent<'_> {
    /// What a rule that matches raises; nothing where that is neither new nor impossible, as far as the rule minds, or
    /// an alert before holds it back.
    fn alert(&self, rule: RuleIndex, before: &mut Before<'_>) -> Option<Alert> {
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
    fn recall(
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
            pattern: format!("above {} km/h", asks.above_kmh),
            value: format!("{:.0} km/h: {} to {}, {:.0} km", way.kmh, way.from, way.to, way.km),
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
        let asked = asks.to_string();
        memory.is_new(&found).then(|| {
            let by = asks.by.iter().zip(&by).map(|(field, it)| matched("by", field, "", it));
            let value = asks.value.iter().zip(&value);
            value.map(|(field, it)| matched("first_seen", field, &asked, it)).chain(by).collect()
        })
    }
}
