//! Retention: what is let go is gone whole and by name, and everything that is left is proven as before.

use crate::common::{
    Dice,
    acked::DIR,
    twin::{Mood, Plan, STEPS, Twin, What},
    *,
};
use custos_event::{
    Actor, Append, Entry, Envelope, Fact, LogId, Partition, Position, Seq, Timestamp, UpkeepEvent,
    commit::LogReader as _,
};
use custos_evidence::{
    Hash,
    proof::{extends, includes},
    tree::{Frontier, leaf},
};
use custos_store::{
    Disk, DropRequest, DroppedRange, LogReport, Options, ProofError, Store, StoreError,
    VerifyOptions,
    backup::{self, BackupKind, CreateOptions, RestoreOptions, S3Options, Target},
    verify,
};
use std::{collections::BTreeMap, path::Path};

const P0: Partition = Partition(0);

/// Some twenty commits a segment.
fn small() -> Options {
    Options { segment_bytes: 3_000, ring_bytes: 2_000, ..options() }
}

fn fact(fact: Fact) -> Append {
    let at = Timestamp::from_secs(1_800_000_000);
    let envelope = Envelope { at, actor: Actor::System { part: "test".into() }, cause: None, fact };
    Append::new(LogId::JOURNAL, vec![Entry { bytes: envelope.encode().unwrap(), parsed: None }])
}

fn started() -> Append {
    fact(Fact::Started { version: "1".into() })
}

fn text(n: u64) -> String {
    format!("record {n} {}", "x".repeat(usize::try_from(n * 7 % 61).unwrap()))
}

/// Commits of one to three records with a fact now and then and a checkpoint after some; until `segments` are
/// sealed.
fn grow(store: &Store, segments: usize) -> Result<(), StoreError> {
    let mut n = store.next_seq(LogId::TELEMETRY, P0).0;
    while sealed(store)?.len() < segments {
        let texts: Vec<_> = (0..=n % 3).map(|k| text(n + k)).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        store.append_blocking(append(LogId::TELEMETRY, &texts))?;
        n += texts.len() as u64;
        if n.is_multiple_of(5) {
            store.append_blocking(started())?;
        }
        if n.is_multiple_of(11) {
            store.checkpoint()?;
        }
        store.wait_sealed();
        if let Some(failure) = store.failure() {
            return Err(failure);
        }
    }
    Ok(())
}

fn sealed(store: &Store) -> Result<Vec<u64>, StoreError> {
    let all = store.sealed_segments(LogId::TELEMETRY, P0)?;
    Ok(all.iter().map(|info| info.number).collect())
}

/// The fact as a server appends it.
fn tell(store: &Store, range: &DroppedRange) -> Result<(), StoreError> {
    store.append_blocking(fact(Fact::Upkeep { event: range.into() })).map(drop)
}

fn let_go(store: &Store, from: u64, to: u64) -> Result<DroppedRange, StoreError> {
    let reason = "older than 90 days".to_owned();
    let request = DropRequest { log: LogId::TELEMETRY, partition: P0, numbers: from..=to, reason };
    store.drop_segments(&request, &mut |range| tell(store, range))
}

fn at(seq: u64) -> Position {
    Position { log: LogId::TELEMETRY, partition: P0, seq: Seq(seq) }
}

/// The records that are there, by place.
fn records(store: &Store) -> BTreeMap<u64, Vec<u8>> {
    let mut found = BTreeMap::new();
    let end = store.next_seq(LogId::TELEMETRY, P0);
    let mut take = |seq: Seq, bytes: bytes::Bytes| found.insert(seq.0, bytes.to_vec()).is_none();
    store.scan(LogId::TELEMETRY, P0, Seq(0), end, &mut take).unwrap();
    found
}

/// The root of each size, from all records that ever were.
fn roots(all: &BTreeMap<u64, Vec<u8>>) -> Vec<Hash> {
    let mut tree = Frontier::default();
    let mut roots = vec![tree.root()];
    for record in all.values() {
        tree.add(leaf(record));
        roots.push(tree.root());
    }
    roots
}

