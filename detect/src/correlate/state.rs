//! The hits of one correlation that may still count, by group; the newest in log order where there are
//! too many.

use super::hit::Counted;
use custos_event::{Position, Timestamp};
use hashbrown::HashMap;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// How much one correlation keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Hits and firings together. At 100 to 200 bytes with their key and order: 20 to 40 MB if somebody
    /// fills it on purpose. 200,000 are eleven events a second for each minute of five hours.
    pub entries: usize,
    /// Hits of one group: reading through them all takes some 50 µs, which bounds what one event costs.
    pub group: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 200_000, group: crate::rule::correlation::COUNT_MAX as usize }
    }
}

/// One event that counts.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) time: Timestamp,
    /// Rises in log order.
    pub(super) number: u64,
    pub(super) position: Position,
    pub(super) rules: u64,
    pub(super) counted: Box<[Counted]>,
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In order of (time, number).
    pub(super) hits: VecDeque<Kept>,
    /// Ends of the windows that an alert was raised for.
    pub(super) fired: Vec<(Timestamp, u64)>,
}

/// Something kept, in log order.
#[derive(Debug)]
struct Entry {
    key: Arc<str>,
    /// The log's clock when it came.
    came: Timestamp,
    time: Timestamp,
    is_hit: bool,
}

#[derive(Debug)]
pub(super) struct State {
    groups: HashMap<Arc<str>, Group>,
    order: BTreeMap<u64, Entry>,
    next: u64,
    limits: Limits,
    /// The correlation's time span, in nanoseconds.
    span: i64,
    /// Hits that were given up though they could have counted with what came.
    pub(super) dropped: u64,
}

impl State {
    pub(super) fn new(span: i64, limits: Limits) -> Self {
        let (groups, order) = (HashMap::new(), BTreeMap::new());
        Self { groups, order, next: 0, limits, span, dropped: 0 }
    }

    pub(super) fn group(&self, key: &str) -> Option<&Group> {
        self.groups.get(key)
    }

    /// Lets go what came longer than `keep` before `clock`.
    pub(super) fn expire(&mut self, clock: Timestamp, keep: i64) {
        while let Some((_, first)) = self.order.first_key_value() {
            if first.came.0.saturating_add(keep) >= clock.0 {
                return;
            }
            self.pop();
        }
    }

    /// Takes a hit in; the number is given here.
    pub(super) fn hit(&mut self, key: &str, mut hit: Kept, clock: Timestamp) {
        let time = hit.time;
        let (key, number) = self.enter(key, time, clock, true);
        hit.number = number;
        let group = self.groups.entry(key).or_default();
        let at = group.hits.partition_point(|other| (other.time, other.number) < (time, number));
        group.hits.insert(at, hit);
        if group.hits.len() > self.limits.group {
            let oldest = group.hits.iter().map(|hit| hit.number).min();
            self.drop_entry(oldest, time);
        }
        self.bound(time);
    }

    /// Notes that an alert was raised for a window that ends at `end`.
    pub(super) fn fire(&mut self, key: &str, end: Timestamp, clock: Timestamp) {
        let (key, number) = self.enter(key, end, clock, false);
        self.groups.entry(key).or_default().fired.push((end, number));
        self.bound(end);
    }

    fn enter(
        &mut self,
        key: &str,
        time: Timestamp,
        came: Timestamp,
        is_hit: bool,
    ) -> (Arc<str>, u64) {
        let known = self.groups.get_key_value(key).map(|(key, _)| Arc::clone(key));
        let key = known.unwrap_or_else(|| key.into());
        let number = self.next;
        self.next += 1;
        self.order.insert(number, Entry { key: Arc::clone(&key), came, time, is_hit });
        (key, number)
    }

    fn bound(&mut self, now: Timestamp) {
        while self.order.len() > self.limits.entries {
            let oldest = self.order.first_key_value().map(|(number, _)| *number);
            self.drop_entry(oldest, now);
        }
    }

    /// Gives up an entry for one of the time `now`.
    fn drop_entry(&mut self, number: Option<u64>, now: Timestamp) {
        let Some(entry) = number.and_then(|number| self.remove(number)) else { return };
        let apart = now.0.saturating_sub(entry.time.0).saturating_abs();
        self.dropped += u64::from(entry.is_hit && apart <= self.span);
    }

    fn pop(&mut self) {
        if let Some(number) = self.order.first_key_value().map(|(number, _)| *number) {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.order.remove(&number)?;
        let group = self.groups.get_mut(&entry.key)?;
        if entry.is_hit {
            let place = (entry.time, number);
            if let Ok(at) = group.hits.binary_search_by_key(&place, |hit| (hit.time, hit.number)) {
                group.hits.remove(at);
            }
        } else {
            group.fired.retain(|(_, fired)| *fired != number);
        }
        if group.hits.is_empty() && group.fired.is_empty() {
            self.groups.remove(&entry.key);
        }
        Some(entry)
    }
}
