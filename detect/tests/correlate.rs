//! Correlations: edges one by one, a count from scratch as oracle, and a death after any event.

mod common;

use common::Bench;
use custos_detect::{
    Correlator, Firings, Memory, Rule, Ruleset, Seen, Watch,
    correlate::{LATENESS, Limits},
    parse, problems,
};
use custos_event::{
    Alert, EntityKind, LogId, ParsedEvent, Partition, Position, Seq, Shape, Timestamp,
};
use proptest::prelude::*;
use std::sync::Arc;

/// Two rules on doors, and a correlation of the given block over them.
fn rules(correlation: &str) -> Vec<Rule> {
    let text = format!(
        "title: Denied\nid: d\nname: denied\nlogsource: {{product: custos}}\ndetection: {{s: {{result: denied}}, condition: s}}\n---\n\
         title: Granted\nid: g\nname: granted\nlogsource: {{product: custos}}\ndetection: {{s: {{result: granted}}, condition: s}}\n---\n\
         title: C\nid: c\nlevel: high\ncorrelation:\n{correlation}"
    );
    let text = text.replace("result: ", "custos.access.result: ");
    let parsed = parse(&text, "test.yml");
    assert_eq!(parsed.errors, [], "{text}");
    parsed.rules
}

const COUNT: &str = "  type: event_count\n  rules: [denied]\n  group-by: [user.name]\n  timespan: 10s\n  condition: {gte: 3}\n";

struct Line {
    bench: Bench,
    watch: Watch,
    seq: u64,
}

fn position(seq: u64) -> Position {
    Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(seq) }
}

