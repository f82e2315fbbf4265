//! `custos log verify`: reads every byte of every segment and says what is not as it was written. Reads
//! only, needs no lock, and may run beside a server that writes.

use crate::{
    audit::{Audit, Claim},
    checkpoint,
    disk::{Disk, Lock},
    error::StoreError,
    found::identify,
    judge::{Verdict, Witness, judge},
    keys::{KeySource, Keyring, Masters},
    note::{self, Checkpoint, NoteError},
    opened::read_head,
    retention::{self, DroppedRange},
    scan::{self, Piece, scan},
    store::check_folder,
    stream::StreamId,
    tree::Hash,
};
use custos_event::{CommitNo, LogId, Partition, Seq};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What to hold the logs against besides what the folder itself says.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Signed notes kept elsewhere, and the public key in text: see [`crate::Store::public_keys`].
    pub checkpoint: Option<(String, String)>,
    /// As in [`crate::Options::master_key`].
    pub master_key: Option<KeySource>,
    /// What the data folder lies on.
    pub disk: Disk,
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A write that was never finished; the next start cuts it off.
    Torn,
    /// A last frame with wrong bytes of which nothing tells whether it was ever acknowledged.
    Undecided,
    /// The log is shorter than it once was.
    Truncated,
    /// Bytes that were durable are not what they were, or are gone.
    Corrupt,
    /// The records are whole but not those that a checkpoint speaks of.
    Mismatch,
    /// A checkpoint is not signed by the key it should be.
    Signature,
}

impl Fault {
    /// The word that CLI.md has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::Undecided => "undecided",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Mismatch => "mismatch",
            Self::Signature => "signature",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogError {
    pub kind: Fault,
    /// The segment's file name, where one is at fault.
    pub segment: Option<String>,
    /// The first place concerned.
    pub seq: Option<Seq>,
    pub message: String,
}

/// What was found of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    pub log: LogId,
    pub partition: Partition,
    /// The first and last places that are there; no last one if the log is empty.
    pub first: Seq,
    pub last: Option<Seq>,
    /// What is gone on purpose, and sizes of checkpoints that therefore cannot be held against the log.
    pub dropped: Vec<DroppedRange>,
    pub unproven: Vec<u64>,
    /// How many records were read.
    pub records: u64,
    /// The tree's root over everything up to the last place.
    pub root: Hash,
    pub errors: Vec<LogError>,
}

impl LogReport {
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }
}

/// How far a verification has come; whoever holds it may end it.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Bytes read, and bytes there are to read.
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// The verification ends before its next segment, as [`StoreError::Closed`].
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn expect(&self, files: &BTreeMap<StreamId, Vec<PathBuf>>) {
        let sizes = files.values().flatten().filter_map(|path| path.metadata().ok());
        self.done.store(0, Ordering::Relaxed);
        self.total.store(sizes.map(|file| file.len()).sum(), Ordering::Relaxed);
    }

    pub(crate) fn segment(&self, bytes: u64) -> Result<(), StoreError> {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) { Err(StoreError::Closed) } else { Ok(()) }
    }
}

/// Verifies all logs of the data folder `dir`, one report each.
pub fn verify(dir: &Path, options: &VerifyOptions) -> Result<Vec<LogReport>, StoreError> {
    verify_watched(dir, options, &Progress::default())
}

/// A drop every few seconds would be a fault.
const TRIALS_MAX: u32 = 3;

/// The same for somebody who watches. Where a file goes while it is read, a server lets it go: then once more.
pub fn verify_watched(
    dir: &Path,
    options: &VerifyOptions,
    progress: &Progress,
) -> Result<Vec<LogReport>, StoreError> {
    let gone = |error: &StoreError| matches!(error, StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound);
    for _ in 1..TRIALS_MAX {
        match attempt(dir, options, progress) {
            Err(error) if gone(&error) => {}
            done => return done,
        }
    }
    attempt(dir, options, progress)
}

fn attempt(
    dir: &Path,
    options: &VerifyOptions,
    progress: &Progress,
) -> Result<Vec<LogReport>, StoreError> {
    let disk = &options.disk;
    check_folder(disk, dir)?;
    let keyring = Keyring::load(disk, dir, options.master_key.as_ref(), false)?;
    // Before the segments are listed: what a checkpoint speaks of by now is in them.
    let mut claims = kept(disk, dir, &keyring, Lock::is_held(disk, dir))?;
    given(options, &keyring, &mut claims);
    let live = Live::find(disk, dir, keyring.masters())?;
    let mut files = segments(disk, dir)?;
    // After the files are listed: what is gone by now and was not then is among them, or is told of here.
    let mut dropped = retention::load_all(disk, dir)?;
    progress.expect(&files);
    let ids = files.keys().chain(claims.keys()).chain(dropped.keys());
    let ids: BTreeSet<_> = ids.copied().collect();
    let ends = live.as_ref().map(|_| used_bytes(disk, &files)).transpose()?.unwrap_or_default();
    let mut audits = Vec::new();
    for id in ids {
        let known =
            (claims.remove(&id).unwrap_or_default(), dropped.remove(&id).unwrap_or_default());
        let mut audit = Audit::new(disk, id, keyring.masters(), known, progress);
        audit.run(&files.remove(&id).unwrap_or_default(), ends.get(&id).copied())?;
        audits.push(audit);
    }
    tell_of_unsaid(&mut audits);
    let synced = audits.iter().map(|audit| audit.synced_through).max().unwrap_or_default();
    let synced = live.as_ref().map_or(synced, |live| live.synced_through);
    let missing = first_missing(&audits);
    let witness =
        Witness { synced_through: synced, missing: missing.is_some_and(|m| m <= synced), size: 0 };
    if let Some(missing) = missing.filter(|missing| live.is_none() || *missing <= synced) {
        tell_of_missing(&mut audits, missing);
    }
    Ok(audits.into_iter().map(|audit| report(audit, witness, live.is_some())).collect())
}

