//! Makes a data folder from a backup, whole or as it was at a point in time. It is built beside its place, verified
//! there, and swapped in as one step; one that breaks off is gone on with or begun anew, and never half there.

use super::{
    catalog::Shelf,
    create::{CONFIG, KEYRING, MASTER, SUBJECTS, is_keys},
    cut::{Until, cut},
    fetch,
    manifest::{FileEntry, Manifest, SegmentEntry, bad, sha256},
    progress::{Meter, Tell},
    target::Target,
};
use crate::{
    checkpoint,
    disk::Disk,
    error::StoreError,
    keys::{KeyDays, KeySource, Keyring},
    place,
    stream::StreamId,
    verify::{Fault, LogReport, VerifyOptions, verify},
};
use bytes::Bytes;
use custos_event::Timestamp;
use custos_evidence::Keys;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Which backup, and what of it.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// Without it the newest, or the first that reaches `until`.
    pub id: Option<String>,
    pub until: Option<Until>,
    pub master_key: Option<PathBuf>,
    /// Public keys in text, one of which must be that of the manifest.
    pub public_key: Option<String>,
    /// The time, by which keys are too old to be taken; none are where it is not given.
    pub now: Timestamp,
    /// Takes people's keys that are older than [`KeyDays::MAX`].
    pub expired_keys: bool,
    /// Files of the caller's own to lie in the new folder: name and bytes.
    pub beside: Vec<(String, Vec<u8>)>,
}

/// What a restore made.
#[derive(Clone, Debug)]
pub struct Restored {
    pub manifest: Manifest,
    pub until: Option<Until>,
    /// The new folder, read from its first byte to its last.
    pub logs: Vec<LogReport>,
}

/// Says of an unfinished folder what it was to become.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Marker {
    url: String,
    id: String,
    until: Option<String>,
    keyring: String,
}

const MARKER: &str = "RESTORING";

/// Makes the data folder `dir`, which must be absent or empty.
pub fn restore(
    target: &Target,
    options: &RestoreOptions,
    dir: &Path,
    progress: &mut Tell<'_>,
) -> Result<Restored, StoreError> {
    let dir = std::path::absolute(dir).map_err(|e| StoreError::io("find", dir, e))?;
    if !place::is_free(&dir)? {
        let dir = dir.display();
        let reason = format!("{dir} is not an empty folder; a restore goes into a new one");
        return Err(StoreError::Refused(reason));
    }
    let shelf = Shelf::read(target)?;
    let manifest = choose(&shelf, target, options)?;
    shelf.chain(&manifest.id)?;
    check_signer(manifest, options)?;
    check_kept(manifest, options)?;
    let newest = fetch::newest_keyring(&shelf, &manifest.node);
    let (holder, entry) = newest.ok_or_else(|| bad(&manifest.id, "it has no keyring"))?;
    check_age(target, holder, options)?;
    let master = fetch::master_key(target, holder, options.master_key.as_deref())?;
    let ring = fetch::file(target, holder, entry)?;
    let keyring = fetch::keyring(manifest, &ring, &master)?;
    let marker = Marker {
        url: target.url().into(),
        id: manifest.id.clone(),
        until: options.until.map(|until| until.to_string()),
        keyring: sha256(&ring),
    };
    let stage = begin(&dir, &marker)?;
    let meter = Meter::new(progress);
    let mut building =
        Building { target, manifest, keyring, until: options.until, stage: &stage, meter };
    building.files()?;
    building.small(KEYRING, &ring)?;
    if let Some(entry) = holder.file(SUBJECTS) {
        building.small(SUBJECTS, &fetch::file(target, holder, entry)?)?;
    }
    building.small(MASTER, &master)?;
    for (name, bytes) in &options.beside {
        building.small(name, bytes)?;
    }
    let logs = building.prove()?;
    place::files_synced(&stage)?;
    Disk::default().remove(&stage.join(MARKER))?;
    place::swap_in(&stage, &dir)?;
    Ok(Restored { manifest: manifest.clone(), until: options.until, logs })
}

