//! Backups: whatever kind, whenever made and to whichever point restored, the records and roots are those that
//! were there; and no changed byte passes.

mod told;

use crate::common::*;
use custos_event::{CommitNo, LogId, time::ManualClock};
use custos_store::{
    Options, Store, StoreError,
    backup::{
        self, BackupKind, CheckOptions, CreateOptions, Manifest, PrunePolicy, RestoreOptions,
        S3Options, Target, Until,
    },
    keys::KeyDays,
    tree::{self, Frontier, Hash},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Segments of some 3 KB raw: a few dozen commits make several, sealed and open.
fn small() -> Options {
    Options { segment_bytes: 3_000, ..options() }
}

fn create_options(kind: BackupKind) -> CreateOptions {
    CreateOptions { kind, config: Some(b"[http]\n".to_vec()), with_master_key: false }
}

fn target(dir: &Path) -> Target {
    Target::open(&dir.display().to_string(), &S3Options::default(), true).unwrap()
}

fn back_up(store: &Store, to: &Path, kind: BackupKind) -> Manifest {
    store.backup(&target(to), &create_options(kind), &mut |_| true).unwrap()
}

fn restore(from: &Path, options: &RestoreOptions, to: &Path) -> Result<(), StoreError> {
    backup::restore(&target(from), options, to, &mut |_| true).map(drop)
}

fn to_commit(commit: u64) -> RestoreOptions {
    RestoreOptions { until: Some(Until::Commit(CommitNo(commit))), ..RestoreOptions::default() }
}

/// A pseudo-random number that is the same in every run.
fn dice(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One of so many.
fn pick(n: u64, of: usize) -> usize {
    usize::try_from(dice(n) % of as u64).unwrap()
}

/// Appends `commits` more of one to four records, now and then a fact.
fn grow(store: &Store, commits: u64) {
    for n in 0..commits {
        let commit = store.last_commit().0;
        let log = if dice(commit).is_multiple_of(5) { LogId::JOURNAL } else { LogId::TELEMETRY };
        let texts: Vec<String> = (0..=dice(commit + n) % 4)
            .map(|k| format!("commit {commit} record {k} {}", "x".repeat(pick(k + commit, 200))))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        store.append_blocking(append(log, &texts)).unwrap();
    }
}

/// The root of each log after so many of its records.
fn roots(seen: &[Seen]) -> BTreeMap<(LogId, u64), Hash> {
    let mut trees: BTreeMap<LogId, Frontier> = BTreeMap::new();
    let mut roots = BTreeMap::new();
    for (_, log, _, entries) in seen {
        let tree = trees.entry(*log).or_default();
        for entry in entries {
            tree.push(tree::leaf(entry), &mut Vec::new());
            roots.insert((*log, tree.size()), tree.root());
        }
    }
    roots
}

/// The restored folder verifies, holds the first commits of `seen` and no others, and its roots are theirs.
fn assert_restored(dir: &Path, seen: &[Seen], commit: u64) {
    let wanted: Vec<_> = seen.iter().filter(|(at, ..)| *at <= commit).cloned().collect();
    let known = roots(&wanted);
    for report in reports(dir) {
        assert!(report.is_ok(), "commit {commit}: {report:?}");
        if let Some(last) = report.last {
            assert_eq!(known[&(report.log, last.0 + 1)], report.root, "commit {commit}");
        }
    }
    let (store, facts) = Store::open(dir, small()).unwrap();
    assert!(facts.is_empty(), "commit {commit}: {facts:?}");
    assert_eq!(follow_all(&store), wanted, "commit {commit}");
    // It goes on where the backup ended.
    let next = store.append_blocking(append(LogId::TELEMETRY, &["after the restore"])).unwrap();
    assert_eq!(next.commit.0, wanted.last().map_or(0, |(at, ..)| *at) + 1);
    store.close().unwrap();
    assert_ok(dir);
}

/// A store of several processes, with a backup of each kind on the way; everything that was appended.
fn history(dir: &Path, to: &Path, commits: u64) -> (Vec<Seen>, Vec<Manifest>) {
    use BackupKind::{Differential, Full, Incremental};
    let mut made = Vec::new();
    for kinds in [[Full, Incremental], [Incremental, Differential], [Incremental, Incremental]] {
        let (store, _) = Store::open(dir, small()).unwrap();
        for kind in kinds {
            grow(&store, commits);
            if kind == Differential {
                store.wait_sealed();
            }
            made.push(back_up(&store, to, kind));
        }
        store.close().unwrap();
    }
    let (store, _) = Store::open(dir, small()).unwrap();
    let seen = follow_all(&store);
    store.close().unwrap();
    (seen, made)
}

#[test]
fn every_kind_of_backup_restores_what_was_there_when_it_was_made() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (seen, made) = history(&data, &to, 15);
    for (n, manifest) in made.iter().enumerate() {
        let dir = work.path().join(format!("restored-{n}"));
        let id = Some(manifest.id.clone());
        restore(&to, &RestoreOptions { id, ..RestoreOptions::default() }, &dir).unwrap();
        let config = std::fs::read(dir.join("config/custos.toml")).unwrap();
        assert_eq!(config, b"[http]\n");
        assert_restored(&dir, &seen, manifest.commit.0);
    }
    // Later ones store less than everything.
    let full = made[0].bytes();
    assert_eq!(full.1, 0, "a full backup stands alone");
    assert!(made[1..].iter().all(|m| m.bytes().1 > 0), "each other one builds on an earlier one");
    let reports = backup::check(&target(&to), &CheckOptions::default(), &mut |_| true).unwrap();
    assert!(reports.iter().all(|r| r.is_ok() && r.proven), "{reports:?}");
}

/// In short form every sixth point, in long form (`CUSTOS_LONG`) a hundred random ones of a larger history.
#[test]
fn a_restore_to_any_point_in_time_is_the_log_as_it_was() {
    let long = std::env::var_os("CUSTOS_LONG").is_some();
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (seen, made) = history(&data, &to, if long { 400 } else { 10 });
    let last = made.last().unwrap().commit.0;
    let points: Vec<u64> = if long {
        (0..100).map(|n| 1 + dice(n) % last).collect()
    } else {
        (1..=last).step_by(6).collect()
    };
    for point in &points {
        let dir = work.path().join(format!("at-{point}"));
        restore(&to, &to_commit(*point), &dir).unwrap();
        assert_restored(&dir, &seen, *point);
        std::fs::remove_dir_all(&dir).unwrap();
    }
    println!("{} points of {last} commits restored, each to its root", points.len());
    let beyond = restore(&to, &to_commit(last + 1), &work.path().join("beyond")).unwrap_err();
    assert!(matches!(beyond, StoreError::Refused(_)), "{beyond}");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// The files that a restore of this backup reads, the manifests of those it builds on included.
fn objects(to: &Path, manifest: &Manifest) -> Vec<PathBuf> {
    let parent = manifest.parent.iter().map(|parent| &parent.id);
    let manifests = parent.chain([&manifest.id]).map(|id| to.join(id).join("manifest"));
    let pieces = manifest.files.iter().flat_map(|file| {
        file.pieces.iter().map(move |piece| match piece.offset {
            0 => to.join(&piece.backup).join(&file.path),
            offset => to.join(&piece.backup).join(format!("{}.from-{offset}", file.path)),
        })
    });
    manifests.chain(pieces).collect()
}

#[test]
fn one_flipped_bit_anywhere_is_refused_and_leaves_no_folder() {
    let long = std::env::var_os("CUSTOS_LONG").is_some();
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 20);
    back_up(&store, &to, BackupKind::Full);
    grow(&store, 20);
    let newest = back_up(&store, &to, BackupKind::Incremental);
    store.close().unwrap();
    let needed = objects(&to, &newest);
    let new = work.path().join("new");
    let (mut flips, per_file) = (0_u64, if long { 400 } else { 12 });
    for file in files(&to) {
        let good = std::fs::read(&file).unwrap();
        for n in 0..per_file {
            let at = pick(flips, good.len());
            let mut bad = good.clone();
            bad[at] ^= 1 << (n % 8);
            std::fs::write(&file, &bad).unwrap();
            let reports =
                backup::check(&target(&to), &CheckOptions::default(), &mut |_| true).unwrap();
            assert!(reports.iter().any(|r| !r.is_ok()), "{} byte {at}: not seen", file.display());
            // What an earlier try fetched before the flip would be taken as it is: whole.
            drop(std::fs::remove_dir_all(work.path().join(".new.restoring")));
            let restored = restore(&to, &RestoreOptions::default(), &new);
            if needed.contains(&file) {
                assert!(restored.is_err(), "{} byte {at}: restored", file.display());
            } else if restored.is_ok() {
                // A segment that was sealed since, or older keys: what is restored has no byte of it.
                assert_ok(&new);
                std::fs::remove_dir_all(&new).unwrap();
            }
            assert!(!new.exists());
            flips += 1;
        }
        std::fs::write(&file, &good).unwrap();
    }
    println!("{flips} flips, all seen");
    restore(&to, &RestoreOptions::default(), &new).unwrap();
    assert_ok(&new);
}

#[test]
fn a_backup_taken_while_records_come_in_ends_at_one_commit() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    let made: Vec<Manifest> = std::thread::scope(|scope| {
        let writing = scope.spawn(|| grow(&store, 400));
        let mut made = Vec::new();
        let mut kind = BackupKind::Full;
        while !writing.is_finished() {
            made.push(back_up(&store, &to, kind));
            kind = BackupKind::Incremental;
        }
        made
    });
    let seen = follow_all(&store);
    store.close().unwrap();
    assert!(!made.is_empty());
    for (n, manifest) in made.iter().enumerate() {
        let dir = work.path().join(format!("restored-{n}"));
        let id = Some(manifest.id.clone());
        restore(&to, &RestoreOptions { id, ..RestoreOptions::default() }, &dir).unwrap();
        assert_restored(&dir, &seen, manifest.commit.0);
    }
}

