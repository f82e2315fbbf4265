//! An attacker who has every key and writes the log anew, and one who has a bundle and no key: whatever is changed at or
//! below a held checkpoint is found, by `verify` and by the stand-alone verifier. `CUSTOS_LONG=1`: 1,000 of each.

use crate::common::*;
use custos_event::{LogId, Partition, Position, Seq};
use custos_evidence::{
    Checkpoint, Held, Keys, Kind, Report,
    bundle::{Contents, FORMAT, Line, Manifest, Proven, VERSION, Writer},
    hex, note,
};
use custos_store::{Options, Store, VerifyOptions, verify};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::Path;

const RECORDS: usize = 300;
const HELD: usize = 280;

/// The same numbers for the same seed, so that a failure can be seen again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

fn cycles() -> u64 {
    if std::env::var_os("CUSTOS_LONG").is_some() { 1_000 } else { 4 }
}

fn originals() -> Vec<String> {
    (0..RECORDS).map(|n| format!("door {} opened by badge {n}", n % 7)).collect()
}

const WAYS: [&str; 6] = ["edit", "delete", "insert", "swap", "truncate", "re-chain"];

/// What the attacker wants to have been the case.
fn tampered(way: &str, dice: &mut Dice) -> Vec<String> {
    let mut records = originals();
    let at = dice.roll(HELD);
    match way {
        "edit" => records[at] = format!("{} ", records[at]),
        "delete" => drop(records.remove(at)),
        "insert" => records.insert(at, "door 1 opened by nobody".into()),
        "swap" => {
            let other = (at + 1 + dice.roll(HELD - 1)) % HELD;
            records.swap(at, other);
        }
        "truncate" => records.truncate(at),
        "re-chain" => {
            let rest = records.split_off(at);
            records.extend(rest.iter().map(|record| record.replace("badge", "key")));
        }
        other => panic!("{other}"),
    }
    records
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Options { seal: false, ..options() }).unwrap().0
}

/// A log of these records, and the checkpoints after the first `HELD` of them.
fn grow(dir: &Path, records: &[String]) -> Vec<Checkpoint> {
    let store = open(dir);
    let (before, after) = records.split_at(HELD.min(records.len()));
    let mut held = Vec::new();
    for part in [before, after] {
        let texts: Vec<_> = part.iter().map(String::as_str).collect();
        if !texts.is_empty() {
            store.append_blocking(append(LogId::TELEMETRY, &texts)).unwrap();
        }
        if held.is_empty() {
            held = store.checkpoint().unwrap();
        }
    }
    store.append_blocking(append(LogId::JOURNAL, &["\u{1}{\"fact\":{}}"])).unwrap();
    store.close().unwrap();
    held
}

