//! What is usual of somebody: how much of a rule's matches came in each stretch of a day, and the most of each day.
//!
//! The journal has it as it stood at the beginning of the last turn (ten minutes of the log's own time); what came
//! since is counted again after a start. So a restart changes nothing, and the journal grows with how many there are
//! and not with how much they do.

use crate::rule::Baseline;
use custos_event::{Counted, Position, RuleId, Timestamp, ValueKey, time::NANOS_PER_SEC};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Of all rules together: with 90 days each 160 MB, with 30 days 60 MB. Beyond them the tenth that was heard longest
/// ago is forgotten, and learned anew.
const KNOWN_MAX: usize = 100_000;

/// Stretches of somebody that still count: what comes for an older one is late.
const OPEN_MAX: usize = 4;

/// How long, by the clock of the log, what was counted goes untold.
pub(crate) const TURN: i64 = 600 * NANOS_PER_SEC;

const DAY_SECS: i64 = 86_400;

/// What is usual of all, and what of it is still to be told.
#[derive(Debug)]
pub(crate) struct Baselines {
    known: HashMap<ValueKey, Usual>,
    known_max: usize,
    turn: i64,
    /// The turn that is counted again after a start.
    recounted: Option<i64>,
    untold: BTreeMap<RuleId, BTreeSet<(ValueKey, i32)>>,
    missed: BTreeMap<RuleId, Missed>,
}

/// What was not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Of whom it was forgotten what is usual, to make room.
    pub forgotten: u64,
    /// Events of a stretch that was over.
    pub late: u64,
}

impl Missed {
    pub(crate) fn add(&mut self, more: Self) {
        self.forgotten += more.forgotten;
        self.late += more.late;
    }
}

#[derive(Debug, Default)]
struct Usual {
    /// The most of one stretch of each UTC day since 1970, in their order.
    days: Vec<(i32, f64)>,
    /// Totals of the newest stretches, by their start in seconds, in their order.
    open: Vec<(i64, f64)>,
    /// The event that was counted last, for the stretch from when, and how much of it: a rule that is live and tried
    /// in another version sees each twice.
    last: Option<(Position, i64, f64)>,
}

/// How much one match adds to what somebody does.
pub(crate) struct Amount<'f> {
    pub(crate) rule: &'f RuleId,
    pub(crate) asks: &'f Baseline,
    pub(crate) key: ValueKey,
    pub(crate) at: Timestamp,
    pub(crate) position: Position,
    pub(crate) more: f64,
}

/// More than usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unusual {
    pub(crate) total: f64,
    pub(crate) usual: f64,
}

impl Default for Baselines {
    fn default() -> Self {
        Self::with_room(KNOWN_MAX)
    }
}

