//! The events that the dictionary and the filters do not rule out, newest first, a page at a time.

use crate::{
    Index, SearchError,
    filter::Sieve,
    plan::Plan,
    schema::{PLACE, SEQ, TIME},
};
use custos_event::{Ends, LogId, Partition, Position, Seq, Timestamp};
use std::{cmp::Reverse, sync::Arc};
use tantivy::{
    BitSet, DocId, DocSet, Searcher, SegmentReader,
    columnar::ColumnValues,
    query::{EnableScoring, Weight},
};

/// An event's time and place. Ordered by time, then sequence: the newest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) time: Timestamp,
    pub(crate) seq: Seq,
    pub(crate) log: LogId,
    pub(crate) partition: Partition,
    /// The dictionary vouches for it: it need not be checked.
    pub(crate) is_sure: bool,
}

impl Candidate {
    pub(crate) fn position(self) -> Position {
        Position { log: self.log, partition: self.partition, seq: self.seq }
    }
}

/// Half-open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
    /// And only what was there when the logs ended here.
    pub(crate) before: Option<&'a Ends>,
}

impl Span<'_> {
    fn holds(self, time: Timestamp) -> bool {
        self.from <= time && self.to.is_none_or(|to| time < to)
    }

    fn reaches(self, place: impl FnOnce() -> Position) -> bool {
        self.before.is_none_or(|ends| ends.hold(place()))
    }

    /// Whether everything in a split lies within.
    fn holds_all(self, split: &Split<'_>) -> bool {
        self.holds(split.oldest)
            && self.holds(split.newest)
            && self.before.is_none_or(|ends| split.last().is_some_and(|last| ends.hold(last)))
    }
}

/// A split as one search sees it.
struct Split<'a> {
    reader: &'a SegmentReader,
    oldest: Timestamp,
    newest: Timestamp,
    times: Arc<dyn ColumnValues<i64>>,
    seqs: Arc<dyn ColumnValues<u64>>,
    places: Arc<dyn ColumnValues<u64>>,
}

impl Split<'_> {
    fn candidate(&self, event: DocId, time: Timestamp, is_sure: bool) -> Candidate {
        let Position { log, partition, seq } = self.place(event);
        Candidate { time, seq, log, partition, is_sure }
    }

    fn place(&self, event: DocId) -> Position {
        position(self.places.get_val(event), self.seqs.get_val(event))
    }

    /// The last place of a split whose events are all of one log.
    fn last(&self) -> Option<Position> {
        let log = self.places.min_value();
        (log == self.places.max_value()).then(|| position(log, self.seqs.max_value()))
    }
}

/// Log and partition as one column has them, and the sequence as the other has it.
fn position(log: u64, seq: u64) -> Position {
    Position {
        log: LogId(u8::try_from(log >> 16).unwrap_or(u8::MAX)),
        partition: Partition((log & 0xffff) as u16),
        seq: Seq(seq),
    }
}

/// The events of one split that a plan finds.
pub(crate) struct Found<'a> {
    split: &'a Split<'a>,
    pub(crate) events: BitSet,
}

impl Found<'_> {
    pub(crate) fn reader(&self) -> &SegmentReader {
        self.split.reader
    }

    pub(crate) fn candidate(&self, event: DocId) -> Candidate {
        self.split.candidate(event, Timestamp(self.split.times.get_val(event)), true)
    }
}

