//! The line from append to alert over a real store: what is raised, once, whatever stops in between.

mod baseline;
mod first_seen;
mod life;
mod stop;
mod suppress;

use super::{
    detector::{Detector, activate},
    follow::{Projection as _, catch_up},
    indexer::Indexer,
    intake::StoreIntake,
    replay,
    tolerant::Tolerant,
};
use crate::folder::{Folder, Opened};
use bytes::Bytes;
use custos_detect::{Ruleset, parse};
use custos_event::{Alert, LogId, Parser, Timestamp};
use custos_ingest::{
    Batch, Intake as _,
    decode::{Decoder, SourceType},
};
use custos_search::{Index, Query, SearchRequest};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

const RULE: &str = "
title: forced
id: 11111111-2222-4333-8444-555555555555
logsource: {product: custos, category: physical_access}
detection: {forced: {custos.access.forced: true}, condition: forced}
level: high
";

struct Node {
    dir: TempDir,
    opened: Opened,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opened = Folder::chosen(Some(dir.path().into())).open(true).unwrap();
        Self { dir, opened }
    }

    /// The process ends and another begins.
    fn restart(self) -> Self {
        self.opened.store.close().unwrap();
        drop(self.opened);
        let opened = Folder::chosen(Some(self.dir.path().into())).open(false).unwrap();
        Self { dir: self.dir, opened }
    }

    /// Commits of ten door events each, the last of them forced.
    fn append(&self, commits: u32) {
        self.append_forced(commits, 10, |nth| nth == 9);
    }

    fn append_forced(&self, commits: u32, events: u32, forced: impl Fn(u32) -> bool) {
        let options = self.opened.decoding(SourceType::Door, "test:doors".into()).unwrap();
        let mut decoder = Decoder::new(Arc::clone(&self.opened.table), options);
        let intake = StoreIntake::new(self.opened.store.clone(), Arc::clone(&self.opened.table));
        for commit in 0..commits {
            let event = |nth: u32| {
                let raw = format!(
                    r#"{{"time":"2026-11-24T08:00:00Z","door":"d{commit}","forced":{}}}"#,
                    forced(nth)
                );
                decoder.decode(Bytes::from(raw), Timestamp::from_secs(1_795_507_200))
            };
            let events = (0..events).map(event).collect();
            intake.submit_blocking(Batch::new(LogId::TELEMETRY, events)).unwrap();
        }
    }

    fn ruleset(&self) -> Arc<Ruleset> {
        let parsed = parse(RULE, "forced.yml");
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        Arc::new(Ruleset::compile(&parsed.rules, &self.opened.table))
    }

    fn detector(&self) -> (Detector, custos_event::Cursor) {
        let journal = self.opened.journal().unwrap();
        let (ruleset, cursor) = (self.ruleset(), journal.evaluated().unwrap());
        activate(&self.opened.store, journal.ruleset().unwrap(), &ruleset, 0).unwrap();
        (Detector::new(self.opened.store.clone(), ruleset, &journal).unwrap(), cursor)
    }

    fn detect(&self) {
        let (mut detector, cursor) = self.detector();
        catch_up(&self.opened.store, &self.opened.table, &cursor, &mut detector).unwrap();
    }

    /// Evaluates and is killed before its word reaches the journal.
    fn detect_and_die(&self) {
        let (mut detector, cursor) = self.detector();
        let mut parser = Parser::new(Arc::clone(&self.opened.table));
        let mut follower = self.opened.store.follow(&cursor);
        let commits = follower.next(5, usize::MAX, Duration::from_secs(5)).unwrap();
        assert!(!commits.is_empty());
        detector.take(&commits, &mut parser).unwrap();
    }

    /// Evaluates by a rule; killed before its word reaches the journal, if it `dies`.
    fn detect_by(&self, rule: &str, dies: bool) {
        let parsed = parse(rule, "forced.yml");
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        let (store, table) = (&self.opened.store, &self.opened.table);
        let ruleset = Arc::new(Ruleset::compile(&parsed.rules, table));
        let journal = self.opened.journal().unwrap();
        activate(store, journal.ruleset().unwrap(), &ruleset, 0).unwrap();
        let cursor = journal.evaluated().unwrap();
        let mut detector = Detector::new(store.clone(), ruleset, &journal).unwrap();
        if dies {
            let commits = store.follow(&cursor).next(500, usize::MAX, Duration::ZERO).unwrap();
            detector.take(&commits, &mut Parser::new(Arc::clone(table))).unwrap();
        } else {
            catch_up(store, table, &cursor, &mut detector).unwrap();
        }
    }

    fn index(&self) -> Index {
        let index = self.opened.open_index().unwrap();
        let mut indexer = Indexer::new(&index, &self.opened.store).unwrap();
        catch_up(&self.opened.store, &self.opened.table, &index.cursor(), &mut indexer).unwrap();
        index
    }

    fn alerts(&self) -> Vec<Alert> {
        self.opened.journal().unwrap().alerts(usize::MAX).unwrap()
    }
}

