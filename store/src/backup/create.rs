//! Makes a backup of an open store while it goes on being written: parts first, each read back and proven, the
//! manifest last. Without its manifest a backup does not exist, so one that breaks off leaves nothing that lies.

use super::{
    catalog::Shelf,
    manifest::{
        BackupKind, FileEntry, LogState, MANIFEST_BYTES_MAX, Manifest, MasterKeyHint, PIECES_MAX,
        Piece, SegmentEntry, VERSION, bad, node_name, sha256, signer_name,
    },
    progress::{Meter, Tell},
    snapshot::{Cut, Snapshot},
    target::Target,
};
use crate::{
    checkpoint, crypt::hex, error::StoreError, inspect::inspect, keys::KeySource, note, segment,
    shared::Shared,
};
use bytes::Bytes;
use custos_event::Timestamp;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::PoisonError;
use tracing::error;

/// What a backup is to hold.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    pub kind: BackupKind,
    /// The configuration file's bytes; they are sealed under the keyring, for they may hold secrets.
    pub config: Option<Vec<u8>>,
    /// Whoever holds such a backup can read it: only where the operator asks for it in so many words.
    pub with_master_key: bool,
}

/// Files of the data folder beside segments and keys that belong to the truth or the evidence.
const FOLDERS: [&str; 3] = ["torn", "quarantine", "retention"];
pub(super) const CONFIG: &str = "config/custos.toml";
pub(super) const KEYRING: &str = "keys/keyring";
/// People's keys, which the keyring opens.
pub(super) const SUBJECTS: &str = "keys/subjects";
pub(super) const MASTER: &str = "keys/master.key";

/// Keys are stored with every backup, kept for a time, and restored from the newest that has them.
pub(super) fn is_keys(path: &str) -> bool {
    matches!(path, KEYRING | SUBJECTS)
}

/// See [`crate::Store::backup`].
pub(crate) fn create(
    shared: &Shared,
    target: &Target,
    options: &CreateOptions,
    progress: &mut Tell<'_>,
) -> Result<Manifest, StoreError> {
    let _upkeep = shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
    let key = shared.keyring.signing();
    let node = node_name(&key.verifying_key());
    let shelf = Shelf::read(target)?;
    if let Some(other) = shelf.readable().find(|manifest| manifest.node != node) {
        let (url, other) = (target.url(), &other.node);
        let reason = format!("{url} holds backups of {other}, not of {node}; choose another place");
        return Err(StoreError::Refused(reason));
    }
    let base = base(&shelf, options.kind);
    let created_at = shared.options.clock.now();
    let mut making = Making {
        shared,
        target,
        meter: Meter::new(progress),
        id: free_id(&shelf, created_at),
        base,
        files: Vec::new(),
    };
    let snapshot = Snapshot::take(shared)?;
    making.small_files(options, &snapshot.logs)?;
    let total = snapshot.segments.iter().map(|cut| cut.bytes).sum();
    making.meter.expect(snapshot.segments.len() as u64, total);
    for cut in &snapshot.segments {
        making.segment(cut)?;
    }
    let master = shared.keyring.masters().current();
    let manifest = Manifest {
        version: VERSION,
        id: making.id.clone(),
        kind: if base.is_some() { options.kind } else { BackupKind::Full },
        node,
        key: note::public_key(&signer_name(&key.verifying_key()), &key.verifying_key()),
        parent: base.and_then(|base| shelf.parent(&base.id)),
        created_at,
        commit: snapshot.commit,
        commit_at: snapshot.commit_at,
        custos: env!("CARGO_PKG_VERSION").into(),
        master_key: MasterKeyHint { id: hex(&master.id), path: master_path(shared) },
        logs: snapshot.logs,
        files: making.files,
    };
    finish(target, &manifest, manifest.sign(key)?)?;
    // Only now: what an earlier backup left unfinished is of no more use to anybody.
    for id in shelf.unfinished.iter().filter(|id| **id < manifest.id) {
        target.delete_folder(id)?;
    }
    Ok(manifest)
}

/// The manifest is the last thing written, and is read back like all else.
fn finish(target: &Target, manifest: &Manifest, bytes: Vec<u8>) -> Result<(), StoreError> {
    let (name, bytes) = (Manifest::object(&manifest.id), Bytes::from(bytes));
    target.put(&name, bytes.clone())?;
    let back = target.get(&name, MANIFEST_BYTES_MAX)?;
    if back.as_ref() != Some(&bytes) {
        target.delete(&name)?;
        return Err(bad(&manifest.id, "its manifest does not read back as it was written"));
    }
    Manifest::parse(&manifest.id, &bytes).map(drop)
}

