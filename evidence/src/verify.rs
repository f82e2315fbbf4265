//! Whether a bundle bears out what it says: every line against the others, the key, and the checkpoints that
//! the reader holds.

use crate::{
    Checkpoint, Keys,
    bundle::{
        Consistency, Contents, End, FORMAT, Line, Manifest, Proof, Record, VERSION, hashes, place,
    },
    hex, note, proof, shown,
    tree::leaf,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, Read},
};

/// An event has 256 KiB at most; in base64, and shown with every character escaped, 2 MiB. Facts are smaller.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// An export holds 100,000 records at most. A reader of hostile bundles needs a limit of its own.
const LINES_MAX: u64 = 1_000_000;
/// Findings beyond these are only counted.
const FINDINGS_MAX: usize = 100;

/// What the reader of a bundle brings.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub keys: Keys,
    /// Checkpoints kept since before, from a witness or a file.
    pub checkpoints: Vec<Checkpoint>,
}

/// Which promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is no bundle, or a line of it does not read.
    Form,
    /// Bytes were changed, or the end is missing.
    Digest,
    /// A checkpoint is not signed by the given key.
    Signature,
    /// A record's hash is not that of its bytes.
    Leaf,
    /// A record is not in the tree that was signed.
    Inclusion,
    /// A log did not only grow between two checkpoints.
    Consistency,
    /// The held checkpoint cannot be compared with the bundle.
    Unlinked,
    /// The words beside the bytes are not what the bytes say.
    Shown,
    /// The records are not all those, or not only those, that were exported.
    Incomplete,
    /// The fact of the export is missing, or says something else than the manifest.
    Export,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Digest => "digest",
            Self::Signature => "signature",
            Self::Leaf => "leaf",
            Self::Inclusion => "inclusion",
            Self::Consistency => "consistency",
            Self::Unlinked => "unlinked",
            Self::Shown => "shown",
            Self::Incomplete => "incomplete",
            Self::Export => "export",
        }
    }
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    /// Of the bundle, from 1.
    pub line: Option<u64>,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}: line {line}: {}", self.kind.as_str(), self.message),
            None => write!(f, "{}: {}", self.kind.as_str(), self.message),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub manifest: Option<Manifest>,
    /// Of each log the newest checkpoint that the key signed, and how many records are proven under it.
    pub heads: BTreeMap<String, Checkpoint>,
    pub facts: u64,
    pub events: u64,
    /// Records that the fact of the export calls unreadable: they belong to the incident and are not here.
    pub missing: Vec<String>,
    /// Checkpoints of the reader's own that the bundle's logs were shown to continue.
    pub held: u64,
    /// The first of them, up to 100.
    pub findings: Vec<Finding>,
    /// All of them.
    pub findings_total: u64,
}

impl Report {
    pub fn is_ok(&self) -> bool {
        self.findings_total == 0
    }
}

/// Checks a bundle from its first byte to its last. An error is one of reading, not of the bundle.
pub fn verify(bundle: impl BufRead, held: &Held) -> io::Result<Report> {
    let mut check = Check::new(held);
    check.lines(bundle)?;
    Ok(check.finish())
}

struct Check<'a> {
    held: &'a Held,
    report: Report,
    line: u64,
    digest: Sha256,
    ended: bool,
    /// It proves one record, not an incident.
    single: bool,
    /// Every checkpoint of a log that the key signed, by size.
    notes: BTreeMap<(String, u64), Checkpoint>,
    links: BTreeMap<(String, u64, u64), Vec<crate::Hash>>,
    contents: Contents,
    export: Option<Value>,
}

impl<'a> Check<'a> {
    fn new(held: &'a Held) -> Self {
        Self {
            held,
            report: Report::default(),
            line: 0,
            digest: Sha256::new(),
            ended: false,
            single: false,
            notes: BTreeMap::new(),
            links: BTreeMap::new(),
            contents: Contents::default(),
            export: None,
        }
    }

    fn find(&mut self, kind: Kind, message: impl Into<String>) {
        let line = Some(self.line).filter(|line| *line > 0);
        self.tell(Finding { kind, line, message: message.into() });
    }

