//! More than usual over a real store: raised once, wherever the process ends, and the same in a replay.

use super::Node;
use crate::{
    folder::{append_facts, system},
    pipeline::{
        detector::{Detector, for_each_fact},
        follow::Projection as _,
        replay,
    },
};
use custos_detect::{Ruleset, parse};
use custos_event::{CommitNo, Counted, Envelope, Fact, Parser};
use custos_store::catalog::Catalog;
use std::{sync::Arc, time::Duration};

const DAY_SECS: u32 = 86_400;

/// Somebody who is refused more often than on days before.
const RULE: &str = "
title: refused more than usual
id: 55555555-2222-4333-8444-555555555555
logsource: {product: custos, category: physical_access}
detection: {refused: {custos.access.result: denied}, condition: refused}
level: medium
custos: {baseline: {by: user.name, learn: 2d, above: 2, at_least: 3}}
";

impl Node {
    /// Refusals of one person on a day, each in a commit of its own.
    fn refuse(&self, day: u32, person: u8, times: u32) {
        for nth in 0..times {
            self.append_refusals(&[(day * DAY_SECS + nth, person)]);
        }
    }

    fn counted(&self) -> Vec<Counted> {
        let mut all = Vec::new();
        let add = |_, envelope: Envelope| {
            if let Fact::BaselineCounted { counted, forgotten: 0, late: 0, .. } = envelope.fact {
                all.extend(counted);
            }
        };
        for_each_fact(&self.opened.store, add).unwrap();
        all
    }
}

#[test]
fn more_than_usual_is_raised_once_wherever_the_process_ends() {
    let mut node = Node::new();
    for (day, times, alerts) in [(0, 2, 0), (1, 1, 0), (2, 4, 0), (3, 5, 0), (4, 12, 1)] {
        for nth in 0..times {
            node.append_refusals(&[(day * DAY_SECS + nth, 1)]);
            node.detect_by(RULE, nth % 2 == 0);
            node = node.restart();
            node.detect_by(RULE, false);
        }
        node.refuse(day, 2, 1);
        assert_eq!(node.alerts().len(), alerts, "day {day}");
    }
    let matched = &node.alerts()[0].matched[1];
    assert_eq!((matched.pattern.as_str(), matched.value.as_str()), ("> 2 × 5 / 1h", "11"));
}

#[test]
fn what_was_counted_is_told_once_a_turn_and_stands_in_the_journal_alone() {
    let node = Node::new();
    node.refuse(0, 1, 3);
    let parsed = parse(RULE, "r.yml");
    let (store, table) = (&node.opened.store, &node.opened.table);
    let ruleset = Arc::new(Ruleset::compile(&parsed.rules, table));
    let journal = node.opened.journal().unwrap();
    let cursor = journal.evaluated().unwrap();
    let mut detector = Detector::new(store.clone(), Arc::clone(&ruleset), &journal).unwrap();
    let mut commits = store.follow(&cursor).next(500, usize::MAX, Duration::ZERO).unwrap();
    commits.retain(|commit| commit.log.is_telemetry());
    // The third comes when the turn of the first two is over.
    commits[2].appended_at = commits[2].appended_at.plus_secs(3_600);
    detector.take(&commits, &mut Parser::new(Arc::clone(table))).unwrap();
    detector.settle(true).unwrap();
    let counted = node.counted();
    assert_eq!((counted.len(), counted[0].peak), (1, 2.0), "{counted:?}");
    let known = |node: &Node| node.opened.journal().unwrap().memory().unwrap().len();
    assert_eq!(known(&node), 1);
    drop((detector, journal));
    let node = node.restart();
    let long_ago = Counted { day: counted[0].day - 101, ..counted[0].clone() };
    let fact = Fact::BaselineCounted {
        rule: ruleset.rules()[0].id.clone(),
        from: CommitNo(1),
        to: CommitNo(1),
        counted: vec![long_ago],
        forgotten: 0,
        late: 0,
    };
    append_facts(&node.opened.store, &system("detect"), vec![fact]).unwrap();
    let journal = node.opened.journal().unwrap();
    let rows = || journal.catalog().scan("counted", b"").count();
    assert_eq!((rows(), journal.memory().unwrap().len(), rows()), (2, 1, 1), "too long ago");
    drop(journal);
    let node = node.restart();
    Catalog::delete(&node.dir.path().join("catalog")).unwrap();
    assert_eq!(known(&node), 1, "read from the journal again");
    let compared = replay::compare(&node.opened, Some(ruleset)).unwrap();
    assert!(!compared.differs(), "{compared:?}");
}
