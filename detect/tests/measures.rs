//! Correlations that measure numbers, ask for some rules and not others, or count correlations; and what
//! was an aggregation before Sigma 2.

mod common;

use common::Bench;
use custos_detect::{Correlator, Firings, Memory, Rule, Ruleset, Seen, Watch, parse, problems};
use custos_event::{Alert, LogId, ParsedEvent, Partition, Position, Seq, Shape, Timestamp};
use std::sync::Arc;

/// Rules on payments by their kind, and what follows.
fn rules(rest: &str) -> Vec<Rule> {
    let of = |name: &str| {
        format!(
            "title: {name}\nid: {name}\nname: {name}\nlogsource: {{product: custos}}\n\
             detection: {{s: {{custos.payment.kind: {name}}}, condition: s}}\n---\n"
        )
    };
    let text = ["paid", "refused", "refunded"].map(of).concat() + rest;
    let parsed = parse(&text, "test.yml");
    assert_eq!(parsed.errors, [], "{text}");
    parsed.rules
}

fn block(kind: &str, rules: &str, condition: &str) -> String {
    format!(
        "title: C\nid: c\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  group-by: [user.id]\n  \
         timespan: 10s\n  condition: {condition}\n"
    )
}

type Payment<'t> = (i64, &'t str, &'t str, &'t str);

fn event(bench: &mut Bench, (secs, user, kind, amount): Payment<'_>) -> ParsedEvent {
    let json = format!(r#"{{"kind":"{kind}","amount":{amount},"customer":{{"id":"{user}"}}}}"#);
    let mut event = bench.event(Shape::Payment, &json);
    event.header.time = Timestamp::from_secs(secs);
    event.header.received = Timestamp::from_secs(secs);
    event
}

fn position(seq: usize) -> Position {
    Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(seq as u64) }
}