#[test]
fn a_folder_that_holds_something_is_not_restored_into() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 3);
    back_up(&store, &to, BackupKind::Full);
    store.close().unwrap();
    let (full, file) = (work.path().join("full"), work.path().join("file"));
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("keep"), "me").unwrap();
    std::fs::write(&file, "").unwrap();
    let link = work.path().join("link");
    std::os::unix::fs::symlink(work.path().join("elsewhere"), &link).unwrap();
    for dir in [&full, &file, &link] {
        let error = restore(&to, &RestoreOptions::default(), dir).unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
    }
    assert_eq!(std::fs::read(full.join("keep")).unwrap(), b"me");
    let empty = work.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    restore(&to, &RestoreOptions::default(), &empty).unwrap();
    assert_ok(&empty);
}

#[test]
fn a_restore_that_broke_off_goes_on_and_was_never_half_there() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 60);
    store.wait_sealed();
    let manifest = back_up(&store, &to, BackupKind::Full);
    let seen = follow_all(&store);
    store.close().unwrap();
    // Its last segment cannot be fetched: the target went away in the middle.
    let last = &manifest.files.last().unwrap().path;
    let (object, away) = (to.join(&manifest.id).join(last), work.path().join("away"));
    std::fs::rename(&object, &away).unwrap();
    let new = work.path().join("new");
    assert!(restore(&to, &RestoreOptions::default(), &new).is_err());
    assert!(!new.exists());
    let staged = work.path().join(".new.restoring/telemetry/0000000001.seg");
    let inode =
        |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let before = inode(&staged);
    std::fs::rename(&away, &object).unwrap();
    restore(&to, &RestoreOptions::default(), &new).unwrap();
    assert_eq!(
        inode(&new.join("telemetry/0000000001.seg")),
        before,
        "what was there is not fetched again"
    );
    assert!(!work.path().join(".new.restoring").exists());
    assert_restored(&new, &seen, manifest.commit.0);
}

