//! Any bytes as an event of any shape: read or refused, the same by scanning and whole, and asked by the engine
//! what the naive reading asks.

#![no_main]

use bytes::Bytes;
use custos_detect::{Engine, Rule, Ruleset, naive, parse};
use custos_event::{
    FieldTable, Header, ParsedEvent, Parser, Scan, Scanned, Shape, Timestamp, Values,
};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};

/// One rule for each way of asking.
const RULES: &str = r#"
{title: A, logsource: {product: windows}, detection: {s: {f|contains: [abc, k, 'ß'], g|startswith: a}, condition: s}}
---
{title: B, logsource: {product: windows}, detection: {s: {f|re: 'a+b', g|endswith: é}, condition: s}}
---
{title: C, logsource: {product: windows}, detection: {s: {f: null}, t: {f|fieldref: g}, condition: s or t}}
---
{title: D, logsource: {product: windows}, detection: {s: ['abc', 'a?c*d'], condition: s}}
---
{title: E, logsource: {product: windows}, detection: {s: {f|cidr: 10.0.0.0/8}, t: {f|gt: 3}, u: {f|exists: true}, condition: (s or t) and u}}
---
{title: F, logsource: {product: windows}, detection: {s: {f|windash|contains: ' -a'}, t: {f|cased: Ab}, condition: s or t or not t}}
---
{title: G, logsource: {product: windows, service: sysmon}, detection: {s: {EventID: 1, Channel|endswith: sysmon/operational}, condition: s}}
---
{title: H, logsource: {product: aws}, detection: {s: {f.a|contains|all: [a, b]}, t: {f: 1}, condition: 1 of them}}
---
{title: I, logsource: {product: zeek, service: conn}, detection: {s: {f|hour: 3}, t: {f: '*'}, condition: s or t}}
"#;

const SHAPES: [Shape; 4] = [Shape::NxlogFlat, Shape::EvtxJson, Shape::CloudTrail, Shape::Zeek];

fn rules() -> &'static [Rule] {
    static RULES_READ: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES_READ.get_or_init(|| {
        let parsed = parse(RULES, "fuzz.yml");
        assert_eq!(parsed.errors, []);
        parsed.rules
    })
}

fuzz_target!(|input: (u8, &[u8])| {
    let (which, raw) = input;
    let shape = SHAPES[usize::from(which) % SHAPES.len()];
    let table = Arc::new(FieldTable::new());
    let ruleset = Arc::new(Ruleset::compile(rules(), &table));
    let mut engine = Engine::new(Arc::clone(&ruleset));
    let mut parser = Parser::new(Arc::clone(&table));
    let header = Header::new("fuzz".into(), Timestamp(0), shape, "fuzz".into());
    let whole = ParsedEvent::parse(header, Bytes::copy_from_slice(raw), &mut parser);
    let mut scan = Scan::default();
    let text = std::str::from_utf8(raw).unwrap_or_default();
    // Twice: the second time the keys are expected.
    let is_scanned = parser.scan(shape, text, &mut scan) && parser.scan(shape, text, &mut scan);
    let Ok(event) = whole else {
        assert!(!is_scanned, "scanned what is no object");
        return;
    };
    let found: Vec<_> = engine.evaluate(&event).to_vec();
    for (place, rule) in ruleset.rules().iter().enumerate() {
        let found = found.iter().any(|it| it.0 as usize == place);
        assert_eq!(found, naive::matches(rule, &event, &table), "{}", rule.title);
    }
    if !is_scanned {
        return;
    }
    let scanned = Scanned { text, shape, scan: &scan, own: scan.len() };
    assert_eq!(scanned.count(), event.iter().count());
    let mut scratch = String::new();
    for (at, (field, value)) in event.iter().enumerate() {
        assert_eq!(scanned.field(at), field);
        assert_eq!(format!("{:?}", scanned.value(at, &mut scratch)), format!("{value:?}"));
    }
    if let Some(quick) = engine.evaluate_scanned(&scanned) {
        assert_eq!(quick, found);
    }
});
