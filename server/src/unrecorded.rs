//! Facts of commands that leave the log as it is: a backup's log is the backed-up one, byte for byte. They wait in a
//! file of the data folder, and the next process that writes to the log takes them in.

use crate::{clock::SystemClock, exit::Failure, folder::Folder};
use anyhow::Context as _;
use custos_event::{Actor, Append, Clock as _, Entry, Envelope, Fact, LogId};
use custos_store::Store;
use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _};
use tracing::warn;

/// Below the data folder.
pub(crate) const FILE: &str = "unrecorded.jsonl";

/// One line: the fact with its time and actor.
pub(crate) fn line(actor: Actor, fact: Fact) -> Result<Vec<u8>, Failure> {
    let envelope = Envelope { at: SystemClock.now(), actor, cause: None, fact };
    let mut line = serde_json::to_vec(&envelope).map_err(Failure::store)?;
    line.push(b'\n');
    Ok(line)
}

/// Leaves a fact to the next process that writes.
pub(crate) fn leave(folder: &Folder, actor: Actor, fact: Fact) -> Result<(), Failure> {
    let path = folder.path().join(FILE);
    let mut options = fs::OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).open(&path);
    let left = file.and_then(|mut file| {
        file.write_all(&line(actor, fact).map_err(|_| std::io::Error::other("no JSON"))?)?;
        file.sync_all()
    });
    left.with_context(|| format!("cannot write {}", path.display())).map_err(Failure::store)
}

/// Appends what was left, then removes the file. A crash in between tells a fact twice, never not at all.
pub(crate) fn append(folder: &Folder, store: &Store) -> Result<(), Failure> {
    let path = folder.path().join(FILE);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    };
    let text = text.map_err(Failure::store)?;
    let mut entries = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Envelope>(line) {
            Ok(envelope) => {
                entries.push(Entry {
                    bytes: envelope.encode().map_err(Failure::store)?,
                    parsed: None,
                });
            }
            Err(error) => warn!(path = %path.display(), %error, "a line is no fact, passed over"),
        }
    }
    if !entries.is_empty() {
        store.append_blocking(Append::new(LogId::JOURNAL, entries))?;
    }
    Ok(fs::remove_file(&path)?)
}
