//! Any text as a mapping, and any line as its source's: the mapping is read or refused with a place, and what it reads
//! of the line is read or rejected.

#![no_main]

use bytes::Bytes;
use custos_event::{FieldTable, Timestamp};
use custos_ingest::decode::{DecodeOptions, Decoder, Mappings};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|text: &str| {
    // What stands behind the last line of three equals signs is a line of the source.
    let (mapping, line) = text.rsplit_once("\n===\n").unwrap_or((text, "GATE 07.03.2026 A=b"));
    let mappings = match Mappings::read([("fuzz.yml".to_owned(), mapping.to_owned())]) {
        Ok(mappings) => Arc::new(mappings),
        Err(faults) => {
            assert!(faults.iter().all(|fault| !fault.to_string().is_empty()) && !faults.is_empty());
            return;
        }
    };
    for name in mappings.names().map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
        let source = mappings.source_type(&name).expect("its own name");
        let options = DecodeOptions::new(source, "fuzz".into()).with_mappings(Arc::clone(&mappings));
        let mut decoder = Decoder::new(Arc::new(FieldTable::new()), options);
        let raw = Bytes::copy_from_slice(line.as_bytes());
        let event = decoder.decode(raw.clone(), Timestamp::from_secs(1_795_507_200));
        assert!(!event.header.protections.is_empty() || event.raw == raw, "other bytes are kept");
    }
});
