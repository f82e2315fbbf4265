//! The verifier's command line, the same in `custos verify-evidence` and in the program of its own.

use crate::{Held, Keys, Report, hex, note, verify};
use serde_json::json;
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The bundle; `-` for standard input.
    pub bundle: PathBuf,
    /// A public key, or a file of them, as `custos log key` prints them.
    pub key: String,
    /// Files of checkpoints kept since before.
    pub checkpoints: Vec<PathBuf>,
}

/// Why there is no verdict. The exit code is that of CLI.md.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// 2: what was given for a key is none.
    #[error("the key {0}")]
    Key(#[source] crate::NoteError),
    #[error("there is no key in {0}; give the lines that 'custos log key' printed")]
    NoKey(String),
    /// 3: a file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} {error}", path.display())]
    Checkpoint { path: PathBuf, error: crate::NoteError },
}

impl CommandError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Key(_) | Self::NoKey(_) => 2,
            Self::Read { .. } | Self::Checkpoint { .. } => 3,
        }
    }
}

/// Checks the bundle that is asked about.
pub fn check(ask: &Ask) -> Result<Report, CommandError> {
    let held = held(&ask.key, &ask.checkpoints)?;
    let unread = |source| CommandError::Read { path: ask.bundle.clone(), source };
    let bundle: Box<dyn BufRead> = if ask.bundle.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(&ask.bundle).map_err(unread)?))
    };
    verify(bundle, &held).map_err(unread)
}

/// Reads what the reader of a bundle brings.
pub fn held(key: &str, checkpoints: &[PathBuf]) -> Result<Held, CommandError> {
    let text = if key.contains('+') && !Path::new(key).exists() { key.into() } else { read(key)? };
    let keys = Keys::parse(&text).map_err(CommandError::Key)?;
    if keys.is_empty() {
        return Err(CommandError::NoKey(key.into()));
    }
    let mut held = Held { keys, checkpoints: Vec::new() };
    for path in checkpoints {
        held.checkpoints.extend(notes(path)?);
    }
    Ok(held)
}

/// The signed notes in a file, at least one. Lines may end as a mail program ends them.
pub fn notes(path: &Path) -> Result<Vec<crate::Checkpoint>, CommandError> {
    let wrong = |error| CommandError::Checkpoint { path: path.to_path_buf(), error };
    let notes = note::parse_all(&read(path)?.replace("\r\n", "\n")).map_err(wrong)?;
    if notes.is_empty() {
        return Err(wrong(crate::NoteError::Form("it is empty")));
    }
    Ok(notes)
}

fn read(path: impl AsRef<Path>) -> Result<String, CommandError> {
    let path = path.as_ref();
    std::fs::read_to_string(path)
        .map_err(|source| CommandError::Read { path: path.to_path_buf(), source })
}

/// The verdict in one JSON value.
pub fn json(report: &Report) -> serde_json::Value {
    let manifest = report.manifest.as_ref();
    let heads = report.heads.iter();
    json!({
        "ok": report.is_ok(),
        "subject": manifest.map(|manifest| &manifest.subject),
        "exported_at": manifest.map(|manifest| &manifest.exported_at),
        "exported_by": manifest.map(|manifest| &manifest.exported_by),
        "facts": report.facts,
        "events": report.events,
        "checkpoints": heads.map(|(log, head)| json!({
            "log": log, "size": head.size, "root": hex(&head.root),
        })).collect::<Vec<_>>(),
        "missing": report.missing,
        "held": report.held,
        "findings": report.findings.iter().map(|finding| json!({
            "kind": finding.kind.as_str(), "line": finding.line, "message": finding.message,
        })).collect::<Vec<_>>(),
        "findings_total": report.findings_total,
    })
}

/// The verdict for people, line by line. The caller makes control characters harmless.
pub fn text(report: &Report) -> Vec<String> {
    let mut lines: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    let more = report.findings_total.saturating_sub(report.findings.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    for (log, head) in &report.heads {
        lines.push(format!("{log}: {} records, root {}", head.size, hex(&head.root)));
    }
    if let Some(manifest) = &report.manifest {
        lines.push(format!(
            "{}, exported at {} by {}: {} facts and {} events",
            manifest.subject,
            manifest.exported_at,
            manifest.exported_by,
            report.facts,
            report.events
        ));
    }
    if !report.missing.is_empty() {
        let (count, which) = (report.missing.len(), report.missing.join(", "));
        lines.push(format!("{count} records could not be read when it was exported: {which}"));
    }
    lines.push(match (report.is_ok(), report.held) {
        (false, _) => "DOES NOT HOLD".into(),
        (true, 0) => "holds under the key given. No checkpoint of your own was given: whoever has the \
            signing key could have made all of this up; give one that was kept elsewhere with --checkpoint"
            .into(),
        (true, held) => format!("holds, and continues {held} checkpoints that you hold"),
    });
    lines
}