/// The backup that was named; else the first that reaches the point in time; else the newest.
fn choose<'s>(
    shelf: &'s Shelf,
    target: &Target,
    options: &RestoreOptions,
) -> Result<&'s Manifest, StoreError> {
    let url = target.url();
    let refused = |reason: String| Err(StoreError::Refused(reason));
    let reaches = |manifest: &Manifest| match options.until {
        None => true,
        Some(Until::Commit(commit)) => manifest.commit >= commit,
        Some(Until::Time(time)) => manifest.created_at >= time,
    };
    if let Some(id) = &options.id {
        if !shelf.found.iter().any(|found| found.id == *id) {
            return refused(format!("{url} has no backup {id}; see 'custos backup list'"));
        }
        let manifest = shelf.get(id)?;
        if !reaches(manifest) {
            return refused(format!("backup {id} ends at commit {}", manifest.commit));
        }
        return Ok(manifest);
    }
    // The newest may be the one that does not read: nothing older is taken for it.
    if let Some(error) = shelf.damage() {
        return Err(error);
    }
    let chosen = match options.until {
        None => shelf.readable().next_back(),
        Some(_) => shelf.readable().find(|manifest| reaches(manifest)),
    };
    match (chosen, shelf.readable().next_back()) {
        (Some(chosen), _) => Ok(chosen),
        (None, Some(newest)) => refused(format!(
            "the newest backup of {url} is of {} and ends at commit {}",
            newest.created_at, newest.commit
        )),
        (None, None) => refused(format!("{url} holds no backup")),
    }
}

fn check_signer(manifest: &Manifest, options: &RestoreOptions) -> Result<(), StoreError> {
    let Some(given) = &options.public_key else { return Ok(()) };
    let keys = Keys::parse(given).map_err(|e| StoreError::Refused(e.to_string()))?;
    let signer = manifest.public_key()?;
    if keys.all().any(|key| *key == signer) {
        return Ok(());
    }
    Err(bad(&manifest.id, "its manifest is not signed by the given key"))
}

/// A point in time before anything that retention had left when the backup was made cannot be had from it.
fn check_kept(manifest: &Manifest, options: &RestoreOptions) -> Result<(), StoreError> {
    let Some(until) = options.until else { return Ok(()) };
    for log in manifest.logs.iter().filter(|log| log.first.0 > 0) {
        let name = format!("{}/", log.log);
        let of_log = manifest.files.iter().filter(|file| file.path.starts_with(&name));
        let first = of_log.filter_map(|file| file.segment.as_ref()).min_by_key(|s| s.first);
        if first
            .is_some_and(|first| matches!(until, Until::Commit(last) if last < first.first_commit))
        {
            return Err(StoreError::Refused(format!(
                "of log {} retention had dropped everything up to record {} before backup {} was made: {until} lies \
                 before that; restore an older backup with --id, or a later point",
                log.log, log.first, manifest.id
            )));
        }
    }
    Ok(())
}

/// Who was erased after the newest keys were backed up comes back with them: not without being told.
fn check_age(
    target: &Target,
    holder: &Manifest,
    options: &RestoreOptions,
) -> Result<(), StoreError> {
    let made = holder.created_at;
    if options.expired_keys || !KeyDays::MAX.are_over(made, options.now) {
        return Ok(());
    }
    let (url, days) = (target.url(), KeyDays::MAX.get());
    Err(StoreError::Refused(format!(
        "the newest keys of {url} are of {made}, older than {days} days: keys of people who were erased since \
         then would come back; --expired-keys takes them, and those erasures have to be asked for again"
    )))
}

/// The folder to build in, with what an earlier try of the very same left there.
fn begin(dir: &Path, marker: &Marker) -> Result<PathBuf, StoreError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let stage = dir.with_file_name(format!(".{name}.restoring"));
    if place::is_link(&stage)? {
        return Err(StoreError::Refused(format!("{} is a link; remove it", stage.display())));
    }
    let path = stage.join(MARKER);
    let known: Option<Marker> =
        Disk::default().read(&path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if known.as_ref() != Some(marker) {
        if known.is_none() && !place::is_free(&stage)? {
            let stage = stage.display();
            let reason = format!("{stage} is in the way and is no unfinished restore; remove it");
            return Err(StoreError::Refused(reason));
        }
        place::remove_tree(&stage)?;
        place::create_private_dir(&stage)?;
        let text = serde_json::to_vec(marker).map_err(std::io::Error::from);
        let text = text.map_err(|e| StoreError::io("write", &path, e))?;
        Disk::default().replace(&path, &text)?;
    }
    Ok(stage)
}

struct Building<'a> {
    target: &'a Target,
    manifest: &'a Manifest,
    keyring: Keyring,
    until: Option<Until>,
    stage: &'a Path,
    meter: Meter<'a>,
}

