//! Hits in log order in, firings out. One for a log, on one thread.

use super::{
    LATENESS,
    hit::Hit,
    state::{Kept, Limits, State},
    window,
};
use crate::{
    alert,
    rule::{Rule, correlation::Correlation},
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::{Alert, AlertId, EntityKind, Position, RuleId, Timestamp};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// A correlation that holds, by the event that made it hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    pub rule: RuleIndex,
    /// The group's values as the last event has them.
    pub(crate) group: Vec<String>,
    pub(crate) key: String,
    /// What was counted or measured.
    pub(crate) measured: f64,
    /// Event time of the window's last event.
    pub(crate) end: Timestamp,
    /// The window's events, in log order; the last is the one that made it hold.
    pub events: Vec<Position>,
    /// For each rule of the correlation: how many of the events it matched.
    pub(crate) by_rule: Vec<u32>,
    pub(crate) counted: Vec<String>,
    pub(crate) counted_kind: Option<EntityKind>,
}

/// What a correlation could not count, since it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    pub rule: RuleId,
    /// Events given up because there were too many, though they could have counted with what came.
    pub dropped: u64,
    /// Events that came so late that others of their window may have been let go.
    pub late: u64,
}

/// Alerts of a ruleset's correlations, and of rules that suppress, that the journal holds, by the event that raised them.
#[derive(Debug)]
pub struct Firings {
    /// Rules and their versions: an alert of another version says nothing about this one.
    of: HashSet<(RuleId, String)>,
    by_event: HashMap<Position, Vec<Firing>>,
}

/// One of them.
#[derive(Debug)]
struct Firing {
    id: AlertId,
    first: Position,
    end: Timestamp,
}

impl Firings {
    pub fn new(ruleset: &Ruleset) -> Self {
        let running = ruleset.links().running.iter().map(|rule| ruleset.rule(*rule));
        let suppressing = ruleset.rules().iter().filter(|rule| rule.suppress.is_some());
        let of = running
            .chain(suppressing)
            .map(|rule| (rule.id.clone(), rule.version.clone()))
            .collect();
        Self { of, by_event: HashMap::new() }
    }

    /// Whether this alert was raised by the event at a place.
    pub(crate) fn has(&self, alert: AlertId, by: Position) -> bool {
        self.by_event.get(&by).is_some_and(|all| all.iter().any(|it| it.id == alert))
    }

    /// Notes an alert, if it is of one of these.
    pub fn add(&mut self, alert: &Alert) {
        let (Some(first), Some(last)) = (alert.events.first(), alert.events.last()) else { return };
        if self.of.contains(&(alert.rule.clone(), alert.rule_version.clone())) {
            let firing = Firing { id: alert.id, first: *first, end: alert.time };
            self.by_event.entry(*last).or_default().push(firing);
        }
    }
}

/// The state of all correlations of a ruleset.
#[derive(Debug)]
pub struct Correlator {
    ruleset: Arc<Ruleset>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    rule: RuleIndex,
    state: State,
    late: u64,
}

