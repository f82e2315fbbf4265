//! Answers a query: candidates from the dictionary and the filters, newest first, then the events
//! themselves. An answer is exact whichever way it came about.

use crate::{
    Index, Query, SearchError,
    candidates::{Candidate, Candidates, Span},
    fetch::Fetcher,
    filter::{Need, Sieve, need},
    plan::plan,
};
use custos_event::{ParsedEvent, Parser, Position, Timestamp, commit::LogReader};
use std::collections::HashMap;

/// What to look at and how much to return.
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchRequest {
    /// Event time from here on.
    pub from: Option<Timestamp>,
    /// Event time before this.
    pub to: Option<Timestamp>,
    /// At most so many hits; 0: all.
    pub limit: usize,
}

/// An event that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    pub position: Position,
    pub event: ParsedEvent,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Splits that hold the asked time, and those skipped because they do not.
    pub splits: usize,
    pub splits_skipped: usize,
    /// The dictionary alone gave the answer; events were read only to return them.
    pub by_dictionary: bool,
    /// Block filters asked, and those that let their events pass.
    pub filters: u64,
    pub filters_passed: u64,
    /// Events read from the log.
    pub events_read: u64,
    /// Hits returned, or counted.
    pub hits: u64,
}

/// Hits, newest first by event time, ties by sequence, highest first.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub hits: Vec<Hit>,
    pub stats: SearchStats,
}

/// Candidates in hand at a time: 65,536 × 32 bytes × 2 is 4 MiB.
const PAGE_MAX: usize = 1 << 16;
/// Events in hand at a time: 256 × 2.3 KB is under a MiB; at the largest, 256 KiB, 64 MiB.
const EVENTS_IN_HAND: usize = 256;
/// The first page of a search that has to check events: a run of events costs about as much as one.
const PAGE_MIN: usize = 512;

impl Index {
    /// The newest hits. Use [`Self::search_each`] where there may be more than memory holds.
    pub fn search(
        &self,
        query: &Query,
        request: &SearchRequest,
        log: &dyn LogReader,
    ) -> Result<Results, SearchError> {
        let mut hits = Vec::new();
        let stats = self.search_each(query, request, log, &mut |hit| {
            hits.push(hit);
            true
        })?;
        Ok(Results { hits, stats })
    }

    /// Calls `each` with hit after hit until it returns false. Holds a few MiB, however many there are.
    pub fn search_each(
        &self,
        query: &Query,
        request: &SearchRequest,
        log: &dyn LogReader,
        each: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<SearchStats, SearchError> {
        self.ask(query, request, log, |mut answer| answer.newest_first(request.limit, each))
    }

    /// How many events a search without limit would find: exact, always.
    pub fn count(
        &self,
        query: &Query,
        request: &SearchRequest,
        log: &dyn LogReader,
    ) -> Result<(u64, SearchStats), SearchError> {
        let stats = self.ask(query, request, log, |mut answer| answer.count())?;
        Ok((stats.hits, stats))
    }

    fn ask(
        &self,
        query: &Query,
        request: &SearchRequest,
        log: &dyn LogReader,
        work: impl FnOnce(Answer<'_>) -> Result<SearchStats, SearchError>,
    ) -> Result<SearchStats, SearchError> {
        let inner = &*self.0;
        // The filters after the splits: they may then know more events, never fewer.
        let searcher = inner.reader.searcher();
        let plan =
            plan(query, &inner.fields, &searcher).map_err(|error| self.wrong("search", error))?;
        let need = if plan.is_exact { Need::Anything } else { need(query, &query.root) };
        let span = Span { from: request.from.unwrap_or(Timestamp(i64::MIN)), to: request.to };
        let candidates = Candidates::new(self, &searcher, &plan, span)?;
        let stats = SearchStats {
            splits: candidates.splits(),
            splits_skipped: candidates.splits_skipped,
            by_dictionary: plan.is_exact,
            ..SearchStats::default()
        };
        work(Answer {
            query,
            index: self,
            candidates,
            sieve: Sieve::new(&inner.filters, &need),
            fetcher: Fetcher::new(log, Parser::new(inner.table.clone())),
            stats,
        })
    }
}

/// A search under way.
struct Answer<'a> {
    query: &'a Query,
    index: &'a Index,
    candidates: Candidates<'a>,
    sieve: Sieve<'a>,
    fetcher: Fetcher<'a>,
    stats: SearchStats,
}

impl Answer<'_> {
    fn newest_first(
        &mut self,
        limit: usize,
        each: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<SearchStats, SearchError> {
        let limit = if limit == 0 { u64::MAX } else { limit as u64 };
        let least = if self.stats.by_dictionary { 1 } else { PAGE_MIN };
        let mut keep = usize::try_from(limit).unwrap_or(PAGE_MAX).clamp(least, PAGE_MAX);
        let mut below = None;
        loop {
            let page = self.candidates.page(below, keep, &mut self.sieve)?;
            for batch in page.chunks(EVENTS_IN_HAND) {
                if !self.deliver(batch, limit, each)? {
                    return Ok(self.finish());
                }
            }
            below = page.last().copied();
            if page.len() < keep {
                return Ok(self.finish());
            }
            keep = (keep * 4).min(PAGE_MAX);
        }
    }

    /// Passes on the hits among `batch` in its order; false when the search is over.
    fn deliver(
        &mut self,
        batch: &[Candidate],
        limit: u64,
        each: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<bool, SearchError> {
        let mut by_place = batch.to_vec();
        by_place.sort_unstable_by_key(|candidate| candidate.position());
        let mut matcher = self.query.matcher(self.index.0.table.clone());
        let exact = self.stats.by_dictionary;
        let sure: HashMap<_, _> =
            batch.iter().map(|candidate| (candidate.position(), candidate.is_sure)).collect();
        let mut events = HashMap::with_capacity(batch.len());
        self.fetcher.read(&by_place, &mut |position, event| {
            if exact || sure.get(&position) == Some(&true) || matcher.matches(&event) {
                events.insert(position, event);
            }
        })?;
        for candidate in batch {
            let position = candidate.position();
            let Some(event) = events.remove(&position) else { continue };
            self.stats.hits += 1;
            if !each(Hit { position, event }) || self.stats.hits >= limit {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count(&mut self) -> Result<SearchStats, SearchError> {
        if self.stats.by_dictionary {
            self.stats.hits = self.candidates.count()?;
            return Ok(self.finish());
        }
        let mut matcher = self.query.matcher(self.index.0.table.clone());
        let (fetcher, hits) = (&mut self.fetcher, &mut self.stats.hits);
        self.candidates.batches(&mut self.sieve, PAGE_MAX, &mut |batch| {
            let all = batch.len();
            batch.retain(|candidate| !candidate.is_sure);
            *hits += (all - batch.len()) as u64;
            fetcher.read(batch, &mut |_, event| *hits += u64::from(matcher.matches(&event)))
        })?;
        Ok(self.finish())
    }

    fn finish(&self) -> SearchStats {
        SearchStats {
            filters: self.sieve.asked,
            filters_passed: self.sieve.passed,
            events_read: self.fetcher.read,
            ..self.stats
        }
    }
}