/// A door event at a second.
fn event(bench: &mut Bench, secs: i64, user: &str, door: &str, result: &str) -> ParsedEvent {
    let person =
        if user.is_empty() { String::new() } else { format!(r#","person":{{"name":"{user}"}}"#) };
    let json = format!(r#"{{"door":{{"name":"{door}"}},"result":"{result}"{person}}}"#);
    let mut event = bench.event(Shape::Door, &json);
    event.header.time = Timestamp::from_secs(secs);
    event.header.received = Timestamp::from_secs(secs);
    event
}

impl Line {
    fn new(correlation: &str) -> Self {
        Self::with(&rules(correlation), Limits::default())
    }

    fn with(rules: &[Rule], limits: Limits) -> Self {
        let bench = Bench::new();
        let ruleset = Arc::new(Ruleset::compile(rules, &bench.table));
        let correlator = Correlator::with_limits(Arc::clone(&ruleset), limits);
        Self { bench, watch: Watch::with(correlator, ruleset), seq: 0 }
    }

    fn see(&mut self, event: &ParsedEvent, clock: Timestamp) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.watch.see(
            &Seen::new(position(self.seq), clock, event),
            &mut Memory::default(),
            &mut alerts,
        );
        self.seq += 1;
        alerts
    }

    /// `(second, user, door, result)`, each appended at its own second; what was raised: rule, count, events.
    fn run(&mut self, events: &[(i64, &str, &str, &str)]) -> Vec<String> {
        let mut raised = Vec::new();
        for (secs, user, door, result) in events {
            let event = event(&mut self.bench, *secs, user, door, result);
            for alert in self.see(&event, Timestamp::from_secs(*secs)) {
                let seqs: Vec<_> = alert.events.iter().map(|it| it.seq.to_string()).collect();
                raised.push(format!("{} {}", alert.rule, seqs.join(" ")));
            }
        }
        raised
    }
}

fn check(correlation: &str, events: &[(i64, &str, &str, &str)], raised: &[&str]) {
    assert_eq!(Line::new(correlation).run(events), raised, "{correlation}{events:?}");
}

const NO: &str = "denied";

#[test]
fn a_window_has_both_its_ends_in_it() {
    check(COUNT, &[(0, "a", "x", NO), (5, "a", "x", NO), (10, "a", "x", NO)], &["c 0 1 2"]);
    check(COUNT, &[(0, "a", "x", NO), (5, "a", "x", NO), (11, "a", "x", NO)], &[]);
}

#[test]
fn each_group_counts_for_itself_and_an_event_without_one_not_at_all() {
    let mixed = [(0, "a", "x", NO), (1, "b", "x", NO), (2, "", "x", NO), (3, "A", "x", NO)];
    check(COUNT, &mixed, &[]);
    // Letters' case does not tell two groups apart.
    check(COUNT, &[&mixed[..], &[(4, "a", "x", NO)]].concat(), &["c 0 3 4"]);
    let all = COUNT.replace("  group-by: [user.name]\n", "");
    check(&all, &mixed, &["c 0 1 2"]);
}

#[test]
fn rules_that_are_counted_raise_nothing_themselves_unless_told_to() {
    let events = [(0, "a", "x", NO), (1, "a", "x", "granted")];
    check(COUNT, &events, &["g 1"]);
    check(&format!("{COUNT}  generate: true\n"), &events, &["d 0", "g 1"]);
    check(&format!("{COUNT}generate: true\n"), &events, &["d 0", "g 1"]);
    // A correlation that does not run silences nobody.
    check(&COUNT.replace("[denied]", "[denied, lost]"), &events, &["d 0", "g 1"]);
    check(&COUNT.replace("gte", "lt"), &events, &["d 0", "g 1"]);
}

#[test]
fn a_group_that_goes_on_alerts_once_a_time_span() {
    let events: Vec<_> = (0..30).map(|secs| (secs, "a", "x", NO)).collect();
    // The second alert has no event of the first one's window.
    check(
        COUNT,
        &events,
        &["c 0 1 2", "c 3 4 5 6 7 8 9 10 11 12 13", "c 14 15 16 17 18 19 20 21 22 23 24"],
    );
}

#[test]
fn a_late_event_completes_a_window_it_belongs_to() {
    check(COUNT, &[(100, "a", "x", NO), (109, "a", "x", NO), (104, "a", "x", NO)], &["c 0 1 2"]);
    // An older window than the one that fired, and one that touches it.
    let fired = [(100, "a", "x", NO), (101, "a", "x", NO), (102, "a", "x", NO)];
    let older = [(70, "a", "x", NO), (71, "a", "x", NO), (72, "a", "x", NO)];
    check(COUNT, &[fired, older].concat(), &["c 0 1 2", "c 3 4 5"]);
    let touching = [(90, "a", "x", NO), (93, "a", "x", NO), (95, "a", "x", NO)];
    check(COUNT, &[fired, touching].concat(), &["c 0 1 2"]);
}

#[test]
fn a_clock_ahead_counts_five_minutes_ahead() {
    let mut line = Line::new(COUNT);
    let mut raised = Vec::new();
    for (secs, received) in [(1_000, 0), (2_000, 1), (302, 302)] {
        let mut event = event(&mut line.bench, secs, "a", "x", NO);
        event.header.received = Timestamp::from_secs(received);
        raised = line.see(&event, Timestamp::from_secs(received));
    }
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].time, Timestamp::from_secs(302));
}

#[test]
fn distinct_values_are_counted_and_shown() {
    let spray = "  type: value_count\n  rules: [denied]\n  group-by: [custos.door.name]\n  timespan: 1m\n  condition: {field: user.name, gt: 2}\n";
    check(
        spray,
        &[(0, "a", "x", NO), (1, "A", "x", NO), (2, "b", "x", NO), (3, "b", "x", NO)],
        &[],
    );
    check(
        spray,
        &[(0, "a", "x", NO), (1, "b", "x", NO), (2, "", "x", NO), (3, "c", "x", NO)],
        &["c 0 1 3"],
    );
    let mut line = Line::new(spray);
    for (secs, user) in [(0, "Ann"), (1, "bob")] {
        let event = event(&mut line.bench, secs, user, "X", NO);
        line.see(&event, Timestamp::from_secs(secs));
    }
    let event = event(&mut line.bench, 2, "cy", "X", NO);
    let alert = line.see(&event, Timestamp::from_secs(2)).remove(0);
    let named: Vec<_> = alert.entities.iter().map(|it| (it.kind, it.value.as_str())).collect();
    let user = EntityKind::User;
    assert_eq!(named, [(EntityKind::Door, "X"), (user, "Ann"), (user, "bob"), (user, "cy")]);
    let shown = alert
        .matched
        .iter()
        .map(|it| format!("{} {} {} {}", it.selection, it.field, it.pattern, it.value));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "group-by custos.door.name  X",
            "value_count user.name gt 2 within 1m 3",
            "events   3",
            "rule  denied 3",
            "value user.name  Ann",
            "value user.name  bob",
            "value user.name  cy",
        ]
    );
}

