//! A bundle of evidence: one file, one JSON value a line (FORMAT.md, "Evidence bundle"). Any text editor shows
//! it, and nothing has to be unpacked before it is checked.

use crate::{Checkpoint, Hash, hex, shown, tree::Frontier, tree::leaf, unhex};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

pub const FORMAT: &str = "custos-evidence";
pub const VERSION: u64 = 1;

/// One line. A proof is a file of its own: of one record, without an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    Manifest(Manifest),
    Checkpoint(Note),
    Consistency(Consistency),
    Record(Record),
    End(End),
    Proof(Proof),
}

/// The first line: what this is about, who took it out and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    pub version: u64,
    /// The incident: `INC-000007`.
    pub subject: String,
    /// As the fact at `export` says.
    pub exported_at: String,
    pub exported_by: Value,
    /// Where the fact of the export stands in the journal: its record is in the bundle.
    pub export: String,
    /// The version of Custos that made it.
    pub custos: String,
    /// The public keys, for convenience. Who checks a bundle brings the key; these prove nothing.
    pub keys: Vec<String>,
}

/// A signed tree head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    pub note: String,
}

/// That a log only grew from one size to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    pub log: String,
    pub from: u64,
    pub to: u64,
    /// In hex.
    pub path: Vec<String>,
}

/// One record: its exact bytes, its place in the tree, and a reading for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `LOG/PARTITION/SEQ`.
    pub position: String,
    /// In base64.
    pub bytes: String,
    /// In hex.
    pub leaf: String,
    /// The size of the tree that `path` is for: one of the checkpoints'.
    pub size: u64,
    pub path: Vec<String>,
    pub shown: Value,
}

/// One record under one signed tree head, in a file of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    #[serde(flatten)]
    pub record: Record,
    pub note: String,
    /// Which leaf it is, and the tree's root in hex: what position and note say too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// The last line; without it, the bundle breaks off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many lines stand before this one.
    pub lines: u64,
    /// Of all bytes before this line, in hex.
    pub sha256: String,
}

impl Line {
    /// Whether a line has nothing in it but what is checked: no field that is unknown or there twice, no second way
    /// to write the same. A proof may be written in any way, but has no other fields either.
    pub(crate) fn is_all_of(&self, bytes: &[u8]) -> bool {
        if let Self::Proof(_) = self {
            let all = serde_json::from_slice::<Value>(bytes);
            return all.is_ok_and(|all| serde_json::to_value(self).is_ok_and(|known| known == all));
        }
        let written = serde_json::to_vec(self);
        written.is_ok_and(|written| bytes.strip_suffix(b"\n") == Some(written.as_slice()))
    }
}

/// A record on its way into a bundle.
#[derive(Clone, Debug)]
pub struct Proven<'a> {
    pub position: &'a str,
    pub bytes: &'a [u8],
    pub size: u64,
    pub path: &'a [Hash],
}

/// `LOG/PARTITION/SEQ` as the log's name in checkpoints, and the place.
pub fn place(position: &str) -> Option<(String, u64)> {
    let (rest, seq) = position.rsplit_once('/')?;
    let (log, partition) = rest.rsplit_once('/')?;
    let name = match partition.parse::<u16>().ok()? {
        0 => log.to_owned(),
        partition => format!("{log}/{partition}"),
    };
    Some((name, seq.parse().ok()?))
}

/// What the fact of an export says of what was exported: the root over the leaves of all records but that fact,
/// in the order of the bundle. Nothing can be taken out later without its being seen.
#[derive(Clone, Debug, Default)]
pub struct Contents(Frontier);

impl Contents {
    pub fn add(&mut self, bytes: &[u8]) {
        self.add_leaf(leaf(bytes));
    }

    pub(crate) fn add_leaf(&mut self, leaf: Hash) {
        self.0.add(leaf);
    }

    pub fn records(&self) -> u64 {
        self.0.size()
    }

    /// In hex.
    pub fn digest(&self) -> String {
        hex(&self.0.root())
    }
}

/// Writes a bundle line by line: manifest, checkpoints, consistency, records, end.
pub struct Writer<W: Write> {
    out: W,
    digest: Sha256,
    lines: u64,
}

impl<W: Write> Writer<W> {
    pub fn begin(out: W, manifest: Manifest) -> io::Result<Self> {
        let mut writer = Self { out, digest: Sha256::new(), lines: 0 };
        writer.line(&Line::Manifest(manifest))?;
        Ok(writer)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.digest.update(&bytes);
        self.lines += 1;
        self.out.write_all(&bytes)
    }

    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.line(&Line::Checkpoint(Note { note: checkpoint.note.clone() }))
    }

    pub fn consistency(
        &mut self,
        log: &str,
        (from, to): (u64, u64),
        path: &[Hash],
    ) -> io::Result<()> {
        let path = path.iter().map(|hash| hex(hash)).collect();
        self.line(&Line::Consistency(Consistency { log: log.into(), from, to, path }))
    }

    pub fn record(&mut self, proven: &Proven<'_>) -> io::Result<()> {
        self.line(&Line::Record(Record::new(proven)))
    }

    /// The bundle's own hash, in hex.
    pub fn end(mut self) -> io::Result<String> {
        let sha256 = hex(&self.digest.clone().finalize());
        let lines = self.lines;
        self.line(&Line::End(End { lines, sha256 }))?;
        self.out.flush()?;
        Ok(hex(&self.digest.finalize()))
    }
}

impl Record {
    pub fn new(proven: &Proven<'_>) -> Self {
        let log = place(proven.position).map(|(log, _)| log).unwrap_or_default();
        Self {
            position: proven.position.into(),
            bytes: BASE64.encode(proven.bytes),
            leaf: hex(&leaf(proven.bytes)),
            size: proven.size,
            path: proven.path.iter().map(|hash| hex(hash)).collect(),
            shown: shown(&log, proven.bytes),
        }
    }

    pub(crate) fn decoded(&self) -> Option<Vec<u8>> {
        BASE64.decode(&self.bytes).ok()
    }
}

pub(crate) fn hashes(texts: &[String]) -> Option<Vec<Hash>> {
    texts.iter().map(|text| unhex(text)).collect()
}
