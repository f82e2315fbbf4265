//! The store as its callers use it: append, read, follow, close, open again.

use crate::common::*;
use custos_event::{
    Append, CommitNo, Cursor, Ends, LogId, Partition, Position, Seq, commit::LogReader,
};
use custos_store::{Progress, Store, StoreError, VerifyOptions, verify, verify_watched};
use std::time::Duration;

#[test]
fn what_was_appended_is_read_followed_and_found_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, facts) = Store::open(dir.path(), options()).unwrap();
    assert!(facts.is_empty());
    let one = store.append_blocking(append(LogId::TELEMETRY, &["a", "bb"])).unwrap();
    let two = store.append_blocking(append(LogId::JOURNAL, &["fact"])).unwrap();
    let three = store.append_blocking(append(LogId::TELEMETRY, &["", "d"])).unwrap();
    assert_eq!([one.commit.0, two.commit.0, three.commit.0], [1, 2, 3]);
    assert_eq!([one.first.0, two.first.0, three.first.0], [0, 0, 2]);
    assert_eq!(store.logs(), [(LogId::TELEMETRY, Partition(0)), (LogId::JOURNAL, Partition(0))]);
    let live = follow_all(&store);
    let position = Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(1) };
    assert_eq!(store.read(position).unwrap().unwrap(), "bb");
    store.close().unwrap();
    assert!(matches!(
        store.append_blocking(append(LogId::TELEMETRY, &["x"])),
        Err(StoreError::Closed)
    ));
    assert_ok(dir.path());

    let (store, facts) = Store::open(dir.path(), options()).unwrap();
    assert!(facts.is_empty(), "{facts:?}");
    assert_eq!(follow_all(&store), live);
    assert_eq!(store.last_commit().0, 3);
    assert_eq!(store.read(position).unwrap().unwrap(), "bb");
    let four = store.append_blocking(append(LogId::TELEMETRY, &["e"])).unwrap();
    assert_eq!((four.commit.0, four.first.0), (4, 4));
    let mut seen = Vec::new();
    store
        .scan(LogId::TELEMETRY, Partition(0), Seq(1), Seq(9), &mut |seq, bytes| {
            seen.push((seq.0, bytes.to_vec()));
            true
        })
        .unwrap();
    let expected: Vec<(u64, &[u8])> = vec![(1, b"bb"), (2, b""), (3, b"d"), (4, b"e")];
    assert!(seen.iter().map(|(seq, bytes)| (*seq, &bytes[..])).eq(expected));
}

#[test]
fn the_ends_of_the_logs_after_each_commit_are_those_that_were_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let mut after = vec![store.ends()];
    for n in 0..40_u8 {
        let records = vec!["r"; usize::from(n % 4 + 1)];
        let log = if n < 30 { LogId(n % 3) } else { LogId::TELEMETRY };
        store.append_blocking(append(log, &records)).unwrap();
        after.push(store.ends());
    }
    let same = |store: &Store| {
        for (commit, known) in (0..).map(CommitNo).zip(&after) {
            let found = store.ends_after(commit).unwrap();
            for log in (0..3).map(LogId) {
                let of = |ends: &Ends| ends.of(log, Partition(0));
                assert_eq!(of(&found), of(known), "{log:?} after {commit}");
            }
        }
    };
    same(&store);
    store.close().unwrap();
    same(&Store::open(dir.path(), options()).unwrap().0);
}

#[test]
fn a_second_opener_is_refused_and_told_who_holds_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let error = Store::open(dir.path(), options()).unwrap_err();
    assert!(matches!(&error, StoreError::Locked { pid, .. } if *pid == Some(std::process::id())));
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(store);
    Store::open(dir.path(), options()).unwrap();
}