/// Everything that is left is proven, in the tree of every size and from every checkpoint on; what is not says so.
fn assert_proven(store: &Store, all: &BTreeMap<u64, Vec<u8>>, notes: &[u64]) {
    let (roots, left) = (roots(all), records(store));
    let mut prover = store.prover(LogId::TELEMETRY, P0).unwrap().unwrap();
    let size = prover.head().0;
    assert_eq!(size, all.len() as u64);
    let root = |size: u64| &roots[usize::try_from(size).unwrap()];
    for (index, record) in all {
        if !left.contains_key(index) {
            let error = prover.inclusion(*index, size).unwrap_err();
            assert!(matches!(error, ProofError::Dropped { .. }), "{index}: {error}");
            assert!(store.read(at(*index)).unwrap().is_none());
            assert!(store.dropped_at(at(*index)).is_some(), "{index} says that it was dropped");
            continue;
        }
        assert!(store.dropped_at(at(*index)).is_none());
        for tree in [size, (index + size).div_ceil(2)].into_iter().filter(|tree| tree > index) {
            match prover.inclusion(*index, tree) {
                Ok(proof) => {
                    assert_eq!(proof.leaf, leaf(record));
                    assert!(includes(root(tree), tree, *index, &proof.leaf, &proof.path));
                }
                // A tree that ends among what was dropped, at a size nobody vouched for.
                Err(ProofError::Dropped { .. }) => {
                    assert!(
                        tree < size && store.dropped_at(at(tree)).is_some(),
                        "{index} of {tree}"
                    );
                }
                Err(error) => panic!("{index} of {tree}: {error}"),
            }
        }
    }
    for old in notes {
        assert_eq!(prover.root(*old).unwrap(), *root(*old), "root of {old}");
        for new in notes.iter().copied().filter(|new| new >= old).chain([size]) {
            let path = prover.consistency(*old, new).unwrap();
            assert!(extends((*old, root(*old)), (new, root(new)), &path), "{old} to {new}");
        }
    }
}

/// The sizes of which the folder's checkpoints speak.
fn notes(dir: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(dir.join("checkpoints/telemetry.notes")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let origins = lines.iter().enumerate().filter(|(_, line)| line.starts_with("custos-"));
    origins.filter_map(|(n, _)| lines[n + 1].parse().ok()).collect()
}

#[test]
fn what_is_left_reads_follows_and_is_proven_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    grow(&store, 14).unwrap();
    let all = records(&store);
    let numbers = sealed(&store).unwrap();
    // From the front, a hole behind what stays, and the hole grown on both sides.
    for (from, to) in [(0, 2), (7, 7), (8, 9), (6, 6)] {
        let gone = let_go(&store, numbers[from], numbers[to]).unwrap();
        assert_eq!(u64::from(gone.segments), numbers[to] - numbers[from] + 1);
        assert_proven(&store, &all, &notes(dir.path()));
    }
    let left = records(&store);
    assert!(left.len() < all.len() * 2 / 3 && left.iter().all(|(at, bytes)| all[at] == *bytes));
    let followed: BTreeMap<_, _> = follow_all(&store)
        .into_iter()
        .filter(|(_, log, ..)| *log == LogId::TELEMETRY)
        .flat_map(|(_, _, first, entries)| (first..).zip(entries.into_iter().map(|e| e.to_vec())))
        .collect();
    // The newest are still in memory.
    assert!(followed == left, "followers get what is left");
    store.close().unwrap();
    let reports = reports(dir.path());
    assert!(reports.iter().all(LogReport::is_ok), "{reports:#?}");
    let telemetry = &reports[0];
    assert_eq!((telemetry.dropped.len(), telemetry.records), (4, left.len() as u64));
    assert_eq!(telemetry.first.0, *left.keys().next().unwrap());
    let (store, facts) = Store::open(dir.path(), small()).unwrap();
    assert!(facts.is_empty(), "{facts:?}");
    assert_eq!(records(&store), left);
    assert_proven(&store, &all, &notes(dir.path()));
    // It goes on where it was.
    let next = store.append_blocking(append(LogId::TELEMETRY, &["next"])).unwrap();
    assert_eq!(next.first.0, all.len() as u64);
}

#[test]
fn numbers_and_places_go_on_when_nothing_but_the_newest_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    grow(&store, 5).unwrap();
    let end = store.next_seq(LogId::TELEMETRY, P0);
    store.close().unwrap();
    // A new process seals what was open; the last of it stays.
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    store.wait_sealed();
    let numbers = sealed(&store).unwrap();
    let last = numbers.last().copied().unwrap();
    assert!(let_go(&store, last + 1, last + 1).is_err(), "the last one is not let go");
    let_go(&store, numbers[0], last).unwrap();
    assert_eq!(segments(dir.path(), LogId::TELEMETRY).len(), 1);
    store.close().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    assert_eq!(store.append_blocking(append(LogId::TELEMETRY, &["n"])).unwrap().first, end);
    store.close().unwrap();
    assert_ok(dir.path());
}

