//! Any bytes as a message of any source: decoded or rejected with a reason, kept as they came but for what is
//! replaced, and read back from a record as they were.
//!
//! The first byte chooses the decoder; with `CUSTOS_FUZZ_SOURCE` all bytes go to that one.

#![no_main]

use bytes::Bytes;
use custos_event::{FieldTable, Flags, Parser, Timestamp, record};
use custos_ingest::{
    decode::{DecodeOptions, Decoder, SourceType},
    protect::{Cards, Policy},
};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};

/// The only one, if one is named.
fn named() -> Option<SourceType> {
    static NAMED: OnceLock<Option<SourceType>> = OnceLock::new();
    let read = || {
        let name = std::env::var("CUSTOS_FUZZ_SOURCE").ok()?;
        Some(name.parse().unwrap_or_else(|error| panic!("CUSTOS_FUZZ_SOURCE: {error}")))
    };
    *NAMED.get_or_init(read)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let chosen = || SourceType::ALL[usize::from(*first) % SourceType::ALL.len()];
    let source = named().unwrap_or_else(chosen);
    let raw = Bytes::copy_from_slice(rest);
    let table = Arc::new(FieldTable::new());
    let options = DecodeOptions::new(source, "fuzz".into());
    let options = options.with_policy(Policy::new(Cards::BySource, b"key"));
    let event = Decoder::new(Arc::clone(&table), options)
        .decode(raw.clone(), Timestamp::from_secs(1_795_507_200));
    let reason = event.header.rejection.as_deref();
    assert_eq!(event.header.flags.has(Flags::REJECTED), reason.is_some());
    assert!(!event.header.protections.is_empty() || event.raw == raw, "other bytes are kept");
    let mut encoded = Vec::new();
    record::encode(&event, &table, &mut encoded);
    let mut parser = Parser::new(table);
    let replayed = record::decode(&encoded.into(), &mut parser).expect("what was encoded");
    assert_eq!(replayed.header, event.header);
    let values = |event: &custos_event::ParsedEvent| format!("{:?}", event.iter().collect::<Vec<_>>());
    assert_eq!(values(&replayed), values(&event));
});