#[test]
fn a_folder_of_a_newer_version_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("FORMAT"), "custos-store 2\n").unwrap();
    let error = Store::open(dir.path(), options()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, reads: 1, .. }), "{error}");
    assert!(matches!(verify(dir.path(), &VerifyOptions::default()), Err(StoreError::Newer { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_is_not_there_is_made_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = options();
    wanted.create = false;
    let error = Store::open(&dir.path().join("no"), wanted).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(!dir.path().join("no").exists());
}

#[test]
fn a_follower_that_waits_gets_commits_as_they_come_and_ends_with_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let mut follower = store.follow(&Cursor::default());
    let thread = std::thread::spawn(move || {
        let mut seen = Vec::new();
        loop {
            match follower.next(10, 1 << 20, Duration::from_mins(1)) {
                Ok(commits) => seen.extend(commits.into_iter().map(|commit| commit.commit.0)),
                Err(StoreError::Closed) => return seen,
                Err(error) => panic!("{error}"),
            }
        }
    });
    for n in 0..20 {
        store.append_blocking(append(LogId(n % 2), &["x"])).unwrap();
    }
    store.wake();
    store.close().unwrap();
    assert_eq!(thread.join().unwrap(), (1..=20).collect::<Vec<_>>());
}

#[test]
fn an_append_that_no_frame_holds_is_refused_with_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let entry = custos_event::Entry { bytes: vec![7; 9 << 20].into(), parsed: None };
    let big = Append::new(LogId::TELEMETRY, vec![entry.clone(); 8]);
    let error = store.append_blocking(big).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    let fits = Append::new(LogId::TELEMETRY, vec![entry; 5]);
    assert_eq!(store.append_blocking(fits).unwrap().first.0, 0);
}

/// 64 KiB raw a block, however the records came: what one read costs, and the size, depend on it.
#[test]
fn a_sealed_segments_blocks_are_as_full_as_they_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let (mut dice, mut raw) = (Dice(5), 0);
    for _ in 0..400 {
        let texts: Vec<_> = (0..10).map(|_| "w".repeat(dice.roll(120))).collect();
        // Two bytes a record and sixteen a commit, for their lengths and times.
        raw += texts.iter().map(|text| text.len() + 2).sum::<usize>() + 16;
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        store.append_blocking(append(LogId::TELEMETRY, &texts)).unwrap();
    }
    store.close().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    store.wait_sealed();
    let bytes = std::fs::read(segments(dir.path(), LogId::TELEMETRY).remove(0)).unwrap();
    let frames = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"CuFr")).count();
    // So few bytes get no dictionary; one frame is the footer.
    assert_eq!(frames - 1, raw.div_ceil(64 << 10), "{raw} bytes");
}

#[test]
fn a_waiting_follower_that_is_woken_returns_with_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let mut follower = store.follow(&Cursor::default());
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let got = follower.next(10, 1 << 20, Duration::from_hours(1));
        tell.send(got.map(|commits| commits.len())).unwrap();
    });
    // A call before it waits is in vain: until it has come back, again.
    let mut woken = (0..10_000).filter_map(|_| {
        store.wake();
        told.recv_timeout(Duration::from_millis(1)).ok()
    });
    assert_eq!(woken.next().expect("it sleeps on").unwrap(), 0);
}

#[test]
fn who_waits_for_a_commit_goes_on_with_it_and_at_once_where_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let before = store.last_commit();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let waiting = store.clone();
    std::thread::spawn(move || {
        waiting.wait_after(before, Duration::from_hours(1));
        tell.send(waiting.last_commit()).unwrap();
    });
    let soon = Duration::from_millis(50);
    assert!(told.recv_timeout(soon).is_err(), "nothing has come, and it waits no more");
    store.append_blocking(append(LogId::JOURNAL, &["a fact"])).unwrap();
    let went_on_at = told.recv_timeout(Duration::from_mins(1)).expect("it waits on");
    assert!(went_on_at > before);
    store.wait_after(before, Duration::from_hours(1));
}

/// Also for one that watches more than one verification: each begins anew.
#[test]
fn a_verification_tells_how_much_there_is_to_read_and_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    for log in [LogId::TELEMETRY, LogId::JOURNAL, LogId::TELEMETRY] {
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        store.append_blocking(append(log, &["some", "words"])).unwrap();
        store.close().unwrap();
    }
    let files = [LogId::TELEMETRY, LogId::JOURNAL].map(|log| segments(dir.path(), log)).concat();
    let all = files.iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    let (progress, options) = (Progress::default(), VerifyOptions::default());
    assert_eq!(progress.bytes(), (0, 0));
    for _ in 0..2 {
        verify_watched(dir.path(), &options, &progress).unwrap();
        assert_eq!(progress.bytes(), (all, all));
    }
    progress.stop();
    let ended = verify_watched(dir.path(), &options, &progress);
    assert!(matches!(ended, Err(StoreError::Closed)), "{ended:?}");
    assert!(progress.bytes().0 < all, "{:?}", progress.bytes());
}
