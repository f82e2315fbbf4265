//! Lists: values that rules ask for by a name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Bench, ids, rule};
use custos_detect::{Rule, Ruleset, explain, parse, unfilled};
use custos_event::Shape;

fn asking(detection: &str) -> Rule {
    rule(&format!(
        "title: T\nid: asks\nlogsource: {{product: windows}}\ndetection:\n    s:\n        {detection}\n    condition: s\n"
    ))
}

fn list(id: &str, values: &str) -> Rule {
    rule(&format!("title: L\nid: {id}\nname: bad\nlist: {values}\n"))
}

#[track_caller]
fn check(rules: &[Rule], fields: &str, expected: bool) {
    let mut bench = Bench::new();
    let json = format!(r#"{{"EventID":1,"Channel":"Security",{fields}}}"#);
    let event = bench.event(Shape::NxlogFlat, &json);
    let mut engine = bench.engine(rules);
    assert_eq!(!ids(&mut engine, &event).is_empty(), expected, "{fields}");
}

#[test]
fn a_placeholder_stands_for_every_value_of_the_lists_of_its_name() {
    let lists = [list("one", "[198.51.100.7, 203.0.113.9]"), list("two", "[evil.example]")];
    let rules = [&[asking("to|expand: '%bad%'")], &lists[..]].concat();
    check(&rules, r#""to":"203.0.113.9""#, true);
    check(&rules, r#""to":"EVIL.example""#, true);
    check(&rules, r#""to":"203.0.113.91""#, false);
    let within = [asking("url|contains|expand: '//%bad%/'"), list("one", "[evil.example]")];
    check(&within, r#""url":"https://evil.example/x""#, true);
    check(&within, r#""url":"https://evil.example.org/x""#, false);
    let nets = [asking("to|cidr|expand: '%bad%'"), list("one", "[203.0.113.0/24, 10.0.0.1]")];
    check(&nets, r#""to":"203.0.113.77""#, true);
    check(&nets, r#""to":"10.0.0.2""#, false);
}

#[test]
fn nothing_in_a_value_is_a_wildcard() {
    let rules = [asking("f|expand: '%bad%'"), list("one", r"['a*b', 'C:\Temp\?', '100%']")];
    check(&rules, r#""f":"a*b""#, true);
    check(&rules, r#""f":"axb""#, false);
    check(&rules, r#""f":"C:\\Temp\\?""#, true);
    check(&rules, r#""f":"C:\\Temp\\x""#, false);
    check(&rules, r#""f":"100%""#, true);
}

#[test]
fn an_exception_may_ask_for_a_list_too() {
    let text = "title: T\nid: t\nlogsource: {product: windows}\ndetection: {s: {f: a}, condition: s}\n\
        custos:\n  exceptions:\n    - {author: li, reason: ours, until: 2030-01-31, when: {user|expand: '%bad%'}}\n";
    let rules = [rule(text), list("one", "[svc-backup]")];
    check(&rules, r#""f":"a","user":"svc-backup""#, false);
    check(&rules, r#""f":"a","user":"mia""#, true);
}

#[test]
fn other_values_are_another_ruleset_and_the_rule_stays_the_same() {
    let bench = Bench::new();
    let of = |values: &str| {
        let rules = [asking("f|expand: '%bad%'"), list("one", values)];
        let ruleset = Ruleset::compile(&rules, &bench.table);
        (ruleset.hash(), ruleset.rules()[0].version.clone())
    };
    let (one, other) = (of("[a]"), of("[a, b]"));
    assert!(one.0 != other.0 && one.1 == other.1);
    let unused = [asking("f: a"), list("one", "[a]")];
    let alone = Ruleset::compile(&unused[..1], &bench.table).hash();
    assert_eq!(Ruleset::compile(&unused, &bench.table).hash(), alone, "nobody asks for it");
}

#[test]
fn a_match_is_explained_by_the_value_of_the_list() {
    let mut bench = Bench::new();
    let event =
        bench.event(Shape::NxlogFlat, r#"{"EventID":1,"Channel":"Security","f":"evil.example"}"#);
    let rules = [asking("f|expand: '%bad%'"), list("one", "[other.example, evil.example]")];
    let ruleset = Ruleset::compile(&rules, &bench.table);
    let matched = explain(&ruleset.rules()[0], &event, &bench.table);
    assert_eq!(matched.len(), 1);
    assert_eq!((&*matched[0].field, &*matched[0].value), ("f", "evil.example"));
    assert!(matched[0].pattern.contains("evil.example"), "{matched:?}");
}

#[test]
fn what_is_missing_or_wrong_is_told_with_its_place() {
    let told = |rules: &[Rule]| -> Vec<String> {
        let found = unfilled(rules).into_iter();
        found
            .map(|(place, it)| format!("{place} {}:{} {}", it.line, it.column, it.message))
            .collect()
    };
    let asks = asking("to|cidr|expand: '%bad%'");
    let none = told(std::slice::from_ref(&asks));
    assert!(none[0].starts_with("0 6:25 nothing fills the placeholder '%bad%'"), "{none:?}");
    let host = told(&[asks.clone(), list("one", "[10.0.0.0/8, host]")]);
    assert!(host[0].contains("'host' of the list 'bad' is no network"), "{host:?}");
    assert_eq!(told(&[asks, list("one", "[10.0.0.0/8]")]), Vec::<String>::new());
    let errors = |text: &str| parse(text, "l.yml").errors[0].message.clone();
    assert!(errors("title: L\nlist: [a]\n").contains("a list has a 'name'"));
    assert!(errors("title: L\nname: n\nlist: []\n").contains("the list is empty"));
    assert!(errors("title: L\nname: n\nlist: a\n").contains("'list' is a list of values"));
    assert!(errors("title: L\nname: n\nlist: [[a]]\n").contains("expected a value"));
}
