//! Events in log order in, alerts out: rules on single events and correlations together.

use crate::{
    alert::{self, alert},
    correlate::{Correlator, Fired, Firings, Hit, Incomplete, hit},
    engine::Engine,
    ruleset::{RuleIndex, Ruleset},
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
}

impl Watch {
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self::with(Correlator::new(Arc::clone(&ruleset)), ruleset)
    }

    /// With a correlator of the same ruleset.
    pub fn with(correlator: Correlator, ruleset: Arc<Ruleset>) -> Self {
        let engine = Engine::new(Arc::clone(&ruleset));
        Self { ruleset, engine, correlator, hits: Vec::new() }
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
        let Self { ruleset, engine, correlator, hits } = self;
        let matched = engine.evaluate(event);
        let links = ruleset.links();
        let single = |rule: RuleIndex| alert(ruleset.rule(rule), position, event, ruleset.table());
        if links.running.is_empty() {
            alerts.extend(matched.iter().map(|rule| single(*rule)));
            return;
        }
        hits.clear();
        hit::hits(ruleset, event, matched, hits);
        let aloud = matched.iter().filter(|rule| !links.is_silent(**rule));
        let mut raised: Vec<(RuleIndex, Alert)> =
            aloud.map(|rule| (*rule, single(*rule))).collect();
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
        self.hits.clear();
        hit::hits(&self.ruleset, event, matched, &mut self.hits);
        for hit in &self.hits {
            self.correlator.recall(hit, position, clock, firings);
        }
    }

    /// How far back in log time, in nanoseconds, events have to be recalled after a start; `None` when no
    /// correlation runs.
    pub fn reach(&self) -> Option<i64> {
        self.correlator.reach()
    }

    /// What correlations could not count since this was last asked.
    pub fn incomplete(&mut self) -> Vec<Incomplete> {
        self.correlator.incomplete()
    }
}