#[test]
fn a_backup_that_broke_off_is_none_and_the_next_one_tidies_up() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 10);
    let broken = back_up(&store, &to, BackupKind::Full);
    std::fs::remove_file(to.join(&broken.id).join("manifest")).unwrap();
    assert!(backup::list(&target(&to)).unwrap().is_empty());
    let whole = back_up(&store, &to, BackupKind::Incremental);
    assert_eq!(whole.kind, BackupKind::Full, "there is nothing to build on");
    assert!(!to.join(&broken.id).exists());
    let other = tempfile::tempdir().unwrap();
    let (foreign, _) = Store::open(other.path(), small()).unwrap();
    let options = create_options(BackupKind::Full);
    let error = foreign.backup(&target(&to), &options, &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("choose another place"), "{error}");
}

#[test]
fn pruning_keeps_what_a_kept_backup_needs() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (seen, made) = history(&data, &to, 8);
    let keep_one = PrunePolicy { last: 1, daily: 0, weekly: 0, keys_days: KeyDays::MAX };
    let now = made[0].created_at;
    let pruned = backup::prune(&target(&to), &keep_one, now).unwrap();
    let gone = [&made[2], &made[1]].map(|manifest| manifest.id.clone());
    assert_eq!(
        pruned.removed, gone,
        "the last one builds on the differential, that on the full one"
    );
    let first = work.path().join("first");
    restore(&to, &RestoreOptions::default(), &first).unwrap();
    assert_restored(&first, &seen, made[5].commit.0);
    let mut an_hour_on = small();
    an_hour_on.clock = std::sync::Arc::new(ManualClock::at(now.plus_secs(3_600)));
    let (store, _) = Store::open(&data, an_hour_on).unwrap();
    let fresh = back_up(&store, &to, BackupKind::Full);
    store.close().unwrap();
    let pruned = backup::prune(&target(&to), &keep_one, now).unwrap();
    assert_eq!(pruned.removed.len(), made.len() - gone.len());
    let left: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [fresh.id.as_str()]);
    let new = work.path().join("new");
    restore(&to, &RestoreOptions::default(), &new).unwrap();
    assert_restored(&new, &seen, fresh.commit.0);
}

