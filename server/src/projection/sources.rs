//! What each source sent: received = stored + rejected, when last, and how much a minute.

use custos_event::{Fact, Flags, Header, Timestamp};
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
    /// When the journal said that it is silent; none where it was heard since.
    #[serde(default)]
    pub(crate) silent_told: Option<Timestamp>,
    /// Received, by minute since 1970.
    minutes: BTreeMap<i64, u64>,
    /// Of these, rejected.
    #[serde(default)]
    rejected_minutes: BTreeMap<i64, u64>,
}

impl Counts {
    pub(crate) fn received(&self) -> u64 {
        self.stored + self.rejected
    }

    /// Received in each of the `count` minutes up to the one of `now`, the oldest first.
    pub(crate) fn per_minute(&self, now: Timestamp, count: i64) -> Vec<u64> {
        of_minutes(&self.minutes, now, count)
    }

    pub(crate) fn rejected_per_minute(&self, now: Timestamp, count: i64) -> Vec<u64> {
        of_minutes(&self.rejected_minutes, now, count)
    }

    fn take(&mut self, header: &Header) {
        let minute = header.received.0.div_euclid(MINUTE);
        if header.flags.has(Flags::REJECTED) {
            self.rejected += 1;
            add(&mut self.rejected_minutes, minute);
        } else {
            self.stored += 1;
        }
        self.last_seen = self.last_seen.max(header.received);
        add(&mut self.minutes, minute);
    }
}

fn of_minutes(minutes: &BTreeMap<i64, u64>, now: Timestamp, count: i64) -> Vec<u64> {
    let last = now.0.div_euclid(MINUTE);
    (last - count + 1..=last).map(|minute| minutes.get(&minute).copied().unwrap_or(0)).collect()
}

fn add(minutes: &mut BTreeMap<i64, u64>, minute: i64) {
    *minutes.entry(minute).or_default() += 1;
    while minutes.len() > MINUTES_MAX {
        minutes.pop_first();
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

    /// Takes in what a fact says of a source; its name, if it says anything.
    pub(crate) fn apply(&mut self, fact: &Fact, at: Timestamp) -> Option<Arc<str>> {
        let (source, silent_told) = if let Fact::SourceSilent { source, .. } = fact {
            (source, Some(at))
        } else if let Fact::SourceHeard { source } = fact {
            (source, None)
        } else {
            return None;
        };
        self.0.get_mut(source.as_str())?.silent_told = silent_told;
        Some(source.as_str().into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Counts)> {
        self.0.iter().map(|(name, counts)| (&**name, counts))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Counts> {
        self.0.get(name)
    }
}