#[test]
fn a_range_and_an_exact_number_are_asked_at_each_event() {
    let eq = COUNT.replace("gte: 3", "eq: 2");
    check(&eq, &[(0, "a", "x", NO), (1, "a", "x", NO), (2, "a", "x", NO)], &["c 0 1"]);
    let range = COUNT.replace("gte: 3", "gt: 1, lte: 3, neq: 2");
    check(&range, &[(0, "a", "x", NO), (1, "a", "x", NO), (2, "a", "x", NO)], &["c 0 1 2"]);
}

#[test]
fn different_rules_meet_in_any_order_or_in_theirs() {
    let both =
        "  type: temporal\n  rules: [denied, granted]\n  group-by: [user.name]\n  timespan: 10s\n";
    let swapped = [(0, "a", "x", "granted"), (1, "b", "x", NO), (2, "a", "x", NO)];
    check(both, &swapped, &["c 0 2"]);
    check(both, &[(0, "a", "x", NO), (11, "a", "x", "granted")], &[]);
    let ordered = both.replace("temporal", "temporal_ordered");
    check(&ordered, &swapped, &[]);
    check(&ordered, &[(0, "a", "x", NO), (10, "a", "x", "granted")], &["c 0 1"]);
    check(&ordered, &[(0, "a", "x", NO), (11, "a", "x", "granted")], &[]);
    // Event time makes the order, not arrival.
    check(&ordered, &[(5, "a", "x", "granted"), (1, "a", "x", NO)], &["c 0 1"]);
}

#[test]
fn an_alias_names_each_rules_own_field() {
    let alias = "  type: temporal\n  rules: [denied, granted]\n  group-by: [who]\n  timespan: 10s\n  \
                 aliases:\n    who: {denied: user.name, granted: custos.door.name}\n";
    check(alias, &[(0, "a", "x", NO), (1, "b", "a", "granted")], &["c 0 1"]);
    let one = alias.replace(", granted: custos.door.name", "");
    check(&one, &[(0, "a", "x", NO), (1, "b", "a", "granted")], &["d 0", "g 1"]);
    let told: Vec<_> = problems(&rules(&one)).into_iter().map(|(_, it)| it.message).collect();
    assert_eq!(told, ["alias 'who' has no field for the rule 'granted'"]);
}

#[test]
fn of_rules_with_one_name_those_of_the_own_file_are_meant() {
    let mut all = rules(COUNT);
    let other = "title: Other\nid: o\nname: denied\nlogsource: {product: custos}\n\
                 detection: {s: {custos.access.result: granted}, condition: s}\n";
    all.extend(parse(other, "other.yml").rules);
    let events = [(0, "a", "x", "granted"), (1, "a", "x", NO), (2, "a", "x", NO)];
    let mut line = Line::with(&all, Limits::default());
    assert_eq!(line.run(&events), ["g 0", "o 0"]);
    assert_eq!(line.run(&[(3, "a", "x", NO)]), ["c 1 2 3"]);
}