fn alerts(rules: &[Rule], payments: &[Payment<'_>]) -> Vec<Alert> {
    assert_eq!(problems(rules), []);
    let mut bench = Bench::new();
    let mut watch = Watch::new(Arc::new(Ruleset::compile(rules, &bench.table)));
    let mut alerts = Vec::new();
    for (seq, payment) in payments.iter().enumerate() {
        let event = event(&mut bench, *payment);
        watch.see(
            &Seen::new(position(seq), Timestamp::from_secs(payment.0), &event),
            &mut Memory::default(),
            &mut alerts,
        );
    }
    alerts
}

/// Rule and events of each alert.
fn raised(alerts: &[Alert]) -> Vec<String> {
    let one = |alert: &Alert| {
        let seqs: Vec<_> = alert.events.iter().map(|it| it.seq.to_string()).collect();
        format!("{} {}", alert.rule, seqs.join(" "))
    };
    alerts.iter().map(one).collect()
}

#[track_caller]
fn check(rest: &str, payments: &[Payment<'_>], expected: &[&str]) {
    assert_eq!(raised(&alerts(&rules(rest), payments)), expected, "{rest}");
}

const FOUR: [Payment<'_>; 4] = [
    (0, "a", "paid", "10"),
    (1, "a", "paid", "\"2.5\""),
    (2, "b", "paid", "1000"),
    (3, "a", "paid", "30"),
];

#[test]
fn a_sum_is_of_the_numbers_in_the_window() {
    let sum = |bound: &str| {
        block("value_sum", "paid", &format!("{{field: custos.payment.amount, {bound}}}"))
    };
    check(&sum("gte: 42.5"), &FOUR, &["c 2", "c 0 1 3"]);
    check(&sum("gt: 42.5"), &FOUR, &["c 2"]);
    // What left the window is not in the sum.
    let late = [(0, "a", "paid", "40"), (11, "a", "paid", "2"), (12, "a", "paid", "40")];
    check(&sum("gte: 42"), &late, &["c 1 2"]);
    // A text that is no number does not count, nor does its event.
    let words = [(0, "a", "paid", "\"many\""), (1, "a", "paid", "42")];
    check(&sum("gte: 42"), &words, &["c 1"]);
    let shown = &alerts(&rules(&sum("gte: 42.5")), &FOUR)[1].matched[1];
    assert_eq!(
        (&*shown.selection, &*shown.field, &*shown.pattern, &*shown.value),
        ("value_sum", "custos.payment.amount", "gte 42.5 within 10s", "42.5")
    );
}

#[test]
fn average_median_and_percentile_are_what_they_are_called() {
    let of = |kind: &str, bound: &str| {
        block(kind, "paid", &format!("{{field: custos.payment.amount, {bound}}}"))
    };
    let own = [FOUR[0], FOUR[1], FOUR[3], (4, "a", "paid", "-3")];
    check(&of("value_avg", "gt: 14, lt: 15"), &own, &["c 0 1 2"]);
    // 10; 2.5 10; 2.5 10 30; -3 2.5 10 30.
    check(&of("value_median", "eq: 6.25"), &own, &["c 0 1"]);
    check(&of("value_median", "lt: 6.25"), &own[1..2], &["c 0"]);
    check(&of("value_percentile", "percentile: 67, eq: 30"), &own, &["c 0 1 2"]);
    check(&of("value_percentile", "percentile: 0, eq: -3"), &own, &["c 0 1 2 3"]);
    check(&of("value_percentile", "percentile: 50, eq: 2.5"), &own, &["c 0 1"]);
}

#[test]
fn several_fields_are_one_value() {
    let pairs = block(
        "value_count",
        "paid",
        "{field: [custos.payment.amount, custos.payment.kind], gte: 3}",
    );
    let same = [(0, "a", "paid", "1"), (1, "a", "paid", "1"), (2, "a", "paid", "2")];
    check(&pairs, &same, &[]);
    check(&pairs, &[&same[..], &[(3, "a", "paid", "3")]].concat(), &["c 0 1 2 3"]);
}

#[test]
fn a_condition_asks_for_some_rules_and_not_for_others() {
    let rest = block("temporal", "paid, refused, refunded", "(paid or refused) and not refunded");
    check(&rest, &[(0, "a", "refunded", "1"), (1, "a", "paid", "1")], &[]);
    check(&rest, &[(0, "b", "refunded", "1"), (1, "a", "paid", "1")], &["c 1"]);
    check(&rest, &[(0, "a", "refunded", "1"), (11, "a", "refused", "1")], &["c 1"]);
    let all = block("temporal_ordered", "paid, refunded", "paid and refunded");
    check(&all, &[(0, "a", "paid", "1"), (1, "a", "refunded", "1")], &["c 0 1"]);
    check(&all, &[(0, "a", "refunded", "1"), (1, "a", "paid", "1")], &[]);
}

const CHAIN: &str = "title: Many refused\nid: many\nname: many\ncorrelation:\n  type: event_count\n  \
    rules: [refused]\n  group-by: [user.id]\n  timespan: 10s\n  condition: {gte: 3}\n---\n\
    title: Then paid\nid: then\ncorrelation:\n  type: temporal_ordered\n  rules: [many, paid]\n  \
    group-by: [user.id]\n  timespan: 1m\n";

const REFUSED_THEN_PAID: [Payment<'_>; 6] = [
    (0, "a", "refused", "1"),
    (1, "a", "refused", "1"),
    (2, "b", "paid", "1"),
    (3, "a", "paid", "1"),
    (4, "a", "refused", "1"),
    (30, "a", "paid", "1"),
];

#[test]
fn a_correlation_counts_a_correlation() {
    check(CHAIN, &REFUSED_THEN_PAID, &["many 0 1 4", "then 3 4 5"]);
    check(CHAIN, &REFUSED_THEN_PAID[..5], &["many 0 1 4"]);
    let mut late = REFUSED_THEN_PAID;
    late[5].0 = 65;
    check(CHAIN, &late, &["many 0 1 4"]);
}

/// Mechanism: what an inner correlation raised is in the journal only if it raises alerts of its own.
#[test]
fn a_chain_goes_on_after_a_restart_at_any_event() {
    let rules = rules(CHAIN);
    let expected = alerts(&rules, &REFUSED_THEN_PAID);
    for cut in 0..=REFUSED_THEN_PAID.len() {
        let mut bench = Bench::new();
        let ruleset = Arc::new(Ruleset::compile(&rules, &bench.table));
        let events: Vec<_> =
            REFUSED_THEN_PAID.iter().map(|it| (it.0, event(&mut bench, *it))).collect();
        let mut journal = Vec::new();
        let mut before = Watch::new(Arc::clone(&ruleset));
        for (seq, (secs, event)) in events.iter().enumerate().take(cut) {
            before.see(
                &Seen::new(position(seq), Timestamp::from_secs(*secs), event),
                &mut Memory::default(),
                &mut journal,
            );
        }
        let mut firings = Firings::new(&ruleset);
        for alert in &journal {
            firings.add(alert);
        }
        let mut after = Watch::with(Correlator::new(Arc::clone(&ruleset)), ruleset);
        for (seq, (secs, event)) in events.iter().enumerate() {
            let clock = Timestamp::from_secs(*secs);
            if seq < cut {
                let seen = Seen::new(position(seq), clock, event);
                after.recall(&seen, &mut Memory::default(), &firings);
            } else {
                after.see(
                    &Seen::new(position(seq), clock, event),
                    &mut Memory::default(),
                    &mut journal,
                );
            }
        }
        assert_eq!(journal, expected, "restart before event {cut}");
    }
}

#[test]
fn a_chain_that_comes_back_to_itself_is_told() {
    let ring = CHAIN.replace("rules: [refused]", "rules: [refused, then]");
    let told: Vec<_> = problems(&rules(&ring)).into_iter().map(|(_, it)| it.message).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("'then', which comes back to it"), "{told:?}");
    let lost = CHAIN.replace("rules: [refused]", "rules: [lost]");
    let told: Vec<_> = problems(&rules(&lost)).into_iter().map(|(_, it)| it.message).collect();
    assert!(told[1].starts_with("correlation counts 'many', which cannot run: "), "{told:?}");
}

/// A rule as it was before Sigma 2; its condition.
fn legacy(condition: &str) -> String {
    format!(
        "title: Old\nid: old\nlevel: high\nlogsource: {{product: custos}}\ndetection:\n  \
         s: {{custos.payment.kind: paid}}\n  timeframe: 10s\n  condition: {condition}\n"
    )
}

#[test]
fn an_aggregation_is_read_as_a_correlation() {
    let check = |condition: &str, expected: &[&str]| {
        let parsed = parse(&legacy(condition), "old.yml");
        assert_eq!(parsed.errors, [], "{condition}");
        assert_eq!(parsed.warnings.len(), 1);
        let told = &parsed.warnings[0];
        assert_eq!((told.line, told.column), (8, 14));
        assert!(told.message.contains("is Sigma before version 2"), "{}", told.message);
        let found = alerts(&parsed.rules, &FOUR);
        assert_eq!(raised(&found), expected, "{condition}");
        assert!(found.iter().all(|alert| alert.level == "high" && alert.title == "Old"));
    };
    check("s | count() by user.id > 2", &["old 0 1 3"]);
    check("s|count()>=4", &["old 0 1 2 3"]);
    check("s | count(user.id) > 1", &["old 0 1 2"]);
    check("s | sum(custos.payment.amount) by user.id, custos.payment.kind >= 1000", &["old 2"]);
    check("s | COUNT(custos.payment.amount) BY user.id == 3", &["old 0 1 3"]);
}

#[test]
fn an_aggregation_that_cannot_be_read_says_where_and_why() {
    let check = |condition: &str, message: &str| {
        let parsed = parse(&legacy(condition), "old.yml");
        assert_eq!((parsed.rules.len(), parsed.errors.len()), (0, 1), "{condition}");
        let told = &parsed.errors[0];
        assert_eq!((told.line, told.column), (8, 14), "{condition}");
        assert!(told.message.contains(message), "{}", told.message);
    };
    check("s | near t", "no function");
    check("s | max(a) > 3", "the function is none of count, sum, avg");
    check("s | count( > 3", "a '(' is not closed");
    check("s | count() by > 3", "only 'by' and fields");
    check("s | count() > many", "does not compare with a number");
    check("s | count() =< 3", "compares by none of");
    check("s | sum() > 3", "needs a field");
    check("s | count()", "compares with nothing");
    let parsed = parse(&legacy("s | count() > 3").replace("  timeframe: 10s\n", ""), "old.yml");
    assert!(parsed.errors[0].message.contains("has no 'timeframe'"), "{parsed:?}");
}