    fn tell(&mut self, finding: Finding) {
        self.report.findings_total += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        }
    }

    fn lines(&mut self, mut bundle: impl BufRead) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = bundle.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            self.line += 1;
            if bytes.last() != Some(&b'\n') || self.line > LINES_MAX {
                self.find(Kind::Form, "it breaks off here, or is longer than a bundle may be");
                return Ok(());
            }
            match serde_json::from_slice::<Line>(&bytes) {
                Ok(line) => {
                    if !line.is_all_of(&bytes) {
                        self.find(
                            Kind::Form,
                            "it is not written as Custos writes it: not all of it is checked",
                        );
                    }
                    self.take(line);
                }
                Err(error) => self.find(Kind::Form, format!("it does not read: {error}")),
            }
            self.digest.update(&bytes);
        }
    }

    fn take(&mut self, read: Line) {
        if self.ended {
            return self.find(Kind::Form, "something stands behind the end");
        }
        match read {
            Line::Manifest(manifest) => self.manifest(manifest),
            Line::Proof(proof) if self.line == 1 => self.proof(&proof),
            Line::Proof(_) => self.find(Kind::Form, "a proof of one record is a file of its own"),
            _ if self.line == 1 => self.find(Kind::Form, "it does not begin with a manifest"),
            Line::Checkpoint(signed) => self.checkpoint(&signed.note),
            Line::Consistency(link) => self.consistency(link),
            Line::Record(record) => self.record(&record),
            Line::End(end) => self.end(&end),
        }
    }

    fn manifest(&mut self, manifest: Manifest) {
        if self.line != 1 {
            return self.find(Kind::Form, "a second manifest");
        }
        if manifest.format != FORMAT || manifest.version > VERSION {
            let (format, version) = (&manifest.format, manifest.version);
            let message = format!(
                "it is '{format}' of version {version}; this verifier reads '{FORMAT}' up to {VERSION}"
            );
            self.find(Kind::Form, message);
        }
        self.report.manifest = Some(manifest);
    }

    /// The one line of a file that proves one record.
    fn proof(&mut self, proof: &Proof) {
        self.checkpoint(&proof.note);
        self.record(&proof.record);
        let (_, at) = place(&proof.record.position).unzip();
        let root = self.notes.values().next().map(|note| hex(&note.root));
        let index_holds = proof.index.is_none() || proof.index == at;
        let root_holds = proof.root.is_none() || proof.root == root;
        if !index_holds || !root_holds {
            self.find(Kind::Inclusion, "its index or root is not that of its position and note");
        }
        (self.ended, self.single) = (true, true);
    }

    fn checkpoint(&mut self, text: &str) {
        let read = note::parse_all(text);
        let Ok([checkpoint]) = read.as_deref() else {
            return self.find(Kind::Form, "it is no checkpoint");
        };
        if let Err(error) = checkpoint.check(&self.held.keys) {
            return self.find(Kind::Signature, error.to_string());
        }
        let (log, size) = (checkpoint.log().to_owned(), checkpoint.size);
        let before = self.notes.insert((log, size), checkpoint.clone());
        if before.is_some_and(|before| before.root != checkpoint.root) {
            self.find(Kind::Consistency, "two checkpoints of the same size have different roots");
        }
    }

    fn consistency(&mut self, link: Consistency) {
        match hashes(&link.path) {
            Some(path) => drop(self.links.insert((link.log, link.from, link.to), path)),
            None => self.find(Kind::Form, "a hash of the proof does not read"),
        }
    }

    fn record(&mut self, record: &Record) {
        let place = place(&record.position);
        let (Some((log, seq)), Some(bytes), Some(path)) =
            (place, record.decoded(), hashes(&record.path))
        else {
            return self.find(Kind::Form, format!("record {} does not read", record.position));
        };
        let leaf = leaf(&bytes);
        if record.leaf != hex(&leaf) {
            let message = format!("record {} does not hash to its leaf", record.position);
            self.find(Kind::Leaf, message);
        }
        let root = self.notes.get(&(log.clone(), record.size)).map(|note| note.root);
        if !root.is_some_and(|root| proof::includes(&root, record.size, seq, &leaf, &path)) {
            let message = format!("record {} is not in a tree that was signed", record.position);
            self.find(Kind::Inclusion, message);
        }
        let reading = shown(&log, &bytes);
        if reading != record.shown {
            let message =
                format!("the words beside record {} are not what it says", record.position);
            self.find(Kind::Shown, message);
        }
        let manifest = self.report.manifest.as_ref();
        if manifest.is_some_and(|manifest| manifest.export == record.position) {
            if self.export.replace(reading).is_some() {
                self.find(Kind::Export, "the fact of the export is there twice");
            }
            return;
        }
        let journal = log.split('/').next() == Some("journal");
        *(if journal { &mut self.report.facts } else { &mut self.report.events }) += 1;
        self.contents.add_leaf(leaf);
    }

    fn end(&mut self, end: &End) {
        self.ended = true;
        let digest = hex(&self.digest.clone().finalize());
        if end.sha256 != digest || end.lines + 1 != self.line {
            self.find(Kind::Digest, "the bundle is not as it was written: its hash differs");
        }
    }

    fn finish(mut self) -> Report {
        if !self.ended {
            self.find(Kind::Digest, "the bundle breaks off: it has no end");
        }
        self.line = 0;
        for ((log, _), note) in &self.notes {
            self.report.heads.insert(log.clone(), note.clone());
        }
        let notes: Vec<_> = self.notes.values().cloned().collect();
        for note in &notes {
            self.link(note, "a checkpoint in the bundle");
        }
        for note in &self.held.checkpoints {
            self.hold(note);
        }
        if !self.single {
            self.check_export();
        }
        self.report
    }

    /// The head of the note's log must continue it.
    fn link(&mut self, note: &Checkpoint, what: &str) -> bool {
        let (log, size) = (note.log(), note.size);
        let Some(head) = self.report.heads.get(log) else {
            self.find(
                Kind::Unlinked,
                format!("{what} is of {log}, of which the bundle holds none"),
            );
            return false;
        };
        let (head_size, root) = (head.size, head.root);
        if size > head_size {
            let message = format!(
                "{what} of {size} records of {log} is newer than the bundle, whose last has {head_size}; \
                 hold the log itself against it with 'custos log verify --checkpoint'"
            );
            self.find(Kind::Unlinked, message);
            return false;
        }
        let path = match self.links.get(&(log.to_owned(), size, head_size)) {
            Some(path) => path.as_slice(),
            None if size == head_size || size == 0 => &[],
            None => {
                let message = format!(
                    "the bundle does not link {what} of {size} records of {log} to its own; export \
                     it again with --checkpoint and that file"
                );
                self.find(Kind::Unlinked, message);
                return false;
            }
        };
        let extends = proof::extends((size, &note.root), (head_size, &root), path);
        if !extends {
            let message = format!(
                "the log {log} of {head_size} records does not continue {what} of {size} records"
            );
            self.find(Kind::Consistency, message);
        }
        extends
    }

    fn hold(&mut self, note: &Checkpoint) {
        if let Err(error) = note.check(&self.held.keys) {
            return self.find(Kind::Signature, format!("the held checkpoint: {error}"));
        }
        if self.link(note, "the held checkpoint") {
            self.report.held += 1;
        }
    }

    /// The export is itself a fact: it says who, when, and what all was taken out.
    fn check_export(&mut self) {
        let Some(manifest) = self.report.manifest.clone() else {
            return self.find(Kind::Form, "it has no manifest");
        };
        let Some(export) = self.export.take() else {
            return self.find(Kind::Export, "the fact of the export is not in the bundle");
        };
        let fact = export.get("fact").unwrap_or(&Value::Null);
        let text = |key: &str| fact.get(key).and_then(Value::as_str).unwrap_or_default();
        let said = export.get("at").and_then(Value::as_str) == Some(&manifest.exported_at)
            && export.get("actor") == Some(&manifest.exported_by)
            && text("type") == "evidence_exported"
            && text("incident") == manifest.subject;
        if !said {
            let message = "the manifest does not say what the fact of the export says";
            self.find(Kind::Export, message);
        }
        let missing = fact.get("missing").and_then(Value::as_array).into_iter().flatten();
        self.report.missing = missing.filter_map(|at| at.as_str().map(str::to_owned)).collect();
        let records = fact.get("records").and_then(Value::as_u64);
        if text("contents") != self.contents.digest() || records != Some(self.contents.records()) {
            let message = format!(
                "{} records are here; the fact of the export speaks of {} with other contents",
                self.contents.records(),
                records.map_or_else(|| "none".into(), |n| n.to_string())
            );
            self.find(Kind::Incomplete, message);
        }
    }
}

#[cfg(test)]
mod tests;
