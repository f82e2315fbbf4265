//! Stand-ins for tests: an intake that keeps what it is given, and a decoder that reads nothing.

use crate::{
    batch::{Batch, Intake, IntakeError},
    decoding::{Decode, Decoders, Piece},
};
use bytes::Bytes;
use custos_event::{
    Clock, CommitNo, Committed, Flags, Header, LogId, ParsedEvent, Partition, ProducerEntry, Seq,
    Shape, SourceRange, Timestamp, ValueRef, ecs, time::ManualClock,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// What the disk holds: it outlives an intake.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) events: Vec<ParsedEvent>,
    pub(crate) sources: Vec<SourceRange>,
    pub(crate) producers: Vec<ProducerEntry>,
    pub(crate) commits: u64,
}

/// How the next batches are met, one each; beyond them all are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Store,
    Pause,
    Fail,
    /// Stored, but nobody hears of it: the process dies between sync and answer.
    StoreAndFail,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    fates: VecDeque<Fate>,
    held: bool,
    submitted: u64,
}

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub(crate) struct StandIn {
    state: Mutex<State>,
    changed: Condvar,
    released: tokio::sync::Notify,
    pub(crate) latency: Duration,
}

impl StandIn {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn with_fates(fates: impl IntoIterator<Item = Fate>) -> Arc<Self> {
        let stand_in = Self::default();
        stand_in.lock().fates.extend(fates);
        Arc::new(stand_in)
    }

    /// A new process over what the old one left.
    pub(crate) fn restarted(&self) -> Arc<Self> {
        let stand_in = Self::default();
        stand_in.lock().disk = std::mem::take(&mut self.lock().disk);
        Arc::new(stand_in)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&Disk) -> T) -> T {
        at(&self.lock().disk)
    }

    pub(crate) fn change(&self, by: impl FnOnce(&mut Disk)) {
        by(&mut self.lock().disk);
    }

    /// From now on nothing becomes durable until [`Self::release`].
    pub(crate) fn hold(&self) {
        self.lock().held = true;
    }

    pub(crate) fn release(&self) {
        self.lock().held = false;
        self.changed.notify_all();
        self.released.notify_waiters();
    }

    /// Waits until `count` batches were submitted.
    pub(crate) fn wait_submitted(&self, count: u64) {
        let state = self.lock();
        drop(self.changed.wait_while(state, |state| state.submitted < count).unwrap());
    }

    /// Waits until `count` events are durable.
    pub(crate) fn wait_events(&self, count: usize) {
        let wait = Duration::from_mins(1);
        let state = self.lock();
        let enough = |state: &mut State| state.disk.events.len() < count;
        let (state, waited) = self.changed.wait_timeout_while(state, wait, enough).unwrap();
        assert!(!waited.timed_out(), "{} of {count} events came", state.disk.events.len());
    }

    /// (partition, offset, text) of the events of `topic`, in the order of the log.
    pub(crate) fn stored(&self, topic: &str) -> Vec<(i64, i64, String)> {
        let number = |event: &ParsedEvent, field| match event.get(field) {
            Some(ValueRef::Int(n)) => n,
            other => panic!("no number: {other:?}"),
        };
        self.look(|disk| {
            let mine =
                disk.events.iter().filter(|event| event.str(ecs::KAFKA_TOPIC) == Some(topic));
            mine.map(|event| {
                let partition = number(event, ecs::KAFKA_PARTITION);
                let offset = number(event, ecs::KAFKA_OFFSET);
                (partition, offset, event.raw_text().into_owned())
            })
            .collect()
        })
    }

    fn take(&self, batch: Batch) -> Result<Committed, IntakeError> {
        for event in &batch.events {
            let source = &*event.header.source;
            assert_eq!(self.log_of(source), batch.log, "{source} in another's log");
        }
        let mut state = self.lock();
        let fate = state.fates.pop_front().unwrap_or(Fate::Store);
        match fate {
            Fate::Pause => return Err(IntakeError::Paused("disk full".into())),
            Fate::Fail => return Err(IntakeError::Failed("sync failed".into())),
            Fate::Store | Fate::StoreAndFail => {}
        }
        let disk = &mut state.disk;
        let first = Seq(disk.events.len() as u64);
        disk.events.extend(batch.events);
        for range in batch.sources {
            let place = |r: &SourceRange| (r.cluster.clone(), r.topic.clone(), r.partition);
            let known = disk.sources.iter().position(|known| place(known) == place(&range));
            if let Some(known) = known {
                assert!(
                    range.epoch > disk.sources[known].epoch
                        || range.first > disk.sources[known].last,
                    "{range:?} after {:?}",
                    disk.sources[known]
                );
                disk.sources.remove(known);
            }
            disk.sources.push(range);
        }
        disk.producers.extend(batch.producers);
        disk.commits += 1;
        let commit = CommitNo(disk.commits);
        self.changed.notify_all();
        if fate == Fate::StoreAndFail {
            return Err(IntakeError::Failed("died".into()));
        }
        Ok(Committed {
            commit,
            log: batch.log,
            partition: Partition::default(),
            first,
            appended_at: Timestamp::default(),
        })
    }

    fn note_submit(&self) {
        self.lock().submitted += 1;
        self.changed.notify_all();
    }
}

impl Intake for StandIn {
    async fn submit(&self, batch: Batch) -> Result<Committed, IntakeError> {
        self.note_submit();
        loop {
            let released = self.released.notified();
            if !self.lock().held {
                break;
            }
            released.await;
        }
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        self.take(batch)
    }

    fn submit_blocking(&self, batch: Batch) -> Result<Committed, IntakeError> {
        self.note_submit();
        drop(self.changed.wait_while(self.lock(), |state| state.held).unwrap());
        self.take(batch)
    }

    /// What ends in `kept` has a log of its own.
    fn log_of(&self, source: &str) -> LogId {
        if source.ends_with("kept") { LogId(2) } else { LogId::TELEMETRY }
    }

    fn sources(&self) -> Vec<SourceRange> {
        self.look(|disk| disk.sources.clone())
    }

    fn producers(&self) -> Vec<ProducerEntry> {
        self.look(|disk| disk.producers.clone())
    }
}

/// Takes every line as text; rejects those that begin with `bad`.
struct TextDecoder(Arc<str>, Arc<str>);

impl Decode for TextDecoder {
    fn decode(&mut self, raw: Bytes, received: Timestamp) -> ParsedEvent {
        let (source, decoder) = (Arc::clone(&self.0), Arc::clone(&self.1));
        let mut header = Header::new(source, received, Shape::Text, decoder);
        if raw.starts_with(b"bad") {
            header.flags = header.flags.with(Flags::REJECTED);
            header.rejection = Some("bad".into());
        }
        ParsedEvent::text(header, raw)
    }

    fn decode_piece(&mut self, piece: Piece, received: Timestamp) -> ParsedEvent {
        let mut event = self.decode(piece.bytes, received);
        event.header.whole = piece.whole;
        if let Some(fault) = piece.fault {
            event.header.flags = event.header.flags.with(Flags::REJECTED);
            event.header.rejection = Some(fault.as_ref().into());
        }
        event
    }
}

pub(crate) fn decoders() -> Decoders {
    Arc::new(|source: &str| Box::new(TextDecoder(source.into(), "text".into())))
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_764_000_000)))
}