/// A server that writes while the logs are read. They are not read at one instant: a commit may be seen half
/// in one log, and the word that it is durable in another, read later. So a commit counts as durable only
/// where that was said before the reading began.
struct Live {
    synced_through: CommitNo,
}

impl Live {
    fn find(disk: &Disk, dir: &Path, masters: &Masters) -> Result<Option<Self>, StoreError> {
        if !Lock::is_held(disk, dir) {
            return Ok(None);
        }
        let mut synced_through = CommitNo(0);
        for path in segments(disk, dir)?.values().filter_map(|paths| paths.last()) {
            let file = disk.open(path)?;
            // A header that does not read is told of when the log is read.
            let Ok((header, _, header_bytes)) = read_head(&file, masters) else { continue };
            let (pieces, _) = scan(&file.read_from(header_bytes)?, 0);
            let frames = pieces.iter().filter_map(Piece::header);
            let said = frames.map(|header| header.synced_through).max().unwrap_or_default();
            synced_through = synced_through.max(said).max(header.synced_through);
        }
        Ok(Some(Self { synced_through }))
    }
}

/// How far each log's last segment is written: what comes behind that later is not looked at, so that one
/// reading does not show an unfinished frame and, behind it, finished ones.
fn used_bytes(
    disk: &Disk,
    files: &BTreeMap<StreamId, Vec<PathBuf>>,
) -> Result<BTreeMap<StreamId, usize>, StoreError> {
    let last = files.iter().filter_map(|(id, paths)| Some((id, paths.last()?)));
    let used = last.map(|(id, path)| {
        let bytes = disk.open(path)?.read_from(0)?;
        Ok((*id, scan::used(&bytes)))
    });
    used.collect()
}

/// The checkpoints in the folder, and complaints of those that do not read.
fn kept(
    disk: &Disk,
    dir: &Path,
    keyring: &Keyring,
    live: bool,
) -> Result<BTreeMap<StreamId, Vec<Claim>>, StoreError> {
    let mut claims = BTreeMap::new();
    for path in disk.list(&dir.join(checkpoint::FOLDER))? {
        let Some(id) = checkpoint::identify(&path) else { continue };
        let of_log = match checkpoint::load(disk, dir, id, keyring) {
            Ok((notes, whole)) => {
                let unfinished = || {
                    Claim::Fault(LogError {
                        kind: Fault::Torn,
                        segment: None,
                        seq: None,
                        message: format!("{}: its last note is not whole", path.display()),
                    })
                };
                let unfinished = (!whole && !live).then(unfinished);
                notes.into_iter().map(Claim::Note).chain(unfinished).collect()
            }
            Err(StoreError::Damaged { reason, .. }) => vec![Claim::Fault(LogError {
                kind: Fault::Signature,
                segment: None,
                seq: None,
                message: format!("{}: {reason}", path.display()),
            })],
            Err(error) => return Err(error),
        };
        claims.insert(id, of_log);
    }
    Ok(claims)
}

/// The checkpoints that the caller holds, under the key that the caller holds.
fn given(options: &VerifyOptions, keyring: &Keyring, claims: &mut BTreeMap<StreamId, Vec<Claim>>) {
    let Some((notes, keys)) = &options.checkpoint else { return };
    let fault = |message: String| {
        Claim::Fault(LogError { kind: Fault::Signature, segment: None, seq: None, message })
    };
    let read = note::Keys::parse(keys).and_then(|keys| {
        let notes = note::parse_all(notes)?;
        if notes.is_empty() { Err(NoteError::Form("it is empty")) } else { Ok((keys, notes)) }
    });
    let (keys, notes) = match read {
        Ok(read) => read,
        Err(error) => {
            let telemetry = (LogId::TELEMETRY, Partition(0));
            claims.entry(telemetry).or_default().push(fault(error.to_string()));
            return;
        }
    };
    for note in notes {
        let id = log_of(&note, keyring);
        let claim = match (note.check(&keys), id) {
            (Err(error), _) => fault(error.to_string()),
            (Ok(()), None) => fault(format!("checkpoint of {} is not of this folder", note.origin)),
            (Ok(()), Some(_)) => Claim::Note(note),
        };
        claims.entry(id.unwrap_or((LogId::TELEMETRY, Partition(0)))).or_default().push(claim);
    }
}