#[test]
fn each_alert_is_raised_once_however_often_the_detector_dies() {
    let mut node = Node::new();
    for round in 1..=3 {
        node.append(4);
        node.detect_and_die();
        node = node.restart();
        node.detect();
        node.detect();
        assert_eq!(node.alerts().len(), round * 4);
    }
    let mut ids: Vec<_> = node.alerts().iter().map(|alert| alert.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12);
    assert_eq!(&*node.alerts()[0].matched[0].field, "custos.access.forced");
}

/// A flood of alerts in one commit is more than one append takes: part of it goes ahead, and a death in
/// between must not raise that part twice.
#[test]
fn a_flood_in_one_commit_is_raised_whole_and_once() {
    let node = Node::new();
    node.append_forced(1, 5_000, |_| true);
    node.detect_and_die();
    let ahead = node.alerts().len();
    assert!(ahead > 0 && ahead < 5_000, "{ahead} went ahead");
    let node = node.restart();
    assert_eq!(node.opened.journal().unwrap().unfinished().unwrap().len(), ahead);
    node.detect();
    node.detect();
    assert_eq!(node.alerts().len(), 5_000);
    assert!(node.opened.journal().unwrap().unfinished().unwrap().is_empty());
    let compared = replay::compare(&node.opened, Some(node.ruleset())).unwrap();
    assert_eq!((compared.same, compared.differs()), (5_000, false));
}

#[test]
fn a_replay_raises_the_very_alerts_of_the_journal() {
    let node = Node::new();
    node.append(5);
    node.detect();
    let node = node.restart();
    let compared = replay::compare(&node.opened, Some(node.ruleset())).unwrap();
    assert_eq!((compared.same, compared.differs()), (5, false));
}

#[test]
fn projections_that_were_deleted_come_back_the_same() {
    let mut node = Node::new();
    node.append(6);
    node.detect();
    let before = node.alerts();
    for projection in [node.opened.folder.catalog(), node.opened.folder.index()] {
        node = node.restart();
        if projection.exists() {
            std::fs::remove_dir_all(projection).unwrap();
        }
        assert_eq!(node.alerts(), before);
        let index = node.index();
        let query = Query::parse("custos.access.forced:true").unwrap();
        let (count, _) =
            index.count(&query, &SearchRequest::default(), &node.opened.store).unwrap();
        assert_eq!(count, 6);
    }
}