/// Everything that may be in the answer.
pub(crate) struct Candidates<'a> {
    index: &'a Index,
    splits: Vec<Split<'a>>,
    weight: Box<dyn Weight>,
    sure: Option<Box<dyn Weight>>,
    span: Span<'a>,
    pub(crate) splits_skipped: usize,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(
        index: &'a Index,
        searcher: &'a Searcher,
        plan: &Plan,
        span: Span<'a>,
    ) -> Result<Self, SearchError> {
        let wrong = |error| index.wrong("search", error);
        let scoring = EnableScoring::disabled_from_searcher(searcher);
        let weight = plan.query.weight(scoring).map_err(wrong)?;
        let sure = plan.sure.as_ref().map(|query| query.weight(scoring));
        let sure = sure.transpose().map_err(wrong)?;
        let mut splits = Vec::new();
        for reader in searcher.segment_readers() {
            splits.extend(open(reader, span).map_err(wrong)?);
        }
        splits.sort_by_key(|split| Reverse(split.newest));
        let splits_skipped = searcher.segment_readers().len() - splits.len();
        Ok(Self { index, splits, weight, sure, span, splits_skipped })
    }

    pub(crate) fn splits(&self) -> usize {
        self.splits.len()
    }

    /// The newest `keep` candidates older than `below`, newest first; fewer only when there are no more.
    pub(crate) fn page(
        &self,
        below: Option<Candidate>,
        keep: usize,
        sieve: &mut Sieve<'_>,
    ) -> Result<Vec<Candidate>, SearchError> {
        let mut page = Page { keep, below, floor: None, candidates: Vec::new() };
        for split in &self.splits {
            if page.ends_above(split.newest) {
                break;
            }
            if below.is_some_and(|below| split.oldest > below.time) {
                continue;
            }
            self.each(split, &mut |candidate| {
                if page.wants(candidate)
                    && (candidate.is_sure || sieve.may_match(candidate.position())?)
                {
                    page.put(candidate);
                }
                Ok(())
            })?;
        }
        Ok(page.finish())
    }

    /// How many there are; only right where the plan is exact.
    pub(crate) fn count(&self) -> Result<u64, SearchError> {
        let mut count = 0;
        for split in &self.splits {
            if self.span.holds_all(split) {
                let all = self.weight.count(split.reader);
                count += u64::from(all.map_err(|error| self.index.wrong("search", error))?);
            } else {
                self.each(split, &mut |_| {
                    count += 1;
                    Ok(())
                })?;
            }
        }
        Ok(count)
    }

    /// Adds up events by what `bucket` says of their time, without looking at where they stand; only right
    /// where the plan is exact. A split that lies within one bucket is counted, not gone through.
    pub(crate) fn tally(
        &self,
        bucket: &dyn Fn(Timestamp) -> usize,
        add: &mut dyn FnMut(usize, u64),
    ) -> Result<(), SearchError> {
        let wrong = |error| self.index.wrong("search", error);
        for split in &self.splits {
            let one = bucket(split.oldest);
            let is_inside = self.span.holds_all(split);
            if is_inside && one == bucket(split.newest) {
                add(one, u64::from(self.weight.count(split.reader).map_err(wrong)?));
                continue;
            }
            self.each_time(split, &mut |_, time| add(bucket(time), 1))?;
        }
        Ok(())
    }

    /// Every event of the split that the plan finds within the span, by its number there and its time.
    fn each_time(
        &self,
        split: &Split<'_>,
        each: &mut dyn FnMut(DocId, Timestamp),
    ) -> Result<(), SearchError> {
        let mut all = |events: &[DocId]| {
            for event in events {
                let time = Timestamp(split.times.get_val(*event));
                let reached = self.span.reaches(|| split.place(*event));
                if self.span.holds(time) && reached && !split.reader.is_deleted(*event) {
                    each(*event, time);
                }
            }
        };
        let done = self.weight.for_each_no_score(split.reader, &mut all);
        done.map_err(|error| self.index.wrong("search", error))
    }

    /// Each split with those of its events that the plan finds within the span; only right where the plan
    /// is exact.
    pub(crate) fn found(
        &self,
        each: &mut dyn FnMut(Found<'_>) -> Result<(), SearchError>,
    ) -> Result<(), SearchError> {
        for split in &self.splits {
            let mut events = BitSet::with_max_value(split.reader.max_doc());
            self.each_time(split, &mut |event, _| {
                events.insert(event);
            })?;
            each(Found { split, events })?;
        }
        Ok(())
    }

    /// Calls `each` with batches of candidates in no order, each sorted by place.
    pub(crate) fn batches(
        &self,
        sieve: &mut Sieve<'_>,
        batch: usize,
        each: &mut dyn FnMut(&mut Vec<Candidate>) -> Result<(), SearchError>,
    ) -> Result<(), SearchError> {
        let mut gathered = Vec::with_capacity(batch);
        let mut flush = |gathered: &mut Vec<Candidate>| {
            gathered.sort_unstable_by_key(|candidate| candidate.position());
            let done = each(gathered);
            gathered.clear();
            done
        };
        for split in &self.splits {
            self.each(split, &mut |candidate| {
                if candidate.is_sure || sieve.may_match(candidate.position())? {
                    gathered.push(candidate);
                }
                if gathered.len() == batch { flush(&mut gathered) } else { Ok(()) }
            })?;
        }
        flush(&mut gathered)
    }

    /// Every event of the split that the plan finds within the span.
    fn each(
        &self,
        split: &Split<'_>,
        each: &mut dyn FnMut(Candidate) -> Result<(), SearchError>,
    ) -> Result<(), SearchError> {
        let mut failed = None;
        let sure = self.sure.as_ref().map(|sure| sure.scorer(split.reader, 1.0));
        let mut sure = sure.transpose().map_err(|error| self.index.wrong("search", error))?;
        let mut is_sure = |event: DocId| {
            sure.as_mut().is_some_and(|sure| {
                if sure.doc() < event {
                    sure.seek(event);
                }
                sure.doc() == event
            })
        };
        self.weight
            .for_each_no_score(split.reader, &mut |events| {
                for event in events {
                    let time = Timestamp(split.times.get_val(*event));
                    let reached = self.span.reaches(|| split.place(*event));
                    if failed.is_some()
                        || !self.span.holds(time)
                        || !reached
                        || split.reader.is_deleted(*event)
                    {
                        continue;
                    }
                    failed = each(split.candidate(*event, time, is_sure(*event))).err();
                }
            })
            .map_err(|error| self.index.wrong("search", error))?;
        failed.map_or(Ok(()), Err)
    }
}

