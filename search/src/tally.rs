//! Values counted under what they are compared by, shown as one of their events wrote them.

use crate::{
    filter::hash,
    query::{
        test::{Kind, comparable},
        words::fold,
    },
    schema::TERM_BYTES_MAX,
};
use custos_event::ValueRef;
use std::{cmp::Reverse, collections::HashMap};

/// A value and how many events have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueCount {
    /// Cut after 256 characters.
    pub value: String,
    pub count: u64,
}

const SHOWN_CHARS_MAX: usize = 256;

/// What a value is counted under, the same as the dictionary's term.
pub(crate) fn key(kind: Kind, value: ValueRef<'_>) -> String {
    let folded = fold(&comparable(kind, value)).into_owned();
    if folded.len() <= TERM_BYTES_MAX {
        return folded;
    }
    let end = folded.floor_char_boundary(TERM_BYTES_MAX);
    let head = folded.get(..end).unwrap_or_default();
    format!("{head}\u{0}{:016x}", hash(folded.as_bytes()))
}

pub(crate) fn shown(kind: Kind, value: ValueRef<'_>) -> String {
    comparable(kind, value).chars().take(SHOWN_CHARS_MAX).collect()
}

/// Counts by value, each event once a value.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: HashMap<String, Counted>,
    /// Values that found no room: then the counts are of some values only.
    pub(crate) left_out: bool,
}

#[derive(Debug)]
struct Counted {
    shown: String,
    count: u64,
    /// The number of the event that was counted last.
    last: u64,
}

impl Tally {
    /// `event`: a number of its own for each event, from 1. `room`: how many more values there may be.
    pub(crate) fn add(&mut self, kind: Kind, value: ValueRef<'_>, event: u64, room: &mut usize) {
        let key = key(kind, value);
        if let Some(counted) = self.counts.get_mut(&key) {
            counted.count += u64::from(counted.last != event);
            counted.last = event;
        } else if *room == 0 {
            self.left_out = true;
        } else {
            *room -= 1;
            let shown = shown(kind, value);
            self.counts.insert(key, Counted { shown, count: 1, last: event });
        }
    }

    pub(crate) fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The most frequent ones; of equal ones the first by their text.
    pub(crate) fn top(self, limit: usize) -> Vec<ValueCount> {
        let mut all: Vec<_> = self.counts.into_iter().collect();
        all.sort_unstable_by(|(a, x), (b, y)| (Reverse(x.count), a).cmp(&(Reverse(y.count), b)));
        let value = |(_, of): (_, Counted)| ValueCount { value: of.shown, count: of.count };
        all.into_iter().take(limit).map(value).collect()
    }
}
