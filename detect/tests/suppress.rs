//! Suppression: of alike matches one alert, a count of the rest, and the same after a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Bench, at, rule, second, with};
use custos_detect::{Firings, Memory, Ruleset, Seen, Suppressed, Watch, parse};
use custos_event::{Alert, ParsedEvent, Shape};
use std::sync::Arc;

struct Line {
    bench: Bench,
    ruleset: Arc<Ruleset>,
    watch: Watch,
}

impl Line {
    fn new(suppress: &str) -> Self {
        let bench = Bench::new();
        let ruleset = Arc::new(Ruleset::compile(
            &[rule(&with(&format!("suppress: {suppress}")))],
            &bench.table,
        ));
        Self { watch: Watch::new(Arc::clone(&ruleset)), bench, ruleset }
    }

    fn event(&mut self, secs: i64, fields: &str) -> ParsedEvent {
        let json = format!(r#"{{"EventID":1,"Channel":"Security","f":"a"{fields}}}"#);
        let mut event = self.bench.event(Shape::NxlogFlat, &json);
        event.header.time = second(secs);
        event
    }

    /// Shows an event; what it raised.
    fn see(&mut self, seq: u64, secs: i64, fields: &str) -> Vec<Alert> {
        let event = self.event(secs, fields);
        let mut alerts = Vec::new();
        self.watch.see(
            &Seen::new(at(seq), second(secs), &event),
            &mut Memory::default(),
            &mut alerts,
        );
        alerts
    }
}

#[test]
fn alike_matches_raise_one_alert_and_are_counted() {
    let mut line = Line::new("{by: [user, host], within: 10m}");
    let first = line.see(0, 0, r#","user":"mia","host":"h1""#);
    assert_eq!(first.len(), 1);
    for seq in 1..40 {
        let nth = i64::try_from(seq).unwrap();
        assert_eq!(line.see(seq, nth, r#","user":"MIA","host":"h1""#), [], "case does not count");
    }
    assert_eq!(line.see(40, 40, r#","user":"mia","host":"h2""#).len(), 1, "another host");
    assert_eq!(line.see(41, 41, r#","user":"mia""#).len(), 1, "without a host it is like no other");
    assert_eq!(line.see(42, 42, r#","user":"mia""#).len(), 1);
    let held = line.watch.suppressed();
    let expected = Suppressed {
        alert: first[0].id,
        rule: first[0].rule.clone(),
        count: 39,
        last: second(39),
        samples: (1..6).map(at).collect(),
    };
    assert_eq!(held, [expected]);
    assert_eq!(line.watch.suppressed(), [], "said once");
    assert_eq!(line.see(43, 599, r#","user":"mia","host":"h1""#), []);
    assert_eq!(line.see(44, 600, r#","user":"mia","host":"h1""#).len(), 1, "ten minutes are over");
}

#[test]
fn without_fields_all_matches_of_the_rule_are_alike() {
    let mut line = Line::new("{within: 1h}");
    assert_eq!(line.see(0, 0, r#","user":"mia""#).len(), 1);
    assert_eq!(line.see(1, 1, r#","user":"li""#), []);
}

/// What was held back is held back after a restart that recalls the log; what was raised is raised no more.
#[test]
fn a_restart_at_any_event_changes_nothing() {
    let users = ["mia", "li", "mia", "root", "li", "mia", "root", "mia"];
    let fields: Vec<_> = users.iter().map(|user| format!(r#","user":"{user}""#)).collect();
    let secs = |seq: usize| i64::try_from(seq).unwrap() * 25;
    let run = |break_at: Option<usize>| {
        let mut line = Line::new("{by: user, within: 1m}");
        assert_eq!(line.watch.reach(), Some(60_000_000_000));
        let (mut raised, mut held) = (Vec::new(), 0);
        for (seq, fields) in fields.iter().enumerate() {
            if break_at == Some(seq) {
                let mut firings = Firings::new(&line.ruleset);
                for alert in &raised {
                    firings.add(alert);
                }
                line.watch = Watch::new(Arc::clone(&line.ruleset));
                for (seen, fields) in fields_before(&users, seq) {
                    let event = line.event(secs(seen), &fields);
                    line.watch.recall(
                        &Seen::new(at(seen as u64), second(secs(seen)), &event),
                        &mut Memory::default(),
                        &firings,
                    );
                }
            }
            raised.extend(line.see(seq as u64, secs(seq), fields));
            held += line.watch.suppressed().iter().map(|it| it.count).sum::<u64>();
        }
        (raised.iter().map(|alert| alert.id).collect::<Vec<_>>(), held)
    };
    let whole = run(None);
    assert_eq!((whole.0.len(), whole.1), (6, 2));
    for seq in 0..users.len() {
        assert_eq!(run(Some(seq)), whole, "broken off before event {seq}");
    }
}

fn fields_before(users: &[&str], end: usize) -> Vec<(usize, String)> {
    let fields = users.iter().take(end).map(|user| format!(r#","user":"{user}""#));
    fields.enumerate().collect()
}

#[test]
fn what_is_wrong_in_a_suppression_is_told_with_its_place() {
    let told = |suppress: &str| {
        let parsed = parse(&with(&format!("suppress: {suppress}")), "x.yml");
        let errors = parsed.errors.iter();
        errors.map(|it| format!("{}:{} {}", it.line, it.column, it.message)).collect::<Vec<_>>()
    };
    assert_eq!(told("{by: user}"), ["6:13 'suppress' has no 'within', as in '1h'"]);
    assert_eq!(
        told("{witin: 1h}"),
        [
            "6:14 unknown key 'witin' in suppress; did you mean 'within'?",
            "6:13 'suppress' has no 'within', as in '1h'"
        ]
    );
    assert!(told("{within: soon}")[0].contains("'soon' is no time span"));
    assert!(told("{within: 2d}")[0].contains("at most 24h"));
    assert!(told("1h")[0].contains("'suppress' is a map of by, within"));
    let correlation = "title: c\ncorrelation: {type: event_count, rules: [t], group-by: [u], timespan: 1m, condition: {gte: 2}}\ncustos: {suppress: {within: 1h}}\n";
    assert!(parse(correlation, "c.yml").errors[0].message.contains("rules on single events"));
}
