//! What each form of Sigma means, on one event each.

mod common;

use common::{Bench, ids, rule};
use custos_detect::{explain, naive, parse};
use custos_event::{Position, Shape};

/// A Sysmon process event with these fields.
fn process(fields: &str) -> String {
    format!(r#"{{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,{fields}}}"#)
}

fn detection(body: &str) -> String {
    format!(
        "title: T\nid: r\nlogsource:\n    product: windows\n    category: process_creation\n\
         detection:\n{body}\n"
    )
}

/// Whether a rule with this detection block matches a process event with these fields. The engine and
/// the naive reading have to agree.
#[track_caller]
fn check(body: &str, fields: &str, expected: bool) {
    let mut bench = Bench::new();
    let rule = rule(&detection(body));
    let mut engine = bench.engine(std::slice::from_ref(&rule));
    let event = bench.event(Shape::NxlogFlat, &process(fields));
    assert_eq!(!ids(&mut engine, &event).is_empty(), expected, "{body}\n{fields}");
    assert_eq!(naive::matches(&rule, &event, &bench.table), expected, "naive: {body}\n{fields}");
}

/// One item, and the value of field `a`, as JSON.
#[track_caller]
fn item(item: &str, value: &str, expected: bool) {
    let body = format!("    s:\n        {item}\n    condition: s");
    check(&body, &format!(r#""a":{value}"#), expected);
}

#[test]
fn texts_are_compared_whole_and_in_any_case() {
    item("a: 'Foo'", r#""fOO""#, true);
    item("a: 'Foo'", r#""foo ""#, false);
    item("a: 'straße'", r#""STRAßE""#, true);
    item("a: 'ÄÖÜ*'", r#""äöüx""#, true);
    item("a|contains: 'ж'", r#""аЖа""#, true);
    item("a|cased: 'Foo'", r#""foo""#, false);
    item("a|cased: 'Foo'", r#""Foo""#, true);
    item("a|contains|cased: 'Foo'", r#""xFoox""#, true);
    item("a|contains|cased: 'Foo'", r#""xfoox""#, false);
    item("a: ''", r#""""#, true);
    item("a: ''", r#""x""#, false);
}

#[test]
fn wildcards_work_alone_and_inside_other_modifiers() {
    item("a: 'f?o*r'", r#""FxoBAR""#, true);
    item("a: 'f?o*r'", r#""foBAR""#, false);
    item("a|contains: 'x*y'", r#""..x..y..""#, true);
    item("a|startswith: 'x*y'", r#""x..y..""#, true);
    item("a|startswith: 'x*y'", r#"".x..y""#, false);
    item("a|endswith: 'x?'", r#""..xy""#, true);
    item(r"a: 'x\*'", r#""xyz""#, false);
    item(r"a: 'x\*'", r#""x*""#, true);
    item(r"a|endswith: '\\\\x'", r#""\\\\X""#, true);
    item("a: '*'", r#""""#, true);
    item("a: '*'", "null", false);
    item("a: 'x*y'", r#""x\ny""#, true);
}

#[test]
fn lists_ask_for_any_and_all_asks_for_all() {
    item("a|contains: [one, two]", r#""TWO""#, true);
    item("a|contains|all: [one, two]", r#""TWO""#, false);
    item("a|contains|all: [one, two]", r#""two one""#, true);
    item("a|startswith: [one, two]", r#""two""#, true);
    item("a|endswith: [one, two]", r#""zwei""#, false);
    item("a: [x, y]", r#"["n","Y"]"#, true);
    item("a|contains|all: [one, two]", r#"["one","two"]"#, true);
}

#[test]
fn numbers_are_equal_however_they_are_written() {
    item("a: 10", "10", true);
    item("a: 10", r#""10""#, true);
    item("a: '10'", "10", true);
    item("a: 10", "10.0", true);
    item("a: 10", "100", false);
    item("a: 10", r#""ten""#, false);
    item("a: 0", "-0.0", true);
    item("a: true", "true", true);
    item("a: true", r#""True""#, true);
    item("a|contains: 44", "4444", true);
    item("a|gt: 5", "6", true);
    item("a|gt: 5", "5", false);
    item("a|gte: 5", r#""5""#, true);
    item("a|lt: 5.5", "5", true);
    item("a|lte: 5", "6", false);
}

#[test]
fn absence_is_null_and_exists_asks_for_it() {
    item("b: null", "1", true);
    item("a: null", "null", true);
    item("a: null", r#""""#, false);
    item("a: null", r#"{"x":1}"#, false);
    item("a|exists: true", "0", true);
    item("a|exists: true", r#"{"x":1}"#, true);
    item("b|exists: true", "0", false);
    item("b|exists: false", "0", true);
    item("a|neq: 5", "6", true);
    item("a|neq: 5", "5", false);
    item("b|neq: 5", "5", true);
    check(
        "    s:\n        a: 1\n    f:\n        b: null\n    condition: s and not f",
        r#""a":1,"b":"x""#,
        true,
    );
}

#[test]
fn regular_expressions_search_and_mind_case_unless_told() {
    item("a|re: 'b[0-9]+d'", r#""abb12dd""#, true);
    item("a|re: 'b[0-9]+d'", r#""B12D""#, false);
    item("a|re|i: 'kiss[0-9]'", r#""KISS1""#, true);
    item("a|re|i: 'kiss'", "\"\u{212a}iſs\"", true);
    item("a|re: '^b$'", r#""a\nb""#, false);
    item("a|re|m: '^b$'", r#""a\nb""#, true);
    item("a|re: 'a.b'", r#""a\nb""#, false);
    item("a|re|s: 'a.b'", r#""a\nb""#, true);
    item(r"a|re: '^\d{3}$'", "443", true);
    item(r"a|re: '443'", "44321", true);
}

#[test]
fn encodings_are_applied_in_order() {
    // "/bin/sh" and "ping" in base64, plain, at an offset, and in UTF-16.
    item("a|base64: 'ping'", r#""cGluZw==""#, true);
    item("a|base64offset|contains: '/bin/sh'", r#""xx9iaW4vc2j yy""#, true);
    item("a|base64offset|contains: '/bin/sh'", r#""zzvYmluL3Noyy""#, true);
    item("a|base64offset|contains: '/bin/sh'", r#""L2Jpbi9za""#, true);
    item("a|wide|base64offset|contains: 'ping'", r#""cABpAG4AZw""#, true);
    item("a|utf16le|base64offset|contains: 'ping'", r#""cABpAG4AZw""#, true);
    item("a|utf16be|base64: 'pi'", r#""AHAAaQ==""#, true);
    item("a|utf16|base64: 'pi'", r#""//5wAGkA""#, true);
    item("a|windash|contains: ' -enc '", r#""x /ENC y""#, true);
    item("a|windash|contains: ' /enc '", r#""x -enc y""#, true);
    item("a|contains|windash: ' -enc '", "\"x \u{2014}enc y\"", true);
    item("a|windash|contains: ' -enc '", r#""x +enc y""#, false);
}

#[test]
fn networks_fields_and_times_are_understood() {
    item("a|cidr: 10.0.0.0/8", r#""10.9.8.7""#, true);
    item("a|cidr: 10.0.0.0/8", r#""::ffff:10.9.8.7""#, true);
    item("a|cidr: [192.168.0.0/16, 'fe80::/10']", r#""fe80::1""#, true);
    item("a|cidr: 10.0.0.0/8", r#""11.0.0.1""#, false);
    item("a|hour: 3", r#""2026-11-24T03:59:59Z""#, true);
    item("a|hour|gte: 22", r#""2026-11-24 23:00:00""#, true);
    item("a|year|lt: 2026", r#""2026-11-24T03:59:59Z""#, false);
    let fieldref = |modifiers| format!("    s:\n        a|{modifiers}: b\n    condition: s");
    check(&fieldref("fieldref"), r#""a":"X","b":"x""#, true);
    check(&fieldref("fieldref"), r#""a":"X""#, false);
    check(&fieldref("fieldref|cased"), r#""a":"X","b":"x""#, false);
    check(&fieldref("fieldref|endswith"), r#""a":"C:\\X.exe","b":"x.EXE""#, true);
    check(&fieldref("fieldref|contains"), r#""a":1234,"b":23"#, true);
}

#[test]
fn keywords_ask_every_value() {
    let words = "    k:\n        - 'mimikatz'\n        - 4711\n    condition: k";
    check(words, r#""x":"run Mimikatz.exe""#, true);
    check(words, r#""x":{"y":["a","mimikatz"]}"#, true);
    check(words, r#""x":47110"#, true);
    check(words, r#""x":"mimi""#, false);
    check("    k:\n        '|all': [a1, b2]\n    condition: k", r#""x":"b2","y":"a1""#, true);
    check("    k:\n        '|re': 'x[0-9]y'\n    condition: k", r#""x":"ax1yb""#, true);
    check("    k: word\n    condition: not k", r#""x":"another""#, true);
}

#[test]
fn lists_of_maps_and_lists_of_conditions_ask_for_any() {
    let maps =
        "    s:\n        - a: 1\n          b: 2\n        - c: 3\n        - word\n    condition: s";
    check(maps, r#""a":1,"b":2"#, true);
    check(maps, r#""a":1,"b":3"#, false);
    check(maps, r#""c":3"#, true);
    check(maps, r#""d":"a word""#, true);
    let list = "    s:\n        a: 1\n    t:\n        b: 1\n    condition:\n        - s and t\n        - not s";
    check(list, r#""a":1"#, false);
    check(list, r#""a":2"#, true);
}

#[test]
fn a_rule_with_an_unfilled_placeholder_never_matches() {
    check("    s:\n        a|expand: '%admins%'\n    condition: not s", r#""a":1"#, false);
    check("    s:\n        a|expand: '100%'\n    condition: s", r#""a":"100%""#, true);
}

#[test]
fn a_rule_sees_a_dataset_that_nobody_but_its_owner_knows() {
    let mut bench = Bench::new();
    let event = |bench: &mut Bench, dataset: &str| {
        let json = format!(r#"{{"event":{{"dataset":"{dataset}"}},"gate":{{"plate":"B-XY-77"}}}}"#);
        bench.event(Shape::Ecs, &json)
    };
    let seen_by = |source: &str, field: &str| {
        rule(&format!(
            "title: T\nid: r\nlogsource: {{{source}}}\n\
             detection:\n    s:\n        {field}: B-XY-77\n    condition: s\n"
        ))
    };
    let own = event(&mut bench, "gate.log");
    for (source, sees) in [
        ("product: gate", true),
        ("product: gate, service: log", true),
        ("service: gate, product: gate", true),
        ("product: gate, service: audit", false),
        ("product: gate, category: physical_access", false),
        ("product: gates", false),
        ("product: windows", false),
    ] {
        for field in ["gate.plate", "plate"] {
            let rule = seen_by(source, field);
            let mut engine = bench.engine(std::slice::from_ref(&rule));
            assert_eq!(!engine.evaluate(&own).is_empty(), sees, "{source}, {field}");
            assert_eq!(naive::matches(&rule, &own, &bench.table), sees, "{source}, {field}");
            assert!(!sees || explain(&rule, &own, &bench.table).len() == 1, "{source}, {field}");
        }
    }
    let other = event(&mut bench, "gate.audit");
    let mut engine = bench.engine(&[seen_by("product: gate, service: log", "plate")]);
    assert!(engine.evaluate(&other).is_empty() && !engine.evaluate(&own).is_empty());
}

#[test]
fn a_rule_sees_only_events_of_its_logsource() {
    let mut bench = Bench::new();
    let for_source = |source: &str| {
        rule(&format!(
            "title: T\nid: r\nlogsource: {{{source}}}\ndetection:\n    s:\n        TargetObject: x\n    \
             condition: s"
        ))
    };
    let json =
        r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":13,"TargetObject":"X"}"#;
    let event = bench.event(Shape::NxlogFlat, json);
    for (source, expected) in [
        ("product: windows", true),
        ("product: Windows, service: sysmon", true),
        ("product: windows, category: registry_event", true),
        ("product: windows, category: registry_set", true),
        ("category: registry_set", true),
        ("product: windows, category: registry_add", false),
        ("product: windows, service: security", false),
        ("product: linux", false),
    ] {
        let mut engine = bench.engine(&[for_source(source)]);
        assert_eq!(!ids(&mut engine, &event).is_empty(), expected, "{source}");
    }
}

#[test]
fn a_filter_narrows_the_rules_it_names() {
    let mut bench = Bench::new();
    let detection = rule(&detection("    s:\n        a: 1\n    condition: s"));
    let filter = rule(
        "title: F\nlogsource:\n    product: windows\nfilter:\n    rules: [r]\n    ours:\n        b: 2\n    \
         condition: not ours",
    );
    let mut engine = bench.engine(&[detection, filter]);
    let (ours, other) = (process(r#""a":1,"b":2"#), process(r#""a":1,"b":3"#));
    let (ours, other) =
        (bench.event(Shape::NxlogFlat, &ours), bench.event(Shape::NxlogFlat, &other));
    assert_eq!(ids(&mut engine, &ours), [] as [&str; 0]);
    assert_eq!(ids(&mut engine, &other), ["r"]);
}

#[test]
fn an_alert_says_what_matched_and_keeps_its_id() {
    let mut bench = Bench::new();
    let text = detection(
        "    s:\n        a|endswith: ['.com', '.exe']\n        b: 7\n    f:\n        c: 1\n    \
         condition: s and not f",
    );
    let rule = rule(&text);
    let event = bench.event(Shape::NxlogFlat, &process(r#""a":"C:\\X.EXE","b":7"#));
    let matched = explain(&rule, &event, &bench.table);
    let told: Vec<_> =
        matched.iter().map(|it| (&*it.selection, &*it.field, &*it.pattern, &*it.value)).collect();
    assert_eq!(told, [("s", "a", "endswith '.exe'", r"C:\X.EXE"), ("s", "b", "'7'", "7")]);
    let position: Position = "telemetry/0/5".parse().unwrap();
    let alert = custos_detect::alert(&rule, position, &event, &bench.table);
    assert_eq!(alert.matched, matched);
    assert_eq!(alert.id, custos_detect::alert(&rule, position, &event, &bench.table).id);
    let next: Position = "telemetry/0/6".parse().unwrap();
    assert_ne!(alert.id, custos_detect::alert(&rule, next, &event, &bench.table).id);
}

#[test]
fn a_version_is_the_content_not_its_layout() {
    let version = |text: &str| rule(text).version;
    let one = "title: T\nlogsource: {product: x}\ndetection:\n    s:\n        a: 1\n        b: 2\n    condition: s\n";
    let same = "# note\nlogsource:\n    product: x\ntitle: T\ndetection:\n    condition: s\n    s: {b: 2, a: 1}\n";
    assert_eq!(version(one), version(same));
    assert_ne!(version(one), version(&one.replace("a: 1", "a: '1'")));
}

#[test]
fn several_documents_are_several_rules_and_a_broken_one_costs_only_itself() {
    let good = detection("    s:\n        a: 1\n    condition: s");
    let bad = good.replace("a: 1", "a|begins: 1");
    let parsed = parse(&format!("{good}---\n{bad}---\n{good}"), "x.yml");
    assert_eq!((parsed.rules.len(), parsed.errors.len()), (2, 1));
    assert_eq!((parsed.errors[0].line, parsed.errors[0].column), (18, 9));
}

/// The first error of a rule with this detection block.
#[track_caller]
fn refused(body: &str, line: u32, message: &str) {
    let parsed = parse(&detection(body), "x.yml");
    let first = &parsed.errors[0];
    assert_eq!((first.line, &*first.message), (line, message));
}

#[test]
fn errors_name_the_place_and_the_mend() {
    refused(
        "    s:\n        a|startwith: x\n    condition: s",
        8,
        "unknown modifier 'startwith'; did you mean 'startswith'?",
    );
    refused(
        "    s:\n        a|re: '(?=x)'\n    condition: s",
        8,
        "regular expression '(?=x)': look-around is not supported: it cannot be run in linear time; write \
         the exclusion as a filter in the condition",
    );
    refused(
        "    s:\n        a|cidr: 10.0.0\n    condition: s",
        8,
        "'10.0.0' is no network; expected a form like 10.0.0.0/8 or fe80::/10",
    );
    refused("    s:\n        a: []\n    condition: s", 8, "field 'a' has an empty list of values");
    refused("    s:\n        a: 1", 7, "detection has no 'condition'");
    refused(
        "    s: &x\n        a: 1\n    condition: s",
        7,
        "anchors and aliases are not accepted; write the value out",
    );
    refused(
        "    s:\n        a: 1\n        a: 2\n    condition: s",
        9,
        "key 'a' stands twice; YAML would keep only one of them",
    );
    refused(
        "    s:\n        a|i: 1\n    condition: s",
        8,
        "modifiers 'i', 'm' and 's' belong behind 're'",
    );
    refused(
        "    s:\n        a|gt: x\n    condition: s",
        8,
        "expected a number to compare with, found a string",
    );
}

#[test]
fn files_that_hold_no_rule_are_told_so() {
    let errors = |text: &str| {
        parse(text, "x.yml").errors.into_iter().map(|error| error.message).collect::<Vec<_>>()
    };
    assert_eq!(errors(""), ["no rule in this file"]);
    assert_eq!(errors("- a"), ["a rule is a map, found a list"]);
    assert_eq!(
        errors("titel: T\nlogsource: {product: x}\ndetection: {s: {a: 1}, condition: s}"),
        ["rule has no 'title', but 'titel'; a slip?"]
    );
    assert_eq!(
        errors("title: T\ndetection: {s: {a: 1}, condition: s}"),
        ["rule has no 'logsource'"]
    );
    assert!(errors(&"x".repeat((1 << 20) + 1))[0].starts_with("file has 1048577 bytes"));
    assert!(errors("a: [1, 2")[0].starts_with("not YAML"));
}

#[test]
fn a_correlation_is_read_and_a_slip_in_it_told() {
    let text = "title: C\ncorrelation:\n    type: event_count\n    rules: [r]\n    group-by: [a]\n    \
                timespan: 5m\n    condition:\n        gte: 10\n";
    let parsed = parse(text, "x.yml");
    assert_eq!((parsed.errors.len(), parsed.rules.len(), parsed.warnings.len()), (0, 1, 0));
    assert!(!parsed.rules[0].is_detection() && parsed.rules[0].is_correlation());
    let wrong = text.replace("event_count", "event_cuont").replace("5m", "five");
    let messages: Vec<_> = parse(&wrong, "x.yml").errors.into_iter().map(|it| it.message).collect();
    assert_eq!(messages[0], "unknown correlation type 'event_cuont'; did you mean 'event_count'?");
    assert!(messages[1].starts_with("'five' is no time span"));
}

#[test]
fn a_cleared_log_is_named_by_the_events_own_channel() {
    let mut bench = Bench::new();
    let rule = rule(
        "title: T\nid: r\nlogsource: {product: windows, service: system}\ndetection:\n    s:\n        \
         Channel: System\n    condition: s",
    );
    let mut engine = bench.engine(&[rule]);
    let mut cleared = |channel: &str| {
        let json = format!(
            r#"{{"Event":{{"System":{{"EventID":104,"Channel":"System"}},"UserData":{{"LogFileCleared":{{"Channel":{channel}}}}}}}}}"#
        );
        let event = bench.event(Shape::EvtxJson, &json);
        ids(&mut engine, &event).len()
    };
    assert_eq!(cleared(r#""Application""#), 0);
    assert_eq!(cleared(r#""System""#), 1);
    assert_eq!(cleared("null"), 1);
}
