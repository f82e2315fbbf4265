//! What rules have seen before: values that are known, since when, how often.
//!
//! It is what the journal's sightings say, no more: a value that is seen again changes nothing here unless that
//! is worth a sighting. So a start that reads them goes on exactly where it was.

use crate::{
    baseline::{Baselines, Missed},
    rule::{Baseline, FirstSeen},
};
use custos_event::{Counted, Position, RuleId, Sighting, Timestamp, ValueKey};
use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Values of all rules: at some 80 bytes each 80 MB. Beyond them the tenth that was seen longest ago is forgotten,
/// and may be new once more: more is raised then, never less.
const VALUES_MAX: usize = 1_000_000;

/// A value is told again when this part of the time for which it is remembered has gone by.
const TOLD_AGAIN: i64 = 16;

/// What rules have seen before, and what of it is still to be told.
#[derive(Debug)]
pub struct Memory {
    known: HashMap<ValueKey, Known>,
    learned: BTreeMap<RuleId, Learned>,
    values_max: usize,
    pub(crate) baselines: Baselines,
}

/// What a rule has learned, as the journal is to have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    seen: BTreeMap<ValueKey, Sighting>,
    /// Values of any rule that were forgotten to make room for these.
    pub forgotten: u64,
    /// How much came of whom, as it stood when the turn began.
    pub counted: Vec<Counted>,
    pub missed: Missed,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    since: Timestamp,
    last: Timestamp,
    count: u32,
    /// The event that changed it last, in this process: a rule that is live and tried in another version sees each twice.
    by: Option<Position>,
}

/// A match of a rule that minds what is new.
pub(crate) struct Found<'f> {
    pub(crate) rule: &'f RuleId,
    pub(crate) asks: &'f FirstSeen,
    /// As they are kept, in the order of the rule's fields.
    pub(crate) by: &'f [String],
    pub(crate) value: &'f [String],
    pub(crate) at: Timestamp,
    pub(crate) position: Position,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_room(VALUES_MAX)
    }
}

impl Memory {
    /// For so many values.
    pub fn with_room(values_max: usize) -> Self {
        let (known, learned, baselines) = Default::default();
        Self { known, learned, values_max: values_max.max(1), baselines }
    }

    /// The same, with what is usual of so many.
    #[must_use]
    pub fn with_usual_of(self, known_max: usize) -> Self {
        Self { baselines: Baselines::with_room(known_max), ..self }
    }

    /// Takes in what was told before.
    pub fn recall(&mut self, sighting: &Sighting) {
        let Sighting { key, since, last, count } = *sighting;
        self.keep(key, Known { since, last, count, by: None });
    }

    /// Takes in what was counted before.
    pub fn recall_counted(&mut self, counted: &Counted) {
        self.baselines.recall(counted);
    }

    /// After a start, before the log is recalled: what was told ends where the turn of `clock`, of the last commit that
    /// was evaluated, began.
    pub fn resume(&mut self, clock: Timestamp) {
        self.baselines.resume(clock);
    }

    /// The log was recalled.
    pub fn resumed(&mut self) {
        self.baselines.resumed();
    }

    /// A commit of this time comes next: once in ten minutes what was counted is to be told.
    pub fn turn(&mut self, clock: Timestamp) {
        for (rule, (counted, missed)) in self.baselines.turn(clock) {
            let learned = self.learned.entry(rule).or_default();
            learned.counted.extend(counted);
            learned.missed.add(missed);
        }
    }

    /// How many values are known, and of how many what is usual.
    pub fn len(&self) -> usize {
        self.known.len() + self.baselines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was learned since this was last asked, by rule.
    pub fn learned(&mut self) -> BTreeMap<RuleId, Learned> {
        std::mem::take(&mut self.learned)
    }

    /// Whether a match is raised: its value is new or rare, and whose it is has been seen for long enough.
    pub(crate) fn is_new(&mut self, found: &Found<'_>) -> bool {
        let whose = self.see(found, found.key(false), 1);
        let value = self.see(found, found.key(true), found.asks.at_most.saturating_add(1));
        let learned_for = found.at.0.saturating_sub(whose.since.0);
        value.count <= found.asks.at_most && learned_for >= found.asks.learn
    }

    /// Notes one more sighting, counted up to `most`, and says what is known with it.
    fn see(&mut self, found: &Found<'_>, key: ValueKey, most: u32) -> Known {
        let Found { at, asks, position, .. } = *found;
        let is_remembered = |it: &Known| at.0.saturating_sub(it.last.0) <= asks.remember;
        let known = self.known.get(&key).copied().filter(is_remembered);
        if let Some(known) = known.filter(|it| it.by == Some(position)) {
            return known;
        }
        let by = Some(position);
        let now = known.map_or(Known { since: at, last: at, count: 1, by }, |it| Known {
            since: it.since.min(at),
            last: it.last.max(at),
            count: it.count.max(it.count.saturating_add(1).min(most)),
            by,
        });
        let is_told = |it: Known| {
            let later = now.last.0.saturating_sub(it.last.0);
            (it.since, it.count) == (now.since, now.count) && later < asks.remember / TOLD_AGAIN
        };
        if let Some(known) = known.filter(|it| is_told(*it)) {
            return known;
        }
        let forgotten = self.keep(key, now);
        let learned = self.learned.entry(found.rule.clone()).or_default();
        learned.forgotten += forgotten;
        let Known { since, last, count, .. } = now;
        learned.seen.insert(key, Sighting { key, since, last, count });
        now
    }

    /// Knows a value from now on; how many were forgotten for it.
    fn keep(&mut self, key: ValueKey, known: Known) -> u64 {
        let mut forgotten = 0;
        if self.known.len() >= self.values_max && !self.known.contains_key(&key) {
            let mut ages: Vec<_> = self.known.iter().map(|(key, it)| (it.last, *key)).collect();
            let tenth = ages.len().div_ceil(10).min(ages.len() - 1);
            let (oldest, ..) = ages.select_nth_unstable(tenth);
            for (_, key) in &*oldest {
                self.known.remove(key);
            }
            forgotten = oldest.len() as u64;
        }
        self.known.insert(key, known);
        forgotten
    }
}

impl Learned {
    /// Each value as it now stands, in the order of their keys.
    pub fn seen(&self) -> impl ExactSizeIterator<Item = &Sighting> {
        self.seen.values()
    }

    /// Takes over what was learned after this.
    pub fn extend(&mut self, later: Self) {
        self.seen.extend(later.seen);
        self.forgotten += later.forgotten;
        self.counted.extend(later.counted);
        self.missed.add(later.missed);
    }
}

impl Found<'_> {
    /// Of the value, or of whose it is alone.
    fn key(&self, of_value: bool) -> ValueKey {
        let names = self.asks.by.iter().chain(&self.asks.value);
        let values = self.value.iter().filter(|_| of_value);
        let texts = names.chain(self.by).chain(values);
        key_of((self.rule, if of_value { "value" } else { "by" }), texts)
    }
}

/// Under what it is kept how much came of somebody.
pub(crate) fn usual_key(rule: &RuleId, asks: &Baseline, by: &[String]) -> ValueKey {
    let every = asks.every_secs.to_string();
    let sum = asks.sum.clone().unwrap_or_default();
    let asked = [every, sum];
    key_of((rule, "baseline"), asked.iter().chain(&asks.by).chain(by))
}

fn key_of<'t>((rule, kind): (&RuleId, &str), texts: impl Iterator<Item = &'t String>) -> ValueKey {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(&rule.0);
    part(kind);
    texts.for_each(|text| part(text));
    let digest: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    ValueKey(half)
}
