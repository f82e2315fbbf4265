//! Exceptions of a rule: by whom, why, until when.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Bench, ids, rule};
use custos_detect::{naive, parse};
use custos_event::{Scan, Scanned, Shape};

/// A rule with this list of exceptions, which begins in line 7.
fn with(exceptions: &str) -> String {
    format!(
        "title: T\nid: t\nlogsource: {{product: windows}}\ndetection: {{s: {{f: a}}, condition: s}}\n\
         custos:\n  exceptions:\n{exceptions}"
    )
}

const ONE: &str = "    - author: m.keller\n      reason: moved on Friday\n      until: 2026-01-31\n      when: {user|startswith: svc-}\n";

#[track_caller]
fn check(text: &str, received: &str, user: &str, expected: bool) {
    let rule = rule(text);
    let mut bench = Bench::new();
    let json = format!(r#"{{"EventID":1,"Channel":"Security","f":"a","user":"{user}"}}"#);
    let mut event = bench.event(Shape::NxlogFlat, &json);
    event.header.received = received.parse().unwrap();
    let mut engine = bench.engine(std::slice::from_ref(&rule));
    assert_eq!(!ids(&mut engine, &event).is_empty(), expected, "{text}{received} {user}");
    assert_eq!(naive::matches(&rule, &event, &bench.table), expected);
    // An event that is only scanned has no time of receipt: it has to be read whole.
    let mut scan = Scan::default();
    assert!(bench.parser.scan(Shape::NxlogFlat, &json, &mut scan));
    let scanned = Scanned { text: &json, shape: Shape::NxlogFlat, scan: &scan, own: scan.len() };
    assert_eq!(engine.evaluate_scanned(&scanned), None);
}

#[test]
fn an_exception_holds_until_its_day_is_over_by_the_time_of_receipt() {
    check(&with(ONE), "2026-01-31T23:59:59Z", "svc-1", false);
    check(&with(ONE), "2026-02-01T00:00:00Z", "svc-1", true);
    check(&with(ONE), "2026-01-01T00:00:00Z", "mia", true);
    let hour = ONE.replace("2026-01-31", "2026-01-31T12:00:00+01:00");
    check(&with(&hour), "2026-01-31T10:59:59Z", "svc-1", false);
    check(&with(&hour), "2026-01-31T11:00:00Z", "svc-1", true);
    let two = format!("{ONE}{}", ONE.replace("svc-", "m"));
    check(&with(&two), "2026-01-01T00:00:00Z", "mia", false);
}

#[test]
fn what_is_missing_in_an_exception_is_told_with_its_place() {
    let check = |from: &str, to: &str, told: &str| {
        let parsed = parse(&with(&ONE.replace(from, to)), "x.yml");
        let errors: Vec<_> = parsed
            .errors
            .iter()
            .map(|it| format!("{}:{} {}", it.line, it.column, it.message))
            .collect();
        assert_eq!(errors, [told], "{to}");
    };
    check("author: m.keller", "author: ''", "7:7 exception has no 'author'");
    check("      reason: moved on Friday\n", "", "7:7 exception has no 'reason'");
    check(
        "      until: 2026-01-31\n",
        "",
        "7:7 exception has no 'until', as in 'until: 2027-01-31'",
    );
    check(
        "2026-01-31",
        "soon",
        "9:14 'soon' is neither a day nor a time, as in 2027-01-31 or 2027-01-31T12:00:00Z",
    );
}
