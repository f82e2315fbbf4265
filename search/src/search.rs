//! Answers a query: candidates from the dictionary and the filters, newest first, then the events
//! themselves. An answer is exact whichever way it came about.

use crate::{
    Index, Mark, Query, SearchError,
    candidates::{Candidate, Candidates, Span},
    fetch::Fetcher,
    filter::{Need, Sieve, need},
    plan::plan,
    schema::TIME,
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

/// A part of an answer, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Where to ask on; `None` where nothing older is left.
    pub next: Option<Mark>,
    /// The search was stopped before it had as many hits as it may have; ask on from `next`.
    pub stopped: bool,
    pub stats: SearchStats,
}

/// Asked between two steps of a long search, at least every few milliseconds while events are read: true
/// ends it there.
pub type Stop<'a> = &'a dyn Fn() -> bool;

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
        self.ask(query, request, log, |mut answer| {
            answer.newest_first(None, request.limit, &|| false, each)?;
            Ok(answer.finish())
        })
    }

    /// The newest hits behind `after`, or the newest of all. A page that `stop` cut short says so, and the
    /// next one goes on where it ended: what was read is not read again.
    pub fn page(
        &self,
        query: &Query,
        request: &SearchRequest,
        after: Option<Mark>,
        stop: Stop<'_>,
        log: &dyn LogReader,
    ) -> Result<Page, SearchError> {
        let mut hits = Vec::new();
        self.ask(query, request, log, |mut answer| {
            let from = after.map(Mark::candidate);
            let next = answer.newest_first(from, request.limit, stop, &mut |hit| {
                hits.push(hit);
                true
            })?;
            let is_full = request.limit > 0 && hits.len() >= request.limit;
            let stopped = next.is_some() && !is_full;
            Ok(Page { hits, next: next.map(Mark::of), stopped, stats: answer.finish() })
        })
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

    /// The first and the last event time of all that is searchable.
    pub fn times(&self) -> Result<Option<(Timestamp, Timestamp)>, SearchError> {
        let searcher = self.0.reader.searcher();
        let mut times: Option<(Timestamp, Timestamp)> = None;
        for reader in searcher.segment_readers() {
            let split = reader.fast_fields().i64(TIME);
            let split = split.map_err(|error| self.wrong("search", error))?;
            let (low, high) = (Timestamp(split.min_value()), Timestamp(split.max_value()));
            times = Some(times.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
        }
        Ok(times)
    }

    pub(crate) fn ask<T>(
        &self,
        query: &Query,
        request: &SearchRequest,
        log: &dyn LogReader,
        work: impl FnOnce(Answer<'_>) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        let inner = &*self.0;
        // The filters after the splits: they may then know more events, never fewer.
        let searcher = inner.reader.searcher();
        let plan =
            plan(query, &inner.fields, &searcher).map_err(|error| self.wrong("search", error))?;
        let need = if plan.is_exact { Need::Anything } else { need(query, &query.root) };
        let from = request.from.unwrap_or(Timestamp(i64::MIN));
        let span = Span { from, to: request.to, before: query.before.as_ref() };
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
pub(crate) struct Answer<'a> {
    pub(crate) query: &'a Query,
    pub(crate) index: &'a Index,
    pub(crate) candidates: Candidates<'a>,
    pub(crate) sieve: Sieve<'a>,
    pub(crate) fetcher: Fetcher<'a>,
    pub(crate) stats: SearchStats,
}

impl Answer<'_> {
    /// Hands on hits older than `from` until there are `limit`, `each` has enough, or `stop`. Says where it
    /// goes on, if it may.
    pub(crate) fn newest_first(
        &mut self,
        from: Option<Candidate>,
        limit: usize,
        stop: Stop<'_>,
        each: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<Option<Candidate>, SearchError> {
        let limit = if limit == 0 { u64::MAX } else { limit as u64 };
        let least = if self.stats.by_dictionary { 1 } else { PAGE_MIN };
        // One more than asked for: it tells whether anything is left.
        let most = usize::try_from(limit).unwrap_or(PAGE_MAX).saturating_add(1);
        let mut keep = most.clamp(least, PAGE_MAX);
        let mut below = from;
        loop {
            let page = self.candidates.page(below, keep, &mut self.sieve)?;
            let oldest = page.last().copied().filter(|_| page.len() < keep);
            for batch in page.chunks(EVENTS_IN_HAND) {
                let ended = self.deliver(batch, limit, each)?;
                let reached = ended.or_else(|| batch.last().copied().filter(|_| stop()));
                if reached.is_some() {
                    return Ok(reached.filter(|reached| oldest != Some(*reached)));
                }
            }
            if page.len() < keep {
                return Ok(None);
            }
            below = page.last().copied();
            keep = (keep * 4).min(PAGE_MAX);
        }
    }

    /// Passes on the hits among `batch` in its order; the last of them when the search is over.
    fn deliver(
        &mut self,
        batch: &[Candidate],
        limit: u64,
        each: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<Option<Candidate>, SearchError> {
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
                return Ok(Some(*candidate));
            }
        }
        Ok(None)
    }

    fn count(&mut self) -> Result<SearchStats, SearchError> {
        if self.stats.by_dictionary {
            self.stats.hits = self.candidates.count()?;
            return Ok(self.finish());
        }
        let mut hits = 0;
        self.read_times(&|| false, &mut |_| hits += 1)?;
        self.stats.hits = hits;
        Ok(self.finish())
    }

    /// Calls `each` with the time of every hit, in no order, by reading those that need it; false when
    /// `stop` ended it before the last.
    pub(crate) fn read_times(
        &mut self,
        stop: Stop<'_>,
        each: &mut dyn FnMut(Timestamp),
    ) -> Result<bool, SearchError> {
        let mut matcher = self.query.matcher(self.index.0.table.clone());
        let (fetcher, mut is_whole) = (&mut self.fetcher, true);
        self.candidates.batches(&mut self.sieve, PAGE_MAX, &mut |batch| {
            for candidate in batch.iter().filter(|candidate| candidate.is_sure) {
                each(candidate.time);
            }
            batch.retain(|candidate| !candidate.is_sure);
            for some in batch.chunks(EVENTS_IN_HAND) {
                is_whole &= !stop();
                if !is_whole {
                    return Ok(());
                }
                fetcher.read(some, &mut |_, event| {
                    if matcher.matches(&event) {
                        each(event.header.time);
                    }
                })?;
            }
            Ok(())
        })?;
        Ok(is_whole)
    }

    pub(crate) fn finish(&self) -> SearchStats {
        SearchStats {
            filters: self.sieve.asked,
            filters_passed: self.sieve.passed,
            events_read: self.fetcher.read,
            ..self.stats
        }
    }
}
