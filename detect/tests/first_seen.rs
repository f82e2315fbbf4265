//! What is new, rare or impossible: learned first, raised once, the same after a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{
    DAY, HOUR, at,
    line::{Line, why},
    rule, second, with,
};
use custos_detect::{Memory, Ruleset, Seen, Watch, parse};
use custos_event::{ParsedEvent, ValueRef};
use std::sync::Arc;

#[test]
fn a_value_is_new_once_for_each_whose_values_were_learned() {
    let mut line = Line::new("first_seen: {value: country, by: user, learn: 7d, remember: 30d}");
    for day in 0..7 {
        assert_eq!(line.see(day * DAY, r#""user":"mia","country":"DE""#), 0, "day {day}");
    }
    assert_eq!(line.see(6 * DAY, r#""user":"mia","country":"FR""#), 0, "still learning");
    let event = line.event(7 * DAY, r#""user":"Mia","country":"KP""#);
    let alerts = line.show(7 * DAY, &event);
    let expected = [
        ("s", "f", "'a'", "a"),
        ("first_seen", "country", "≤ 1 / 30d", "KP"),
        ("by", "user", "", "Mia"),
    ];
    assert_eq!(why(&alerts[0]), expected);
    assert_eq!(line.see(7 * DAY + 1, r#""user":"mia","country":"kp""#), 0, "case does not count");
    assert_eq!(line.see(8 * DAY, r#""user":"li","country":"KP""#), 0, "li is only learned");
    assert_eq!(line.see(8 * DAY, r#""user":"mia","country":"FR""#), 0, "learned on day 6");
    assert_eq!(line.see(8 * DAY, r#""user":"mia""#), 0, "no value is no new value");
    assert_eq!(line.see(38 * DAY, r#""user":"mia","country":"KP""#), 1, "forgotten after 30 days");
}

#[test]
fn without_learning_the_first_value_of_all_is_raised_and_rare_ones_so_often() {
    let mut line = Line::new("first_seen: {value: [host, share], learn: 0, at_most: 3}");
    let raised: Vec<_> =
        (0..5).map(|nth| line.see(nth * HOUR, r#""host":"h","share":"s""#)).collect();
    assert_eq!(raised, [1, 1, 1, 0, 0]);
    assert_eq!(line.see(5 * HOUR, r#""host":"h","share":"t""#), 1, "another pair");
    assert_eq!(line.see(5 * HOUR, r#""host":"hs","share":"""#), 1, "never run together");
}

#[test]
fn a_value_that_keeps_coming_is_not_forgotten_and_told_seldom() {
    let mut line = Line::new("first_seen: {value: host, learn: 0, remember: 16h}");
    assert_eq!(line.see(0, r#""host":"h""#), 1);
    let told = line.sightings();
    for minute in 1..(40 * 60) {
        assert_eq!(line.see(minute * 60, r#""host":"h""#), 0, "minute {minute}");
    }
    // Counted twice once, then of each of two keys a word an hour.
    let told = line.sightings() - told;
    assert!((60..=84).contains(&told), "{told}");
}

#[test]
fn a_restart_anywhere_changes_nothing() {
    let fields = |nth: i64| format!(r#""user":"u{}","country":"c{}""#, nth % 5, nth * nth % 23);
    let block = "first_seen: {value: country, by: user, learn: 2h, remember: 9h, at_most: 2}";
    let mut whole = Line::new(block);
    let expected: Vec<_> = (0..200).map(|nth| whole.see(nth * 700, &fields(nth))).collect();
    assert!(expected.iter().sum::<usize>() > 20, "{expected:?}");
    let mut broken = Line::new(block);
    for (nth, expected) in (0..).zip(expected) {
        assert_eq!(broken.see(nth * 700, &fields(nth)), expected, "event {nth}");
        broken.restart();
    }
}

#[test]
fn of_a_rule_that_is_tried_in_another_version_both_see_an_event_as_one() {
    let mut line = Line::new("first_seen: {value: host, learn: 0, at_most: 2}");
    let other = with("first_seen: {value: host, learn: 0, at_most: 2}\n  risk: 7");
    let mut tried = Watch::new(Arc::new(Ruleset::compile(&[rule(&other)], &line.bench.table)));
    for (nth, expected) in [(0, 1), (1, 1), (2, 0)] {
        let event = line.event(nth, r#""host":"h""#);
        assert_eq!(line.show(nth, &event).len(), expected);
        let (mut alerts, position) = (Vec::new(), at(line.seq));
        tried.see(&Seen::new(position, second(nth), &event), &mut line.memory, &mut alerts);
        assert_eq!(alerts.len(), expected, "event {nth}");
    }
}

#[test]
fn beyond_its_room_the_memory_lets_go_of_what_was_seen_longest_ago() {
    let mut line = Line::new("first_seen: {value: host, learn: 0}");
    line.memory = Memory::with_room(20);
    for nth in 0..40 {
        assert_eq!(line.see(nth, &format!(r#""host":"h{nth}""#)), 1);
        assert!(line.memory.len() <= 20);
    }
    assert_eq!(line.see(41, r#""host":"h39""#), 0);
    assert_eq!(line.see(42, r#""host":"h0""#), 1, "let go long ago");
}

#[test]
fn what_is_kept_of_a_value_is_what_it_is_kept_as() {
    let mut line = Line::new("first_seen: {value: host, learn: 0}");
    let event = line.event(0, r#""host":"mia""#);
    let mut sighting = |kept: &dyn Fn(&str) -> Option<String>| {
        let mut memory = Memory::default();
        let seen = Seen { kept, ..Seen::new(at(line.seq), second(0), &event) };
        line.watch.see(&seen, &mut memory, &mut Vec::new());
        memory.learned().into_values().next().unwrap().seen().cloned().collect::<Vec<_>>()
    };
    let clear = sighting(&|_| None);
    let sealed = sighting(&|value| (value == "mia").then(|| "prv_1".to_owned()));
    let erased = sighting(&|value| (value == "mia").then(|| "prv_2".to_owned()));
    assert!(clear != sealed && sealed != erased, "without the key nothing says who it was");
}

impl Line {
    /// Somebody's event, with the place that an address was looked up to.
    fn event_at(&mut self, secs: i64, user: &str, (lat, lon): (f64, f64)) -> ParsedEvent {
        let mut event = self.event(secs, &format!(r#""user":"{user}""#));
        for (name, value) in [("lat", lat), ("lon", lon)] {
            let field = self.bench.table.intern(&format!("source.geo.location.{name}"));
            event.enrich(field, ValueRef::Float(value));
        }
        event
    }

    fn is_at(&mut self, secs: i64, user: &str, place: (f64, f64)) -> usize {
        let event = self.event_at(secs, user, place);
        self.show(secs, &event).len()
    }
}

#[test]
fn nobody_is_in_two_places_at_once() {
    let (berlin, potsdam, new_york) = ((52.52, 13.40), (52.39, 13.06), (40.71, -74.0));
    let mut line = Line::new("velocity: {by: user}");
    assert_eq!(line.is_at(0, "mia", berlin), 0);
    assert_eq!(line.is_at(60, "mia", potsdam), 0, "near");
    let event = line.event_at(HOUR, "mia", new_york);
    let alerts = line.show(HOUR, &event);
    let why = alerts[0].matched.last().unwrap();
    assert_eq!((why.selection.as_str(), why.pattern.as_str()), ("velocity", "> 900 km/h"));
    assert_eq!(why.value, "6478 km/h: 52.39,13.06 → 40.71,-74.00, 6370 km");
    assert_eq!(line.is_at(HOUR + 1, "li", berlin), 0, "another");
    assert_eq!(line.is_at(10 * HOUR, "mia", berlin), 0, "in nine hours one can fly");
    assert_eq!(line.is_at(9 * HOUR, "mia", new_york), 1, "an event that comes late");
    assert_eq!(line.is_at(10 * HOUR + 60, "mia", berlin), 0, "the newest place counts");
    assert_eq!(line.is_at(35 * HOUR, "mia", new_york), 0, "a day later nobody remembers");
    assert_eq!(line.see(36 * HOUR, r#""user":"mia""#), 0, "nowhere");
}

#[test]
fn a_place_may_be_one_text() {
    let mut line = Line::new("velocity: {by: user, place: winlog.event_data.at}");
    assert_eq!(line.see(0, r#""user":"mia","at":"52.52,13.4""#), 0);
    assert_eq!(line.see(HOUR, r#""user":"mia","at":"?""#), 0);
    assert_eq!(line.see(HOUR, r#""user":"mia","at":"-33.87, 151.21""#), 1);
}

#[test]
fn a_place_is_recalled_after_a_start() {
    let mut line = Line::new("velocity: {by: user, within: 12h}");
    assert!(line.watch.reach() >= Some(12 * HOUR * 1_000_000_000));
    let event = line.event_at(0, "mia", (0.0, 0.0));
    line.show(0, &event);
    line.restart();
    assert_eq!(line.is_at(HOUR, "mia", (60.0, 0.0)), 1);
}

#[test]
fn a_block_that_is_wrong_says_where_and_why() {
    let told = |block: &str| {
        let parsed = parse(&with(block), "r.yml");
        let problem = &parsed.errors[0];
        format!("{}:{} {}", problem.line, problem.column, problem.message)
    };
    assert_eq!(
        told("first_seen: {by: user}"),
        "6:15 'first_seen' has no 'value', as in '[source.ip]'"
    );
    assert_eq!(
        told("first_seen: {values: [a], value: a}"),
        "6:16 unknown key 'values' in first_seen; did you mean 'value'?"
    );
    assert!(told("first_seen: {value: a, remember: 400d}").contains("at most 366d, not '400d'"));
    assert!(told("first_seen: {value: a, learn: 30d}").contains("shorter than 'remember'"));
    assert!(told("first_seen: {value: a, at_most: 0}").contains("from 1 to 100"));
    assert!(told("velocity: {}").contains("'velocity' has no 'by'"));
    assert!(told("velocity: {by: u, within: 2d}").contains("at most 24h"));
    assert!(told("velocity: soon").contains("is a map of by, place, above_kmh, within"));
}