#[test]
fn a_backup_and_its_restore_know_what_was_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to, back) = (dir.path().join("d"), dir.path().join("b"), dir.path().join("r"));
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 8).unwrap();
    let (all, numbers) = (records(&store), sealed(&store).unwrap());
    let target = Target::open(&to.display().to_string(), &S3Options::default(), true).unwrap();
    let options = |kind| CreateOptions { kind, config: None, with_master_key: false };
    store.backup(&target, &options(BackupKind::Full), &mut |_| true).unwrap();
    let before = store.last_commit();
    let_go(&store, numbers[0], numbers[1]).unwrap();
    let_go(&store, numbers[4], numbers[5]).unwrap();
    store.backup(&target, &options(BackupKind::Incremental), &mut |_| true).unwrap();
    let restore = |options: &RestoreOptions, to: &Path| {
        backup::restore(&target, options, to, &mut |_| true).map(drop)
    };
    restore(&RestoreOptions::default(), &back).unwrap();
    assert_ok(&back);
    let (restored, facts) = Store::open(&back, small()).unwrap();
    assert!(facts.is_empty(), "{facts:?}");
    assert_proven(&restored, &all, &notes(&back));
    // What was dropped since is in the older backup.
    let until = Some(backup::Until::Commit(before));
    let older = dir.path().join("older");
    restore(&RestoreOptions { until, ..RestoreOptions::default() }, &older).unwrap();
    let (restored, _) = Store::open(&older, small()).unwrap();
    assert_eq!(records(&restored), all);
    let id = backup::list(&target).unwrap().pop().unwrap().unwrap().id;
    let early = Some(backup::Until::Commit(custos_event::CommitNo(3)));
    let asked = RestoreOptions { id: Some(id), until: early, ..RestoreOptions::default() };
    let error = restore(&asked, &dir.path().join("early")).unwrap_err().to_string();
    assert!(error.contains("restore an older backup with --id"), "{error}");
}

#[test]
fn what_was_taken_is_not_passed_off_as_dropped() {
    let check = |spoil: &dyn Fn(&Path, &Store, &[u64]), expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), small()).unwrap();
        grow(&store, 6).unwrap();
        let numbers = sealed(&store).unwrap();
        spoil(dir.path(), &store, &numbers);
        store.append_blocking(started()).unwrap();
        store.close().unwrap();
        let found = reports(dir.path());
        let errors: Vec<_> = found.iter().flat_map(|report| &report.errors).collect();
        assert!(
            errors.iter().any(|error| error.message.contains(expected)),
            "{expected}: {errors:?}"
        );
    };
    let file = |dir: &Path, number: u64| dir.join(format!("telemetry/{number:010}.seg"));
    check(&|dir, _, n| std::fs::remove_file(file(dir, n[0])).unwrap(), "before it are missing");
    check(
        &|dir, store, n| {
            let_go(store, n[0], n[1]).unwrap();
            std::fs::remove_file(dir.join("retention/telemetry-0.dropped")).unwrap();
        },
        "before it are missing",
    );
    let unsaid = "no fact says that they were dropped";
    let request = |n: &[u64]| {
        let (log, reason) = (LogId::TELEMETRY, "nobody knows".into());
        DropRequest { log, partition: P0, numbers: n[0]..=n[1], reason }
    };
    check(&|_, store, n| drop(store.drop_segments(&request(n), &mut |_| Ok(())).unwrap()), unsaid);
    // An event that reads like the fact is none.
    check(
        &|_, store, n| {
            let mut forge = |range: &DroppedRange| {
                let said = fact(Fact::Upkeep { event: range.into() });
                store.append_blocking(Append { log: LogId::TELEMETRY, ..said }).map(drop)
            };
            store.drop_segments(&request(n), &mut forge).unwrap();
        },
        unsaid,
    );
}

#[test]
fn a_refusal_leaves_everything_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    grow(&store, 4).unwrap();
    let (all, numbers) = (records(&store), sealed(&store).unwrap());
    let (log, reason) = (LogId::TELEMETRY, "age".to_owned());
    let request = DropRequest { log, partition: P0, numbers: numbers[0]..=numbers[1], reason };
    let held = store.drop_segments(&request, &mut |_| Err(StoreError::Refused("held".into())));
    assert!(matches!(held, Err(StoreError::Refused(_))));
    assert_eq!((records(&store), store.dropped(log, P0)), (all.clone(), vec![]));
    store.close().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    assert_eq!((records(&store), store.dropped(log, P0)), (all, vec![]));
    assert!(!dir.path().join("retention/telemetry-0.next").exists());
}

