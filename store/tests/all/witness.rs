//! Checkpoints held elsewhere: the folder must still be able to show what they speak of.

use crate::common::*;
use custos_event::LogId;
use custos_store::{Fault, Store, VerifyOptions, verify};
use std::path::Path;

/// 700 records in two processes; the note of the first 350 and the public keys.
fn folder() -> (tempfile::TempDir, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let (mut note, mut keys) = (String::new(), String::new());
    for round in 0..2 {
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        for n in 0..350 {
            let text = format!("round {round} record {n}");
            store.append_blocking(append(LogId::TELEMETRY, &[&text])).unwrap();
        }
        if round == 0 {
            note = store.checkpoint().unwrap().into_iter().map(|note| note.note).collect();
            keys = store.public_keys();
        }
        store.close().unwrap();
    }
    (dir, note, keys)
}

fn check(dir: &Path, note: &str, keys: &str, expected: &[Fault]) {
    let checkpoint = Some((note.to_owned(), keys.to_owned()));
    let reports = verify(dir, &VerifyOptions { checkpoint, ..VerifyOptions::default() }).unwrap();
    let errors: Vec<_> = reports.iter().flat_map(|report| &report.errors).collect();
    let kinds: Vec<_> = errors.iter().map(|error| error.kind).collect();
    assert_eq!(kinds, expected, "{errors:?}");
}

#[test]
fn a_held_checkpoint_is_borne_out_by_the_log_that_grew_since() {
    let (dir, note, keys) = folder();
    assert!(note.contains("/telemetry\n350\n"), "{note}");
    check(dir.path(), &note, &keys, &[]);
    let both = note.clone() + "\n" + &note;
    check(dir.path(), &both, &keys, &[]);
}

#[test]
fn a_note_that_was_changed_or_is_of_another_log_is_a_signature_fault() {
    let (dir, note, keys) = folder();
    check(dir.path(), &note.replace("\n350\n", "\n351\n"), &keys, &[Fault::Signature]);
    check(dir.path(), "nonsense", &keys, &[Fault::Signature]);
    check(dir.path(), &note, "nonsense", &[Fault::Signature]);
    let (_, other, others_keys) = folder();
    check(dir.path(), &other, &keys, &[Fault::Signature]);
    check(dir.path(), &other, &others_keys, &[Fault::Signature]);
}

/// Whoever holds every key can write a log that is consistent in itself; the note kept elsewhere tells.
#[test]
fn a_log_rewritten_under_the_same_keys_does_not_match_the_held_note() {
    let (dir, note, keys) = folder();
    let forged = tempfile::tempdir().unwrap();
    copy_tree(&dir.path().join("keys"), &forged.path().join("keys"));
    let (store, _) = Store::open(forged.path(), options()).unwrap();
    for n in 0..400 {
        let text = if n == 17 { "edited".into() } else { format!("round 0 record {n}") };
        store.append_blocking(append(LogId::TELEMETRY, &[&text])).unwrap();
    }
    store.close().unwrap();
    check(forged.path(), &note, &keys, &[Fault::Mismatch]);
}

#[test]
fn a_log_that_lost_its_end_and_its_own_checkpoints_is_truncated() {
    let (dir, note, keys) = folder();
    std::fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();
    let files = segments(dir.path(), LogId::TELEMETRY);
    std::fs::remove_file(&files[1]).unwrap();
    check(dir.path(), &note, &keys, &[]);
    std::fs::remove_file(&files[0]).unwrap();
    check(dir.path(), &note, &keys, &[Fault::Truncated]);
}

#[test]
fn a_missing_segment_in_the_middle_is_seen_by_verify_and_at_the_next_start() {
    let (dir, _, _) = folder();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    store.append_blocking(append(LogId::TELEMETRY, &["third segment"])).unwrap();
    store.close().unwrap();
    let files = segments(dir.path(), LogId::TELEMETRY);
    assert_eq!(files.len(), 3);
    std::fs::remove_file(&files[1]).unwrap();
    assert!(faults(dir.path()).contains(&"telemetry corrupt".to_owned()));
    let (store, facts) = Store::open(dir.path(), options()).unwrap();
    assert_eq!(facts.len(), 1, "{facts:?}");
    assert_eq!(store.append_blocking(append(LogId::TELEMETRY, &["on"])).unwrap().first.0, 701);
}