/// Erasure would be undone by a restore if an old keyring came back with it.
#[test]
fn a_restore_of_an_old_backup_brings_no_destroyed_key_back() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    let sealed = store.keyring().seal_field("anna", "user.email", "anna@example.org").unwrap();
    assert!(store.keyring().open_field(&sealed).is_some());
    let kept = store.keyring().seal_field("wei", "user.email", "wei@example.org").unwrap();
    grow(&store, 3);
    let old = back_up(&store, &to, BackupKind::Full);
    let anna = store.keyring().subject("anna");
    assert!(store.keyring().erase_subject(&anna, None).unwrap().is_some());
    grow(&store, 3);
    back_up(&store, &to, BackupKind::Incremental);
    store.close().unwrap();
    let check = |dir: &str| {
        let new = work.path().join(dir);
        let id = Some(old.id.clone());
        restore(&to, &RestoreOptions { id, ..RestoreOptions::default() }, &new).unwrap();
        let (store, _) = Store::open(&new, small()).unwrap();
        assert!(store.keyring().open_field(&sealed).is_none(), "a destroyed key came back");
        assert!(store.keyring().open_field(&kept).is_some(), "a key was lost with another");
    };
    check("with-both");
    let later = custos_event::Timestamp(old.created_at.0 + 40 * 86_400 * 1_000_000_000);
    let pruned = backup::prune(&target(&to), &PrunePolicy::default(), later).unwrap();
    assert_eq!(pruned.keys_expired, [old.id.as_str()]);
    let too_old = RestoreOptions { now: later, ..RestoreOptions::default() };
    let refused = restore(&to, &too_old, &work.path().join("late")).unwrap_err().to_string();
    assert!(refused.contains("--expired-keys"), "{refused}");
    assert!(!work.path().join("late").exists());
    let told = RestoreOptions { expired_keys: true, ..too_old };
    restore(&to, &told, &work.path().join("late")).unwrap();
    assert!(
        !to.join(&old.id).join("keys/keyring").exists(),
        "the old keys are gone from the target"
    );
    let reports = backup::check(&target(&to), &CheckOptions::default(), &mut |_| true).unwrap();
    assert!(reports.iter().all(backup::BackupReport::is_ok), "{reports:?}");
    check("with-the-newest");
}

#[test]
fn without_the_master_key_nothing_is_restored_and_bytes_are_still_checked() {
    let work = tempfile::tempdir().unwrap();
    let (data, to) = (work.path().join("data"), work.path().join("to"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 5);
    back_up(&store, &to, BackupKind::Full);
    store.close().unwrap();
    let key = work.path().join("kept-elsewhere");
    std::fs::rename(data.join("keys/master.key"), &key).unwrap();
    assert!(files(&to).iter().all(|file| !file.ends_with("master.key")));
    let new = work.path().join("new");
    let error = restore(&to, &RestoreOptions::default(), &new).unwrap_err();
    assert!(matches!(error, StoreError::KeyMissing { .. }), "{error}");
    assert!(error.to_string().contains("--master-key"), "{error}");
    let reports = backup::check(&target(&to), &CheckOptions::default(), &mut |_| true).unwrap();
    assert!(reports[0].is_ok() && !reports[0].proven);
    let master_key = Some(key);
    restore(&to, &RestoreOptions { master_key, ..RestoreOptions::default() }, &new).unwrap();
    assert_ok(&new);
}
