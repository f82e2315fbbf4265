//! What a backup and its check tell of: which backup, which logs, what was damaged before.

use super::*;
use custos_event::Partition;
use custos_store::backup::Progress;

#[test]
fn one_backup_is_checked_by_its_name_and_no_other() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (_, made) = history(&data, &to, 15);
    let check = |id: &str| {
        let options = CheckOptions { id: Some(id.into()), ..CheckOptions::default() };
        backup::check(&target(&to), &options, &mut |_| true)
    };
    for manifest in &made {
        let reports = check(&manifest.id).unwrap();
        assert_eq!(reports.len(), 1);
        let report = &reports[0];
        assert_eq!((report.id.as_str(), report.kind), (manifest.id.as_str(), Some(manifest.kind)));
        assert_eq!((report.created_at, &report.logs), (manifest.created_at, &manifest.logs));
        assert_eq!(report.bytes, manifest.files.iter().map(|file| file.bytes).sum::<u64>());
        assert!(report.is_ok() && report.proven, "{report:?}");
    }
    let error = check("nowhere").unwrap_err().to_string();
    assert!(error.ends_with("has no backup nowhere"), "{error}");
}

/// Logs that hold nothing are not spoken of, and what an earlier backup has is not stored again.
#[test]
fn a_backup_tells_of_the_logs_there_are_and_stores_what_is_new() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    let empty = back_up(&store, &to, BackupKind::Full);
    assert!(empty.logs.is_empty(), "{:?}", empty.logs);
    while store.sealed_segments(LogId::TELEMETRY, Partition(0)).unwrap().len() < 3 {
        store.append_blocking(append(LogId::TELEMETRY, &[&"some words ".repeat(20)])).unwrap();
        store.wait_sealed();
    }
    let full = back_up(&store, &to, BackupKind::Full);
    let [log] = full.logs.as_slice() else { panic!("{:?}", full.logs) };
    assert_eq!((log.log, log.partition), (LogId::TELEMETRY, 0));
    let again = back_up(&store, &to, BackupKind::Incremental);
    let sealed = again.files.iter().filter(|f| f.segment.as_ref().is_some_and(|s| s.sealed));
    let pieces: Vec<_> = sealed.flat_map(|file| &file.pieces).collect();
    assert!(pieces.len() >= 3 && pieces.iter().all(|piece| piece.backup == full.id), "{pieces:?}");
}

/// Of a segment that is still written, what came since the last backup is stored, and nothing twice.
#[test]
fn an_open_segment_is_backed_up_by_what_it_grew() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, options()).unwrap();
    let open = |manifest: &Manifest| {
        let mut files = manifest.files.iter();
        files.find(|file| file.segment.as_ref().is_some_and(|it| !it.sealed)).unwrap().clone()
    };
    let grow = || store.append_blocking(append(LogId::TELEMETRY, &["one more"])).unwrap();
    grow();
    let full = back_up(&store, &to, BackupKind::Full);
    let before = open(&full);
    grow();
    let more = back_up(&store, &to, BackupKind::Incremental);
    let after = open(&more);
    assert_eq!(after.path, before.path);
    let [kept, new] = after.pieces.as_slice() else { panic!("{:?}", after.pieces) };
    assert_eq!([kept], before.pieces.iter().collect::<Vec<_>>().as_slice());
    assert_eq!((&new.backup, new.offset), (&more.id, before.bytes));
    assert_eq!(new.bytes, after.bytes - before.bytes);
    // Nothing came: nothing is stored.
    let same = open(&back_up(&store, &to, BackupKind::Incremental));
    assert_eq!(same.pieces, after.pieces);
}

/// What was damaged before is backed up as it is, by name, and is no reason to refuse the rest.
#[test]
fn a_backup_of_a_damaged_log_says_so_and_restores_the_rest() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 40);
    store.wait_sealed();
    let whole = back_up(&store, &to, BackupKind::Full);
    assert_eq!(whole.damaged().count(), 0);
    store.close().unwrap();
    let path = segments(&data, LogId::TELEMETRY)[0].clone();
    flip_middle(&path);
    let (store, _) = Store::open(&data, small()).unwrap();
    let spoiled = back_up(&store, &to, BackupKind::Full);
    store.close().unwrap();
    let name = format!("telemetry/{}", path.file_name().unwrap().to_str().unwrap());
    assert_eq!(spoiled.damaged().collect::<Vec<_>>(), [name]);
    let dir = work.path().join("restored");
    let id = Some(spoiled.id);
    restore(&to, &RestoreOptions { id, ..RestoreOptions::default() }, &dir).unwrap();
    assert_eq!(faults(&dir), faults(&data));
    assert!(faults(&dir).contains(&"telemetry corrupt".to_owned()));
}

/// Nobody knows which commits a damaged segment still has: it cannot be cut, but it is in nobody's way.
#[test]
fn a_damaged_log_is_restored_to_each_point_that_does_not_lie_in_the_damage() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 100);
    store.wait_sealed();
    let (seen, last) = (follow_all(&store), store.last_commit().0);
    store.close().unwrap();
    let files = segments(&data, LogId::TELEMETRY);
    flip_middle(&files[files.len() - 2]);
    let (store, _) = Store::open(&data, small()).unwrap();
    assert_eq!(back_up(&store, &to, BackupKind::Full).damaged().count(), 1);
    store.close().unwrap();
    let mut refused = Vec::new();
    for commit in (3..=last).step_by(4) {
        let dir = work.path().join(commit.to_string());
        match restore(&to, &to_commit(commit), &dir) {
            Ok(()) if refused.is_empty() => assert_restored(&dir, &seen, commit),
            Ok(()) => assert!(!faults(&dir).is_empty(), "commit {commit}"),
            Err(error) => {
                assert!(error.to_string().contains("cannot be cut at"), "{error}");
                refused.push(commit);
            }
        }
    }
    assert!(refused.len() > 1 && refused[0] > 20 && refused.is_sorted(), "{refused:?}");
    assert!(refused.windows(2).all(|two| two[1] == two[0] + 4), "{refused:?}");
}

/// What is there already counts as done, and as moved only what was stored.
#[test]
fn a_backup_tells_how_far_it_has_come_and_ends_when_it_is_told_to() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 40);
    store.wait_sealed();
    for round in 0..2 {
        let (mut seen, options) = (Vec::new(), create_options(BackupKind::Incremental));
        let mut tell = |progress: Progress| {
            seen.push(progress);
            true
        };
        let made = store.backup(&target(&to), &options, &mut tell).unwrap();
        let of_segments = made.files.iter().filter(|file| file.segment.is_some());
        let (parts, bytes) = of_segments.fold((0, 0), |(n, sum), file| (n + 1, sum + file.bytes));
        assert!(parts > 3 && seen.iter().map(|it| it.parts).eq(1..=parts), "{seen:?}");
        let last = seen.last().unwrap();
        assert_eq!((last.parts_total, last.bytes_total, last.bytes), (parts, bytes, bytes));
        assert_eq!(last.moved, if round == 0 { bytes } else { 0 });
    }
    let options = create_options(BackupKind::Incremental);
    let ended = store.backup(&target(&to), &options, &mut |progress| progress.parts < 2);
    assert!(matches!(ended, Err(StoreError::Stopped)), "{ended:?}");
}
