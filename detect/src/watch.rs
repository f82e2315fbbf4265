//! Events in log order in, alerts out: rules on single events and correlations together.

use crate::{
    alert,
    baseline::TURN,
    correlate::{Correlator, Fired, Firings, Hit, Incomplete, LATENESS, hit},
    engine::Engine,
    judge::{Before, Judge},
    memory::Memory,
    rule::Rule,
    ruleset::{RuleIndex, Ruleset},
    suppress::{Suppressed, Suppressing},
    travel::Travels,
};
use custos_event::{Alert, ParsedEvent, Position, Timestamp};
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
    pub(crate) fn at(&self) -> Timestamp {
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
        let judge = Judge { ruleset, seen };
        let mut before = Before { suppressing, travels, memory };
        if links.running.is_empty() {
            alerts.extend(matched.iter().filter_map(|rule| judge.alert(*rule, &mut before)));
            return;
        }
        hits.clear();
        hit::hits(ruleset, event, matched, hits);
        let aloud = matched.iter().filter(|rule| !links.is_silent(**rule));
        let single = |rule: &RuleIndex| Some((*rule, judge.alert(*rule, &mut before)?));
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
    /// `memory` counts again what the journal does not have of it.
    pub fn recall(&mut self, seen: &Seen<'_>, memory: &mut Memory, firings: &Firings) {
        let Seen { position, clock, event, .. } = *seen;
        let matched = self.engine.evaluate(event);
        let judge = Judge { ruleset: &self.ruleset, seen };
        let (suppressing, travels) = (&mut self.suppressing, &mut self.travels);
        let mut before = Before { suppressing, travels, memory };
        for rule in matched {
            judge.recall(*rule, firings, &mut before);
        }
        self.hits.clear();
        hit::hits(&self.ruleset, event, matched, &mut self.hits);
        for hit in &self.hits {
            self.correlator.recall(hit, position, clock, firings);
        }
    }

    /// How far back in log time, in nanoseconds, events have to be recalled after a start; `None` when no
    /// correlation runs, no rule suppresses and none minds impossible travel or what is usual.
    pub fn reach(&self) -> Option<i64> {
        let of_rule = |rule: &Rule| {
            let suppress = rule.suppress.as_ref().map(|it| it.within);
            // An event may have happened some time before the log had it.
            let velocity = rule.velocity.as_ref().map(|it| it.within.saturating_add(LATENESS));
            let baseline = rule.baseline.as_ref().map(|_| TURN);
            suppress.max(velocity).max(baseline)
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
