//! Takes events into the index, in the order of the log.

use crate::{
    Index, SearchError,
    filter::{FieldKeys, FilterState, Place, RunBuilder, Sealed},
    index::State,
    schema::place_number,
    split::BySize,
};
use custos_event::{
    Cursor, LogId, ParsedEvent, Parser, Partition, Position, Seq, commit::LogReader, record,
};
use std::{collections::BTreeMap, ops::Bound};
use tantivy::{
    Term,
    indexer::IndexWriterOptions,
    query::{BooleanQuery, FastFieldRangeQuery, Occur},
};

/// The one writer of an index.
pub struct IndexWriter {
    index: Index,
    splits: tantivy::IndexWriter,
    keys: FieldKeys,
    /// The first event of each partition that is not taken in yet.
    next: BTreeMap<Place, Seq>,
    runs: BTreeMap<Place, RunBuilder>,
    /// Finished runs that no commit has saved yet.
    sealed: Vec<Sealed>,
    filters: FilterState,
}

impl Index {
    /// The writer; a second one, here or in another process, is refused as [`SearchError::Busy`].
    pub fn writer(&self) -> Result<IndexWriter, SearchError> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(self.0.options.memory_bytes)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let splits = self
            .0
            .splits
            .writer_with_options(options)
            .map_err(|error| self.wrong("open a writer of", error))?;
        splits.set_merge_policy(Box::new(BySize));
        let state = self.state();
        let filters = self.0.filters.begin(state.as_ref().map(|state| state.filters))?;
        let next = state.iter().flat_map(State::next).collect();
        Ok(IndexWriter {
            index: self.clone(),
            splits,
            keys: FieldKeys::default(),
            next,
            runs: BTreeMap::new(),
            sealed: Vec::new(),
            filters,
        })
    }
}

impl IndexWriter {
    /// Takes in one event; searchable after the next commit. Events of a partition come in order; one that
    /// is in already is passed over, and false returned, so that repeating after a crash is safe.
    pub fn add(&mut self, position: Position, event: &ParsedEvent) -> Result<bool, SearchError> {
        let place = (position.log, position.partition);
        if self.next.get(&place).is_some_and(|next| position.seq < *next) {
            return Ok(false);
        }
        let document = self.index.0.fields.document(position, event);
        self.splits
            .add_document(document)
            .map_err(|error| self.index.wrong("add an event to", error))?;
        self.next.insert(place, position.seq.plus(1));
        self.filter(position, event);
        Ok(true)
    }

    /// Adds the event to the run at its partition's end.
    fn filter(&mut self, position: Position, event: &ParsedEvent) {
        let place = (position.log, position.partition);
        let mut run = match self.runs.remove(&place) {
            Some(run) if run.next() == position.seq => run,
            Some(mut run) => {
                self.sealed.extend((!run.is_empty()).then(|| run.seal()));
                RunBuilder::new(place, position.seq)
            }
            None => RunBuilder::new(place, position.seq),
        };
        run.add(event, &mut self.keys, &self.index.0.table);
        if run.is_full() {
            self.sealed.push(run.seal());
        }
        self.runs.insert(place, run);
    }

    /// Makes everything added so far durable and searchable. `cursor`: every event up to there was added.
    pub fn commit(&mut self, cursor: &Cursor) -> Result<(), SearchError> {
        let index = self.index.clone();
        let filters = if self.sealed.is_empty() {
            self.filters
        } else {
            index.0.filters.append(self.filters, &self.sealed)?
        };
        let next = self.next.iter().map(|(place, seq)| (*place, *seq));
        let state = State::new(cursor, next, filters);
        let payload = state.to_payload().map_err(|error| SearchError::Io {
            action: "write a commit of",
            dir: index.0.dir.clone(),
            source: error.into(),
        })?;
        let commit = |error| index.wrong("commit", error);
        let mut prepared = self.splits.prepare_commit().map_err(commit)?;
        prepared.set_payload(&payload);
        prepared.commit().map_err(commit)?;
        index.0.reader.reload().map_err(commit)?;
        self.filters = filters;
        self.sealed.clear();
        index.set_state(state);
        Ok(())
    }

    /// Builds the filters that a stop left unbuilt: the last, unfinished run of each partition. Until then
    /// those events are read by every search that needs filters: slower, no less right. Returns how many
    /// events were read. Call it once, before adding.
    pub fn fill_gaps(&mut self, log: &dyn LogReader) -> Result<u64, SearchError> {
        let mut events = 0;
        let mut parser = Parser::new(self.index.0.table.clone());
        let runs = self.index.0.filters.runs();
        for (place, end) in self.next.clone() {
            for (first, end) in runs.gaps(place, end) {
                events += self.fill(place, first, end, log, &mut parser)?;
            }
        }
        Ok(events)
    }

    fn fill(
        &mut self,
        place: Place,
        first: Seq,
        end: Seq,
        log: &dyn LogReader,
        parser: &mut Parser,
    ) -> Result<u64, SearchError> {
        let (mut events, mut failed) = (0, None);
        log.scan(place.0, place.1, first, end, &mut |seq, bytes| {
            let position = Position { log: place.0, partition: place.1, seq };
            match record::decode(&bytes, parser) {
                Ok(event) => self.filter(position, &event),
                Err(source) => failed = Some(SearchError::Record { position, source }),
            }
            events += 1;
            failed.is_none()
        })?;
        failed.map_or(Ok(events), Err)
    }

    /// Forgets the events from `first` up to before `end`, which retention has dropped from the log. Takes effect
    /// at the next commit.
    pub fn drop_range(
        &mut self,
        log: LogId,
        partition: Partition,
        (first, end): (Seq, Seq),
    ) -> Result<(), SearchError> {
        let fields = &self.index.0.fields;
        let place = place_number(Position { log, partition, seq: first });
        let here = |at| Bound::Included(Term::from_field_u64(fields.place(), at));
        let from = Bound::Included(Term::from_field_u64(fields.seq(), first.0));
        let below = Bound::Excluded(Term::from_field_u64(fields.seq(), end.0));
        let query = BooleanQuery::new(vec![
            (Occur::Must, Box::new(FastFieldRangeQuery::new(here(place), here(place))) as _),
            (Occur::Must, Box::new(FastFieldRangeQuery::new(from, below)) as _),
        ]);
        self.splits
            .delete_query(Box::new(query))
            .map(drop)
            .map_err(|error| self.index.wrong("drop events from", error))
    }

    /// Waits for merges under way and lets go of the index. Dropping the writer also does, at any point.
    pub fn close(self) -> Result<(), SearchError> {
        let index = self.index.clone();
        self.splits.wait_merging_threads().map_err(|error| index.wrong("close", error))
    }
}
