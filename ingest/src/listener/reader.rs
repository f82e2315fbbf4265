//! From a partition's bytes to events: one topic's reader, owned by one connection.

use super::{
    inflate::inflate,
    ledger::Draft,
    records::{Record, RecordBatch, records},
    refusal::Refusal,
};
use crate::{
    decoding::Decode,
    origin::{digest, place, tombstone},
};
use custos_event::{ParsedEvent, Timestamp};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

pub(crate) struct TopicReader {
    topic: Arc<str>,
    source: Arc<str>,
    decoder: Box<dyn Decode>,
}

impl TopicReader {
    pub(crate) fn new(topic: &str, source: Arc<str>, decoder: Box<dyn Decode>) -> Self {
        Self { topic: topic.into(), source, decoder }
    }

    /// Reads a whole batch, inflated to at most `max` bytes. `room` is what was reserved for its events;
    /// what they do not take of it is given back.
    pub(crate) fn read(
        &mut self,
        batch: &RecordBatch,
        partition: i32,
        max: usize,
        received: Timestamp,
        room: OwnedSemaphorePermit,
    ) -> Result<Draft, Refusal> {
        let body = inflate(batch.codec, &batch.body, max)?;
        let records = records(body, batch.records)?;
        let last = records.last();
        let last_digest = last.map_or(0, |last| digest(last.key.as_deref(), last.value.as_deref()));
        let event = |record| self.event(record, partition, received);
        let events: Vec<_> = records.into_iter().map(event).collect();
        let weight = events.iter().map(ParsedEvent::weight).sum();
        Ok(Draft {
            topic: Arc::clone(&self.topic),
            partition,
            events,
            producer: batch.producer,
            last_digest,
            source: Arc::clone(&self.source),
            room: keep(room, weight),
        })
    }

    fn event(&mut self, record: Record, partition: i32, received: Timestamp) -> ParsedEvent {
        let Record { key, value } = record;
        let mut event = match value {
            Some(value) => self.decoder.decode(value, received),
            None => tombstone(&self.source, received),
        };
        event.header.source = Arc::clone(&self.source);
        place(&mut event, &self.topic, partition, key.as_deref());
        event
    }
}

fn keep(mut room: OwnedSemaphorePermit, bytes: usize) -> OwnedSemaphorePermit {
    room.split(bytes).unwrap_or(room)
}
