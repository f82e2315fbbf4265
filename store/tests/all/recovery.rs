//! Torn tail, corruption, undecided: what a start and `verify` make of damaged bytes, and that the rest of
//! the log is still there.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

use crate::common::*;
use custos_event::{Fact, LogId, Partition};
use custos_store::{Options, Store};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

const LOG: LogId = LogId::TELEMETRY;

/// A data folder as a crash leaves it: every append acknowledged, nothing closed. Only the first segment
/// of telemetry is of interest; what was reserved behind its frames is cut off.
struct Image {
    dir: tempfile::TempDir,
    segment: PathBuf,
    bytes: Vec<u8>,
    /// Where each frame begins, and where the last one ends.
    frames: Vec<usize>,
}

fn crash_image(prepare: impl FnOnce(&Store)) -> Image {
    let work = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(work.path(), options()).unwrap();
    prepare(&store);
    let dir = tempfile::tempdir().unwrap();
    copy_tree(work.path(), dir.path());
    let segment = segments(dir.path(), LOG).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(used);
    std::fs::write(&segment, &bytes).unwrap();
    let mut frames: Vec<_> = (0..used - 4).filter(|at| bytes[*at..].starts_with(b"CuFr")).collect();
    frames.push(used);
    Image { dir, segment, bytes, frames }
}

fn five_appends(store: &Store) {
    for n in 0..5_usize {
        let text = format!("record {n} ").repeat(20 + n);
        store.append_blocking(append(LOG, &[&text, "second"])).unwrap();
    }
}

impl Image {
    /// The folder with the segment's bytes replaced.
    fn with(&self, bytes: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(self.dir.path(), dir.path());
        let segment = self.segment.strip_prefix(self.dir.path()).unwrap();
        std::fs::write(dir.path().join(segment), bytes).unwrap();
        dir
    }
}

/// Opens, checks that every record of `whole` frames is there, appends one, and verifies.
fn check_start(dir: &Path, whole: usize, expected: &str) {
    let (store, facts) = Store::open(dir, options()).unwrap();
    let kinds: Vec<_> = facts
        .iter()
        .map(|fact| match fact {
            Fact::TailCut { saved_as, .. } => {
                assert!(dir.join(saved_as).exists(), "{saved_as}");
                "cut"
            }
            Fact::RangeQuarantined { .. } => "quarantined",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds.join(" "), expected, "{facts:?}");
    let seen = follow_all(&store);
    assert_eq!(seen.iter().filter(|commit| commit.1 == LOG).count(), whole);
    store.append_blocking(append(LOG, &["after"])).unwrap();
    store.recorded().unwrap();
    store.close().unwrap();
}

#[test]
fn a_tail_cut_at_any_byte_is_torn_and_everything_before_it_is_kept() {
    let image = crash_image(five_appends);
    let from = image.frames[2];
    for cut in from..=image.bytes.len() {
        let whole = image.frames.iter().filter(|end| **end <= cut).count() - 1;
        let boundary = image.frames.contains(&cut);
        let mut bytes = image.bytes[..cut].to_vec();
        if cut % 2 == 0 {
            bytes.resize(image.bytes.len() + 700, 0);
        }
        let dir = image.with(&bytes);
        let expected: &[&str] = if boundary { &[] } else { &["telemetry torn"] };
        assert_eq!(faults(dir.path()), expected, "cut at {cut} of {}", image.bytes.len());
        // A start takes some syncs: at each fifth byte, and around each frame's end.
        if cut % rounds(5, 1) == 0 || image.frames.iter().any(|end| end.abs_diff(cut) < 2) {
            check_start(dir.path(), whole, if boundary { "" } else { "cut" });
            assert_ok(dir.path());
        }
    }
}

/// A sealed segment was durable as a whole before it took its name: nothing of it is ever a torn tail.
#[test]
fn a_sealed_segment_cut_at_any_byte_is_corrupt_and_the_blocks_before_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        store.wait_sealed();
        let texts: Vec<_> = (0..40_usize).map(|n| format!("{n} ").repeat(4_000)).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        store.append_blocking(append(LOG, &texts)).unwrap();
    }
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    store.wait_sealed();
    store.close().unwrap();
    let segment = segments(dir.path(), LOG).remove(1);
    let bytes = std::fs::read(&segment).unwrap();
    let frames = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"CuFr"));
    let frames: Vec<_> = frames.collect();
    // The last three blocks and the footer.
    let from = frames[frames.len() - 4];
    for cut in (from..bytes.len()).step_by(rounds(29, 1)) {
        std::fs::write(&segment, &bytes[..cut]).unwrap();
        let found = faults(dir.path());
        assert!(!found.is_empty(), "cut at {cut} of {}", bytes.len());
        let kinds = ["telemetry corrupt", "telemetry truncated"];
        assert!(found.iter().all(|f| kinds.contains(&f.as_str())), "cut at {cut}: {found:?}");
    }
    std::fs::write(&segment, &bytes[..frames[frames.len() - 2]]).unwrap();
    let (store, facts) = Store::open(dir.path(), options()).unwrap();
    assert!(matches!(facts[..], [Fact::RangeQuarantined { .. }]), "{facts:?}");
    let read = follow_all(&store).iter().map(|commit| commit.3.len()).sum::<usize>();
    assert!((41..80).contains(&read), "{read} records read");
}

