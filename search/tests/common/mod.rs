//! A log in memory, and what the tests of this folder share.
#![allow(dead_code, clippy::unwrap_used, reason = "part of tests; each file uses its share")]

use bytes::Bytes;
use custos_event::{
    CommitNo, Cursor, FieldTable, Header, LogId, ParsedEvent, Parser, Partition, Position, Seq,
    Shape, Timestamp,
    commit::{LogReader, ReadError},
    record,
};
use custos_search::{Index, IndexOptions, IndexWriter, Query, SearchRequest};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

/// Keeps what the store would keep, and gives it back the same way: as record bytes.
#[derive(Default)]
pub(crate) struct MemoryLog(Mutex<BTreeMap<Position, Bytes>>);

impl MemoryLog {
    pub(crate) fn put(&self, position: Position, event: &ParsedEvent, table: &FieldTable) {
        let mut bytes = Vec::new();
        record::encode(event, table, &mut bytes);
        self.0.lock().unwrap().insert(position, bytes.into());
    }

    pub(crate) fn drop_before(&self, end: Position) {
        let mut log = self.0.lock().unwrap();
        *log = log.split_off(&end);
    }
}

impl LogReader for MemoryLog {
    fn scan(
        &self,
        log: LogId,
        partition: Partition,
        from: Seq,
        to: Seq,
        each: &mut dyn FnMut(Seq, Bytes) -> bool,
    ) -> Result<(), ReadError> {
        let at = |seq| Position { log, partition, seq };
        let entries: Vec<_> = {
            let log = self.0.lock().unwrap();
            log.range(at(from)..at(to)).map(|(at, bytes)| (at.seq, bytes.clone())).collect()
        };
        for (seq, bytes) in entries {
            if !each(seq, bytes) {
                break;
            }
        }
        Ok(())
    }
}

/// The telemetry log's place `seq`.
pub(crate) fn at(seq: u64) -> Position {
    Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(seq) }
}

pub(crate) fn cursor(commit: u64) -> Cursor {
    Cursor::after(CommitNo(commit))
}

/// An event whose raw text is JSON in ECS.
pub(crate) fn ecs_event(time: i64, json: &str, parser: &mut Parser) -> ParsedEvent {
    let mut header =
        Header::new("test".into(), Timestamp::from_secs(time + 5), Shape::Ecs, "t".into());
    header.time = Timestamp::from_secs(time);
    ParsedEvent::parse(header, json.to_owned().into(), parser).unwrap()
}

/// An index, its log, and everything that was added, to compare with.
pub(crate) struct World {
    pub(crate) table: Arc<FieldTable>,
    pub(crate) parser: Parser,
    pub(crate) log: MemoryLog,
    pub(crate) events: Vec<(Position, ParsedEvent)>,
    pub(crate) index: Index,
    pub(crate) writer: Option<IndexWriter>,
}

pub(crate) fn options() -> IndexOptions {
    IndexOptions { memory_bytes: 16 << 20, verify: true }
}

impl World {
    pub(crate) fn new(dir: &Path) -> Self {
        let table = Arc::new(FieldTable::new());
        let index = Index::open(dir, table.clone(), options()).unwrap();
        let writer = Some(index.writer().unwrap());
        let parser = Parser::new(table.clone());
        Self { table, parser, log: MemoryLog::default(), events: Vec::new(), index, writer }
    }

    pub(crate) fn add(&mut self, position: Position, event: ParsedEvent) {
        self.log.put(position, &event, &self.table);
        assert!(self.writer.as_mut().unwrap().add(position, &event).unwrap());
        self.events.push((position, event));
    }

    pub(crate) fn add_ecs(&mut self, seq: u64, time: i64, json: &str) {
        let event = ecs_event(time, json, &mut self.parser);
        self.add(at(seq), event);
    }

    pub(crate) fn commit(&mut self, commit: u64) {
        self.writer.as_mut().unwrap().commit(&cursor(commit)).unwrap();
    }

    /// As after a stop: everything is opened again.
    pub(crate) fn reopen(&mut self, dir: &Path) {
        self.writer = None;
        self.index = Index::open(dir, self.table.clone(), options()).unwrap();
        self.writer = Some(self.index.writer().unwrap());
    }

    /// What reading every event would find, newest first.
    pub(crate) fn scan(&self, query: &Query, request: &SearchRequest) -> Vec<Position> {
        let mut found: Vec<_> = self
            .events
            .iter()
            .filter(|(_, event)| {
                request.from.is_none_or(|from| from <= event.header.time)
                    && request.to.is_none_or(|to| event.header.time < to)
                    && query.matches(event, &self.table)
            })
            .map(|(position, event)| {
                (event.header.time, position.seq, position.log, position.partition, *position)
            })
            .collect();
        found.sort_unstable();
        found.into_iter().rev().map(|found| found.4).collect()
    }

    /// Asserts that every way to an answer gives what a scan gives.
    pub(crate) fn check(&self, text: &str, request: SearchRequest) -> usize {
        let query = Query::parse(text).unwrap();
        let expected = self.scan(&query, &SearchRequest { limit: 0, ..request });
        let (count, _) = self.index.count(&query, &request, &self.log).unwrap();
        assert_eq!(count, expected.len() as u64, "count of {text}");
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        let found = self.index.search(&query, &request, &self.log).unwrap();
        let found: Vec<_> = found.hits.iter().map(|hit| hit.position).collect();
        assert_eq!(found, expected[..expected.len().min(limit)], "hits of {text}");
        expected.len()
    }
}
