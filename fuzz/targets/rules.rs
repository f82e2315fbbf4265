//! Any text as a rule file: it is read or refused with a place, and what is read compiles, runs, and finds
//! what the naive reading finds, quickly enough not to be noticed.

#![no_main]

use bytes::Bytes;
use custos_detect::{Engine, Ruleset, naive, parse};
use custos_event::{FieldTable, Header, ParsedEvent, Parser, Shape, Timestamp};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// Events that rules of most kinds ask something of.
const EVENTS: [(Shape, &str); 3] = [
    (
        Shape::NxlogFlat,
        r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"C:\\a\\b.exe","CommandLine":"b.exe -enc /x 10.0.0.1","f":["a",1,null,true,"É"],"g":"a","t":"2026-01-01T01:30:00Z"}"#,
    ),
    (Shape::CloudTrail, r#"{"eventName":"GetObject","eventSource":"s3","f":{"a":"b","c":[1,2.5]}}"#),
    (Shape::Door, r#"{"door":{"name":"a"},"result":"denied","person":{"name":"Ann"}}"#),
];

fuzz_target!(|text: &str| {
    let parsed = parse(text, "fuzz.yml");
    for problem in parsed.errors.iter().chain(&parsed.warnings) {
        assert!(problem.line > 0 && problem.column > 0, "{problem:?}");
    }
    let table = Arc::new(FieldTable::new());
    let ruleset = Arc::new(Ruleset::compile(&parsed.rules, &table));
    let mut engine = Engine::new(Arc::clone(&ruleset));
    let mut parser = Parser::new(Arc::clone(&table));
    let filters = parsed.rules.iter().any(|rule| !rule.is_detection() && !rule.is_correlation());
    for (shape, raw) in EVENTS {
        let header = Header::new("fuzz".into(), Timestamp(0), shape, "fuzz".into());
        let raw = Bytes::from_static(raw.as_bytes());
        let Ok(event) = ParsedEvent::parse(header, raw, &mut parser) else { continue };
        let found: Vec<_> = engine.evaluate(&event).to_vec();
        if filters {
            continue;
        }
        for (place, rule) in ruleset.rules().iter().enumerate() {
            let found = found.iter().any(|it| it.0 as usize == place);
            assert_eq!(found, naive::matches(rule, &event, &table), "{}", rule.title);
        }
    }
});
