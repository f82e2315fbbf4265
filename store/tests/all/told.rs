//! What `verify` says of each kind of damage, word for word: a court reads it.

use crate::common::*;
use custos_event::{LogId, Partition, Seq};
use custos_store::{DropRequest, LogReport, Options, Store, VerifyOptions, verify};
use std::path::{Path, PathBuf};

fn small() -> Options {
    Options { segment_bytes: 3_000, ..options() }
}

/// Every fault: kind, segment, place, message.
fn told(reports: &[LogReport]) -> Vec<String> {
    let errors = reports.iter().flat_map(|report| &report.errors);
    errors
        .map(|error| {
            let segment = error.segment.as_deref().unwrap_or("-");
            let seq = error.seq.map_or("-".into(), |seq| seq.to_string());
            format!("{} {segment} {seq}: {}", error.kind.as_str(), error.message)
        })
        .collect()
}

/// Four segments of 100 records: each process begins one.
fn four() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        for n in 0..100 {
            store.append_blocking(append(LogId::TELEMETRY, &[&format!("{round} {n}")])).unwrap();
        }
        store.close().unwrap();
    }
    assert_ok(dir.path());
    let files = segments(dir.path(), LogId::TELEMETRY);
    assert_eq!(files.len(), 4);
    (dir, files)
}

/// What is said of a folder whose segments somebody spoiled.
fn check(spoil: impl Fn(&[PathBuf]), expected: &[&str]) {
    let (dir, files) = four();
    spoil(&files);
    assert_eq!(told(&reports(dir.path())), expected);
}

fn put(path: &Path, at: usize, new: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_segment_that_is_gone_is_told_by_the_records_it_held() {
    let message = "records 100 to 199 before it are missing";
    check(
        |files| std::fs::remove_file(&files[1]).unwrap(),
        &[&format!("corrupt 0000000003.seg 100: {message}")],
    );
}

/// Also where something else is wrong before.
#[test]
fn a_sealed_segment_without_its_footer_is_told() {
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        // The trailer: eight bytes, where the footer begins, a checksum (FORMAT §2).
        let at = bytes[bytes.len() - 12..bytes.len() - 4].try_into().unwrap();
        let footer = usize::try_from(u64::from_le_bytes(at)).unwrap();
        std::fs::write(path, [&bytes[..footer], &[0; 20]].concat()).unwrap();
    };
    let message = "corrupt 0000000003.seg 300: the end of the sealed segment is damaged or missing";
    check(|files| cut(&files[2]), &[message]);
    check(
        |files| {
            std::fs::remove_file(&files[0]).unwrap();
            cut(&files[2]);
        },
        &["corrupt 0000000002.seg 0: records 0 to 99 before it are missing", message],
    );
}

#[test]
fn a_segment_in_anothers_place_is_told_by_its_name() {
    check(
        |files| {
            std::fs::copy(&files[2], &files[1]).unwrap();
        },
        &["corrupt 0000000002.seg 100: the segment belongs elsewhere"],
    );
}

#[test]
fn a_segment_without_its_header_is_told_once_and_of_what_it_held_nothing_else() {
    let message = "it does not begin as a segment does";
    check(|files| put(&files[1], 0, b"XXXX"), &[&format!("corrupt 0000000002.seg 100: {message}")]);
    check(
        |files| put(&files[3], 0, b"XXXX"),
        &[
            &format!("corrupt 0000000004.seg 300: {message}"),
            "truncated - 300: the log has 300 records, a checkpoint speaks of 400",
        ],
    );
}

#[test]
fn a_newest_segment_of_which_nothing_but_a_broken_header_is_there_was_only_being_made() {
    let (dir, files) = four();
    std::fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();
    std::fs::remove_file(&files[3]).unwrap();
    std::fs::write(&files[3], b"CUST").unwrap();
    let said = told(&reports(dir.path()));
    assert_eq!(said, ["torn 0000000004.seg 300: it ends within its header"]);
}

#[test]
fn a_record_with_a_wrong_byte_is_told_by_its_byte() {
    let (dir, files) = four();
    let bytes = std::fs::read(&files[3]).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let at = used / 2;
    put(&files[3], at, &[bytes[at] ^ 1]);
    let said = told(&reports(dir.path()));
    assert_eq!(said.len(), 1, "{said:?}");
    let (head, message) = said[0].split_once(": byte ").unwrap();
    let (byte, error) = message.split_once(": ").unwrap();
    assert!(head.starts_with("corrupt 0000000004.seg 3"), "{said:?}");
    let place: u64 = head.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((301..399).contains(&place), "{said:?}");
    // The frame that holds the byte begins before it, less than a frame of such a record away.
    let byte: usize = byte.parse().unwrap();
    assert!(byte <= at && at - byte < 400, "{byte} of {at}");
    assert!(error.ends_with("does not match its checksum"), "{error}");
}

