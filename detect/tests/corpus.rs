//! The public rules on real events, against what their authors and a peer say.

mod common;

use common::{Bench, ids, lines, peer_rules, public_rules, real_data};
use custos_detect::parse;
use custos_event::Shape;
use std::collections::{BTreeMap, BTreeSet};

/// `file<TAB>+ or -<TAB>rule id<TAB>count`: our matches beyond the peer's, and its beyond ours. Each is
/// explained in docs/detection.md.
const DIFFERENCES: &str = include_str!("differences.tsv");

const FILES: [(&str, Shape); 3] = [
    ("cloudtrail", Shape::CloudTrail),
    ("windows-evtx-raw", Shape::EvtxJson),
    ("windows-nxlog-flat", Shape::NxlogFlat),
];

#[test]
fn every_live_public_rule_is_accepted() {
    let Some(data) = real_data() else { return };
    let files = public_rules(&data);
    assert_eq!(files.len(), 3_780);
    let refused: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| {
            parse(text, path).errors.into_iter().map(move |error| format!("{path}: {error:?}"))
        })
        .collect();
    assert_eq!(refused, [] as [String; 0]);
}

#[test]
fn each_regression_case_is_matched_by_its_rule() {
    let Some(data) = real_data() else { return };
    let mut bench = Bench::new();
    let files = public_rules(&data);
    let rules: Vec<_> = files.iter().flat_map(|(path, text)| parse(text, path).rules).collect();
    let mut engine = bench.engine(&rules);
    let cases = lines(data.join("expected/sigma-regression.jsonl.gz"));
    assert_eq!(cases.len(), 98);
    for case in cases {
        let case: serde_json::Value = serde_json::from_str(&case).unwrap();
        let rule = case["rule_id"].as_str().unwrap();
        let matched = case["events"].as_array().unwrap().iter().any(|event| {
            let event = bench.event(Shape::EvtxJson, &event.to_string());
            ids(&mut engine, &event).iter().any(|id| id == rule)
        });
        assert!(matched, "{}", case["rule_path"]);
    }
}

#[test]
fn matches_differ_from_the_peers_only_as_explained() {
    let Some(data) = real_data() else { return };
    let mut found = String::new();
    let mut bench = Bench::new();
    let mut engine = bench.engine(&peer_rules(&data));
    for (file, shape) in FILES {
        let mut ours = BTreeSet::new();
        for (n, line) in lines(data.join(format!("events/{file}.jsonl.gz"))).iter().enumerate() {
            let event = bench.event(shape, line);
            ours.extend(ids(&mut engine, &event).into_iter().map(|id| format!("{n}\t{id}")));
        }
        let theirs: BTreeSet<String> =
            lines(data.join(format!("expected/{file}.rsigma.tsv.gz"))).into_iter().collect();
        let mut counts: BTreeMap<(char, &str), u32> = BTreeMap::new();
        for (sign, more, less) in [('+', &ours, &theirs), ('-', &theirs, &ours)] {
            for only in more.difference(less) {
                *counts.entry((sign, only.split_once('\t').unwrap().1)).or_default() += 1;
            }
        }
        for ((sign, id), count) in counts {
            found.extend([file, "\t", &sign.to_string(), "\t", id, "\t"]);
            found.extend([&*count.to_string(), "\n"]);
        }
    }
    assert_eq!(found, DIFFERENCES);
}

/// The flat files carry `product`, `service` and `category` from their conversion.
#[test]
fn hints_left_in_the_data_change_nothing() {
    let Some(data) = real_data() else { return };
    let mut bench = Bench::new();
    let mut engine = bench.engine(&peer_rules(&data));
    for (file, shape) in [FILES[0], FILES[2]] {
        for line in lines(data.join(format!("events/{file}.jsonl.gz"))).iter().step_by(7) {
            let mut stripped: serde_json::Value = serde_json::from_str(line).unwrap();
            for hint in ["product", "service", "category"] {
                stripped.as_object_mut().unwrap().remove(hint);
            }
            let (with, without) =
                (bench.event(shape, line), bench.event(shape, &stripped.to_string()));
            assert_eq!(ids(&mut engine, &with), ids(&mut engine, &without), "{line}");
        }
    }
}

#[test]
fn the_engine_agrees_with_the_naive_reading_on_real_events() {
    let Some(data) = real_data() else { return };
    let mut bench = Bench::new();
    let rules = peer_rules(&data);
    let mut engine = bench.engine(&rules);
    let more = [("zeek", Shape::Zeek), ("suricata-eve", Shape::SuricataEve)];
    for (file, shape) in FILES.into_iter().chain(more) {
        let lines = lines(data.join(format!("events/{file}.jsonl.gz")));
        let step = lines.len() / 25;
        for line in lines.iter().step_by(step) {
            let event = bench.event(shape, line);
            let naive = |rule: &&custos_detect::Rule| {
                custos_detect::naive::matches(rule, &event, &bench.table)
            };
            let mut expected: Vec<String> =
                rules.iter().filter(naive).map(|rule| rule.id.to_string()).collect();
            expected.sort();
            assert_eq!(ids(&mut engine, &event), expected, "{line}");
        }
    }
}
