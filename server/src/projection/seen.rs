//! Which commits the rules have seen, and what of the log nobody could read: what coverage is proven by.

use custos_event::{CommitNo, Fact, LogId, Position, Seq};
use custos_store::Store;
use serde::{Deserialize, Serialize};

/// Stretches and gaps that are kept apart; a sound log has one of the former and none of the latter.
const KEPT_MAX: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// First and last commit of what was evaluated without a break.
    stretches: Vec<(CommitNo, CommitNo)>,
    /// Places of events that could not be read.
    lost: Vec<(LogId, Seq, Seq)>,
    /// Of either, what found no room.
    pub(crate) untold: u64,
}

/// "These rules saw everything from here to there."
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Of each log of telemetry the first and the last event; none where none came yet.
    pub(crate) events: Vec<(Position, Position)>,
    pub(crate) gaps: Vec<String>,
    /// Events that wait to be evaluated.
    pub(crate) lag: u64,
}

impl Seen {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        if let Fact::Evaluated { from, to, .. } = fact {
            let open = self.stretches.last_mut().filter(|(_, last)| *from <= last.next());
            if let Some((_, last)) = open {
                *last = (*to).max(*last);
            } else if self.stretches.len() < KEPT_MAX {
                self.stretches.push((*from, *to));
            } else {
                self.untold += 1;
            }
        } else if let Fact::RangeQuarantined { log, first, last, .. } = fact
            && log.is_telemetry()
        {
            if self.lost.len() < KEPT_MAX {
                self.lost.push((*log, *first, *last));
            } else {
                self.untold += 1;
            }
        }
    }

    pub(crate) fn last(&self) -> CommitNo {
        self.stretches.last().map_or(CommitNo(0), |(_, last)| *last)
    }

    /// Of a rule that runs since `after`.
    pub(crate) fn certificate(
        &self,
        store: &Store,
        after: CommitNo,
    ) -> anyhow::Result<Certificate> {
        let end = self.last().max(after);
        let (from, to) = (store.ends_after(after)?, store.ends_after(end)?);
        let lag = store.ends().events().saturating_sub(to.events());
        let seen = to.iter().filter_map(|(log, partition, behind)| {
            let (first, last) = (from.of(log, partition), Seq(behind.0.checked_sub(1)?));
            let at = |seq| Position { log, partition, seq };
            (log.is_telemetry() && first <= last).then(|| (at(first), at(last)))
        });
        let events: Vec<_> = seen.collect();
        let commits = self.stretches.windows(2).filter_map(|pair| {
            let ((_, before), (from, _)) = (pair.first()?, pair.get(1)?);
            let (gap, to) = (before.next(), CommitNo(from.0.saturating_sub(1)));
            (to > after).then(|| format!("commits {gap} to {to} were not evaluated"))
        });
        let held = |log: LogId, end: Seq| {
            events.iter().any(|(first, _)| first.log == log && end >= first.seq)
        };
        let unread = self.lost.iter().filter(|(log, _, end)| held(*log, *end));
        let unread = unread
            .map(|(log, from, to)| format!("events {from} to {to} of log {log} could not be read"));
        let untold = (self.untold > 0).then(|| format!("{} more are not listed", self.untold));
        let gaps = commits.chain(unread).chain(untold).collect();
        Ok(Certificate { events, gaps, lag })
    }
}
