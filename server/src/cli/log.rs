//! `custos log`: is it whole and unchanged, what is its signed head, by which key.

use super::{
    Data,
    evidence::{ExportIncident, Prove},
    mend::{Repair, Scrub},
};
use crate::{
    evidence::heads,
    exit::{CommandResult, Failure, Outcome},
    folder::Folder,
    hex::hex,
    output::Output,
    remote::Server,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use custos_store::{DroppedRange, LogError, LogReport, VerifyOptions, verify};
use serde::Serialize;
use serde_json::json;
use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Subcommand)]
pub(super) enum Log {
    /// Read every byte and check it; changes nothing, works beside a running server.
    Verify(Verify),
    /// Sign the head of each log.
    Checkpoint(Checkpoint),
    /// Print the public key that checkpoints are signed with.
    Key(Key),
    /// Prove that a record is in the log that is signed.
    Prove(Prove),
    /// Write an incident's facts and events as a bundle that proves itself.
    ExportIncident(ExportIncident),
    /// Read every sealed segment again; what is damaged goes into quarantine. Exit code 1 if anything is.
    Scrub(Scrub),
    /// Put back from a backup what is in quarantine, proven against the tree.
    Repair(Repair),
}

#[derive(Args)]
pub(super) struct Verify {
    /// A signed note to hold the log against.
    #[arg(long, value_name = "FILE", requires = "key")]
    checkpoint: Option<PathBuf>,
    /// The public key of that note, or a file that holds it.
    #[arg(long, value_name = "PUB")]
    key: Option<String>,
    #[command(flatten)]
    data: Data,
    /// One JSON value a log.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Checkpoint {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// One JSON value a log.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Key {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
}

impl Log {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Checkpoint(checkpoint) => checkpoint.run(),
            Self::Key(key) => key.run(),
            Self::Prove(prove) => prove.run(),
            Self::ExportIncident(export) => export.run(),
            Self::Scrub(scrub) => scrub.run(),
            Self::Repair(repair) => repair.run(),
        }
    }
}

impl Verify {
    fn run(self) -> CommandResult {
        let folder = existing(&self.data)?;
        let options = VerifyOptions {
            checkpoint: self.held_checkpoint()?,
            master_key: folder.key()?,
            ..VerifyOptions::default()
        };
        let reports = verify(folder.path(), &options)?;
        let mut output = Output::new();
        let mut findings = false;
        for report in &reports {
            findings |= !report.is_ok();
            if self.json {
                output.json(&json_of(report))?;
            } else {
                output.text(&text_of(report))?;
            }
        }
        output.flush()?;
        Ok(Outcome::findings_if(findings))
    }

    fn held_checkpoint(&self) -> Result<Option<(String, String)>, Failure> {
        let (Some(path), Some(key)) = (&self.checkpoint, &self.key) else { return Ok(None) };
        let note = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the checkpoint {}", path.display()))
            .map_err(Failure::input)?
            .replace("\r\n", "\n");
        let key = match std::fs::read_to_string(key) {
            Ok(text) => text.trim().to_owned(),
            Err(_) if !Path::new(key).exists() => key.clone(),
            Err(error) => return Err(Failure::input(error)),
        };
        Ok(Some((note, key)))
    }
}

impl Checkpoint {
    fn run(self) -> CommandResult {
        let mut output = Output::new();
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            let path = "/api/v1/integrity/checkpoints";
            let answer = remote.send("GET", path, &serde_json::Value::Null)?;
            for signed in answer["checkpoints"].as_array().into_iter().flatten() {
                self.print(&mut output, signed, signed["note"].as_str().unwrap_or_default())?;
            }
            output.flush()?;
            return Ok(Outcome::Done);
        }
        let opened = existing(&self.data)?.open(false)?;
        for signed in heads::sign(&opened.store)? {
            self.print(&mut output, &signed, &signed.note)?;
        }
        output.flush()?;
        opened.store.close()?;
        Ok(Outcome::Done)
    }

    fn print(&self, output: &mut Output, signed: &impl Serialize, note: &str) -> io::Result<()> {
        if self.json { output.json(signed) } else { output.raw(note) }
    }
}

impl Key {
    fn run(self) -> CommandResult {
        let mut output = Output::new();
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            let answer = remote.send("GET", "/api/v1/integrity", &serde_json::Value::Null)?;
            output.raw(answer["keys"].as_str().unwrap_or_default())?;
            output.flush()?;
            return Ok(Outcome::Done);
        }
        let opened = existing(&self.data)?.open(false)?;
        output.raw(&opened.store.public_keys())?;
        output.flush()?;
        opened.store.close()?;
        Ok(Outcome::Done)
    }
}

/// CLI.md's line of one log.
fn json_of(report: &LogReport) -> serde_json::Value {
    let error = |error: &LogError| {
        json!({
            "kind": error.kind.as_str(),
            "segment": error.segment,
            "seq": error.seq,
            "message": error.message,
        })
    };
    let gone = |gone: &DroppedRange| json!({"first": gone.first, "last": gone.last, "at": gone.at, "reason": gone.reason});
    let mut line = json!({
        "log": name_of(report),
        "first": report.first,
        "last": report.last,
        "records": report.records,
        "root": hex(&report.root),
        "ok": report.is_ok(),
        "errors": report.errors.iter().map(error).collect::<Vec<_>>(),
    });
    if !report.dropped.is_empty() {
        line["dropped"] = report.dropped.iter().map(gone).collect();
        line["unproven_sizes"] = json!(report.unproven);
    }
    line
}

fn name_of(report: &LogReport) -> String {
    match report.partition.0 {
        0 => report.log.to_string(),
        partition => format!("{}/{partition}", report.log),
    }
}

/// The same for people, an error a line.
pub(super) fn text_of(report: &LogReport) -> String {
    let verdict = if report.is_ok() { "whole" } else { "NOT WHOLE" };
    let mut text = format!(
        "{} {verdict}, {} records, root {}",
        name_of(report),
        report.records,
        hex(&report.root)
    );
    for line in fault_lines(report) {
        text.extend(["; ", &line]);
    }
    let gone = report.dropped.iter().map(|DroppedRange { first, last, at, reason, .. }| {
        format!("records {first} to {last} were dropped by retention on {at} ({reason})")
    });
    let unproven = report.unproven.iter().map(|size| {
        format!(
            "the checkpoint of {size} records ends among what was dropped, and cannot be held against the rest"
        )
    });
    for line in gone.chain(unproven) {
        text.extend(["; ", &line]);
    }
    text
}

/// What is wrong with a log, an error a line.
pub(crate) fn fault_lines(report: &LogReport) -> Vec<String> {
    let line = |error: &LogError| {
        let segment = error.segment.as_deref().unwrap_or("-");
        let seq = error.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        let kind = error.kind.as_str();
        format!("{kind}: segment {segment}, seq {seq}: {}", error.message)
    };
    report.errors.iter().map(line).collect()
}

pub(super) fn existing(data: &Data) -> Result<Folder, Failure> {
    let folder = data.folder();
    if folder.path().is_dir() {
        return Ok(folder);
    }
    Err(Failure::usage(anyhow!("there is no data folder at {}", folder.path().display())))
}
