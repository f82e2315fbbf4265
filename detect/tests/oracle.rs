//! The engine against the naive reading, on random rules and random events.

mod common;

use common::{Bench, ids};
use custos_detect::{Engine, Rule, naive, parse};
use custos_event::{ParsedEvent, Scan, Scanned, Shape, Timestamp, ecs};
use proptest::prelude::*;

/// Few letters, so that texts meet: with cases, a letter that grows in lower case, one whose upper case
/// is another letter's, wildcards, backslashes and dashes.
fn text() -> impl Strategy<Value = String> {
    let letter = prop::sample::select(vec![
        "a", "b", "A", "B", "ab", "abc", "bcab", "é", "É", "İ", "k", "\u{212a}", "s", "ſ", "*",
        "?", "\\", "\\*", " -", "/", "–", "1", "10", ".", "true", "\n",
    ]);
    prop::collection::vec(letter, 0..6).prop_map(|letters| letters.concat())
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => text().prop_map(|text| format!("{text:?}")),
        2 => (-3..12_i32).prop_map(|n| n.to_string()),
        1 => Just("true".to_owned()),
        1 => Just("1.5".to_owned()),
    ]
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["f", "g", "h.i", "h", "Channel", "Data", "EventID"])
}

/// `field|modifiers: values`, in YAML's flow form.
fn item() -> impl Strategy<Value = String> {
    let many = |modifiers: Vec<&'static str>| {
        let values = prop::collection::vec(text().prop_map(|text| format!("{text:?}")), 1..5);
        (field(), prop::sample::select(modifiers), values).prop_map(|(field, modifiers, values)| {
            format!("\"{field}{modifiers}\": [{}]", values.join(", "))
        })
    };
    let one = |modifiers: Vec<&'static str>, values: Vec<&'static str>| {
        (field(), prop::sample::select(modifiers), prop::sample::select(values))
            .prop_map(|(field, modifiers, value)| format!("\"{field}{modifiers}\": {value}"))
    };
    prop_oneof![
        4 => (field(), prop::collection::vec(scalar(), 1..5))
            .prop_map(|(field, values)| format!("\"{field}\": [{}]", values.join(", "))),
        6 => many(vec![
            "|contains", "|startswith", "|endswith", "|contains|all", "|cased", "|contains|cased",
            "|windash|contains", "|startswith|cased", "|neq", "|endswith|neq", "|windash",
            "|windash|startswith|cased", "|base64offset|contains", "|base64|contains",
            "|wide|base64offset|contains", "|utf16|base64", "|utf16be|contains", "|contains|all|neq",
            "|expand|contains",
        ]),
        2 => one(
            vec!["|re", "|re|i", "|re|i|s"],
            vec!["'a+b'", "'^ab'", "'abc|bca'", "'k.*s'", "'(abc)?1'", "'[aA]bc'", "'ss?k'", "'.'"],
        ),
        1 => one(vec!["", "|neq"], vec!["null"]),
        1 => one(vec!["|exists"], vec!["true", "false"]),
        1 => one(vec!["|gt", "|lte", "|gte", "|lt", "|gte|neq"], vec!["1", "9.5"]),
        1 => one(vec!["|cidr", "|cidr|neq"], vec!["10.0.0.0/8", "'::ffff:0:0/96'", "1.1.1.1", "'::/0'"]),
        1 => one(vec!["|hour", "|day|gt", "|year", "|week|lte", "|minute", "|month|neq"], vec!["1", "2026"]),
        1 => one(vec!["|fieldref", "|fieldref|contains", "|fieldref|cased", "|fieldref|neq", "|fieldref|endswith"], vec!["f", "g", "h.i"]),
        1 => prop::collection::vec(text(), 1..3).prop_map(|words| {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            format!("\"|all\": [{}]", words.join(", "))
        }),
    ]
}