impl Correlator {
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        let limits = Limits::of_many(ruleset.links().running.len());
        Self::with_limits(ruleset, limits)
    }

    pub fn with_limits(ruleset: Arc<Ruleset>, limits: Limits) -> Self {
        let state = |rule: RuleIndex| {
            let span = ruleset.rule(rule).correlation().map_or(0, |it| it.timespan);
            Running { rule, state: State::new(span, limits), late: 0 }
        };
        let running = ruleset.links().running.iter().map(|rule| state(*rule)).collect();
        Self { ruleset, running }
    }

    /// How far back in log time, in nanoseconds, there is something that may still count; `None` when no
    /// correlation runs.
    pub fn reach(&self) -> Option<i64> {
        let spans = self.running.iter().filter_map(|it| self.ruleset.rule(it.rule).correlation());
        spans.map(|it| it.timespan.saturating_add(LATENESS)).max()
    }

    /// Takes in a hit of the event at `position`, of a commit appended at `clock`; hits come in log order.
    /// What holds by it goes to `fired`: its own correlation, and those that count this one.
    pub fn take(
        &mut self,
        hit: &Hit,
        position: Position,
        clock: Timestamp,
        fired: &mut Vec<Fired>,
    ) {
        if let Some(own) = self.one(hit, position, clock) {
            fired.push(own);
            if let Some(running) = self.running.get_mut(hit.correlation as usize) {
                running.state.dropped += hit.cut;
            }
            for chained in &hit.chained {
                self.take(chained, position, clock, fired);
            }
        }
    }

    fn one(&mut self, hit: &Hit, position: Position, clock: Timestamp) -> Option<Fired> {
        let ruleset = Arc::clone(&self.ruleset);
        let (running, _, correlation) = self.enter(hit, position, clock, &ruleset)?;
        let group = running.state.group(&hit.key)?;
        let window = window::holding(group, hit.time, correlation)?;
        let mut hits: Vec<&Kept> = group.hits.range(window.hits.clone()).collect();
        hits.sort_unstable_by_key(|hit| hit.number);
        let matched = |bit: usize| hits.iter().filter(|hit| hit.rules & (1 << bit) != 0).count();
        let by_rule = (0..correlation.rules.len()).map(matched);
        let fired = Fired {
            rule: running.rule,
            group: hit.group.clone(),
            key: hit.key.clone(),
            measured: window.measured,
            end: window.end,
            events: hits.iter().map(|hit| hit.position).collect(),
            by_rule: by_rule.map(|count| u32::try_from(count).unwrap_or(u32::MAX)).collect(),
            counted: window::counted(&group.hits, &window.hits),
            counted_kind: hit.counted_kind,
        };
        running.state.fire(&hit.key, window.end, clock);
        Some(fired)
    }

    /// Takes in a hit that was judged before: what was raised for it is in the journal.
    pub fn recall(&mut self, hit: &Hit, position: Position, clock: Timestamp, firings: &Firings) {
        let ruleset = Arc::clone(&self.ruleset);
        let Some((running, rule, _)) = self.enter(hit, position, clock, &ruleset) else { return };
        let mut held = false;
        for firing in firings.by_event.get(&position).into_iter().flatten() {
            if alert::id(rule, &hit.key, firing.first) == firing.id {
                running.state.fire(&hit.key, firing.end, clock);
                held = true;
            }
        }
        for chained in hit.chained.iter().filter(|_| held) {
            self.recall(chained, position, clock, firings);
        }
    }

    fn enter<'r>(
        &mut self,
        hit: &Hit,
        position: Position,
        clock: Timestamp,
        ruleset: &'r Ruleset,
    ) -> Option<(&mut Running, &'r Rule, &'r Correlation)> {
        let running = self.running.get_mut(hit.correlation as usize)?;
        let rule = ruleset.rule(running.rule);
        let correlation = rule.correlation()?;
        running.state.expire(clock, correlation.timespan.saturating_add(LATENESS));
        running.late += u64::from(clock.0.saturating_sub(hit.time.0) > LATENESS);
        let kept = Kept {
            time: hit.time,
            number: 0,
            position,
            rules: hit.rules,
            counted: hit.counted.clone().into(),
            numbers: hit.numbers.clone().into(),
        };
        running.state.hit(&hit.key, kept, clock);
        Some((running, rule, correlation))
    }

    /// What could not be counted since this was last asked; correlations that counted all are left out.
    pub fn incomplete(&mut self) -> Vec<Incomplete> {
        let mut found = Vec::new();
        for running in &mut self.running {
            let dropped = std::mem::take(&mut running.state.dropped);
            let late = std::mem::take(&mut running.late);
            if dropped + late > 0 {
                let rule = self.ruleset.rule(running.rule).id.clone();
                found.push(Incomplete { rule, dropped, late });
            }
        }
        found
    }
}
