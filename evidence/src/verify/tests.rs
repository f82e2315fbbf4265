//! A bundle made by hand, whole and then changed in every way that somebody without the key can change it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::*;
use crate::{
    bundle::{Proven, Writer},
    note::{origin, public_key, sign},
    proof::Leaves,
    tree::{self, Frontier, Hash},
};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

const AT: &str = "2026-11-26T05:00:00Z";
const EXPORT: &str = "journal/0/2";

/// A log of some records, and what it proves of itself.
struct Log {
    name: &'static str,
    records: Vec<Vec<u8>>,
}

impl Log {
    fn root(&self, at: Leaves) -> Hash {
        let mut frontier = Frontier::default();
        for record in
            &self.records[usize::try_from(at.from).unwrap()..usize::try_from(at.to).unwrap()]
        {
            frontier.add(leaf(record));
        }
        frontier.root()
    }

    fn path(&self, leaves: Option<Vec<Leaves>>) -> Vec<Hash> {
        leaves.unwrap().into_iter().map(|at| self.root(at)).collect()
    }

    fn size(&self) -> u64 {
        self.records.len() as u64
    }

    fn signed(&self, size: u64) -> Checkpoint {
        let key = key();
        let name = origin(&key.verifying_key(), self.name);
        sign(&key, &name, size, self.root(Leaves { from: 0, to: size }))
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn keys() -> Keys {
    let key = key().verifying_key();
    let line = |log| public_key(&origin(&key, log), &key);
    Keys::parse(&[line("journal"), line("telemetry")].join("\n")).unwrap()
}

fn fact(fact: &Value) -> Vec<u8> {
    let envelope = json!({ "at": AT, "actor": { "kind": "user", "name": "mei" }, "fact": fact });
    [&[1], envelope.to_string().as_bytes()].concat()
}

/// Received and happened at 0, from `door`, read by the decoder `json 1`, without fields.
fn event(raw: &str) -> Vec<u8> {
    let front: &[u8] = &[1, 0, 0, 0];
    [front, &[0; 16], b"\x04door\x04json\x01\0\0", raw.as_bytes()].concat()
}

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT.into(),
        version: VERSION,
        subject: "INC-000007".into(),
        exported_at: AT.into(),
        exported_by: json!({ "kind": "user", "name": "mei" }),
        export: EXPORT.into(),
        custos: "0.1.0".into(),
        keys: Vec::new(),
    }
}

/// Two facts, the fact of the export and two of four events.
fn logs() -> (Log, Log) {
    let raws = ["door open", "door held", "door shut", "door forced"];
    let telemetry = Log { name: "telemetry", records: raws.map(event).to_vec() };
    let mut journal = vec![fact(&json!({ "type": "opened" })), fact(&json!({ "type": "closed" }))];
    let mut contents = Contents::default();
    let chosen = journal.iter().chain([&telemetry.records[1], &telemetry.records[3]]);
    chosen.for_each(|record| contents.add(record));
    journal.push(fact(&json!({
        "type": "evidence_exported",
        "incident": "INC-000007",
        "records": contents.records(),
        "contents": contents.digest(),
        "missing": ["telemetry/0/2"],
    })));
    (Log { name: "journal", records: journal }, telemetry)
}

/// The bundle's lines.
fn made() -> Vec<String> {
    let (journal, telemetry) = logs();
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, manifest()).unwrap();
    writer.checkpoint(&journal.signed(3)).unwrap();
    writer.checkpoint(&telemetry.signed(3)).unwrap();
    writer.checkpoint(&telemetry.signed(4)).unwrap();
    let link = telemetry.path(proof::consistency(3, 4));
    writer.consistency("telemetry", (3, 4), &link).unwrap();
    for (log, seq) in
        [(&journal, 0), (&journal, 1), (&telemetry, 1), (&telemetry, 3), (&journal, 2)]
    {
        writer
            .record(&Proven {
                position: &format!("{}/0/{seq}", log.name),
                bytes: &log.records[usize::try_from(seq).unwrap()],
                size: log.size(),
                path: &log.path(proof::inclusion(seq, log.size())),
            })
            .unwrap();
    }
    writer.end().unwrap();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// As somebody writes it who changes lines and makes the end fit them.
fn ended(lines: &[String]) -> Vec<String> {
    let (_, body) = lines.split_last().unwrap();
    let text = body.join("\n") + "\n";
    let end = End { lines: body.len() as u64, sha256: hex(&Sha256::digest(&text)) };
    let end = serde_json::to_string(&Line::End(end)).unwrap();
    [body, &[end]].concat()
}