/// However many segments there are: of one that another follows the end is left to `scrub`.
#[test]
fn a_start_reads_the_end_of_no_sealed_segment_but_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let small = || Options { segment_bytes: 3_000, ..options() };
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    while store.sealed_segments(LOG, Partition(0)).unwrap().len() < 3 {
        store.append_blocking(append(LOG, &["some forty bytes of one record of the log"])).unwrap();
        store.wait_sealed();
    }
    let image = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), image.path());
    let sealed = segments(image.path(), LOG);
    let last = sealed.len() - 1;
    std::fs::remove_file(&sealed[last]).unwrap();
    let of = |at: usize| {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(image.path(), dir.path());
        let path = &segments(dir.path(), LOG)[at];
        // The trailer, which leads to the footer.
        flip(path, usize::MAX);
        let (store, facts) = Store::open(dir.path(), small()).unwrap();
        (facts.len(), store.scrub(&mut |_| true).unwrap().damaged.len())
    };
    for at in 0..last - 1 {
        assert_eq!(of(at), (0, 1), "segment {at}");
    }
    assert_eq!(of(last - 1), (1, 1));
}

#[test]
fn a_tail_below_a_checkpoint_is_never_taken_for_torn() {
    let image = crash_image(|store| {
        five_appends(store);
        store.checkpoint().unwrap();
    });
    for cut in (image.frames[3]..image.bytes.len()).step_by(9).chain([image.frames[4]]) {
        let dir = image.with(&image.bytes[..cut]);
        let whole = image.frames.iter().filter(|end| **end <= cut).count() - 1;
        let found = faults(dir.path());
        let expected = if image.frames.contains(&cut) { "truncated" } else { "corrupt" };
        assert!(found.contains(&format!("telemetry {expected}")), "cut at {cut}: {found:?}");
        assert!(!found.iter().any(|fault| fault.ends_with("torn")), "cut at {cut}: {found:?}");
        let (store, facts) = Store::open(dir.path(), options()).unwrap();
        let told = facts.iter().all(|fact| matches!(fact, Fact::RangeQuarantined { .. }));
        assert!(told && !facts.is_empty(), "cut at {cut}: {facts:?}");
        let next = store.append_blocking(append(LOG, &["after"])).unwrap();
        assert_eq!(next.first.0, 10, "no place below a checkpoint is given twice");
        assert_eq!(follow_all(&store).len(), whole + 1);
        store.recorded().unwrap();
        store.wait_sealed();
        store.close().unwrap();
        let (_, facts) = Store::open(dir.path(), options()).unwrap();
        assert!(facts.is_empty(), "told once: {facts:?}");
        assert!(!faults(dir.path()).is_empty(), "verify goes on telling");
    }
}

#[test]
fn a_tail_that_another_log_vouches_for_is_corrupt() {
    let image = crash_image(|store| {
        five_appends(store);
        store.append_blocking(append(LogId::JOURNAL, &["later"])).unwrap();
    });
    for cut in (image.frames[4]..image.bytes.len()).step_by(5) {
        let dir = image.with(&image.bytes[..cut]);
        let found = faults(dir.path());
        assert_eq!(found.len(), 1, "cut at {cut}: {found:?}");
        assert!(found[0].ends_with("corrupt"), "cut at {cut}: {found:?}");
        if cut > image.frames[4] {
            check_start(dir.path(), 4, "quarantined");
        }
    }
}

