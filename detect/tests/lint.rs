//! What is doubtful about a rule that reads.

use custos_detect::{lint::lint, parse};
use custos_event::FieldTable;

const HEAD: &str = "title: t\nid: 11111111-2222-4333-8444-555555555555\nlogsource: {product: windows, category: process_creation}\n";

/// The warnings of a rule with this detection, beside a live rule with that one.
fn warnings(detection: &str, live: &str) -> Vec<String> {
    let table = FieldTable::new();
    for met in ["Image", "User"] {
        table.intern(&format!("winlog.event_data.{met}"));
    }
    let others = format!("title: other\nid: o\nlogsource: {{product: windows}}\n{live}");
    let others = if live.is_empty() { Vec::new() } else { parse(&others, "o.yml").rules };
    let parsed = lint(&format!("{HEAD}{detection}"), "", &others, &table);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    parsed.warnings.iter().map(|it| format!("{}:{} {}", it.line, it.column, it.message)).collect()
}

fn check(detection: &str, live: &str, expected: &[&str]) {
    let found = warnings(detection, live);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, part) in found.iter().zip(expected) {
        assert!(found.contains(part), "{found} is not {part}");
    }
}

#[test]
fn fields_that_nothing_has_are_told_with_their_place() {
    check(
        "detection:\n    s:\n        EventID: 1\n        Image: a\n        Imgae|endswith: b\n    condition: s\n",
        "",
        &["8:9 no event and no other rule had a field 'Imgae'"],
    );
}

#[test]
fn a_condition_that_nothing_meets_is_told() {
    let nothing = "nothing meets this condition";
    check("detection: {s: {Image: a}, condition: s and not s}\n", "", &[nothing]);
    check("detection: {s: {Image: a}, t: {Image: b}, condition: s and t}\n", "", &[nothing]);
    check("detection: {s: {Image: [a, b]}, t: {Image: b}, condition: s and t}\n", "", &[]);
    check("detection: {s: {Image: a}, t: {Image: b}, condition: s or t}\n", "", &[]);
    check("detection: {s: {Image|contains: a}, t: {Image: b}, condition: s and t}\n", "", &[]);
}

#[test]
fn a_logsource_that_no_event_has_is_told() {
    let table = FieldTable::new();
    let text = "title: t\nid: x\nlogsource: {product: toaster}\ndetection: {s: {user.name: a}, condition: s}\n";
    let found = lint(text, "", &[], &table).warnings;
    assert!(found[0].message.contains("no events that Custos knows"), "{found:?}");
}

#[test]
fn a_rule_that_another_one_covers_is_told() {
    let wide = "detection: {w: {Image: [a, b]}, condition: w}\n";
    let covered = "the live rule 'other' finds too";
    check("detection: {s: {Image: a}, condition: s}\n", wide, &[covered]);
    check("detection: {s: {Image: a}, t: {User: x}, condition: s and not t}\n", wide, &[covered]);
    check("detection: {s: {Image: c}, condition: s}\n", wide, &[]);
    check(
        "detection: {s: {Image: a}, condition: s}\n",
        "detection: {w: {Image: a, User: x}, condition: w}\n",
        &[],
    );
    check(
        "detection: {s: {Image: a}, condition: s}\n",
        "detection: {w: {Image: a}, v: {User: x}, condition: w and not v}\n",
        &[],
    );
    // It tells only what is new.
    check(
        "detection: {s: {Image: a}, condition: s}\n",
        &format!("{wide}custos: {{first_seen: {{value: Image}}}}\n"),
        &[],
    );
    // It is counted, and tells nothing by itself.
    check(
        "detection: {s: {Image: a}, condition: s}\n---\ntitle: many\nid: m\ncorrelation:\n    type: event_count\n    \
         rules: [11111111-2222-4333-8444-555555555555]\n    timespan: 1h\n    condition: {gte: 2}\n",
        wide,
        &[],
    );
}

#[test]
fn fields_that_a_block_minds_are_looked_for_too() {
    let rule = |block: &str| {
        format!("detection:\n    s:\n        EventID: 1\n    condition: s\ncustos:\n    {block}\n")
    };
    let unknown = "no event and no other rule had a field 'Usr'";
    check(&rule("first_seen: {value: Image, by: Usr}"), "", &[unknown]);
    check(&rule("velocity: {by: Usr}"), "", &[unknown]);
    check(&rule("suppress: {by: Usr, within: 1h}"), "", &[unknown]);
    check(&rule("first_seen: {value: Image, by: User}"), "", &[]);
}

#[test]
fn a_correlation_that_counts_more_than_what_is_new_is_told() {
    let new = "detection:\n    s:\n        EventID: 1\n    condition: s\ncustos:\n    first_seen: {value: Image}\n";
    let counting = "detection: {s: {EventID: 1}, condition: s}\n---\ntitle: many\nid: m\ncorrelation:\n    \
        type: event_count\n    rules: [11111111-2222-4333-8444-555555555555]\n    timespan: 1h\n    condition: {gte: 2}\n";
    let found = warnings(new, counting);
    let expected = "9:5 the correlation 'many' counts all that this rule matches, and not only what 'first_seen' leaves";
    assert!(found.iter().any(|it| it == expected), "{found:?}");
    assert_eq!(
        warnings(&new.replace("    first_seen: {value: Image}", "    risk: 3"), counting).len(),
        found.len() - 1
    );
}
