//! The views are folds: where a run stops and goes on, and whether the catalog is there, makes no difference.

use super::follower::{Views, ViewsFollower};
use crate::{
    folder::{Folder, Opened, append_facts, system},
    pipeline::{
        follow::{Projection as _, catch_up},
        intake::StoreIntake,
    },
};
use bytes::Bytes;
use custos_event::{
    Actor, Alert, AlertId, Entity, EntityKind, Fact, LogId, Parser, RuleId, Timestamp,
    respond::{AlertRef, IncidentEvent, IncidentId, Verdict},
};
use custos_ingest::{
    Batch, Intake as _,
    decode::{Decoder, SourceType},
};
use proptest::{prelude::*, sample::select};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

/// One thing that reaches the log.
#[derive(Clone, Debug)]
enum Step {
    Events { source: &'static str, good: u8, bad: u8 },
    Alert(u8),
    Acknowledge(u8),
    Judge(u8, Verdict),
    Incident(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = select(vec![Verdict::TruePositive, Verdict::FalsePositive, Verdict::Benign]);
    prop_oneof![
        (select(&["kafka:doors", "http:x"][..]), 0..4_u8, 0..3_u8)
            .prop_map(|(source, good, bad)| Step::Events { source, good, bad }),
        (0..6_u8).prop_map(Step::Alert),
        (0..6_u8).prop_map(Step::Acknowledge),
        (0..6_u8, verdict).prop_map(|(n, verdict)| Step::Judge(n, verdict)),
        (0..6_u8).prop_map(Step::Incident),
    ]
}

fn alert(n: u8) -> Alert {
    let value = format!("user{}", n % 3);
    Alert {
        id: AlertId([n; 16]),
        rule: RuleId(format!("rule{}", n % 2).into()),
        rule_version: "1".into(),
        title: format!("alert {n}"),
        title_zh: String::new(),
        level: "high".into(),
        risk: None,
        tags: Vec::new(),
        time: Timestamp::from_secs(i64::from(n)),
        events: Vec::new(),
        matched: Vec::new(),
        entities: vec![Entity { kind: EntityKind::User, value }],
    }
}

fn reference(n: u8) -> AlertRef {
    let Alert { id, rule, title, title_zh, level, time, entities, .. } = alert(n);
    let at = "journal/0/0".parse().unwrap();
    AlertRef { id, at, rule, title, title_zh, level, time, entities }
}

impl Step {
    fn fact(&self) -> Option<Fact> {
        Some(match self {
            Self::Events { .. } => return None,
            Self::Alert(n) => Fact::AlertRaised(alert(*n)),
            Self::Acknowledge(n) => Fact::AlertAcknowledged { alert: alert(*n).id },
            Self::Judge(n, verdict) => {
                Fact::AlertJudged { alert: alert(*n).id, verdict: *verdict, reason: "seen".into() }
            }
            Self::Incident(n) => Fact::Incident {
                incident: IncidentId(u32::from(*n)),
                event: IncidentEvent::AlertAdded { alert: reference(*n) },
            },
        })
    }
}

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

    fn restart(self) -> Self {
        self.opened.store.close().unwrap();
        drop(self.opened);
        let opened = Folder::chosen(Some(self.dir.path().into())).open(false).unwrap();
        Self { dir: self.dir, opened }
    }

    fn append(&self, step: &Step) {
        if let Some(fact) = step.fact() {
            let ann = Actor::User { name: "ann".into() };
            let actor = if matches!(fact, Fact::AlertRaised(_)) { system("detect") } else { ann };
            append_facts(&self.opened.store, &actor, vec![fact]).unwrap();
        } else if let Step::Events { source, good, bad } = step {
            let options = self.opened.decoding(SourceType::Door, (*source).into()).unwrap();
            let mut decoder = Decoder::new(Arc::clone(&self.opened.table), options);
            let good =
                (0..*good).map(|n| format!(r#"{{"time":"2026-11-24T08:00:00Z","door":"d{n}"}}"#));
            let bad = (0..*bad).map(|n| format!("garbage {n}"));
            let received = |n: i64| Timestamp::from_secs(1_795_507_200 + 40 * n);
            let events = (0..).zip(good.chain(bad));
            let events =
                events.map(|(n, raw)| decoder.decode(Bytes::from(raw), received(n))).collect();
            let intake =
                StoreIntake::new(self.opened.store.clone(), Arc::clone(&self.opened.table));
            intake.submit_blocking(Batch::new(LogId::TELEMETRY, events)).unwrap();
        }
    }

    fn views(&self) -> Views {
        Views::open(self.opened.journal().unwrap().catalog(), &self.opened.store).unwrap()
    }

    /// Up to the log's end, as a clean stop leaves them.
    fn follow(&self) -> Views {
        let views = self.views();
        let mut follower = ViewsFollower::new(&views);
        let cursor = views.cursor();
        catch_up(&self.opened.store, &self.opened.table, &cursor, &mut follower).unwrap();
        views
    }

    /// Takes what is there and is killed before it is saved.
    fn follow_and_die(&self) {
        let views = self.views();
        let mut follower = ViewsFollower::new(&views);
        let mut parser = Parser::new(Arc::clone(&self.opened.table));
        let mut log = self.opened.store.follow(&views.cursor());
        let commits = log.next(1_000, usize::MAX, Duration::ZERO).unwrap();
        follower.take(&commits, &mut parser).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fold_of_all_is_a_fold_of_a_part_a_restart_and_a_fold_of_the_rest(
        parts in prop::collection::vec((prop::collection::vec(step(), 0..8), any::<bool>()), 1..4),
    ) {
        let mut node = Node::new();
        for (steps, dies) in &parts {
            for step in steps {
                node.append(step);
            }
            if *dies {
                node.follow_and_die();
            } else {
                drop(node.follow());
            }
            node = node.restart();
        }
        let in_parts = node.follow().read().clone();
        node = node.restart();
        std::fs::remove_dir_all(node.opened.folder.catalog()).unwrap();
        let at_once = node.follow().read().clone();
        prop_assert_eq!(&in_parts, &at_once);
        let events: u64 = at_once.sources.iter().map(|(_, counts)| counts.received()).sum();
        prop_assert_eq!(events, node.opened.store.next_seq(LogId::TELEMETRY, custos_event::Partition(0)).0);
    }
}

#[test]
fn an_alert_is_open_until_somebody_takes_it_and_closed_by_the_newest_verdict() {
    use super::board::Status::{Acknowledged, Closed, Open};
    let node = Node::new();
    let id = alert(1).id;
    let status = |views: &Views| views.read().board.get(id).map(super::board::Row::status);
    assert_eq!(status(&node.follow()), None);
    for (step, expected) in [
        (Step::Alert(1), Open),
        (Step::Acknowledge(1), Acknowledged),
        (Step::Judge(1, Verdict::FalsePositive), Closed),
        (Step::Judge(1, Verdict::TruePositive), Closed),
    ] {
        node.append(&step);
        assert_eq!(status(&node.follow()), Some(expected));
    }
    let views = node.follow();
    let folded = views.read();
    let hits = folded.hits.get(&alert(1).rule);
    assert_eq!((hits.hits, hits.verdicts.true_positive, hits.verdicts.false_positive), (1, 1, 0));
    let means = folded.board.means(Timestamp(0));
    assert!(means.detect.secs().is_some() && means.acknowledge.secs() <= means.resolve.secs());
}

#[test]
fn each_minute_has_its_own_count_and_rejected_events_are_received_too() {
    let node = Node::new();
    node.append(&Step::Events { source: "kafka:doors", good: 3, bad: 2 });
    let views = node.follow();
    let folded = views.read();
    let counts = folded.sources.get("kafka:doors").unwrap();
    assert_eq!((counts.received(), counts.stored, counts.rejected), (5, 3, 2));
    // Received at 0, 40, 80, 120 and 160 s of a full minute.
    let now = Timestamp::from_secs(1_795_507_200 + 179);
    assert_eq!(counts.per_minute(now, 5), [0, 0, 2, 1, 2]);
}