#[test]
fn damage_is_not_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), small()).unwrap();
    grow(&store, 4).unwrap();
    let numbers = sealed(&store).unwrap();
    let path = dir.path().join(format!("telemetry/{:010}.seg", numbers[1]));
    flip_middle(&path);
    let error = let_go(&store, numbers[0], numbers[2]).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(store.dropped(LogId::TELEMETRY, P0), []);
    let_go(&store, numbers[0], numbers[0]).unwrap();
}

/// Whether the journal says that something was dropped.
fn told(store: &Store) -> bool {
    let (mut told, end) = (false, store.next_seq(LogId::JOURNAL, P0));
    let mut take = |_, bytes: bytes::Bytes| {
        let fact = Envelope::decode(&bytes).unwrap().fact;
        told |= matches!(fact, Fact::Upkeep { event: UpkeepEvent::SegmentsDropped { .. } });
        true
    };
    store.scan(LogId::JOURNAL, P0, Seq(0), end, &mut take).unwrap();
    told
}

/// What a crash left is the whole or the rest, never a part of what was to go.
fn check_crash(
    disk: &Twin,
    all: &BTreeMap<u64, Vec<u8>>,
    gone: (u64, u64),
) -> Result<bool, String> {
    let options = || VerifyOptions { disk: Disk::new(disk.clone()), ..VerifyOptions::default() };
    let open = || Store::open(Path::new(DIR), Options { disk: Disk::new(disk.clone()), ..small() });
    let faults = |when: &str| {
        let reports = verify(Path::new(DIR), &options()).map_err(|e| format!("{when}: {e}"))?;
        let errors = reports.iter().flat_map(|report| &report.errors);
        let mut bad = errors.map(|e| format!("{when}: {} {}", e.kind.as_str(), e.message));
        bad.find(|e| !e.contains(": torn") && !e.contains(": undecided")).map_or(Ok(()), Err)
    };
    faults("before the start")?;
    let (store, facts) = open().map_err(|e| format!("does not open: {e}"))?;
    if let Some(fact) = facts.iter().find(|fact| !matches!(fact, Fact::TailCut { .. })) {
        return Err(format!("{fact:?}"));
    }
    let (left, within) = (records(&store), |at: u64| gone.0 <= at && at <= gone.1);
    let dropped = !store.dropped(LogId::TELEMETRY, P0).is_empty();
    if told(&store) != dropped {
        return Err(format!("dropped {dropped}, and the journal says otherwise"));
    }
    let expected: BTreeMap<_, _> = all.iter().filter(|(at, _)| !dropped || !within(**at)).collect();
    if left.iter().filter(|(at, _)| all.contains_key(at)).collect::<BTreeMap<_, _>>() != expected {
        return Err(format!("dropped {dropped}, and {} records are there", left.len()));
    }
    store.close().map_err(|e| e.to_string())?;
    faults("after the start").map(|()| dropped)
}

#[test]
fn a_crash_at_any_step_leaves_the_whole_or_the_rest() {
    let (mut dice, mut ends) = (Dice(7), BTreeMap::new());
    // Each round cuts what was not synced elsewhere.
    for step in std::iter::repeat_n(STEPS, rounds(1, 20)).flatten() {
        for what in [What::PowerBefore, What::PowerAfter, What::Eio, What::Enospc] {
            for nth in 1..40 {
                let disk = Twin::default();
                let options = Options { disk: Disk::new(disk.clone()), ..small() };
                let (store, _) = Store::open(Path::new(DIR), options).unwrap();
                grow(&store, 4).unwrap();
                store.checkpoint().unwrap();
                let (all, numbers) = (records(&store), sealed(&store).unwrap());
                let info = store.sealed_segments(LogId::TELEMETRY, P0).unwrap();
                disk.arm(Plan { step: Some(step), nth, what });
                let told = let_go(&store, numbers[1], numbers[2]);
                let struck = disk.struck();
                drop(store.close());
                drop(store);
                let left = disk.after_power_loss(Mood::any(&mut dice), &mut dice);
                let gone = (info[1].first.0, info[2].end.0 - 1);
                let ended = check_crash(&left, &all, gone)
                    .unwrap_or_else(|e| panic!("{what:?} at {step:?} {nth}: {e}"));
                assert!(
                    told.is_err() || ended,
                    "{what:?} at {step:?} {nth}: said yes, and did not"
                );
                if !struck {
                    break;
                }
                *ends.entry(ended).or_insert(0) += 1;
            }
        }
    }
    println!("retention failpoints: {} left whole, {} dropped", ends[&false], ends[&true]);
    assert!(ends[&false] > 10 && ends[&true] > 10, "{ends:?}");
}
