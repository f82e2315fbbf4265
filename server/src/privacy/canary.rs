//! Planted values through the whole line: sealed at rest, seen by the rules, found by equality, gone after
//! an erasure.

use crate::{
    folder::{Folder, Opened, append_facts, system},
    pipeline::{
        detector::{Detector, activate, for_each_fact},
        follow::catch_up,
        indexer::Indexer,
        intake::StoreIntake,
        replay,
        tolerant::Tolerant,
    },
    privacy::cases::Cases,
};
use bytes::Bytes;
use custos_detect::{Ruleset, parse};
use custos_event::{
    Actor, Alert, Fact, LogId, Partition, Seq, Timestamp, commit::LogReader as _, sealed,
};
use custos_ingest::{
    Batch, Intake as _,
    decode::{Decoder, SourceType},
};
use custos_search::{Query, SearchRequest};
use custos_store::{VerifyOptions, verify};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

const NAME: &str = "Annegret Kanarienvogel";
const MAIL: &str = "annegret.canary@example.org";
const CARD: &str = "4111111111111111";
const PLANTED: [&str; 3] = [NAME, MAIL, CARD];

/// Sees the planted address in clear, and repeats it as an entity and as what matched.
const RULE: &str = "
title: canary
id: 11111111-2222-4333-8444-555555555556
logsource: {product: custos, category: payment}
detection: {mail: {user.email|endswith: 'canary@example.org'}, condition: mail}
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

    fn pay(&self) {
        let options = self.opened.decoding(SourceType::Payment, "test:pay".into()).unwrap();
        let mut decoder = Decoder::new(Arc::clone(&self.opened.table), options);
        let raw = format!(
            r#"{{"id":"p1","amount":5,"customer":{{"id":"c-1","name":"{NAME}","email":"{MAIL}"}},"message":"card {CARD}"}}"#
        );
        let other = r#"{"id":"p2","amount":5,"customer":{"id":"c-2","email":"ben@example.org"}}"#;
        let now = Timestamp::from_secs(1_795_507_200);
        let events =
            [raw.as_str(), other].map(|raw| decoder.decode(Bytes::from(raw.to_owned()), now));
        let intake = StoreIntake::new(self.opened.store.clone(), Arc::clone(&self.opened.table));
        intake.submit_blocking(Batch::new(LogId::TELEMETRY, events.into())).unwrap();
    }

    fn ruleset(&self) -> Arc<Ruleset> {
        let parsed = parse(RULE, "canary.yml");
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        Arc::new(Ruleset::compile(&parsed.rules, &self.opened.table))
    }

    fn detect(&self) -> Vec<Alert> {
        let (store, journal) = (&self.opened.store, self.opened.journal().unwrap());
        let (ruleset, cursor) = (self.ruleset(), journal.evaluated().unwrap());
        activate(store, journal.ruleset().unwrap(), &ruleset, 0).unwrap();
        let mut detector = Detector::new(store.clone(), ruleset, &journal).unwrap();
        catch_up(store, &self.opened.table, &cursor, &mut detector).unwrap();
        self.opened.journal().unwrap().alerts(usize::MAX).unwrap()
    }

    fn found(&self, text: &str) -> usize {
        let index = self.opened.open_index().unwrap();
        let mut indexer = Indexer::new(&index, &self.opened.store).unwrap();
        catch_up(&self.opened.store, &self.opened.table, &index.cursor(), &mut indexer).unwrap();
        let keyring = self.opened.store.keyring();
        let query = Query::parse(text).unwrap().with_sealed(|value| keyring.find_value(value));
        let log = Tolerant::new(&self.opened.store);
        index.search(&query, &SearchRequest::default(), &log).unwrap().hits.len()
    }

    /// Everything that the log holds, decrypted.
    fn log_text(&self) -> String {
        let mut text = String::new();
        for log in [LogId::TELEMETRY, LogId::JOURNAL] {
            let mut each = |_, bytes: Bytes| {
                text.push_str(&String::from_utf8_lossy(&bytes));
                true
            };
            let all = (Seq(0), Seq(u64::MAX));
            self.opened.store.scan(log, Partition::default(), all.0, all.1, &mut each).unwrap();
        }
        text
    }

    fn erase(&self) {
        let journal = self.opened.journal().unwrap();
        let clock = Arc::new(crate::clock::SystemClock);
        let cases = Cases::open(&self.opened.store, &journal, clock).unwrap();
        let user = |name: &str| Actor::User { name: name.into() };
        let (subject, _) = cases.request(&user("lin"), "c-1", "letter".into()).unwrap();
        cases.approve(&user("wei"), &subject).unwrap();
    }
}

