//! Rules that change while the log grows: each commit is seen by the rules that held for it, live and in a replay.

use super::{CORRELATIONS, Node, RULE};
use crate::{
    folder::operator,
    pipeline::{
        backtest::{self, Trial},
        detector::{Detector, for_each_fact},
        follow::catch_up,
        replay,
        rulebook::{self, Following, Registrar},
    },
    projection::follower::{Views, ViewsFollower},
    rulefiles::RuleFile,
};
use custos_detect::{Ruleset, parse, rulebook::Move};
use custos_event::{Fact, RuleStage};
use std::sync::Arc;

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn file(name: &str, text: &str) -> RuleFile {
    let parsed = parse(text, name);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    RuleFile { path: name.into(), name: name.into(), text: text.into(), parsed }
}

impl Node {
    fn read(&self, files: &[RuleFile]) {
        rulebook::read_files(&self.opened.store, &self.opened.journal().unwrap(), files).unwrap();
    }

    /// A process that takes in all there is.
    fn follow_rules(&self) {
        let journal = self.opened.journal().unwrap();
        let following = Following::open(&self.opened.store, &journal).unwrap();
        let table = &self.opened.table;
        let ruleset = Arc::new(Ruleset::compile(&following.book.live(), table));
        let store = self.opened.store.clone();
        let mut detector =
            Detector::following(store, following, (ruleset, table), &journal).unwrap();
        let cursor = journal.evaluated().unwrap();
        catch_up(&self.opened.store, table, &cursor, &mut detector).unwrap();
    }

    fn move_rule(&self, to: RuleStage, text: Option<&str>) {
        let registrar = Registrar::open(&self.opened.store, &self.opened.journal().unwrap());
        let rule = text.is_none().then(|| custos_event::RuleId(ID.into()));
        let text = text.map(str::to_owned);
        let wanted = Move { rule, to, version: None, text, reason: "tried".into() };
        let moved = registrar.unwrap().move_rules(&operator(), vec![wanted]).unwrap();
        assert!(moved[0].as_ref().unwrap().is_some());
    }

    /// (matches, events named) of every word on rules in shadow.
    fn shadow_matches(&self) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for_each_fact(&self.opened.store, |_, envelope| {
            if let Fact::ShadowMatched { matches, samples, .. } = envelope.fact {
                found.push((matches, samples.len()));
            }
        })
        .unwrap();
        found
    }

    fn replays(&self) -> (u64, u64) {
        let compared = replay::compare(&self.opened, None).unwrap();
        assert!(!compared.differs(), "{compared:?}");
        (compared.same, compared.evaluated_by_others)
    }
}

#[test]
fn a_rule_holds_from_where_it_was_moved_and_not_before() {
    let node = Node::new();
    node.read(&[file("forced.yml", RULE)]);
    node.append(2);
    node.move_rule(RuleStage::Shadow, None);
    node.append(3);
    node.move_rule(RuleStage::Live, None);
    node.append(4);
    node.move_rule(RuleStage::Retired, None);
    node.append(5);
    // One process, long after, sees what a process would have seen then.
    node.follow_rules();
    assert_eq!(node.alerts().len(), 2 + 4);
    assert_eq!(node.shadow_matches(), [(3, 3)]);
    assert_eq!(node.replays(), (6, 0));
}

/// A move is beyond what was evaluated when the process ended: the next one meets it in the log, and must not
/// take it in beforehand.
#[test]
fn a_move_that_was_not_reached_yet_holds_from_its_own_place_after_a_restart() {
    let mut node = Node::new();
    node.read(&[file("forced.yml", RULE)]);
    node.append(1);
    node.follow_rules();
    node.append(2);
    node.move_rule(RuleStage::Retired, None);
    node.append(3);
    node = node.restart();
    // The file has changed meanwhile; it decides nothing any more.
    node.read(&[file("forced.yml", &RULE.replace("forced\n", "other\n"))]);
    node.follow_rules();
    assert_eq!(node.alerts().len(), 1 + 2);
    assert_eq!(node.replays(), (3, 0));
    node.append(1);
    node.follow_rules();
    assert_eq!(node.alerts().len(), 3);
}