/// The backup to build on: the last full one, or the last one of any kind. None makes it a full one.
fn base(shelf: &Shelf, kind: BackupKind) -> Option<&Manifest> {
    match kind {
        BackupKind::Full => None,
        BackupKind::Differential => shelf.readable().rfind(|m| m.kind == BackupKind::Full),
        BackupKind::Incremental => shelf.readable().next_back(),
    }
}

/// The time without what a name may not hold, to the millisecond; the next free one.
fn free_id(shelf: &Shelf, at: Timestamp) -> String {
    let known = |id: &String| {
        shelf.found.iter().any(|found| found.id == *id) || shelf.unfinished.contains(id)
    };
    let mut millis = at.as_millis();
    loop {
        let text = Timestamp::from_millis(millis).to_string();
        let (secs, fraction) = text.split_once('.').unwrap_or((text.trim_end_matches('Z'), "0Z"));
        let secs: String = secs.chars().filter(|c| !"-:".contains(*c)).collect();
        let id = format!("{secs}-{:0<3}Z", fraction.trim_end_matches('Z'));
        if !known(&id) {
            return id;
        }
        millis = millis.saturating_add(1);
    }
}

/// Where a restore on this machine may find the master key; none where a command gives it.
fn master_path(shared: &Shared) -> Option<String> {
    let beside = shared.dir.join(MASTER);
    let source = shared.options.master_key.clone().unwrap_or(KeySource::File(beside));
    let KeySource::File(path) = source else { return None };
    std::path::absolute(path).ok()?.to_str().map(str::to_owned)
}

/// The backup under way.
struct Making<'a> {
    shared: &'a Shared,
    target: &'a Target,
    meter: Meter<'a>,
    id: String,
    base: Option<&'a Manifest>,
    files: Vec<FileEntry>,
}

