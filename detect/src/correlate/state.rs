//! The hits of one correlation that may still count, by group; the newest in log order where there are
//! too many.

use super::hit::Counted;
use custos_event::{Position, Timestamp};
use hashbrown::HashMap;
use std::{collections::VecDeque, sync::Arc};

/// How much one correlation keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Hits and firings together. At 250 to 390 bytes with key, order and their share of tables
    /// (`cargo run --release -p custos-detect --example correlate`), 60 to 80 MB for 200,000 if somebody
    /// fills it on purpose. 200,000 are eleven events a second for each minute of five hours.
    pub entries: usize,
    /// Hits of one group: reading through them all takes some 50 µs, which bounds what one event costs.
    pub group: usize,
}

impl Limits {
    const ENTRIES_LEAST: usize = 200_000;
    /// A million groups at once: below 400 MB.
    const ENTRIES_MOST: usize = 1_000_000;
    /// Of all correlations together, as long as there are no more than ten.
    const ENTRIES_ALL: usize = 2_000_000;

    /// For one of so many correlations.
    pub fn of_many(correlations: usize) -> Self {
        let share = Self::ENTRIES_ALL / correlations.max(1);
        let entries = share.clamp(Self::ENTRIES_LEAST, Self::ENTRIES_MOST);
        Self { entries, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let group = crate::rule::correlation::COUNT_MAX as usize;
        Self { entries: Self::ENTRIES_LEAST, group }
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
    pub(super) numbers: Box<[f64]>,
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
    number: u64,
    key: Arc<str>,
    /// The log's clock when it came.
    came: Timestamp,
    time: Timestamp,
    state: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Hit,
    Firing,
    /// It was given up before its turn.
    Nothing,
}

#[derive(Debug)]
pub(super) struct State {
    groups: HashMap<Arc<str>, Group>,
    /// In order of their numbers; what is given up before its turn stays in place, empty, for a while.
    order: VecDeque<Entry>,
    /// Entries that hold something.
    held: usize,
    next: u64,
    limits: Limits,
    /// The correlation's time span, in nanoseconds.
    span: i64,
    /// Hits that were given up though they could have counted with what came.
    pub(super) dropped: u64,
}

/// Empty entries are cleared away when there are more of them than others, and more than these.
const EMPTY_MIN: usize = 1_024;

impl State {
    pub(super) fn new(span: i64, limits: Limits) -> Self {
        let (groups, order) = (HashMap::new(), VecDeque::new());
        Self { groups, order, held: 0, next: 0, limits, span, dropped: 0 }
    }

    pub(super) fn group(&self, key: &str) -> Option<&Group> {
        self.groups.get(key)
    }

    /// Lets go what came longer than `keep` before `clock`.
    pub(super) fn expire(&mut self, clock: Timestamp, keep: i64) {
        while let Some(first) = self.order.front() {
            let is_kept = first.came.0.saturating_add(keep) >= clock.0;
            if is_kept && first.state != Holds::Nothing {
                return;
            }
            self.pop();
        }
    }

    /// Takes a hit in; the number is given here.
    pub(super) fn hit(&mut self, key: &str, mut hit: Kept, clock: Timestamp) {
        let time = hit.time;
        let (key, number) = self.enter(key, time, clock, Holds::Hit);
        hit.number = number;
        let group = self.groups.entry(key).or_default();
        if group.hits.is_empty() {
            // Most groups never have a second one.
            group.hits.reserve_exact(1);
        }
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
        let (key, number) = self.enter(key, end, clock, Holds::Firing);
        self.groups.entry(key).or_default().fired.push((end, number));
        self.bound(end);
    }

    fn enter(
        &mut self,
        key: &str,
        time: Timestamp,
        came: Timestamp,
        state: Holds,
    ) -> (Arc<str>, u64) {
        let known = self.groups.get_key_value(key).map(|(key, _)| Arc::clone(key));
        let key = known.unwrap_or_else(|| key.into());
        let number = self.next;
        self.next += 1;
        self.held += 1;
        self.order.push_back(Entry { number, key: Arc::clone(&key), came, time, state });
        (key, number)
    }

    fn bound(&mut self, now: Timestamp) {
        while self.held > self.limits.entries {
            let oldest = self.order.iter().find(|entry| entry.state != Holds::Nothing);
            self.drop_entry(oldest.map(|entry| entry.number), now);
        }
    }

    /// Gives up an entry for one of the time `now`.
    fn drop_entry(&mut self, number: Option<u64>, now: Timestamp) {
        let at = number.and_then(|it| self.order.binary_search_by_key(&it, |e| e.number).ok());
        let Some(entry) = at.and_then(|at| self.order.get_mut(at)) else { return };
        let (state, time, key) = (entry.state, entry.time, Arc::clone(&entry.key));
        entry.state = Holds::Nothing;
        self.leave(&key, state, time, number.unwrap_or_default());
        let apart = now.0.saturating_sub(time.0).saturating_abs();
        self.dropped += u64::from(state == Holds::Hit && apart <= self.span);
        while self.order.front().is_some_and(|first| first.state == Holds::Nothing) {
            self.order.pop_front();
        }
        if self.order.len() > 2 * self.held + EMPTY_MIN {
            self.order.retain(|entry| entry.state != Holds::Nothing);
        }
    }

    fn pop(&mut self) {
        if let Some(Entry { number, key, time, state, .. }) = self.order.pop_front() {
            self.leave(&key, state, time, number);
        }
    }

    /// Takes out of its group what an entry held.
    fn leave(&mut self, key: &str, state: Holds, time: Timestamp, number: u64) {
        if state == Holds::Nothing {
            return;
        }
        self.held -= 1;
        let Some(group) = self.groups.get_mut(key) else { return };
        if state == Holds::Hit {
            let place = (time, number);
            if let Ok(at) = group.hits.binary_search_by_key(&place, |hit| (hit.time, hit.number)) {
                group.hits.remove(at);
            }
        } else {
            group.fired.retain(|(_, fired)| *fired != number);
        }
        if group.hits.is_empty() && group.fired.is_empty() {
            self.groups.remove(key);
        }
    }
}
