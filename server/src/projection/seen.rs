//! Which commits the rules have seen, and what of the log nobody could read: what coverage is proven by.

use crate::pipeline::recall::first_event;
use custos_event::{CommitNo, Fact, LogId, Partition, Position, Seq};
use custos_store::Store;
use serde::{Deserialize, Serialize};

/// Stretches and gaps that are kept apart; a sound log has one of the former and none of the latter.
const KEPT_MAX: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// First and last commit of what was evaluated without a break.
    stretches: Vec<(CommitNo, CommitNo)>,
    /// Places of events that could not be read.
    lost: Vec<(Seq, Seq)>,
    /// Of either, what found no room.
    pub(crate) untold: u64,
}

/// "These rules saw everything from here to there."
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The first and the last event; none where none came yet.
    pub(crate) events: Option<(Position, Position)>,
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
        } else if let Fact::RangeQuarantined { log: LogId::TELEMETRY, first, last, .. } = fact {
            if self.lost.len() < KEPT_MAX {
                self.lost.push((*first, *last));
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
        let end = self.last();
        let total = store.next_seq(LogId::TELEMETRY, Partition::default());
        let first = if end > after { first_event(store, after.next(), end)? } else { None };
        let Some(first) = first else {
            let waiting = first_event(store, end.max(after).next(), store.last_commit())?;
            let lag = waiting.map_or(0, |at| total.0.saturating_sub(at.seq.0));
            return Ok(Certificate { events: None, gaps: Vec::new(), lag });
        };
        let next = first_event(store, end.next(), store.last_commit())?;
        let behind = next.map_or(total, |at| at.seq);
        let last = Position { seq: Seq(behind.0.saturating_sub(1)), ..first };
        let commits = self.stretches.windows(2).filter_map(|pair| {
            let ((_, before), (from, _)) = (pair.first()?, pair.get(1)?);
            let (gap, to) = (before.next(), CommitNo(from.0.saturating_sub(1)));
            (to > after).then(|| format!("commits {gap} to {to} were not evaluated"))
        });
        let unread = self.lost.iter().filter(|(_, end)| *end >= first.seq);
        let unread = unread.map(|(from, to)| format!("events {from} to {to} could not be read"));
        let untold = (self.untold > 0).then(|| format!("{} more are not listed", self.untold));
        let gaps = commits.chain(unread).chain(untold).collect();
        Ok(Certificate { events: Some((first, last)), gaps, lag: total.0.saturating_sub(behind.0) })
    }
}