fn check(lines: &[String], checkpoints: Vec<Checkpoint>) -> Report {
    let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
    verify(text.as_bytes(), &Held { keys: keys(), checkpoints }).unwrap()
}

fn kinds(report: &Report) -> Vec<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

/// One line with one of its values changed, as Custos would have written it.
fn with(lines: &[String], nth: usize, pointer: &str, value: Value) -> Vec<String> {
    let mut lines = lines.to_vec();
    let mut line: Value = serde_json::from_str(&lines[nth]).unwrap();
    *line.pointer_mut(pointer).unwrap() = value;
    lines[nth] = serde_json::to_string(&serde_json::from_value::<Line>(line).unwrap()).unwrap();
    lines
}

#[test]
fn a_whole_bundle_says_what_it_proves() {
    let (_, telemetry) = logs();
    let report = check(&made(), vec![telemetry.signed(3), telemetry.signed(4)]);
    assert_eq!(report.findings, []);
    assert!(report.is_ok());
    assert_eq!((report.facts, report.events, report.held), (2, 2, 2));
    let heads = report.heads.iter().map(|(log, head)| (log.as_str(), head.size));
    assert_eq!(heads.collect::<Vec<_>>(), [("journal", 3), ("telemetry", 4)]);
    assert_eq!(report.missing, ["telemetry/0/2"]);
    assert_eq!(report.manifest, Some(manifest()));
}

#[test]
fn a_bundle_changed_by_who_has_no_key_is_found_out_by_what_was_changed() {
    let lines = made();
    let other = BASE64_OF_ANOTHER;
    for (nth, pointer, value, kind) in [
        (0, "/format", json!("zip"), Kind::Form),
        (0, "/version", json!(2), Kind::Form),
        (0, "/subject", json!("INC-000008"), Kind::Export),
        (0, "/exported_at", json!("2026-11-26T06:00:00Z"), Kind::Export),
        (0, "/exported_by/name", json!("eve"), Kind::Export),
        (0, "/export", json!("journal/0/1"), Kind::Export),
        (4, "/to", json!(5), Kind::Unlinked),
        (4, "/path/0", json!("00".repeat(32)), Kind::Consistency),
        (4, "/path/0", json!("no hash"), Kind::Form),
        (5, "/position", json!("journal/0/1"), Kind::Inclusion),
        (5, "/position", json!("journal/0"), Kind::Form),
        (5, "/bytes", json!(other), Kind::Leaf),
        (5, "/bytes", json!("!"), Kind::Form),
        (5, "/leaf", json!("00".repeat(32)), Kind::Leaf),
        (7, "/size", json!(3), Kind::Inclusion),
        (7, "/path/1", json!("00".repeat(32)), Kind::Inclusion),
        (7, "/path", json!([]), Kind::Inclusion),
        (7, "/shown/raw", json!("door shut"), Kind::Shown),
        (9, "/shown/fact/incident", json!("INC-000008"), Kind::Shown),
    ] {
        let changed = ended(&with(&lines, nth, pointer, value));
        let found = kinds(&check(&changed, Vec::new()));
        assert!(found.contains(&kind), "line {nth} {pointer}: {found:?}");
    }
}

/// A fact that nobody wrote, in base64.
const BASE64_OF_ANOTHER: &str = "AXt9";

#[test]
fn lines_taken_out_put_in_or_moved_are_found_even_if_the_end_fits_them() {
    let lines = made();
    for nth in 0..lines.len() - 1 {
        let mut without = lines.clone();
        without.remove(nth);
        // Without the older checkpoint, its link says something true that nobody asked for.
        if nth != 2 {
            assert!(!check(&ended(&without), Vec::new()).is_ok(), "without line {nth}");
        }
        assert!(!check(&without, Vec::new()).is_ok(), "without line {nth}, the end as it was");
        let mut doubled = lines.clone();
        doubled.insert(nth, lines[nth].clone());
        assert!(!check(&doubled, Vec::new()).is_ok(), "line {nth} twice");
    }
    let mut swapped = lines.clone();
    swapped.swap(5, 6);
    assert_eq!(kinds(&check(&ended(&swapped), Vec::new())), [Kind::Incomplete]);
    assert_eq!(kinds(&check(&lines[..lines.len() - 1], Vec::new())), [Kind::Digest]);
    let more = [lines.clone(), vec![lines[5].clone()]].concat();
    assert_eq!(kinds(&check(&more, Vec::new())), [Kind::Form]);
    assert!(!check(&[], Vec::new()).is_ok());
}

