//! Block filters: for each run of up to 512 consecutive events, which values and letters may be in it.
//!
//! What is no core field is in no dictionary; a query for it reads events. The filters say which runs need
//! not be read. They never say no wrongly: a run that holds a match always passes.

mod bloom;
mod file;
mod key;
mod need;
mod run;

pub(crate) use file::{FilterFile, FilterState};
pub(crate) use key::{FieldKeys, hash};
pub(crate) use need::{Need, need};
pub(crate) use run::{RunBuilder, Sealed};

use crate::SearchError;
use custos_event::{LogId, Partition, Position, Seq};
use std::sync::Arc;

/// A partition of a log.
pub(crate) type Place = (LogId, Partition);

/// Where one run's filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: Seq,
    pub(crate) count: u32,
    /// Where the bits begin in the file, and how many blocks of 32 bytes there are.
    offset: u64,
    blocks: u32,
}

impl Run {
    pub(crate) fn end(&self) -> Seq {
        self.first.plus(u64::from(self.count))
    }
}

/// Where all runs are, by place and then by first event. Cloning copies pointers only: a search keeps the
/// state it began with while the writer goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Vec<(Place, Vec<Arc<Vec<Run>>>)>);

/// 1,024 × 32 bytes: what a commit copies at most when a search holds the old state.
const CHUNK: usize = 1_024;

impl Runs {
    fn chunks(&self, place: Place) -> &[Arc<Vec<Run>>] {
        self.0.iter().find(|(mine, _)| *mine == place).map_or(&[], |(_, chunks)| chunks)
    }

    fn add(&mut self, place: Place, run: Run) {
        let at = self.0.iter().position(|(mine, _)| *mine == place).unwrap_or_else(|| {
            self.0.push((place, Vec::new()));
            self.0.len() - 1
        });
        let Some((_, chunks)) = self.0.get_mut(at) else { return };
        let after =
            chunks.partition_point(|chunk| chunk.first().is_some_and(|r| r.first < run.first));
        let at_end = |chunk: &[Run]| chunk.last().is_some_and(|last| last.first < run.first);
        match after.checked_sub(1).and_then(|at| chunks.get_mut(at)) {
            Some(chunk) if chunk.len() < CHUNK || !at_end(chunk) => {
                let at = chunk.partition_point(|other| other.first < run.first);
                Arc::make_mut(chunk).insert(at, run);
            }
            Some(_) | None => chunks.insert(after, Arc::new(vec![run])),
        }
    }

    /// The run that covers this event, if its filter was built.
    pub(crate) fn covering(&self, position: Position) -> Option<Run> {
        let chunks = self.chunks((position.log, position.partition));
        let begins = |run: &Run| run.first <= position.seq;
        let chunk =
            chunks.partition_point(|chunk| chunk.first().is_some_and(begins)).checked_sub(1)?;
        let chunk = chunks.get(chunk)?;
        let run = chunk.get(chunk.partition_point(begins).checked_sub(1)?)?;
        (position.seq < run.end()).then_some(*run)
    }

    /// What of `0..end` no run covers.
    pub(crate) fn gaps(&self, place: Place, end: Seq) -> Vec<(Seq, Seq)> {
        let (mut gaps, mut at) = (Vec::new(), Seq(0));
        for run in self.chunks(place).iter().flat_map(|chunk| chunk.iter()) {
            if at < run.first {
                gaps.push((at, run.first.min(end)));
            }
            at = at.max(run.end());
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps.retain(|(first, end)| first < end);
        gaps
    }
}

/// The filters as one search sees them, with what it has learnt of them so far.
#[derive(Debug)]
pub(crate) struct Sieve<'a> {
    file: &'a FilterFile,
    runs: Runs,
    need: &'a Need,
    known: hashbrown::HashMap<u64, bool>,
    last: Option<(Place, Run, bool)>,
    pub(crate) asked: u64,
    pub(crate) passed: u64,
}

impl<'a> Sieve<'a> {
    pub(crate) fn new(file: &'a FilterFile, need: &'a Need) -> Self {
        let known = hashbrown::HashMap::new();
        Self { file, runs: file.runs(), need, known, last: None, asked: 0, passed: 0 }
    }

    /// Whether the event at `position` may match. Events without a filter always may.
    pub(crate) fn may_match(&mut self, position: Position) -> Result<bool, SearchError> {
        if *self.need == Need::Anything {
            return Ok(true);
        }
        let place = (position.log, position.partition);
        if let Some((mine, run, verdict)) = self.last
            && mine == place
            && run.first <= position.seq
            && position.seq < run.end()
        {
            return Ok(verdict);
        }
        let Some(run) = self.runs.covering(position) else { return Ok(true) };
        let verdict = match self.known.get(&run.offset) {
            Some(verdict) => *verdict,
            None => self.ask(run)?,
        };
        self.last = Some((place, run, verdict));
        Ok(verdict)
    }

    fn ask(&mut self, run: Run) -> Result<bool, SearchError> {
        let verdict = self.need.met(&mut |key| self.file.may_hold(run, key))?;
        self.known.insert(run.offset, verdict);
        self.asked += 1;
        self.passed += u64::from(verdict);
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (LogId(0), Partition(0));

    fn run(first: u64, count: u32) -> Run {
        Run { first: Seq(first), count, offset: first, blocks: 1 }
    }

    fn covering(runs: &Runs, seq: u64) -> Option<u64> {
        let position = Position { log: LogId(0), partition: Partition(0), seq: Seq(seq) };
        runs.covering(position).map(|run| run.first.0)
    }

    #[test]
    fn runs_are_found_in_whatever_order_they_were_added() {
        let mut runs = Runs::default();
        for n in (0..3_000).filter(|n| n % 3 != 0).chain((0..3_000).filter(|n| n % 6 == 0)) {
            runs.add(PLACE, run(n * 10, 10));
        }
        for n in 0..3_000 {
            let expected = (n % 3 != 0 || n % 6 == 0).then_some(n * 10);
            assert_eq!(covering(&runs, n * 10 + 9), expected, "{n}");
        }
        assert_eq!(covering(&runs, 30_000), None);
        assert_eq!(runs.gaps(PLACE, Seq(65)), [(Seq(30), Seq(40))]);
        assert_eq!(runs.gaps(PLACE, Seq(30_007)).last(), Some(&(Seq(30_000), Seq(30_007))));
    }

    #[test]
    fn a_search_keeps_the_state_it_began_with() {
        let mut runs = Runs::default();
        runs.add(PLACE, run(0, 10));
        let held = runs.clone();
        runs.add(PLACE, run(10, 10));
        assert_eq!((covering(&held, 15), covering(&runs, 15)), (None, Some(10)));
    }
}
