//! More than usual: learned by the day, raised once a stretch, the same after a start anywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{
    DAY, HOUR, at,
    line::{Line, why},
    rule, second, with,
};
use custos_detect::{Memory, Ruleset, Seen, Watch, parse};
use custos_event::Counted;
use std::sync::Arc;

impl Line {
    /// So many matches of somebody within an hour: how many alerts.
    fn times(&mut self, secs: i64, user: &str, times: i64) -> usize {
        (0..times).map(|nth| self.see(secs + nth, &format!(r#""user":"{user}""#))).sum()
    }

    /// What was told of counts.
    fn counted(&self) -> Vec<&Counted> {
        self.told.iter().flat_map(|learned| &learned.counted).collect()
    }
}

#[test]
fn what_is_more_than_on_somebodys_own_days_is_raised_once_a_stretch() {
    let mut line = Line::new("baseline: {by: user, learn: 5d, above: 3, at_least: 10}");
    for day in 0..4 {
        assert_eq!(line.times(day * DAY, "mia", 4), 0);
        assert_eq!(line.times(day * DAY + HOUR, "mia", 5), 0, "day {day}");
    }
    assert_eq!(line.times(4 * DAY, "mia", 99), 0, "still learning");
    // Of five days the most is 99.
    assert_eq!(line.times(5 * DAY, "mia", 297), 0, "three times what was usual is not above it");
    for day in 6..10 {
        assert_eq!(line.times(day * DAY, "mia", 5), 0, "day {day}");
    }
    assert_eq!(line.times(10 * DAY, "mia", 40), 0, "of two days in ten it was more");
    for day in 11..30 {
        assert_eq!(line.times(day * DAY, "mia", 5), 0, "day {day}");
    }
    assert_eq!(line.times(30 * DAY, "li", 50), 0, "nothing is known of li");
    assert_eq!(line.times(30 * DAY, "mia", 15), 0, "not yet above three times what is usual");
    let event = line.event(30 * DAY + HOUR, r#""user":"Mia""#);
    let alerts: Vec<_> = (0..40).flat_map(|_| line.show(30 * DAY + HOUR, &event)).collect();
    assert_eq!(alerts.len(), 1);
    let expected = [
        ("s", "f", "'a'", "a"),
        ("baseline", "count", "> 3 × 5 / 1h", "16"),
        ("by", "user", "", "Mia"),
    ];
    assert_eq!(why(&alerts[0]), expected);
    assert_eq!(line.times(30 * DAY + 2 * HOUR, "mia", 40), 1, "the next hour is another");
}

#[test]
fn a_number_is_added_up_and_what_has_none_counts_nothing() {
    let mut line = Line::new(
        "baseline: {by: user, sum: bytes, every: 1d, learn: 1d, above: 2, at_least: 100}",
    );
    let bytes = |bytes: &str| format!(r#""user":"mia","bytes":{bytes}"#);
    assert_eq!(line.see(0, &bytes("40")), 0);
    assert_eq!(line.see(1, &bytes(r#""2.5""#)), 0);
    let next = DAY;
    assert_eq!(line.see(next, &bytes("85")), 0, "twice 42.5");
    for nothing in ["-1000", "0", "null", r#""many""#] {
        assert_eq!(line.see(next + 1, &bytes(nothing)), 0, "{nothing}");
    }
    assert_eq!(line.see(next + 2, r#""user":"mia""#), 0, "no number");
    assert_eq!(
        line.see(next + 3, &bytes("1")),
        0,
        "86 is more than usual, and less than asked for"
    );
    let event = line.event(next + 4, &bytes("14"));
    let alerts = line.show(next + 4, &event);
    let why = &alerts[0].matched[1];
    assert_eq!(
        (why.field.as_str(), why.pattern.as_str(), why.value.as_str()),
        ("bytes", "> 2 × 42.5 / 1d", "100")
    );
}

#[test]
fn days_that_are_too_long_ago_count_no_more() {
    let mut line = Line::new("baseline: {by: user, learn: 2d, remember: 4d, at_least: 1}");
    line.times(0, "mia", 100);
    line.times(DAY, "mia", 2);
    assert_eq!(line.times(3 * DAY, "mia", 2), 0);
    assert_eq!(line.times(4 * DAY, "mia", 50), 0, "100 is four days ago");
    assert_eq!(line.times(20 * DAY, "mia", 50), 0, "of sixteen days nothing: learned anew");
}

#[test]
fn what_comes_late_counts_for_its_own_stretch_as_long_as_that_is_kept() {
    let mut line = Line::new("baseline: {every: 1h, learn: 1d, at_least: 1}");
    line.see(0, r#""g":1"#);
    let mut at_hour = |hour: i64, now: i64| {
        let mut event = line.event(DAY + hour * HOUR, r#""g":1"#);
        event.header.received = second(DAY + now * HOUR);
        line.show(DAY + now * HOUR, &event).len()
    };
    for hour in 0..4 {
        assert_eq!(at_hour(hour, hour) + at_hour(hour, hour), 0);
    }
    assert_eq!(at_hour(0, 4), 0, "the third");
    assert_eq!(at_hour(0, 4), 1, "the fourth of that hour");
    assert_eq!(at_hour(4, 4), 0);
    assert_eq!(at_hour(0, 4), 0, "four newer hours are kept");
    line.see(2 * DAY, r#""g":1"#);
    let missed: u64 = line.told.iter().map(|learned| learned.missed.late).sum();
    assert_eq!(missed, 1, "and it is told");
}

#[test]
fn a_start_anywhere_changes_nothing() {
    let block = "baseline: {by: user, every: 15m, learn: 2d, above: 2, at_least: 3}";
    // Every five minutes somebody, and bursts of one now and then; every seventh comes up to an hour late.
    let mut now = 0;
    let mut steps = Vec::new();
    for nth in 0..1_500_i64 {
        let is_burst = nth > 700 && nth % 61 < 12;
        now += if is_burst { 17 } else { 300 };
        let user = if is_burst { nth / 61 % 3 } else { nth % 3 };
        steps.push((now, (nth % 7 / 6) * (nth % 12) * 300, format!(r#""user":"u{user}""#)));
    }
    let run = |restart_every: usize| -> Vec<(usize, usize)> {
        let mut line = Line::new(block);
        let mut raised = Vec::new();
        for (nth, (now, late, fields)) in steps.iter().enumerate() {
            let mut event = line.event(now - late, fields);
            event.header.received = second(*now);
            let alerts = line.show(*now, &event).len();
            if alerts > 0 {
                raised.push((nth, alerts));
            }
            if restart_every > 0 && nth % restart_every == 0 {
                line.restart();
            }
        }
        raised
    };
    let expected = run(0);
    assert!(expected.len() >= 5, "{expected:?}");
    for restart_every in [1, 2, 5, 13] {
        assert_eq!(run(restart_every), expected, "a start after each {restart_every}");
    }
}

#[test]
fn the_journal_grows_with_how_many_there_are_and_not_with_how_much_they_do() {
    let mut line = Line::new("baseline: {by: user}");
    for secs in 0..3_000 {
        line.see(secs, r#""user":"mia""#);
    }
    let told = line.counted();
    assert_eq!(told.len(), 4, "once in ten minutes, and not yet of the last ten: {told:?}");
    assert_eq!(told[3].totals, [(second(0).0 / 1_000_000_000, 2_400.0)]);
    assert_eq!((told[3].peak, told[3].day), (2_400.0, 20_781));
}

#[test]
fn of_a_rule_that_is_tried_in_another_version_both_count_an_event_once() {
    let block = "baseline: {learn: 1d, above: 1, at_least: 1}";
    let mut line = Line::new(block);
    let other = with(&format!("{block}\n  risk: 7"));
    let mut tried = Watch::new(Arc::new(Ruleset::compile(&[rule(&other)], &line.bench.table)));
    for (secs, expected) in [(0, 0), (DAY, 0), (DAY + 1, 1), (DAY + 2, 0)] {
        let event = line.event(secs, r#""g":1"#);
        assert_eq!(line.show(secs, &event).len(), expected, "{secs}");
        let (mut alerts, position) = (Vec::new(), at(line.seq));
        tried.see(&Seen::new(position, second(secs), &event), &mut line.memory, &mut alerts);
        assert_eq!(alerts.len(), expected, "the other at {secs}");
    }
}

#[test]
fn beyond_the_room_those_are_forgotten_who_were_heard_longest_ago_and_it_is_told() {
    let mut line = Line::new("baseline: {by: user, learn: 1d, above: 1, at_least: 1}");
    line.memory = Memory::default().with_usual_of(20);
    for nth in 0..40 {
        line.see(nth * HOUR, &format!(r#""user":"u{nth}""#));
        assert!(line.memory.len() <= 20);
    }
    line.see(3 * DAY, r#""user":"u39""#);
    assert_eq!(line.see(3 * DAY + 1, r#""user":"u39""#), 1, "still known");
    line.see(3 * DAY, r#""user":"u0""#);
    assert_eq!(line.see(3 * DAY + 1, r#""user":"u0""#), 0, "learned anew");
    line.see(4 * DAY, r#""user":"u0""#);
    let forgotten: u64 = line.told.iter().map(|learned| learned.missed.forgotten).sum();
    assert!((20..=30).contains(&forgotten), "{forgotten}");
}

#[test]
fn a_block_that_is_wrong_says_where_and_why() {
    let told = |block: &str| {
        let parsed = parse(&with(&format!("baseline: {block}")), "r.yml");
        let problem = &parsed.errors[0];
        format!("{}:{} {}", problem.line, problem.column, problem.message)
    };
    assert_eq!(told("{sums: bytes}"), "6:14 unknown key 'sums' in baseline; did you mean 'sum'?");
    assert!(told("{every: 7h}").contains("a day holds it a whole number of times"));
    assert!(told("{every: 0}").contains("at least 1m"));
    assert!(told("{every: 30s}").contains("at least 1m"));
    assert!(told("{every: 2d}").contains("'every' is at most 1d, not '2d'"));
    assert!(told("{learn: 0}").contains("are whole days"));
    assert!(told("{learn: 36h}").contains("are whole days"));
    assert!(told("{learn: 9d, remember: 8d}").contains("no longer than 'remember'"));
    assert!(told("{remember: 91d}").contains("at most 90d"));
    assert!(told("{sum: [a, b]}").contains("'sum' is one field"));
    assert!(told("{above: 0}").contains("from 1 to 1000"));
    assert!(told("often").contains("is a map of by, sum, every, above, at_least, learn, remember"));
}
