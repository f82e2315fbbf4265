//! The scanner is held to `flatten`.

use super::*;
use crate::{field::FieldTable, flatten::flatten, parsed::Leaves};
use proptest::prelude::*;
use std::sync::Arc;

fn scanned(parser: &mut Parser, text: &str) -> Option<Vec<(FieldId, String)>> {
    let mut found = Scan::default();
    parser.scan(Shape::Json, text, &mut found).then(|| {
        let mut scratch = String::new();
        let all = found.marks.iter();
        all.map(|mark| (mark.field, format!("{:?}", mark.value(text, &mut scratch)))).collect()
    })
}

fn flattened(parser: &mut Parser, text: &str) -> Option<Vec<(FieldId, String)>> {
    let mut leaves = Leaves::default();
    flatten(parser, Shape::Json, text.as_bytes(), &mut leaves).ok()?;
    Some(leaves.iter().map(|(field, value)| (field, format!("{value:?}"))).collect())
}

/// What the scanner reads, it reads as `flatten` does; `quick`: it has to read it.
#[track_caller]
fn check(text: &str, quick: bool) {
    let mut parser = Parser::new(Arc::new(FieldTable::new()));
    let expected = flattened(&mut parser, text);
    for _ in 0..2 {
        match scanned(&mut parser, text) {
            Some(found) => assert_eq!(Some(found), expected, "{text}"),
            None => assert!(!quick, "{text}"),
        }
    }
}

#[test]
fn ordinary_objects_are_scanned_as_they_are_flattened() {
    for text in [
        r#"{"a":1,"b":"x","c":{"d":[1,2,{"e":null}],"f":{}},"g":[]}"#,
        r#" { "a" : -1 , "b" : "\u00e9\\\"\/" , "c" : [ ] , "d":[[],[1]] } "#,
        r#"{"a":9223372036854775807,"b":9223372036854775808,"c":-9223372036854775808}"#,
        r#"{"a":1.5,"b":-0.25e-7,"c":1E5,"d":true,"e":false,"f":""}"#,
        "{}",
        r#"{"":{"":1}}"#,
    ] {
        check(text, true);
    }
}

#[test]
fn what_is_no_json_is_not_scanned() {
    for text in [
        "",
        "{",
        "[]",
        "{\"a\":1",
        "{\"a\":01}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":tru}",
        "{\"a\":\"\u{1}\"}",
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1}x"#,
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":[1 2]}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1e999}",
        "{\"a\":-0}",
        "{\"a\":99999999999999999999}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":\"b}",
    ] {
        check(text, false);
    }
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    check(&deep, false);
}

#[test]
fn a_key_that_looks_expected_is_still_read() {
    let mut parser = Parser::new(Arc::new(FieldTable::new()));
    for text in [
        r#"{"a\"":1,"b":2}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"a" :1,"b":2}"#,
        r#"{"ab":1,"a":2}"#,
        "{\"a\":1,\"b\n\":2}",
    ] {
        for _ in 0..2 {
            if let Some(found) = scanned(&mut parser, text) {
                assert_eq!(Some(found), flattened(&mut parser, text), "{text}");
            }
        }
    }
}

fn json() -> impl Strategy<Value = String> {
    let text = r#"[a-c"\\\\/é\n\t\u{1}\u{7f}🦀 ]{0,12}"#;
    let leaf = prop_oneof![
        text.prop_map(|text| serde_json::Value::from(text).to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| serde_json::Value::from(n).to_string()),
        prop::sample::select(vec!["null", "true", "false", "-0", "1e5", "\"\\u0041\\b\\f\""])
            .prop_map(str::to_owned),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        let key = "[a-c\" \\\\]{0,3}".prop_map(|key| serde_json::Value::from(key).to_string());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key, inner), 0..4).prop_map(|entries| {
                let entries = entries.iter().map(|(key, value)| format!("{key}: {value}"));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" ,"))
            }),
        ]
    });
    prop::collection::vec(value, 0..5).prop_map(|values| {
        let entries = values.iter().zip("abcde".chars());
        let entries = entries.map(|(value, key)| format!("\"{key}\":{value}"));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #[test]
    fn any_object_is_scanned_as_it_is_flattened(text in json()) {
        check(&text, false);
    }

    #[test]
    fn a_broken_object_is_never_read_otherwise(text in json(), at: usize, with in "[{}\\[\\]\",:0-9e.\\\\-]") {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[at % places.len()];
        let mut text = text;
        let next = text[at..].chars().next().map_or(0, char::len_utf8);
        text.replace_range(at..at + next, &with);
        check(&text, false);
    }
}