#[test]
fn damage_takes_its_own_events_and_no_others() {
    let node = Node::new();
    node.append(3);
    drop(node.index());
    let node = node.restart();
    node.append(2);
    node.opened.store.wait_sealed();
    drop(node.index());
    node.opened.store.close().unwrap();
    let segment = node.dir.path().join("telemetry/0000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let node = node.restart();
    let log = Tolerant::new(&node.opened.store);
    let mut found = 0;
    let query = Query::parse("custos.door.name:*").unwrap();
    let mut each = |_| {
        found += 1;
        true
    };
    node.index().search_each(&query, &SearchRequest::default(), &log, &mut each).unwrap();
    // The first process' thirty events lie in one block.
    assert_eq!((found, log.lost()), (20, 30));
    node.detect();
    assert_eq!(node.alerts().len(), 2);
}

/// Three refusals of one badge within a minute, and people who are refused at one door.
const CORRELATIONS: &str = "
title: refused
name: refused
id: 22222222-2222-4333-8444-555555555555
logsource: {product: custos, category: physical_access}
detection: {refused: {custos.access.result: denied}, condition: refused}
---
title: refused often
id: 33333333-2222-4333-8444-555555555555
level: high
correlation:
    type: event_count
    rules: refused
    group-by: [user.name]
    timespan: 1m
    condition: {gte: 3}
---
title: many refused
id: 44444444-2222-4333-8444-555555555555
level: high
correlation:
    type: value_count
    rules: [refused]
    group-by: [custos.door.name]
    timespan: 30s
    condition: {field: user.name, gte: 2}
";

impl Node {
    fn correlations(&self) -> Arc<Ruleset> {
        let parsed = parse(CORRELATIONS, "refused.yml");
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        Arc::new(Ruleset::compile(&parsed.rules, &self.opened.table))
    }

    /// One commit of refusals: (second, person).
    fn append_refusals(&self, refusals: &[(u32, u8)]) {
        self.append_refusals_to(LogId::TELEMETRY, refusals);
    }

    fn append_refusals_to(&self, log: LogId, refusals: &[(u32, u8)]) {
        let options = self.opened.decoding(SourceType::Door, "test:doors".into()).unwrap();
        let mut decoder = Decoder::new(Arc::clone(&self.opened.table), options);
        let intake = StoreIntake::new(self.opened.store.clone(), Arc::clone(&self.opened.table));
        let mut event = |(secs, person): &(u32, u8)| {
            let time = Timestamp::from_secs(1_795_507_200 + i64::from(*secs));
            let raw = format!(
                r#"{{"time":"{time}","door":"d{}","person":"p{person}","result":"denied"}}"#,
                person % 2
            );
            decoder.decode(Bytes::from(raw), time)
        };
        let events = refusals.iter().map(&mut event).collect();
        intake.submit_blocking(Batch::new(log, events)).unwrap();
    }

    fn correlate(&self) {
        self.detect_with(CORRELATIONS);
    }

    fn detect_with(&self, rules: &str) {
        let journal = self.opened.journal().unwrap();
        let parsed = parse(rules, "rules.yml");
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        let ruleset = Arc::new(Ruleset::compile(&parsed.rules, &self.opened.table));
        let cursor = journal.evaluated().unwrap();
        activate(&self.opened.store, journal.ruleset().unwrap(), &ruleset, 0).unwrap();
        let mut detector = Detector::new(self.opened.store.clone(), ruleset, &journal).unwrap();
        catch_up(&self.opened.store, &self.opened.table, &cursor, &mut detector).unwrap();
    }
}

/// Commits whose event times wander: steps of a small generator with a fixed start.
fn wandering(commits: usize) -> Vec<Vec<(u32, u8)>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 33).unwrap() % below
    };
    let mut now = 1_000;
    let mut event = || {
        now = now + next(8) - next(3);
        (now, u8::try_from(next(4)).unwrap())
    };
    (0..commits).map(|nth| (0..=nth % 5).map(|_| event()).collect()).collect()
}

#[test]
fn correlations_raise_the_same_alerts_wherever_the_process_ends() {
    // Two of three commits go to the log of a retention class, which has places of its own.
    let log = |nth: usize| if nth.is_multiple_of(3) { LogId::TELEMETRY } else { LogId(2) };
    let commits = wandering(40);
    let whole = Node::new();
    for (nth, commit) in commits.iter().enumerate() {
        whole.append_refusals_to(log(nth), commit);
    }
    whole.correlate();
    let expected = whole.alerts();
    assert!(expected.len() > 20, "{}", expected.len());
    let crosses = |alert: &&Alert| alert.events.iter().any(|at| at.log != alert.events[0].log);
    assert!(expected.iter().filter(crosses).count() > 5, "{expected:?}");
    // A process for every commit: each begins with nothing and recalls.
    let mut broken = Node::new();
    for (nth, commit) in commits.iter().enumerate() {
        broken.append_refusals_to(log(nth), commit);
        broken.correlate();
        broken = broken.restart();
    }
    assert_eq!(broken.alerts(), expected);
    for node in [whole, broken] {
        let compared = replay::compare(&node.opened, Some(node.correlations())).unwrap();
        assert_eq!((compared.same, compared.differs()), (expected.len() as u64, false));
    }
}

/// Two rulesets by turns, as when rules are edited: what one raised the other does not raise again, and a
/// replay of either knows what the other did.
#[test]
fn a_change_of_rules_neither_forgets_nor_repeats_what_correlations_raised() {
    let commits = wandering(40);
    let mut node = Node::new();
    for (nth, commit) in commits.iter().enumerate() {
        node.append_refusals(commit);
        if nth % 2 == 0 {
            node.correlate();
        } else {
            node.detect_with(&[CORRELATIONS, RULE].join("---"));
        }
        node = node.restart();
    }
    let whole = Node::new();
    for commit in &commits {
        whole.append_refusals(commit);
    }
    whole.correlate();
    assert_eq!(node.alerts(), whole.alerts());
    let compared = replay::compare(&node.opened, Some(node.correlations())).unwrap();
    assert!(compared.evaluated_by_others > 0 && !compared.differs(), "{compared:?}");
}