/// A bundle as the server makes it, of a few records, linked to the held size.
fn export(dir: &Path, dice: &mut Dice) -> Vec<u8> {
    let store = open(dir);
    let end = usize::try_from(store.next_seq(LogId::TELEMETRY, Partition(0)).0).unwrap();
    let mut places: Vec<_> = (0..5.min(end)).map(|_| dice.roll(end) as u64).collect();
    places.sort_unstable();
    places.dedup();
    let at = |log, seq| Position { log, partition: Partition(0), seq: Seq(seq) };
    let mut contents = Contents::default();
    let read = |at: Position| store.read(at).unwrap().unwrap();
    for seq in &places {
        contents.add(&read(at(LogId::TELEMETRY, *seq)));
    }
    let (exported_at, exported_by) =
        ("2026-11-25T09:30:00Z", json!({"kind": "user", "name": "lin"}));
    let (records, digest) = (contents.records(), contents.digest());
    let fact = json!({"type": "evidence_exported", "incident": "INC-000001", "records": records, "contents": digest});
    let fact = json!({"at": exported_at, "actor": exported_by, "fact": fact});
    let said = store.append_blocking(append(LogId::JOURNAL, &[&format!("\u{1}{fact}")])).unwrap();
    let export = at(LogId::JOURNAL, said.first.0);
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        subject: "INC-000001".into(),
        exported_at: exported_at.into(),
        exported_by,
        export: export.to_string(),
        custos: "0".into(),
        keys: Vec::new(),
    };
    let heads = store.checkpoint().unwrap();
    let mut bundle = Vec::new();
    let mut writer = Writer::begin(&mut bundle, manifest).unwrap();
    for head in &heads {
        writer.checkpoint(head).unwrap();
        let mut prover = store.prover(head.log().parse().unwrap(), Partition(0)).unwrap().unwrap();
        if head.log() == "telemetry" && head.size > HELD as u64 {
            let path = prover.consistency(HELD as u64, head.size).unwrap();
            writer.consistency("telemetry", (HELD as u64, head.size), &path).unwrap();
        }
    }
    for place in places.iter().map(|seq| at(LogId::TELEMETRY, *seq)).chain([export]) {
        let size = heads.iter().find(|head| head.log() == place.log.to_string()).unwrap().size;
        let mut prover = store.prover(place.log, Partition(0)).unwrap().unwrap();
        let path = prover.inclusion(place.seq.0, size).unwrap().path;
        let position = place.to_string();
        let one = Proven { position: &position, bytes: &read(place), size, path: &path };
        writer.record(&one).unwrap();
    }
    writer.end().unwrap();
    store.close().unwrap();
    bundle
}

/// The original folder, its keys in text, and the held notes.
fn original() -> (tempfile::TempDir, Keys, String, Vec<Checkpoint>) {
    let dir = tempfile::tempdir().unwrap();
    let held = grow(dir.path(), &originals());
    let keys = open(dir.path()).public_keys();
    (dir, Keys::parse(&keys).unwrap(), keys, held)
}

fn kinds(report: &Report) -> Vec<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

fn checked(bundle: &[u8], held: &Held) -> Report {
    custos_evidence::verify(bundle, held).unwrap()
}

#[test]
fn a_log_written_anew_by_who_has_all_keys_is_found_by_a_held_checkpoint() {
    let (dir, keys, text, notes) = original();
    let texts: String = notes.iter().map(|note| note.note.as_str()).collect();
    let held = Held { keys: keys.clone(), checkpoints: notes };
    let with = VerifyOptions { checkpoint: Some((texts, text)), ..VerifyOptions::default() };
    let (mut dice, mut found) = (Dice(7), 0);
    let honest = checked(&export(dir.path(), &mut dice), &held);
    assert!(honest.is_ok() && honest.held == 1, "{:?}", honest.findings);
    assert!(verify(dir.path(), &with).unwrap().iter().all(custos_store::LogReport::is_ok));
    for (cycle, way) in (0..cycles()).flat_map(|cycle| WAYS.map(|way| (cycle, way))) {
        let forged = tempfile::tempdir().unwrap();
        copy_tree(&dir.path().join("keys"), &forged.path().join("keys"));
        grow(forged.path(), &tampered(way, &mut dice));
        let bundle = export(forged.path(), &mut dice);
        let alone = checked(&bundle, &Held { keys: keys.clone(), checkpoints: Vec::new() });
        assert!(alone.is_ok(), "{way}: the forgery is perfect in itself: {:?}", alone.findings);
        let report = checked(&bundle, &held);
        let told = kinds(&report);
        assert!(told == [Kind::Consistency] || told == [Kind::Unlinked], "{cycle} {way}: {told:?}");
        let logs = verify(forged.path(), &with).unwrap();
        assert!(logs.iter().any(|log| !log.is_ok()), "{cycle} {way}: log verify finds nothing");
        found += 1;
    }
    println!("re-chained with every key: {found} forgeries, {found} found");
}

