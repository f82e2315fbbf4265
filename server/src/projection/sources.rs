//! What each source sent: received = stored + rejected, when last, and how much a minute.

use custos_event::{Flags, Header, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Names of sources that are counted apart; the events of later ones are counted together under
/// [`OTHERS`], so that the sums stay right.
const SOURCES_MAX: usize = 2_000;
pub(crate) const OTHERS: &str = "(others)";
/// Minutes that are kept: a day, at 16 bytes each 23 KB a source.
const MINUTES_MAX: usize = 1_440;
const MINUTE: i64 = 60 * custos_event::time::NANOS_PER_SEC;

/// One source's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) stored: u64,
    pub(crate) rejected: u64,
    pub(crate) last_seen: Timestamp,
    /// Received, by minute since 1970.
    minutes: BTreeMap<i64, u64>,
}

impl Counts {
    pub(crate) fn received(&self) -> u64 {
        self.stored + self.rejected
    }

    /// Received in each of the `count` minutes up to the one of `now`, the oldest first.
    pub(crate) fn per_minute(&self, now: Timestamp, count: i64) -> Vec<u64> {
        let last = now.0.div_euclid(MINUTE);
        (last - count + 1..=last)
            .map(|minute| self.minutes.get(&minute).copied().unwrap_or(0))
            .collect()
    }

    fn take(&mut self, header: &Header) {
        if header.flags.has(Flags::REJECTED) {
            self.rejected += 1;
        } else {
            self.stored += 1;
        }
        self.last_seen = self.last_seen.max(header.received);
        *self.minutes.entry(header.received.0.div_euclid(MINUTE)).or_default() += 1;
        while self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_first();
        }
    }
}

/// All sources by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources(BTreeMap<Arc<str>, Counts>);

impl Sources {
    pub(crate) fn load(rows: impl Iterator<Item = (Arc<str>, Counts)>) -> Self {
        Self(rows.collect())
    }

    /// Counts one event; the name it was counted under.
    pub(crate) fn take(&mut self, header: &Header) -> Arc<str> {
        let is_known = self.0.contains_key(&header.source) || self.0.len() < SOURCES_MAX;
        let name = if is_known { Arc::clone(&header.source) } else { OTHERS.into() };
        self.0.entry(Arc::clone(&name)).or_default().take(header);
        name
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Counts)> {
        self.0.iter().map(|(name, counts)| (&**name, counts))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Counts> {
        self.0.get(name)
    }
}