fn search() -> impl Strategy<Value = String> {
    let map = || {
        prop::collection::btree_map(
            item().prop_map(|item| item.split(": ").next().unwrap_or_default().to_owned()),
            item(),
            1..4,
        )
        .prop_map(|items| {
            // One key may stand only once.
            let mut seen = std::collections::BTreeSet::new();
            let distinct = items
                .into_values()
                .filter(|item| seen.insert(item.split(": ").next().unwrap_or_default().to_owned()));
            format!("{{{}}}", distinct.collect::<Vec<_>>().join(", "))
        })
    };
    prop_oneof![
        3 => map(),
        1 => prop::collection::vec(map(), 1..3).prop_map(|maps| format!("[{}]", maps.join(", "))),
        1 => prop::collection::vec(text().prop_map(|text| format!("{text:?}")), 1..4)
            .prop_map(|words| format!("[{}]", words.join(", "))),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let source = prop::sample::select(vec![
        "product: windows",
        "product: windows, service: sysmon",
        "product: windows, category: process_creation",
        "product: linux",
    ]);
    let condition = prop::sample::select(vec![
        "s1",
        "not s1",
        "s1 and s2",
        "s1 or s2",
        "s1 and not s2",
        "not (s1 and s2) or s3",
        "1 of s*",
        "all of them",
        "s1 and not 1 of s*",
        "not s1 and not s2 and s3",
    ]);
    (source, condition, search(), search(), search()).prop_map(|(source, condition, a, b, c)| {
        format!(
            "title: T\nlogsource: {{{source}}}\ndetection:\n  s1: {a}\n  s2: {b}\n  s3: {c}\n  condition: {condition}\n"
        )
    })
}

/// An event: JSON in a Windows shape, or a text of Linux.
fn event() -> impl Strategy<Value = (bool, String)> {
    let value = || {
        prop_oneof![
            5 => text().prop_map(|text| serde_json::Value::from(text).to_string()),
            2 => (-3..12_i32).prop_map(|n| n.to_string()),
            1 => Just("null".to_owned()),
            1 => Just("true".to_owned()),
            1 => Just("1.5".to_owned()),
            1 => prop::sample::select(vec![
                "\"10.1.2.3\"", "\"::ffff:10.1.2.3\"", "\"fe80::1\"", "\"2026-01-02T01:01:00Z\"",
                "\"2026-01-01 01:00:00\"", "\"YWI=\"", "\"xxYWJj\"", "\"a\\u0000b\\u0000\"",
            ])
            .prop_map(str::to_owned),
            1 => prop::collection::vec(text(), 0..3)
                .prop_map(|texts| serde_json::Value::from(texts).to_string()),
        ]
    };
    let key = prop::sample::select(vec!["f", "g", "h", "Data"]);
    let inner = prop::option::of(value().prop_map(|value| format!(r#""h":{{"i":{value}}}"#)));
    let fields = prop::collection::btree_map(key, value(), 0..4);
    let channel =
        prop::sample::select(vec!["Microsoft-Windows-Sysmon/Operational", "Security", "ab"]);
    (any::<bool>(), prop::sample::select(vec![1, 10, 4688]), channel, fields, inner).prop_map(
        |(windows, id, channel, mut fields, inner)| {
            if inner.is_some() {
                fields.remove("h");
            }
            let mut parts = vec![format!(r#""Channel":"{channel}","EventID":{id}"#)];
            parts.extend(fields.into_iter().map(|(key, value)| format!(r#""{key}":{value}"#)));
            parts.extend(inner);
            (windows, format!("{{{}}}", parts.join(",")))
        },
    )
}

fn read(bench: &mut Bench, windows: bool, json: &str) -> ParsedEvent {
    if windows {
        return bench.event(Shape::NxlogFlat, json);
    }
    let header = custos_event::Header::new("t".into(), Timestamp(0), Shape::Text, "t".into());
    let mut event = ParsedEvent::text(header, json.to_owned().into());
    event.add(ecs::EVENT_DATASET, custos_event::ValueRef::Str("linux.sshd"));
    event.add(bench.table.intern("f"), custos_event::ValueRef::Str("Abc 1"));
    event
}

/// The rules that match the event where it stands; `None` where it has to be read whole.
fn scanned(bench: &mut Bench, engine: &mut Engine, json: &str) -> Option<Vec<String>> {
    let mut scan = Scan::default();
    if !bench.parser.scan(Shape::NxlogFlat, json, &mut scan) {
        return None;
    }
    let event = Scanned { text: json, shape: Shape::NxlogFlat, scan: &scan, own: scan.len() };
    let matched = engine.evaluate_scanned(&event)?.to_vec();
    Some(matched.into_iter().map(|rule| engine.ruleset().rule(rule).id.to_string()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_engine_finds_what_the_naive_reading_finds(
        texts in prop::collection::vec(rule(), 1..12),
        events in prop::collection::vec(event(), 1..8),
    ) {
        let mut bench = Bench::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            let parsed = parse(text, &format!("{n:02}"));
            rules.extend(parsed.rules);
        }
        let mut engine = bench.engine(&rules);
        for (windows, json) in events {
            let event = read(&mut bench, windows, &json);
            let expected: Vec<String> = rules
                .iter()
                .filter(|rule| naive::matches(rule, &event, &bench.table))
                .map(|rule| rule.id.to_string())
                .collect();
            prop_assert_eq!(ids(&mut engine, &event), &*expected, "{}", json);
            if let Some(scanned) = windows.then(|| scanned(&mut bench, &mut engine, &json)).flatten() {
                prop_assert_eq!(scanned, expected, "scanned: {}", json);
            }
        }
    }
}