impl Baselines {
    /// For so many.
    pub(crate) fn with_room(known_max: usize) -> Self {
        let (known, untold, missed) = Default::default();
        Self { known, known_max: known_max.max(1), turn: 0, recounted: None, untold, missed }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Takes in what was told before.
    pub(crate) fn recall(&mut self, counted: &Counted) {
        let Counted { key, day, peak, ref totals } = *counted;
        self.make_room(key, None);
        let usual = self.known.entry(key).or_default();
        usual.rise(day, peak);
        for &(start, total) in totals {
            if let Some(open) = usual.open(start) {
                *open = open.max(total);
            }
        }
    }

    /// What was told ends where the turn of `clock` began: what came since may be counted again.
    pub(crate) fn resume(&mut self, clock: Timestamp) {
        self.turn = clock.0.div_euclid(TURN);
        self.recounted = Some(self.turn);
    }

    /// Nothing more is counted again.
    pub(crate) fn resumed(&mut self) {
        self.recounted = None;
    }

    /// Whether an event of a commit of `clock` is to be counted again.
    pub(crate) fn recounts(&self, clock: Timestamp) -> bool {
        self.recounted == Some(clock.0.div_euclid(TURN))
    }

    /// Counts a match. Its total and what is usual, where this match makes it unusual.
    pub(crate) fn take(&mut self, amount: &Amount<'_>) -> Option<Unusual> {
        let &Amount { rule, asks, key, at, position, .. } = amount;
        self.make_room(key, Some(rule));
        let usual = self.known.entry(key).or_default();
        let start = at.0.div_euclid(NANOS_PER_SEC).div_euclid(asks.every_secs) * asks.every_secs;
        let day = day_of(start);
        let (total, added) = match usual.last {
            Some((last, start, added)) if last == position => (usual.total(start), added),
            _ => {
                let Some(open) = usual.open(start) else {
                    self.missed.entry(rule.clone()).or_default().late += 1;
                    return None;
                };
                *open += amount.more;
                let total = *open;
                usual.last = Some((position, start, amount.more));
                usual.rise(day, total);
                usual.days.retain(|(kept, _)| *kept >= day.saturating_sub(asks.remember_days));
                self.untold.entry(rule.clone()).or_default().insert((key, day));
                (total, amount.more)
            }
        };
        let usual = usual.before(day, asks)?;
        let is_unusual =
            |total: f64| total > usual * f64::from(asks.above) && total >= f64::from(asks.at_least);
        (is_unusual(total) && !is_unusual(total - added)).then_some(Unusual { total, usual })
    }

    /// What is to be told of each rule now that the log's clock shows this: once a turn.
    pub(crate) fn turn(&mut self, clock: Timestamp) -> BTreeMap<RuleId, (Vec<Counted>, Missed)> {
        let turn = clock.0.div_euclid(TURN);
        let mut told = BTreeMap::<RuleId, (Vec<Counted>, Missed)>::new();
        if turn == self.turn {
            return told;
        }
        self.turn = turn;
        for (rule, missed) in std::mem::take(&mut self.missed) {
            told.entry(rule).or_default().1 = missed;
        }
        for (rule, keys) in std::mem::take(&mut self.untold) {
            let counted = keys.into_iter().filter_map(|(key, day)| self.counted(key, day));
            told.entry(rule).or_default().0 = counted.collect();
        }
        told
    }

    fn counted(&self, key: ValueKey, day: i32) -> Option<Counted> {
        let usual = self.known.get(&key)?;
        let peak = usual.days.iter().find(|it| it.0 == day)?.1;
        let totals = usual.open.iter().copied().filter(|(start, _)| day_of(*start) == day);
        Some(Counted { key, day, peak, totals: totals.collect() })
    }

    /// Forgets those who were heard longest ago, if `key` is one too many.
    fn make_room(&mut self, key: ValueKey, rule: Option<&RuleId>) {
        if self.known.len() < self.known_max || self.known.contains_key(&key) {
            return;
        }
        let newest = |usual: &Usual| usual.open.last().map_or(i64::MIN, |open| open.0);
        let mut ages: Vec<_> = self.known.iter().map(|(key, it)| (newest(it), *key)).collect();
        let tenth = ages.len().div_ceil(10).min(ages.len() - 1);
        let (oldest, ..) = ages.select_nth_unstable(tenth);
        for (_, key) in &*oldest {
            self.known.remove(key);
        }
        if let Some(rule) = rule {
            self.missed.entry(rule.clone()).or_default().forgotten += oldest.len() as u64;
        }
    }
}

impl Usual {
    /// The total of the stretch that begins at `start`; `None` where only newer ones are kept.
    fn open(&mut self, start: i64) -> Option<&mut f64> {
        let mut place = self.open.partition_point(|open| open.0 < start);
        if self.open.get(place).is_none_or(|open| open.0 != start) {
            if self.open.len() >= OPEN_MAX {
                place = place.checked_sub(1)?;
                self.open.remove(0);
            }
            self.open.insert(place, (start, 0.0));
        }
        self.open.get_mut(place).map(|open| &mut open.1)
    }

    fn total(&self, start: i64) -> f64 {
        self.open.iter().find(|open| open.0 == start).map_or(0.0, |open| open.1)
    }

    /// A stretch of `day` came to `total`.
    fn rise(&mut self, day: i32, total: f64) {
        let place = self.days.partition_point(|it| it.0 < day);
        match self.days.get_mut(place) {
            Some((known, peak)) if *known == day => *peak = peak.max(total),
            _ => self.days.insert(place, (day, total)),
        }
    }

    /// The most of a usual day before `day`: of one in ten it was more. `None` where too few are known.
    fn before(&self, day: i32, asks: &Baseline) -> Option<f64> {
        let days = day.saturating_sub(asks.remember_days)..day;
        let known = self.days.iter().filter(|it| days.contains(&it.0));
        let mut peaks: Vec<f64> = known.map(|it| it.1).collect();
        if peaks.len() < asks.learn_days {
            return None;
        }
        peaks.sort_by(f64::total_cmp);
        // The nearest rank of the 90th percentile.
        peaks.get((peaks.len() * 9).div_ceil(10).checked_sub(1)?).copied()
    }
}

/// The UTC day of a time in seconds.
fn day_of(secs: i64) -> i32 {
    i32::try_from(secs.div_euclid(DAY_SECS)).unwrap_or(i32::MAX)
}