#[test]
fn files_hold_for_what_was_not_evaluated_when_they_were_read() {
    let node = Node::new();
    node.append(2);
    node.read(&[file("forced.yml", RULE)]);
    node.follow_rules();
    assert_eq!(node.alerts().len(), 2);
    node.append(1);
    node.read(&[]);
    node.follow_rules();
    assert_eq!(node.alerts().len(), 2, "its file is gone");
    assert_eq!(node.replays(), (2, 0));
}

#[test]
fn correlations_go_on_where_another_rule_is_moved() {
    let whole = Node::new();
    let mut broken = Node::new();
    let files = [file("c.yml", CORRELATIONS)];
    whole.read(&files);
    broken.read(&files);
    for (nth, commit) in super::wandering(40).iter().enumerate() {
        whole.append_refusals(commit);
        broken.append_refusals(commit);
        match nth % 9 {
            2 => broken.move_rule(RuleStage::Live, Some(RULE)),
            5 => broken.move_rule(RuleStage::Retired, None),
            7 => {
                broken.follow_rules();
                broken = broken.restart();
            }
            _ => {}
        }
    }
    whole.follow_rules();
    broken.follow_rules();
    assert!(whole.alerts().len() > 20);
    assert_eq!(broken.alerts(), whole.alerts());
    let raised = whole.alerts().len() as u64;
    assert_eq!((whole.replays(), broken.replays()), ((raised, 0), (raised, 0)));
}

#[test]
fn a_certificate_says_from_where_to_where_a_version_saw_everything() {
    let node = Node::new();
    node.read(&[file("forced.yml", RULE)]);
    node.append(3);
    node.follow_rules();
    let views = || {
        let views = Views::open(node.opened.journal().unwrap().catalog(), &node.opened.store);
        let views = views.unwrap();
        let (mut follower, cursor) = (ViewsFollower::new(&views), views.cursor());
        catch_up(&node.opened.store, &node.opened.table, &cursor, &mut follower).unwrap();
        views
    };
    let certificate = || {
        let views = views();
        let folded = views.read();
        let entry = folded.rulebook.get(&custos_event::RuleId(ID.into())).unwrap();
        let certificate = folded.seen.certificate(&node.opened.store, entry.live_after).unwrap();
        let seen = certificate.events.first().map(|(first, last)| (first.seq.0, last.seq.0));
        assert!(certificate.events.len() < 2, "there is one log");
        (seen, certificate.gaps.len(), certificate.lag)
    };
    assert_eq!(certificate(), (Some((0, 29)), 0, 0));
    let other = RULE.replace("level: high", "level: low");
    node.move_rule(RuleStage::Live, Some(&other));
    assert_eq!(certificate(), (None, 0, 0), "a version that saw nothing yet");
    node.append(2);
    assert_eq!(certificate(), (None, 0, 20));
    node.follow_rules();
    assert_eq!(certificate(), (Some((30, 49)), 0, 0));
}

#[test]
fn a_backtest_finds_what_the_rule_raised_live() {
    let node = Node::new();
    let files = [file("c.yml", CORRELATIONS), file("forced.yml", RULE)];
    node.read(&files);
    for commit in super::wandering(30) {
        node.append_refusals(&commit);
    }
    node.append(7);
    node.follow_rules();
    let all = backtest::Stretch { from: None, to: None, events_max: u64::MAX, secs_max: 60.0 };
    let own: Vec<_> = files.iter().flat_map(|file| file.parsed.rules.clone()).collect();
    let mut trials = [Trial::new(&own, Vec::new(), &node.opened.table)];
    let read = backtest::run(&node.opened.store, &node.opened.table, &mut trials, all).unwrap();
    let [trial] = trials;
    assert!(read.complete && read.damaged == 0);
    assert_eq!(trial.found.matches, node.alerts().len() as u64);
    let newest = backtest::Stretch { events_max: 20, ..all };
    let mut trials = [Trial::new(&own, Vec::new(), &node.opened.table)];
    let read = backtest::run(&node.opened.store, &node.opened.table, &mut trials, newest).unwrap();
    assert_eq!((read.events, trials[0].found.matches), (20, 2), "the newest two commits");
}