impl Making<'_> {
    fn small_files(
        &mut self,
        options: &CreateOptions,
        logs: &[LogState],
    ) -> Result<(), StoreError> {
        let dir = &self.shared.dir;
        if let Some(config) = &options.config {
            let sealed = self.shared.keyring.seal("backup", &self.id, config)?;
            self.whole(CONFIG.into(), &sealed.into(), None)?;
        }
        if let Some(bytes) = self.shared.disk().read(&dir.join("FORMAT"))? {
            self.whole("FORMAT".into(), &bytes.into(), None)?;
        }
        let [keyring, subjects] = self.shared.keyring.files()?;
        for (path, bytes) in [(KEYRING, keyring), (SUBJECTS, subjects)] {
            bytes.map_or(Ok(()), |bytes| self.whole(path.into(), &bytes.into(), None))?;
        }
        if options.with_master_key {
            let Some(path) = master_path(self.shared) else {
                let reason =
                    "the master key comes from a command; keep it where the command has it";
                return Err(StoreError::Refused(reason.into()));
            };
            let bytes = self.shared.disk().read(Path::new(&path))?.unwrap_or_default();
            self.whole(MASTER.into(), &bytes.into(), None)?;
        }
        for log in logs {
            let path = checkpoint::path(dir, log.stream());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let notes = self.notes(log)?;
            self.whole(format!("{}/{name}", checkpoint::FOLDER), &notes.into(), None)?;
        }
        for folder in FOLDERS {
            for path in self.shared.disk().list(&dir.join(folder))? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let Some(bytes) = self.shared.disk().read(&path)? else { continue };
                self.whole(format!("{folder}/{name}"), &bytes.into(), None)?;
            }
        }
        Ok(())
    }

    /// The checkpoints of a log up to the cut, which is one itself.
    fn notes(&self, log: &LogState) -> Result<String, StoreError> {
        let (disk, keyring) = (self.shared.disk(), &self.shared.keyring);
        let (kept, _) = checkpoint::load(disk, &self.shared.dir, log.stream(), keyring)?;
        let mut kept: Vec<_> = kept.into_iter().filter(|note| note.size <= log.size).collect();
        let known = kept.last().is_some_and(|note| note.size == log.size);
        let mut text: String = kept.drain(..).map(|note| note.note).collect();
        if !known {
            text.push_str(&log.note);
        }
        Ok(text)
    }

    /// A file as one piece; one that the base has with the very same bytes is not stored again. The keys
    /// always are: a restore takes the newest.
    fn whole(
        &mut self,
        path: String,
        bytes: &Bytes,
        segment: Option<SegmentEntry>,
    ) -> Result<(), StoreError> {
        let sha256 = sha256(bytes);
        let known = self.base.and_then(|base| base.file(&path));
        let known = known.filter(|known| known.sha256 == sha256 && !is_keys(&path));
        let len = bytes.len() as u64;
        let pieces = match known {
            Some(known) => known.pieces.clone(),
            None => vec![self.store(&path, 0, bytes)?],
        };
        self.files.push(FileEntry { path, bytes: len, sha256, pieces, segment });
        Ok(())
    }

    /// Stores a stretch of a file and reads it back.
    fn store(&mut self, path: &str, offset: u64, bytes: &Bytes) -> Result<Piece, StoreError> {
        let (backup, sha256) = (self.id.clone(), sha256(bytes));
        let piece = Piece { backup, offset, bytes: bytes.len() as u64, sha256 };
        let name = piece.object(path);
        self.target.put(&name, bytes.clone())?;
        if self.target.get(&name, piece.bytes)?.as_ref() != Some(bytes) {
            return Err(bad(&self.id, &format!("{name} does not read back as it was written")));
        }
        self.meter.moved(piece.bytes);
        Ok(piece)
    }

    fn segment(&mut self, cut: &Cut) -> Result<(), StoreError> {
        let known = self.base.and_then(|base| base.file(&cut.path));
        let known = known.and_then(|file| Some((file, file.segment.as_ref()?)));
        if let Some((file, entry)) = known
            && cut.sealed
            && file.bytes == cut.bytes
            && self.head(cut)? == entry.head
        {
            self.files.push(file.clone());
            return self.meter.passed(cut.bytes);
        }
        let bytes = Bytes::from(cut.read()?);
        let (head, root) = self.prove(cut, &bytes)?;
        let entry = SegmentEntry {
            head,
            sealed: cut.sealed,
            first: cut.first,
            next: cut.next,
            first_commit: cut.first_commit,
            last_commit: cut.last_commit,
            last_at: cut.last_at,
            root,
        };
        let grown = known.filter(|(file, known)| {
            let before = usize::try_from(file.bytes).ok().and_then(|len| bytes.get(..len));
            known.head == entry.head
                && file.pieces.len() < PIECES_MAX
                && before.is_some_and(|before| sha256(before) == file.sha256)
        });
        let Some((file, _)) = grown else {
            self.whole(cut.path.clone(), &bytes, Some(entry))?;
            return self.meter.part();
        };
        let (mut pieces, known) = (file.pieces.clone(), file.bytes);
        if cut.bytes > file.bytes {
            let from = usize::try_from(file.bytes).unwrap_or(usize::MAX);
            pieces.push(self.store(&cut.path, file.bytes, &bytes.slice(from..))?);
        }
        let (path, sha256) = (cut.path.clone(), sha256(&bytes));
        self.files.push(FileEntry { path, bytes: cut.bytes, sha256, pieces, segment: Some(entry) });
        self.meter.passed(known)
    }

    /// The segment's identity, without reading the rest of it.
    fn head(&self, cut: &Cut) -> Result<String, StoreError> {
        let path = self.shared.dir.join(&cut.path);
        let file = self.shared.disk().open(&path)?;
        let len = segment::header_bytes(&file.read_at(0, 20)?).map_err(|e| e.at(&path))?;
        Ok(hex(&Sha256::digest(file.read_at(0, len)?)))
    }

    /// The segment's identity, and its root where it is whole. One that is not is kept as it is, for what can
    /// still be read of it, and the manifest says so.
    fn prove(&self, cut: &Cut, bytes: &[u8]) -> Result<(String, Option<String>), StoreError> {
        let path = self.shared.dir.join(&cut.path);
        let masters = self.shared.keyring.masters();
        if !cut.damaged {
            match inspect(bytes, masters, &mut Vec::new(), &mut |_| ()) {
                Ok(found) if Some(hex(&found.frontier.root())) == cut.root() => {
                    return Ok((hex(&found.head), cut.root()));
                }
                Ok(_) => error!(path = %path.display(), "a segment's tree is not its records'"),
                Err(error) => error!(path = %path.display(), %error, "a segment is damaged"),
            }
        }
        let len = segment::header_bytes(bytes).map_err(|e| e.at(&path))?;
        Ok((hex(&Sha256::digest(bytes.get(..len).unwrap_or_default())), None))
    }
}