/// The bundle's lines, changed by one who has no key but mends every hash that needs none.
fn changed(way: &str, bundle: &[u8], dice: &mut Dice) -> Vec<u8> {
    let text = std::str::from_utf8(bundle).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.pop();
    let is_record = |line: &&Value| line["type"] == "record";
    let first = lines.iter().position(|line| is_record(&line)).unwrap();
    // The last is the fact of the export.
    let events = lines.len() - first - 1;
    let (at, other) = (first + dice.roll(events), first + dice.roll(events));
    match way {
        "edit" => {
            let bytes = format!("edited {}", dice.roll(1_000));
            let size = lines[at]["size"].as_u64().unwrap();
            let position = lines[at]["position"].as_str().unwrap().to_owned();
            let proven = Proven { position: &position, bytes: bytes.as_bytes(), size, path: &[] };
            let mut forged =
                serde_json::to_value(custos_evidence::bundle::Record::new(&proven)).unwrap();
            forged["type"] = json!("record");
            forged["path"] = lines[at]["path"].clone();
            lines[at] = forged;
        }
        "delete" => drop(lines.remove(at)),
        "insert" => {
            let copy = lines[at].clone();
            lines.insert(other, copy);
        }
        "swap" => {
            let position = lines[at]["position"].take();
            lines[at]["position"] =
                json!(position.as_str().unwrap().replace("telemetry/0/", "telemetry/0/1"));
        }
        "truncate" => lines.truncate(at),
        "re-chain" => {
            let field = ["shown", "exported_by", "exported_at"][dice.roll(3)];
            let line = if field == "shown" { at } else { 0 };
            lines[line][field] = json!("nobody");
        }
        other => panic!("{other}"),
    }
    // As Custos writes: another way to write the same is found already by that.
    let written = |line: Value| {
        let line: Line = serde_json::from_value(line).unwrap();
        serde_json::to_string(&line).unwrap() + "\n"
    };
    let count = lines.len();
    let mut text: String = lines.into_iter().map(written).collect();
    let sha256 = hex(&Sha256::digest(&text));
    text.push_str(&written(json!({"type": "end", "lines": count, "sha256": sha256})));
    text.into_bytes()
}

#[test]
fn a_bundle_changed_by_who_has_no_key_is_found_by_the_key_alone() {
    let (dir, keys, _, _) = original();
    let held = Held { keys, checkpoints: Vec::new() };
    let (mut dice, mut found) = (Dice(11), 0);
    let bundle = export(dir.path(), &mut dice);
    assert!(checked(&bundle, &held).is_ok());
    for (cycle, way) in (0..cycles()).flat_map(|cycle| WAYS.map(|way| (cycle, way))) {
        let report = checked(&changed(way, &bundle, &mut dice), &held);
        let told = kinds(&report);
        assert!(!told.is_empty() && !told.contains(&Kind::Digest), "{cycle} {way}: {told:?}");
        assert!(!told.contains(&Kind::Form), "{cycle} {way}: {:?}", report.findings);
        found += 1;
    }
    println!("bundles mended without a key: {found} forgeries, {found} found");
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_bundle_is_found() {
    let (dir, keys, _, _) = original();
    let held = Held { keys, checkpoints: Vec::new() };
    let bundle = export(dir.path(), &mut Dice(13));
    for at in (0..bundle.len()).step_by(if cycles() > 4 { 1 } else { 17 }) {
        let mut flipped = bundle.clone();
        flipped[at] ^= 1;
        assert!(!checked(&flipped, &held).is_ok(), "byte {at}");
        assert!(!checked(&bundle[..at], &held).is_ok(), "cut at {at}");
    }
}

#[test]
fn a_bundle_under_another_key_or_with_another_nodes_note_is_refused() {
    let (dir, _, _, _) = original();
    let (_, others, _, others_notes) = original();
    let bundle = export(dir.path(), &mut Dice(17));
    let report = checked(&bundle, &Held { keys: others, checkpoints: Vec::new() });
    assert!(kinds(&report).contains(&Kind::Signature), "{:?}", report.findings);
    let keys = Keys::parse(&open(dir.path()).public_keys()).unwrap();
    let report = checked(&bundle, &Held { keys, checkpoints: others_notes });
    assert_eq!(kinds(&report), [Kind::Signature], "{:?}", report.findings);
    assert!(note::parse_all("").unwrap().is_empty());
}