impl Building<'_> {
    fn files(&mut self) -> Result<(), StoreError> {
        let files = &self.manifest.files;
        self.meter.expect(files.len() as u64, files.iter().map(|file| file.bytes).sum());
        let keys = |file: &&FileEntry| is_keys(&file.path) || file.path == MASTER;
        for file in files.iter().filter(|file| !keys(file)) {
            self.file(file)?;
        }
        Ok(())
    }

    fn file(&mut self, file: &FileEntry) -> Result<(), StoreError> {
        let path = self.stage.join(&file.path);
        let cut = self.until.zip(file.segment.as_ref());
        let straddles = cut.is_some_and(|(until, s)| !until.keeps(s.last_commit, s.last_at));
        if !straddles && Self::is_there(&path, file)? {
            return self.meter.passed(file.bytes);
        }
        let mut bytes = fetch::file(self.target, self.manifest, file)?;
        self.meter.moved(file.bytes);
        self.meter.part()?;
        if let (Some((until, segment)), true) = (cut, straddles) {
            match self.cut(&bytes, segment, until, &path)? {
                Some(kept) => bytes = kept.into(),
                None => return Ok(()),
            }
        }
        if file.path == CONFIG {
            let owner = file.pieces.first().map_or("", |piece| piece.backup.as_str());
            let opened = self.keyring.unseal("backup", owner, &bytes)?;
            let opened =
                opened.ok_or_else(|| bad(&self.manifest.id, "its configuration does not open"))?;
            bytes = Bytes::from(opened.reveal().clone());
        }
        self.small(&file.path, &bytes)
    }

    /// Whether an earlier try put it there, whole.
    fn is_there(path: &Path, file: &FileEntry) -> Result<bool, StoreError> {
        if place::is_link(path)? {
            return Err(StoreError::Refused(format!("{} is a link; remove it", path.display())));
        }
        Ok(Disk::default().read(path)?.is_some_and(|bytes| sha256(&bytes) == file.sha256))
    }

    fn cut(
        &self,
        bytes: &[u8],
        segment: &SegmentEntry,
        until: Until,
        path: &Path,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if segment.root.is_none() {
            let damaged = path.strip_prefix(self.stage).unwrap_or(path).display();
            return match until {
                Until::Commit(last) if segment.first_commit > last => Ok(None),
                Until::Commit(_) | Until::Time(_) => Err(StoreError::Refused(format!(
                    "{damaged} was damaged when it was backed up and cannot be cut at {until}; restore the \
                     whole backup, or an earlier point"
                ))),
            };
        }
        cut(bytes, self.keyring.masters(), until, path)
    }

    fn small(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.stage.join(name);
        if let Some(parent) = path.parent() {
            place::create_private_dir(parent)?;
        }
        Disk::default().replace(&path, bytes)
    }

    /// Reads the new folder whole: it must be what the manifest says, or for an earlier point what checkpoints say.
    fn prove(&self) -> Result<Vec<LogReport>, StoreError> {
        if self.until.is_some() {
            let master_key = Some(KeySource::File(self.stage.join(MASTER)));
            // Before the checkpoints are fitted, the logs' lengths are all that is asked.
            let options = VerifyOptions { master_key, ..VerifyOptions::default() };
            for report in verify(self.stage, &options)? {
                self.fit_notes(&report)?;
            }
        }
        let options = VerifyOptions {
            master_key: Some(KeySource::File(self.stage.join(MASTER))),
            ..VerifyOptions::default()
        };
        let reports = verify(self.stage, &options)?;
        let damaged = self.manifest.damaged().next().is_some();
        for report in &reports {
            let known = |kind: Fault| damaged && kind == Fault::Corrupt;
            if let Some(error) = report.errors.iter().find(|error| !known(error.kind)) {
                let reason = format!("log {}: {}", report.log, error.message);
                return Err(bad(&self.manifest.id, &reason));
            }
        }
        if self.until.is_none() {
            self.compare(&reports)?;
        }
        Ok(reports)
    }

    /// Keeps the checkpoints that the cut log bears out.
    fn fit_notes(&self, report: &LogReport) -> Result<(), StoreError> {
        let id: StreamId = (report.log, report.partition);
        let size = report.last.map_or(0, |last| last.plus(1).0);
        let path = checkpoint::path(self.stage, id);
        let (notes, _) = checkpoint::load(&Disk::default(), self.stage, id, &self.keyring)?;
        let text: String =
            notes.iter().filter(|n| n.size <= size).map(|n| n.note.as_str()).collect();
        if text.is_empty() {
            return if path.exists() { Disk::default().remove(&path) } else { Ok(()) };
        }
        Disk::default().replace(&path, text.as_bytes())
    }

    fn compare(&self, reports: &[LogReport]) -> Result<(), StoreError> {
        for log in &self.manifest.logs {
            let report =
                reports.iter().find(|report| (report.log, report.partition) == log.stream());
            let same = report.is_some_and(|report| crate::crypt::hex(&report.root) == log.root);
            if !same && self.manifest.damaged().next().is_none() {
                let reason = format!("log {} is not what its manifest says", log.log);
                return Err(bad(&self.manifest.id, &reason));
            }
        }
        Ok(())
    }
}