#[test]
fn what_a_line_says_besides_is_found() {
    let mut lines = made();
    lines[5] = lines[5].replacen('{', "{\"note\":1,", 1);
    assert_eq!(kinds(&check(&ended(&lines), Vec::new())), [Kind::Form]);
    let mut lines = made();
    lines[0] = format!(" {}", lines[0]);
    assert_eq!(kinds(&check(&ended(&lines), Vec::new())), [Kind::Form]);
}

#[test]
fn checkpoints_count_by_who_signed_them_and_what_they_continue() {
    let (_, telemetry) = logs();
    let eve = SigningKey::from_bytes(&[8; 32]);
    let name = origin(&key().verifying_key(), "telemetry");
    let of = |size, root| sign(&key(), &name, size, root);
    let forged = sign(&eve, &name, 4, telemetry.root(Leaves { from: 0, to: 4 }));
    let held = |note: &Checkpoint| kinds(&check(&made(), vec![note.clone()]));
    assert_eq!(held(&forged), [Kind::Signature]);
    assert_eq!(held(&of(4, [0; 32])), [Kind::Consistency]);
    assert_eq!(held(&of(3, [0; 32])), [Kind::Consistency]);
    assert_eq!(held(&of(2, telemetry.root(Leaves { from: 0, to: 2 }))), [Kind::Unlinked]);
    assert_eq!(held(&of(5, [0; 32])), [Kind::Unlinked]);
    assert_eq!(held(&of(0, tree::empty())), []);
    let other = sign(&key(), &origin(&key().verifying_key(), "other"), 1, [0; 32]);
    assert_eq!(held(&other), [Kind::Signature]);

    let lines = with(&made(), 3, "/note", json!(forged.note));
    assert!(kinds(&check(&ended(&lines), Vec::new())).contains(&Kind::Signature));
    let twice = with(&made(), 2, "/note", json!(of(4, [0; 32]).note));
    assert!(kinds(&check(&ended(&twice), Vec::new())).contains(&Kind::Consistency));
    let no_note = with(&made(), 2, "/note", json!("hello"));
    assert!(kinds(&check(&ended(&no_note), Vec::new())).contains(&Kind::Form));
}

#[test]
fn a_proof_of_one_record_stands_alone() {
    let (_, telemetry) = logs();
    let path = telemetry.path(proof::inclusion(2, 4));
    let bytes = &telemetry.records[2];
    let record = Record::new(&Proven { position: "telemetry/0/2", bytes, size: 4, path: &path });
    let note = telemetry.signed(4);
    let whole = Proof { record, index: Some(2), root: Some(hex(&note.root)), note: note.note };
    let line = |proof: &Proof| vec![serde_json::to_string(&Line::Proof(proof.clone())).unwrap()];
    let report = check(&line(&whole), Vec::new());
    assert_eq!((report.is_ok(), report.events, report.facts), (true, 1, 0));
    let wrong = [
        Proof { index: Some(1), ..whole.clone() },
        Proof { root: Some("00".repeat(32)), ..whole.clone() },
    ];
    for proof in wrong {
        assert_eq!(kinds(&check(&line(&proof), Vec::new())), [Kind::Inclusion]);
    }
    let bare = Proof { index: None, root: None, ..whole.clone() };
    assert!(check(&line(&bare), Vec::new()).is_ok());
    let within = [made(), line(&whole)].concat();
    assert!(!check(&within, Vec::new()).is_ok());
    let mut second = made();
    second.insert(1, line(&whole).remove(0));
    assert!(kinds(&check(&ended(&second), Vec::new())).contains(&Kind::Form));
}

#[test]
fn findings_beyond_a_hundred_are_counted() {
    let (_, rest) = made().split_first().map(|(a, b)| (a.clone(), b.to_vec())).unwrap();
    let many: Vec<String> = (0..30).flat_map(|_| rest.clone()).collect();
    let report = check(&many, Vec::new());
    assert_eq!(report.findings.len(), FINDINGS_MAX);
    assert!(report.findings_total > 200 && !report.is_ok(), "{}", report.findings_total);
    let shown = report.findings[0].to_string();
    assert_eq!(shown, "form: line 1: it does not begin with a manifest");
}

#[test]
fn a_position_names_the_log_of_its_partition() {
    assert_eq!(place("telemetry/0/12"), Some(("telemetry".into(), 12)));
    assert_eq!(place("telemetry/3/12"), Some(("telemetry/3".into(), 12)));
    for wrong in
        ["telemetry", "telemetry/12", "telemetry/x/12", "telemetry/0/x", "telemetry/70000/1"]
    {
        assert_eq!(place(wrong), None, "{wrong}");
    }
}