/// Opens the columns of a split, if any of its events may lie in the span.
fn open<'a>(reader: &'a SegmentReader, span: Span<'_>) -> tantivy::Result<Option<Split<'a>>> {
    let columns = reader.fast_fields();
    let times = columns.i64(TIME)?;
    let (oldest, newest) = (Timestamp(times.min_value()), Timestamp(times.max_value()));
    if reader.num_docs() == 0 || newest < span.from || span.to.is_some_and(|to| oldest >= to) {
        return Ok(None);
    }
    Ok(Some(Split {
        reader,
        oldest,
        newest,
        times: times.first_or_default_col(0),
        seqs: columns.u64(SEQ)?.first_or_default_col(0),
        places: columns.u64(PLACE)?.first_or_default_col(0),
    }))
}

/// The newest so far; cut back to `keep` whenever twice as many are there.
struct Page {
    keep: usize,
    below: Option<Candidate>,
    /// What is not newer than this does not make the page any more.
    floor: Option<Candidate>,
    candidates: Vec<Candidate>,
}

impl Page {
    fn wants(&self, candidate: Candidate) -> bool {
        self.below.is_none_or(|below| candidate < below)
            && self.floor.is_none_or(|floor| candidate > floor)
    }

    fn put(&mut self, candidate: Candidate) {
        self.candidates.push(candidate);
        if self.candidates.len() >= self.keep.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let Some(last) = self.keep.checked_sub(1) else { return };
        if self.candidates.len() >= self.keep {
            let by_newest = |a: &Candidate, b: &Candidate| b.cmp(a);
            let (_, floor, _) = self.candidates.select_nth_unstable_by(last, by_newest);
            self.floor = Some(*floor);
            self.candidates.truncate(self.keep);
        }
    }

    /// Whether the page is full of candidates newer than anything up to `newest`.
    fn ends_above(&mut self, newest: Timestamp) -> bool {
        self.cut();
        self.floor.is_some_and(|floor| floor.time > newest)
    }

    fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.candidates.sort_unstable_by(|a, b| b.cmp(a));
        self.candidates
    }
}