/// Segments of some records each; a checkpoint of every size that the log ever had.
fn grown(dir: &Path, word: &str) -> (Store, String, String) {
    let (store, _) = Store::open(dir, small()).unwrap();
    let mut notes = String::new();
    while store.sealed_segments(LogId::TELEMETRY, Partition(0)).unwrap().len() < 4 {
        store.append_blocking(append(LogId::TELEMETRY, &[word])).unwrap();
        let signed = store.checkpoint().unwrap();
        notes.extend(signed.into_iter().map(|note| note.note + "\n"));
        store.wait_sealed();
    }
    let keys = store.public_keys();
    (store, notes, keys)
}

/// Lets the second and third segment go; the first record that is gone and the first that is there again.
fn let_go(store: &Store) -> (u64, u64) {
    let of = store.sealed_segments(LogId::TELEMETRY, Partition(0)).unwrap();
    let (log, reason) = (LogId::TELEMETRY, "age".to_owned());
    let numbers = of[1].number..=of[2].number;
    let request = DropRequest { log, partition: Partition(0), numbers, reason };
    let gone = store.drop_segments(&request, &mut |_| Ok(())).unwrap();
    (gone.first.0, gone.last.0 + 1)
}

fn held(dir: &Path, note: &str, keys: &str) -> Vec<LogReport> {
    let checkpoint = Some((note.to_owned(), keys.to_owned()));
    let all = verify(dir, &VerifyOptions { checkpoint, ..VerifyOptions::default() }).unwrap();
    all.into_iter().filter(|report| report.log == LogId::TELEMETRY).collect()
}

/// A held checkpoint of a size within what was let go can no longer be borne out, and that is said; those of both ends
/// still are.
#[test]
fn checkpoints_within_what_was_let_go_are_told_as_unproven() {
    let dir = tempfile::tempdir().unwrap();
    let (store, notes, keys) = grown(dir.path(), "some forty bytes of one record of the log");
    // What the folder itself knows of its sizes would be kept.
    std::fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();
    store.close().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    let (first, end) = let_go(&store);
    assert!(end - first > 4, "{first} to {end}");
    store.close().unwrap();
    let report = &held(dir.path(), &notes, &keys)[0];
    // The hash of a whole subtree is kept for each piece, the largest that begins there and fits.
    let mut kept = vec![first];
    while let Some(from) = kept.last().copied().filter(|from| *from < end) {
        let sizes = (0..64).map(|level| 1_u64 << level);
        let fits = sizes.take_while(|size| from % size == 0 && from + size <= end);
        kept.push(from + fits.last().unwrap());
    }
    let unproven: Vec<_> = (first..end).filter(|size| !kept.contains(size)).collect();
    assert!(unproven.len() > 20 && report.unproven == unproven, "{:?}", report.unproven);
    assert_eq!(report.errors, []);
    assert_eq!((report.first, report.dropped.len()), (Seq(0), 1));
}

/// A log that was written anew is told of once, however many checkpoints are held.
#[test]
fn a_log_that_is_not_the_checkpoints_is_told_of_once() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, notes, keys) = grown(dir.path(), "abc");
    let size = store.next_seq(LogId::TELEMETRY, Partition(0)).0;
    store.close().unwrap();
    copy_tree(&dir.path().join("keys"), &other.path().join("keys"));
    let (store, ..) = grown(other.path(), "abd");
    store.close().unwrap();
    std::fs::remove_dir_all(other.path().join("checkpoints")).unwrap();
    let report = held(other.path(), &notes, &keys);
    let later = size - 1;
    let expected = format!(
        "mismatch - 1: the first 1 records are not those of the checkpoint, nor does it bear out {later} later ones"
    );
    assert_eq!(told(&report), [expected]);
}

#[test]
fn what_retention_kept_of_another_history_does_not_fit() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, ..) = grown(dir.path(), "some forty bytes of one record of the log");
    copy_tree(&dir.path().join("keys"), &other.path().join("keys"));
    let (others, ..) = grown(other.path(), "ten more bytes of one record, and so longer segments");
    let ((here, _), (first, end)) = (let_go(&store), let_go(&others));
    assert!(first < here && here < end, "{first} to {end} takes in {here}");
    store.close().unwrap();
    others.close().unwrap();
    let kept = |dir: &Path| dir.join("retention/telemetry-0.dropped");
    std::fs::copy(kept(other.path()), kept(dir.path())).unwrap();
    let said = told(&reports(dir.path()));
    let last = end - 1;
    let expected =
        format!("corrupt - {first}: what retention kept of records {first} to {last} does not fit");
    assert!(said.contains(&expected), "{said:?}");
}
