//! Events in log order in, alerts out: rules on single events and correlations together.

use crate::{
    alert::{self, alert},
    correlate::{Correlator, Fired, Firings, Hit, Incomplete, hit},
    engine::Engine,
    rule::Rule,
    ruleset::{RuleIndex, Ruleset},
    suppress::{Match, Suppressed, Suppressing},
};
use custos_event::{Alert, ParsedEvent, Position, Timestamp};
use std::sync::Arc;

/// An engine and the state of its correlations.
#[derive(Debug)]
pub struct Watch {
    ruleset: Arc<Ruleset>,
    engine: Engine,
    correlator: Correlator,
    hits: Vec<Hit>,
    suppressing: Suppressing,
}

impl Watch {
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self::with(Correlator::new(Arc::clone(&ruleset)), ruleset)
    }

    /// With a correlator of the same ruleset.
    pub fn with(correlator: Correlator, ruleset: Arc<Ruleset>) -> Self {
        let engine = Engine::new(Arc::clone(&ruleset));
        Self { ruleset, engine, correlator, hits: Vec::new(), suppressing: Suppressing::default() }
    }

    /// Adds to `alerts`, in order of the rules' ids, what the event at `position` raises. `clock`: when its
    /// commit was appended.
    pub fn see(
        &mut self,
        position: Position,
        clock: Timestamp,
        event: &ParsedEvent,
        alerts: &mut Vec<Alert>,
    ) {
        let Self { ruleset, engine, correlator, hits, suppressing } = self;
        let matched = engine.evaluate(event);
        let links = ruleset.links();
        let of_event = OfEvent { ruleset, position, clock, event };
        if links.running.is_empty() {
            alerts.extend(matched.iter().filter_map(|rule| of_event.alert(*rule, suppressing)));
            return;
        }
        hits.clear();
        hit::hits(ruleset, event, matched, hits);
        let aloud = matched.iter().filter(|rule| !links.is_silent(**rule));
        let single = |rule: &RuleIndex| Some((*rule, of_event.alert(*rule, suppressing)?));
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
    pub fn recall(
        &mut self,
        position: Position,
        clock: Timestamp,
        event: &ParsedEvent,
        firings: &Firings,
    ) {
        let matched = self.engine.evaluate(event);
        let of_event = OfEvent { ruleset: &self.ruleset, position, clock, event };
        for rule in matched {
            of_event.recall(*rule, firings, &mut self.suppressing);
        }
        self.hits.clear();
        hit::hits(&self.ruleset, event, matched, &mut self.hits);
        for hit in &self.hits {
            self.correlator.recall(hit, position, clock, firings);
        }
    }

    /// How far back in log time, in nanoseconds, events have to be recalled after a start; `None` when no
    /// correlation runs and no rule suppresses.
    pub fn reach(&self) -> Option<i64> {
        let suppress = self.ruleset.rules().iter().filter_map(|rule| rule.suppress.as_ref());
        suppress.map(|it| it.within).max().max(self.correlator.reach())
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

/// An event, and where and when it came.
struct OfEvent<'e> {
    ruleset: &'e Ruleset,
    position: Position,
    clock: Timestamp,
    event: &'e ParsedEvent,
}

impl OfEvent<'_> {
    /// What a rule that matches raises; nothing where an alert before holds it back.
    fn alert(&self, rule: RuleIndex, suppressing: &mut Suppressing) -> Option<Alert> {
        let (own, time) = (self.ruleset.rule(rule), self.event.header.time);
        let raise = || alert(own, self.position, self.event, self.ruleset.table());
        // Without a value it is like no other.
        let Some((key, within)) = self.alike(own) else { return Some(raise()) };
        let found = Match { rule, key: &key, time, clock: self.clock, within };
        if let Some(by) = suppressing.by(&found) {
            suppressing.hold(by, &own.id, time, self.position);
            return None;
        }
        let raised = raise();
        suppressing.raised(&found, raised.id);
        Some(raised)
    }

    /// The same of a match that was judged before.
    fn recall(&self, rule: RuleIndex, firings: &Firings, suppressing: &mut Suppressing) {
        let own = self.ruleset.rule(rule);
        let Some((key, within)) = self.alike(own) else { return };
        let id = alert::id_of_single(own, self.position);
        if firings.has(id, self.position) {
            let time = self.event.header.time;
            suppressing.raised(&Match { rule, key: &key, time, clock: self.clock, within }, id);
        }
    }

    /// By what a match is like others, and for how long.
    fn alike(&self, rule: &Rule) -> Option<(String, i64)> {
        let suppress = rule.suppress.as_ref()?;
        Some((hit::key(self.ruleset, self.event, &suppress.by)?, suppress.within))
    }
}