#[test]
fn a_whole_last_frame_with_wrong_bytes_is_undecided_and_its_number_not_given_again() {
    let image = crash_image(five_appends);
    let (from, end) = (image.frames[4], image.frames[5]);
    // Each byte behind the lengths but the last, also where the change leaves a zero; without the last one
    // the frame is cut short, as the zeros of reserved room would have it.
    for at in from + 24..end - 1 {
        for damaged in [image.bytes[at] ^ 1, 0] {
            let mut bytes = image.bytes.clone();
            bytes[at] = damaged;
            let expected: &[&str] =
                if damaged == image.bytes[at] { &[] } else { &["telemetry undecided"] };
            assert_eq!(faults(image.with(&bytes).path()), expected, "byte {at} is {damaged}");
        }
    }
    let mut bytes = image.bytes.clone();
    bytes[end - 9] ^= 1;
    let dir = image.with(&bytes);
    let (store, facts) = Store::open(dir.path(), options()).unwrap();
    assert!(matches!(facts[..], [Fact::TailCut { .. }]), "{facts:?}");
    assert_eq!(store.last_commit().0, 5);
    assert_eq!(store.append_blocking(append(LOG, &["after"])).unwrap().commit.0, 6);
    store.close().unwrap();
    assert_ok(dir.path());
}

#[test]
fn damage_in_the_middle_is_set_aside_and_the_rest_is_read() {
    let image = crash_image(five_appends);
    for frame in 0..4 {
        for at in [image.frames[frame] + 1, image.frames[frame] + 60, image.frames[frame + 1] - 9] {
            let mut bytes = image.bytes.clone();
            bytes[at] ^= 0x10;
            let dir = image.with(&bytes);
            assert_eq!(faults(dir.path()), ["telemetry corrupt"], "byte {at}");
            check_start(dir.path(), 4, "quarantined");
            let (store, facts) = Store::open(dir.path(), options()).unwrap();
            assert!(facts.is_empty(), "{facts:?}");
            assert_eq!(store.next_seq(LOG, Partition::default()).0, 11);
            store.close().unwrap();
            assert_eq!(faults(dir.path()), ["telemetry corrupt"], "byte {at}");
        }
    }
}

/// What follows damage is looked for behind each mark of a frame that is none, too.
#[test]
fn frames_damaged_one_after_the_other_are_set_aside_and_the_rest_is_read() {
    let image = crash_image(five_appends);
    let mut bytes = image.bytes.clone();
    for frame in 1..4 {
        bytes[image.frames[frame + 1] - 9] ^= 0x10;
    }
    let dir = image.with(&bytes);
    assert_eq!(faults(dir.path()), ["telemetry corrupt"]);
    check_start(dir.path(), 2, "quarantined");
}

#[test]
fn a_segment_that_was_only_being_created_is_removed() {
    let image = crash_image(five_appends);
    let dir = image.with(&image.bytes);
    let next = dir.path().join("telemetry/0000000002.seg");
    for bytes in [vec![], vec![0; 4096], image.bytes[..50].to_vec()] {
        std::fs::write(&next, &bytes).unwrap();
        let torn = bytes.iter().any(|byte| *byte != 0);
        let (store, facts) = Store::open(dir.path(), options()).unwrap();
        assert_eq!(facts.len(), usize::from(torn), "{facts:?}");
        assert!(!next.exists());
        drop(store);
        assert_ok(dir.path());
    }
}

#[test]
fn verify_beside_a_running_store_takes_its_open_tail_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    five_appends(&store);
    assert_ok(dir.path());
    let (stop, allowed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut appended = 0;
            // Some more beside each reading; of a log that grew as it liked each would take longer than the last.
            while !stop.load(Ordering::Relaxed) {
                let more = allowed.load(Ordering::Relaxed);
                if appended == more {
                    std::thread::yield_now();
                    continue;
                }
                appended += 1;
                store.append_blocking(append(LOG, &["more", "and more"])).unwrap();
                store.append_blocking(append(LogId::JOURNAL, &["fact"])).unwrap();
            }
        });
        let found: Vec<_> = (0..20)
            .map(|_| {
                allowed.fetch_add(100, Ordering::Relaxed);
                store.checkpoint().unwrap();
                faults(dir.path())
            })
            .collect();
        // Before anything that may fail, or the scope waits for ever.
        stop.store(true, Ordering::Relaxed);
        assert!(found.iter().all(Vec::is_empty), "{found:?}");
    });
}

/// A commit that was said to be durable before the reading began has to be there, whoever writes meanwhile.
#[test]
fn verify_beside_a_running_store_sees_a_damaged_last_frame_that_another_log_vouches_for() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    five_appends(&store);
    let path = segments(dir.path(), LOG).remove(0);
    let bytes = std::fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for at in [last, last - 40] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_ok(dir.path());
    }
    store.append_blocking(append(LogId::JOURNAL, &["later"])).unwrap();
    assert_eq!(faults(dir.path()), ["telemetry corrupt"]);
    std::fs::write(&path, &bytes).unwrap();
    assert_ok(dir.path());
}
