//! Alerts that hold alike matches back, and how many they held back. State of one log, on one thread.

use crate::ruleset::RuleIndex;
use custos_event::{AlertId, Position, RuleId, Timestamp};
use hashbrown::HashMap;
use std::collections::{BTreeMap, VecDeque};

/// Alerts that hold others back at one time: at some 250 bytes each 25 MB. Beyond them a rule's oldest lets go: what
/// comes next raises an alert of its own. More is raised then, never less.
const OPEN_MAX: usize = 100_000;

/// Matches that are named of those that an alert held back, of each stretch the first.
const SAMPLES_MAX: usize = 5;

/// Matches that raised no alert of their own since this was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The alert that held them back.
    pub alert: AlertId,
    pub rule: RuleId,
    pub count: u64,
    /// Event time of the newest.
    pub last: Timestamp,
    /// The first few.
    pub samples: Vec<Position>,
}

/// A match of a rule with suppression.
pub(crate) struct Match<'m> {
    pub(crate) rule: RuleIndex,
    /// The values by which matches are alike.
    pub(crate) key: &'m str,
    pub(crate) time: Timestamp,
    pub(crate) clock: Timestamp,
    /// In nanoseconds.
    pub(crate) within: i64,
}

/// The alerts that hold others back.
#[derive(Debug, Default)]
pub(crate) struct Suppressing {
    rules: HashMap<RuleIndex, OfRule>,
    /// How many alerts of all rules.
    open: usize,
    held: BTreeMap<AlertId, Suppressed>,
}

#[derive(Debug, Default)]
struct OfRule {
    open: HashMap<Box<str>, Open>,
    /// In the order in which they were raised.
    order: VecDeque<(Timestamp, Box<str>)>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    alert: AlertId,
    time: Timestamp,
    clock: Timestamp,
}

impl Suppressing {
    /// The alert that holds this match back. Both the log's time and the events' own have to be near: neither a long
    /// outage that is read in a minute nor a clock that is wrong makes different attacks alike.
    pub(crate) fn by(&mut self, found: &Match<'_>) -> Option<AlertId> {
        let of_rule = self.rules.get_mut(&found.rule)?;
        let is_over = |at: Timestamp| found.clock.0.saturating_sub(at.0) >= found.within;
        while let Some((clock, key)) = of_rule.order.pop_front_if(|(clock, _)| is_over(*clock)) {
            self.open -= of_rule.close(clock, &key);
        }
        let open = of_rule.open.get(found.key)?;
        let apart = found.time.0.saturating_sub(open.time.0).saturating_abs();
        (apart < found.within).then_some(open.alert)
    }

    /// Notes that a match was raised as this alert.
    pub(crate) fn raised(&mut self, found: &Match<'_>, alert: AlertId) {
        let of_rule = self.rules.entry(found.rule).or_default();
        if self.open >= OPEN_MAX {
            match of_rule.order.pop_front() {
                Some((clock, key)) => self.open -= of_rule.close(clock, &key),
                // The room is other rules': this one holds nothing back for now.
                None => return,
            }
        }
        let open = Open { alert, time: found.time, clock: found.clock };
        let before = of_rule.open.insert(found.key.into(), open);
        of_rule.order.push_back((found.clock, found.key.into()));
        self.open += usize::from(before.is_none());
    }

    /// Counts a match that was held back.
    pub(crate) fn hold(&mut self, alert: AlertId, rule: &RuleId, time: Timestamp, at: Position) {
        let none =
            || Suppressed { alert, rule: rule.clone(), count: 0, last: time, samples: vec![] };
        let held = self.held.entry(alert).or_insert_with(none);
        held.count += 1;
        held.last = held.last.max(time);
        if held.samples.len() < SAMPLES_MAX {
            held.samples.push(at);
        }
    }

    /// What was held back since this was last asked.
    pub(crate) fn take(&mut self) -> Vec<Suppressed> {
        std::mem::take(&mut self.held).into_values().collect()
    }
}

impl OfRule {
    /// Lets go of a key, unless a later alert holds it: how many let go.
    fn close(&mut self, clock: Timestamp, key: &str) -> usize {
        let is_same = self.open.get(key).is_some_and(|open| open.clock == clock);
        usize::from(is_same && self.open.remove(key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, secs: i64) -> Match<'_> {
        let at = Timestamp::from_secs(secs);
        Match { rule: RuleIndex(0), key, time: at, clock: at, within: 60_000_000_000 }
    }

    #[test]
    fn an_alert_holds_alike_matches_back_for_its_time() {
        let mut state = Suppressing::default();
        assert_eq!(state.by(&found("a", 0)), None);
        state.raised(&found("a", 0), AlertId([1; 16]));
        assert_eq!(state.by(&found("a", 59)), Some(AlertId([1; 16])));
        assert_eq!(state.by(&found("b", 59)), None);
        assert_eq!(state.by(&found("a", 60)), None, "its time is over");
        assert_eq!((state.open, state.rules[&RuleIndex(0)].order.len()), (0, 0));
        let old = Match { time: Timestamp::from_secs(-3_600), ..found("a", 61) };
        state.raised(&found("a", 61), AlertId([2; 16]));
        assert_eq!(state.by(&old), None, "an event of an hour before is another story");
    }

    #[test]
    fn beyond_the_bound_the_oldest_lets_go() {
        let mut state = Suppressing::default();
        for nth in 0..=OPEN_MAX {
            state.raised(&found(&nth.to_string(), 0), AlertId([0; 16]));
        }
        assert_eq!(state.open, OPEN_MAX);
        assert_eq!(state.by(&found("0", 1)), None);
        assert!(state.by(&found("1", 1)).is_some());
    }
}
