//! Bytes that no decoder reads: kept whole as far as the limits allow, with the reason, never dropped.

use crate::limit;
use bytes::Bytes;
use custos_event::{Flags, Header, ParsedEvent, Shape, Timestamp, ValueRef, ecs, parsed::Whole};
use std::sync::Arc;

/// The decoder that rejected events of the intakes name.
const DECODER: &str = "quarantine";

/// An event that the intake itself could not take: `reason` says why, in words for a person.
///
/// Longer bytes than an event may have are cut, their length and digest kept.
pub fn rejected(source: Arc<str>, received: Timestamp, raw: Bytes, reason: &str) -> ParsedEvent {
    let (raw, whole) = limit::cut(raw);
    let mut header = Header::new(source, received, Shape::Text, DECODER.into());
    header.whole = whole;
    reject(header, raw, reason)
}

/// A Kafka record without a value: the request of its producer to forget a key, which no log can grant.
pub fn tombstone(source: Arc<str>, received: Timestamp) -> ParsedEvent {
    rejected(source, received, Bytes::new(), "a record without a value (tombstone)")
}

/// An event of which only the beginning was read, because the whole was over the limit.
pub fn oversize(source: Arc<str>, received: Timestamp, head: Bytes, whole: Whole) -> ParsedEvent {
    let reason = limit::too_long(whole.bytes);
    let mut header = Header::new(source, received, Shape::Text, DECODER.into());
    let (head, _) = limit::cut(head);
    header.whole = Some(whole);
    reject(header, head, &reason)
}

/// Bytes that were to be decompressed or decoded as `encoding`, and could not.
pub fn bad_encoding(
    source: Arc<str>,
    received: Timestamp,
    raw: Bytes,
    encoding: &str,
) -> ParsedEvent {
    rejected(source, received, raw, &format!("not readable as {encoding}"))
}

/// The event for `raw` under a header that a decoder had begun.
pub(crate) fn reject(mut header: Header, raw: Bytes, reason: &str) -> ParsedEvent {
    header.shape = Shape::Text;
    header.flags = header.flags.with(Flags::REJECTED);
    if header.whole.is_some() {
        header.flags = header.flags.with(Flags::TRUNCATED);
    }
    if std::str::from_utf8(&raw).is_err() {
        header.flags = header.flags.with(Flags::NOT_UTF8);
    }
    header.rejection = Some(reason.into());
    let mut event = ParsedEvent::text(header, raw);
    for (field, value) in [
        (ecs::EVENT_DATASET, "custos.rejected"),
        (ecs::EVENT_MODULE, "custos"),
        (ecs::EVENT_KIND, "pipeline_error"),
        (ecs::ERROR_MESSAGE, reason),
    ] {
        event.add(field, ValueRef::Str(value));
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    #[test]
    fn a_rejected_event_keeps_its_bytes_and_says_why() {
        let event = bad_encoding("kafka:doors".into(), received(), "\u{1f}x".into(), "gzip");
        assert_eq!(&event.raw[..], b"\x1fx");
        assert_eq!(event.header.rejection.as_deref(), Some("not readable as gzip"));
        assert!(event.header.flags.has(Flags::REJECTED.with(Flags::NO_TIME)));
        assert_eq!(event.str(ecs::EVENT_KIND), Some("pipeline_error"));
        assert_eq!(event.str(ecs::ERROR_MESSAGE), Some("not readable as gzip"));
        assert!(tombstone("k".into(), received()).raw.is_empty());
    }

    #[test]
    fn bytes_over_the_limit_leave_their_length_and_digest() {
        let raw = Bytes::from(vec![b'x'; limit::EVENT_BYTES_MAX + 1]);
        let event = rejected("k".into(), received(), raw.clone(), "nobody reads this");
        assert_eq!(event.raw.len(), limit::EVENT_BYTES_MAX);
        assert_eq!(event.header.whole.as_ref().map(|whole| whole.bytes), Some(raw.len() as u64));
        assert!(event.header.flags.has(Flags::TRUNCATED));
        let whole = event.header.whole.clone().unwrap();
        let event = oversize("k".into(), received(), raw, whole);
        assert!(event.header.rejection.as_deref().unwrap_or_default().contains("262145 bytes"));
    }
}