#[test]
fn what_cannot_run_says_why_and_where() {
    let told = |block: &str| {
        let rules = rules(block);
        let found: Vec<_> = problems(&rules).into_iter().map(|(_, it)| it).collect();
        found
            .into_iter()
            .map(|it| format!("{}:{} {}", it.line, it.column, it.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(COUNT), [""; 0]);
    let lost = told(&COUNT.replace("[denied]", "[denied, lost]"));
    assert_eq!(
        lost,
        ["18:19 correlation counts the rule 'lost', which is not among the rules read"]
    );
    assert!(told(&COUNT.replace("[denied]", "[c]"))[0].contains("which comes back to it"));
}

#[test]
fn what_is_right_but_not_evaluated_is_a_warning() {
    let check = |from: &str, to: &str, message: &str| {
        let text = format!("title: C\ncorrelation:\n{}", COUNT.replace(from, to));
        let parsed = parse(&text, "x.yml");
        assert_eq!((parsed.errors.len(), parsed.warnings.len()), (0, 1), "{text} {parsed:?}");
        let told = &parsed.warnings[0].message;
        assert!(told.starts_with(message) && told.ends_with("the rule never matches"), "{told}");
        assert!(!parsed.rules[0].is_correlation());
    };
    check("event_count", "chained", "correlations of type 'chained'");
    check("10s", "2d", "'2d' is longer than a day");
    check("gte: 3", "gte: 2001", "2001 is more than the 2000 that are kept");
    check(
        "gte: 3",
        "lt: 3",
        "a condition without gt, gte or eq would hold at a group's first event",
    );
}

#[test]
fn limits_are_kept_and_what_they_cost_is_told() {
    let tight = Limits { entries: 4, group: 2 };
    let mut line = Line::with(&rules(COUNT), tight);
    // Two of a group are kept: the third never counts.
    assert_eq!(line.run(&[(0, "a", "x", NO), (1, "a", "x", NO), (2, "a", "x", NO)]), [""; 0]);
    assert_eq!(line.watch.incomplete()[0].dropped, 1);
    assert_eq!(line.watch.incomplete(), []);
    // Four in all: the oldest go, whoever's they are.
    line.run(&[(3, "b", "x", NO), (4, "c", "x", NO), (5, "d", "x", NO)]);
    assert_eq!(line.watch.incomplete()[0].dropped, 1);
    // What is too old to count is given up in silence.
    line.run(&[(100, "e", "x", NO), (101, "f", "x", NO)]);
    assert_eq!(line.watch.incomplete(), []);
    let mut late = Line::new(COUNT);
    let event = event(&mut late.bench, 0, "a", "x", NO);
    late.see(&event, Timestamp(LATENESS + 1));
    assert_eq!(late.watch.incomplete()[0].late, 1);
}

#[test]
fn a_long_list_of_events_is_cut_in_the_middle() {
    let mut line = Line::new(&COUNT.replace("gte: 3", "gte: 150").replace("10s", "10m"));
    let mut raised = Vec::new();
    for secs in 0..150 {
        let event = event(&mut line.bench, secs, "a", "x", NO);
        raised = line.see(&event, Timestamp::from_secs(secs));
    }
    let alert = raised.remove(0);
    assert_eq!(
        (alert.events.len(), alert.events[98], alert.events[99]),
        (100, position(98), position(149))
    );
    assert_eq!(alert.matched[1].value, "150");
}

/// Counts from scratch at each event: all events so far, no state but the alerts raised.
fn oracle(events: &[(i64, u8, bool)], span: i64, wanted: usize, distinct: bool) -> Vec<Vec<u64>> {
    let mut raised: Vec<(i64, Vec<u64>)> = Vec::new();
    for now in 0..events.len() {
        let (time, user, counts) = events[now];
        if !counts {
            continue;
        }
        let own = |at: &usize| events[*at].2 && (distinct || events[*at].1 == user);
        let so_far: Vec<usize> = (0..=now).filter(own).collect();
        let mut ends: Vec<i64> = so_far.iter().map(|at| events[*at].0).collect();
        ends.sort_unstable();
        let fired = |end: i64, (fired, seqs): &(i64, Vec<u64>)| {
            (distinct || usize::try_from(seqs[0]).is_ok_and(|at| events[at].1 == user))
                && (end - fired).abs() <= span
        };
        for end in ends.into_iter().filter(|end| (time..=time + span).contains(end)) {
            let within = |at: &&usize| (end - span..=end).contains(&events[**at].0);
            let window: Vec<usize> = so_far.iter().filter(within).copied().collect();
            let mut users: Vec<u8> = window.iter().map(|at| events[*at].1).collect();
            users.sort_unstable();
            users.dedup();
            let count = if distinct { users.len() } else { window.len() };
            if count >= wanted && !raised.iter().any(|it| fired(end, it)) {
                raised.push((end, window.into_iter().map(|at| at as u64).collect()));
                break;
            }
        }
    }
    raised.into_iter().map(|(_, seqs)| seqs).collect()
}

fn stream() -> impl Strategy<Value = Vec<(i64, u8, bool)>> {
    // Mostly forward, with late ones and jumps.
    let step = prop_oneof![6 => 0..4_i64, 2 => -12..0_i64, 1 => 10..40_i64];
    let one = (step, 0..3_u8, prop::bool::weighted(0.85));
    prop::collection::vec(one, 1..60).prop_map(|steps| {
        let mut now = 1_000;
        steps
            .into_iter()
            .map(|(step, user, counts)| {
                now += step;
                (now, user, counts)
            })
            .collect()
    })
}

fn door(bench: &mut Bench, (secs, user, counts): (i64, u8, bool)) -> ParsedEvent {
    let name = ["ann", "bob", "cy"][usize::from(user)];
    event(bench, secs, name, "x", if counts { NO } else { "held" })
}

/// Log time: `pace` seconds from event to event.
fn clock_at(nth: usize, pace: i64) -> Timestamp {
    Timestamp::from_secs(2_000 + i64::try_from(nth).unwrap_or(i64::MAX) * pace)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn windows_are_those_that_a_count_from_scratch_finds(
        events in stream(), span in 1..15_i64, wanted in 1..6_usize, distinct: bool,
    ) {
        let block = if distinct {
            format!("  type: value_count\n  rules: [denied]\n  timespan: {span}s\n  condition: {{field: user.name, gte: {wanted}}}\n")
        } else {
            COUNT.replace("10s", &format!("{span}s")).replace("gte: 3", &format!("gte: {wanted}"))
        };
        let mut line = Line::new(&block);
        let mut raised = Vec::new();
        for given in &events {
            let event = door(&mut line.bench, *given);
            let alerts = line.see(&event, Timestamp::from_secs(2_000));
            raised.extend(alerts.into_iter().map(|it| it.events.iter().map(|at| at.seq.0).collect::<Vec<_>>()));
        }
        prop_assert_eq!(raised, oracle(&events, span, wanted, distinct));
    }

    /// A death after any event, and a start that recalls no more than it has to: the same alerts, byte for
    /// byte, as without. Log time runs fast, limits are tight: all that forgets is in play.
    #[test]
    fn a_restart_after_any_event_changes_nothing(
        events in stream(),
        kind in prop::sample::select(vec!["event_count", "value_count", "temporal", "temporal_ordered"]),
        group in 2..9_usize, entries in 3..20_usize, pace in 1..200_i64,
    ) {
        let condition = match kind {
            "event_count" => "  condition: {gte: 3}\n",
            "value_count" => "  condition: {field: user.name, gte: 2}\n",
            _ => "",
        };
        let by = if kind == "value_count" { "custos.door.name" } else { "user.name" };
        let block = format!(
            "  type: {kind}\n  rules: [denied, granted]\n  group-by: [{by}]\n  timespan: 10s\n{condition}"
        );
        let rules = rules(&block);
        let limits = Limits { entries, group };
        let mut bench = Bench::new();
        let events: Vec<ParsedEvent> = events.iter().enumerate().map(|(nth, (secs, user, counts))| {
            let name = ["ann", "bob", "cy"][usize::from(*user)];
            let result = if *counts { NO } else { "granted" };
            let mut event = event(&mut bench, *secs, name, "x", result);
            event.header.received = clock_at(nth, 1);
            event
        }).collect();
        let clock = |nth| clock_at(nth, pace);
        let ruleset = Arc::new(Ruleset::compile(&rules, &bench.table));
        let watch = || Watch::with(Correlator::with_limits(Arc::clone(&ruleset), limits), Arc::clone(&ruleset));
        let run = |watch: &mut Watch, nth: usize, alerts: &mut Vec<Alert>| {
            watch.see(&Seen::new(position(nth as u64), clock(nth), &events[nth]), &mut Memory::default(), alerts);
        };
        let mut whole = Vec::new();
        let mut by_event = Vec::new();
        let mut unbroken = watch();
        for nth in 0..events.len() {
            run(&mut unbroken, nth, &mut whole);
            by_event.push(whole.len());
        }
        for died in 0..events.len() {
            let mut alerts = whole[..by_event[died]].to_vec();
            let mut firings = Firings::new(&ruleset);
            for alert in &alerts {
                firings.add(alert);
            }
            let mut again = watch();
            let from = clock(died).0 - again.reach().unwrap();
            for nth in (0..=died).filter(|nth| clock(*nth).0 >= from) {
                let seen = Seen::new(position(nth as u64), clock(nth), &events[nth]);
                again.recall(&seen, &mut Memory::default(), &firings);
            }
            for nth in died + 1..events.len() {
                run(&mut again, nth, &mut alerts);
            }
            prop_assert_eq!(&alerts, &whole, "died after {}", died);
        }
    }
}