fn assert_no_file_holds_a_planted_value(dir: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += assert_no_file_holds_a_planted_value(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for planted in PLANTED {
            let held = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
            assert!(!held, "{planted} in {}", path.display());
        }
        files += 1;
    }
    files
}

#[test]
fn planted_values_are_nowhere_at_rest_and_still_detected_and_found() {
    let node = Node::new();
    node.pay();
    let alerts = node.detect();
    assert_eq!(alerts.len(), 1, "the rule saw it in clear");
    assert!(sealed::is_sealed(&alerts[0].matched[0].value), "{:?}", alerts[0].matched);
    assert_eq!(node.found("*"), 2);
    for text in [MAIL, "Annegret.Canary@Example.org"] {
        assert_eq!(node.found(&format!("user.email:\"{text}\"")), 1, "{text}");
    }
    assert_eq!(node.found(&format!("not user.email:\"{MAIL}\"")), 1);
    assert_eq!(node.found("user.email:annegret*"), 0, "a part is not searchable");
    for text in [format!("user.email:\"{MAIL}\" and *"), format!("not (user.email:{MAIL}) or a:b")]
    {
        let recorded = crate::privacy::recorded(&node.opened.store, &text);
        assert!(!recorded.contains(MAIL) && recorded.contains("prv_"), "{recorded}");
        assert_eq!(node.found(&recorded), node.found(&text), "{recorded}");
    }
    let text = node.log_text();
    assert!(PLANTED.iter().all(|planted| !text.contains(planted)), "{text}");
    assert!(text.contains("prv_") && text.contains("tok_"));
    let dir = node.dir.path().to_owned();
    node.opened.store.close().unwrap();
    drop(node.opened);
    let files = assert_no_file_holds_a_planted_value(&dir);
    assert!(files > 8, "log, keys, sled and tantivy: {files} files");
}

#[test]
fn after_an_erasure_the_log_verifies_and_a_replay_tells_what_it_could_not_read() {
    let node = Node::new();
    node.pay();
    assert_eq!(node.detect().len(), 1);
    let before = replay::compare(&node.opened, Some(node.ruleset())).unwrap();
    assert_eq!((before.same, before.unreadable, before.differs()), (1, 0, false), "{before:?}");
    let roots = |node: &Node| {
        let reports = verify(node.dir.path(), &VerifyOptions::default()).unwrap();
        assert!(reports.iter().all(custos_store::LogReport::is_ok), "{reports:?}");
        reports.iter().find(|report| report.log == LogId::TELEMETRY).map(|report| report.root)
    };
    let root = roots(&node);
    node.erase();
    assert_eq!(root, roots(&node), "no record was touched");
    let after = replay::compare(&node.opened, Some(node.ruleset())).unwrap();
    assert!(after.unreadable >= 2 && after.differs(), "{after:?}");
    assert_eq!(node.found(&format!("user.email:\"{MAIL}\"")), 0);
    assert_eq!(node.found("user.email:\"ben@example.org\""), 1);
    // The start after it finds the same.
    let fact = vec![Fact::Started { version: "1".into() }];
    append_facts(&node.opened.store, &system("store"), fact).unwrap();
    let mut erased = 0;
    for_each_fact(&node.opened.store, |_, envelope| {
        erased += usize::from(matches!(envelope.fact, Fact::Erasure { .. }));
    })
    .unwrap();
    assert_eq!(erased, 3);
}
