//! What a Kafka record tells of its event beside the event's own bytes: topic, partition, key, digest.

use bytes::Bytes;
use custos_event::{Flags, Header, ParsedEvent, Shape, Timestamp, ValueRef, ecs};
use std::sync::Arc;

/// The decoder name of a record that has no bytes to decode.
const NO_DECODER: &str = "none";

/// CRC-32C of a record's key and value, by which other bytes at the same offset are noticed.
pub(crate) fn digest(key: Option<&[u8]>, value: Option<&[u8]>) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key.unwrap_or_default()), value.unwrap_or_default())
}

/// Writes down where in Kafka the event came from; the offset is added when it is known. A key that is
/// not UTF-8 is left out: it serves Kafka's partitioning and says nothing about the event.
pub(crate) fn place(event: &mut ParsedEvent, topic: &str, partition: i32, key: Option<&[u8]>) {
    event.add(ecs::KAFKA_TOPIC, ValueRef::Str(topic));
    event.add(ecs::KAFKA_PARTITION, ValueRef::Int(partition.into()));
    if let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok()) {
        event.add(ecs::KAFKA_KEY, ValueRef::Str(key));
    }
}

/// A record without a value, which Kafka uses to delete a key: nothing to decode, and not dropped.
pub(crate) fn tombstone(source: &Arc<str>, received: Timestamp) -> ParsedEvent {
    let mut header = Header::new(Arc::clone(source), received, Shape::Text, Arc::from(NO_DECODER));
    header.flags = header.flags.with(Flags::REJECTED);
    header.rejection = Some("the record has no value (a tombstone)".into());
    ParsedEvent::text(header, Bytes::new())
}