/// Which log of this folder a note speaks of.
fn log_of(note: &Checkpoint, keyring: &Keyring) -> Option<StreamId> {
    let key = keyring.signing().verifying_key();
    let mut parts = note.origin.split('/').skip(1);
    let log = parts.next()?.parse().ok()?;
    let partition = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    let id = (log, Partition(partition));
    (note::origin(&key, id.0, id.1) == note.origin).then_some(id)
}

/// Each log's segments, in order.
fn segments(disk: &Disk, dir: &Path) -> Result<BTreeMap<StreamId, Vec<PathBuf>>, StoreError> {
    let mut files = BTreeMap::<StreamId, Vec<PathBuf>>::new();
    for folder in disk.list(dir)? {
        let name = folder.file_name().and_then(|name| name.to_str());
        if name.is_none_or(|name| name.parse::<LogId>().is_err()) {
            continue;
        }
        for path in disk.list(&folder)? {
            if let Some((id, _)) = identify(dir, &path) {
                files.entry(id).or_default().push(path);
            }
        }
    }
    Ok(files)
}

/// The lowest commit number that no log has though higher ones are there, burnt ones apart.
fn first_missing(audits: &[Audit<'_>]) -> Option<CommitNo> {
    let runs = audits.iter().flat_map(|audit| audit.commits.iter().chain(&audit.burnt));
    let mut runs: Vec<_> = runs.copied().collect();
    runs.sort_unstable();
    let mut expected: Option<u64> = None;
    for (first, last) in runs {
        match expected {
            Some(expected) if first > expected => return Some(CommitNo(expected)),
            _ => expected = expected.max(Some(last.saturating_add(1))),
        }
    }
    None
}

/// What is gone without a fact that says so was taken, not dropped. A drop that is younger than the last fact is
/// not held against a journal that was cut at an earlier point.
fn tell_of_unsaid(audits: &mut [Audit<'_>]) {
    let journal = audits.iter().find(|audit| audit.id.0 == LogId::JOURNAL);
    let whole = |audit: &&Audit<'_>| audit.errors.is_empty() && audit.damages.is_empty();
    let Some((until, told)) = journal.filter(whole).map(|j| (j.last_at, j.told.clone())) else {
        return;
    };
    for audit in audits.iter_mut() {
        let steps = audit.dropped.ranges().iter().flat_map(|gone| &gone.drops);
        let steps: Vec<_> = steps.filter(|step| step.at <= until).cloned().collect();
        for DroppedRange { first, last, .. } in steps {
            let of_log = told.iter().filter(|(log, ..)| *log == audit.id.0);
            let within = of_log.filter(|(_, from, to)| first <= *from && *to <= last);
            let said: u64 = within.map(|(_, from, to)| to.0 - from.0 + 1).sum();
            if said <= last.0 - first.0 {
                let message = format!(
                    "records {first} to {last} are gone, and no fact says that they were dropped"
                );
                let (segment, seq) = (None, Some(first));
                audit.errors.push(LogError { kind: Fault::Corrupt, segment, seq, message });
            }
        }
    }
}

/// A missing commit is told of one log, and only where no other damage explains it.
fn tell_of_missing(audits: &mut [Audit<'_>], missing: CommitNo) {
    let explained = audits.iter().any(|a| !a.errors.is_empty() || !a.damages.is_empty());
    if let (false, Some(audit)) = (explained, audits.first_mut()) {
        audit.errors.push(LogError {
            kind: Fault::Corrupt,
            segment: None,
            seq: None,
            message: format!("commit {missing} is in no log, though later ones are"),
        });
    }
}

fn report(mut audit: Audit<'_>, witness: Witness, live: bool) -> LogReport {
    let size = audit.claimed_size;
    let witness = Witness { size, ..witness };
    let mut at_end = false;
    for found in std::mem::take(&mut audit.damages) {
        let verdict = judge(&found.damage, found.next, found.followed, &witness);
        at_end |= !found.followed;
        let kind = match verdict {
            Verdict::Corrupt => Fault::Corrupt,
            // The running server is just writing it.
            Verdict::Torn | Verdict::Undecided if live => continue,
            Verdict::Torn => Fault::Torn,
            Verdict::Undecided => Fault::Undecided,
        };
        audit.errors.push(LogError {
            kind,
            segment: Some(found.segment),
            seq: Some(found.next),
            message: found.message,
        });
    }
    let end = audit.frontier.size();
    if end < size && (live || !at_end) {
        audit.errors.push(LogError {
            kind: Fault::Truncated,
            segment: None,
            seq: Some(Seq(end)),
            message: format!("the log has {end} records, a checkpoint speaks of {size}"),
        });
    }
    LogReport {
        log: audit.id.0,
        partition: audit.id.1,
        first: audit.first,
        dropped: audit.dropped.ranges().iter().flat_map(|gone| gone.drops.clone()).collect(),
        unproven: audit.unproven,
        last: end.checked_sub(1).filter(|last| *last >= audit.first.0).map(Seq),
        records: audit.records,
        root: audit.frontier.root(),
        errors: audit.errors,
    }
}
