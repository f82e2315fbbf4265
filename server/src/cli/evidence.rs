//! `custos log prove`, `log export-incident` and `verify-evidence`: what leaves Custos to be believed elsewhere.

use super::{Data, log::existing};
use crate::{
    clock::SystemClock,
    evidence::{
        export::{Written, begin},
        prove::{EventProof, prove},
    },
    exit::{CommandResult, Failure, Outcome},
    folder::operator,
    output::Output,
    remote::Server,
    respond::{Desk, DeskError},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use custos_event::{IncidentId, Position};
use custos_evidence::command::{self, Ask};
use serde_json::json;
use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Args)]
pub(super) struct Prove {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// One JSON value, which `verify-evidence` reads.
    #[arg(long)]
    json: bool,
    /// The record, as in telemetry/0/1234.
    position: Position,
}

impl Prove {
    pub(super) fn run(self) -> CommandResult {
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            remote.print(&format!("/api/v1/events/{}/proof", self.position), &[])?;
            return Ok(Outcome::Done);
        }
        let opened = existing(&self.data)?.open(false)?;
        let proved = prove(&opened.store, self.position).map_err(Failure::store)?;
        let none = || Failure::usage(anyhow!("there is no record {}", self.position));
        let proved = proved.ok_or_else(none)?;
        let mut output = Output::new();
        if self.json {
            output.json(&proved)?;
        } else {
            print(&mut output, &proved)?;
        }
        output.flush()?;
        opened.store.close()?;
        Ok(Outcome::Done)
    }
}

fn print(output: &mut Output, proved: &EventProof) -> io::Result<()> {
    output.text(&proved.shown.to_string())?;
    let EventProof { leaf, index, size, root, .. } = proved;
    output.text(&format!("leaf {leaf}, number {index} of {size}"))?;
    for hash in &proved.path {
        output.text(&format!("path {hash}"))?;
    }
    output.text(&format!("root {root}"))?;
    output.raw("\n")?;
    output.raw(&proved.note)
}

#[derive(Args)]
pub(super) struct ExportIncident {
    /// Where the bundle goes; nothing is overwritten. Without it, to stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Signed notes that the bundle is to be linked to, for whoever holds them.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// With --out: what was written, as one JSON value.
    #[arg(long, requires = "out")]
    json: bool,
    /// The incident, as in INC-000001.
    incident: IncidentId,
}

impl ExportIncident {
    pub(super) fn run(self) -> CommandResult {
        let held = self.held()?;
        let Some(path) = self.out.clone() else {
            self.write(&held, io::stdout().lock())?;
            return Ok(Outcome::Done);
        };
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.with_context(|| format!("cannot create {}", path.display()));
        let file = file.map_err(Failure::usage)?;
        match self.write(&held, BufWriter::new(&file)) {
            Ok(written) => {
                file.sync_all()?;
                self.tell(&path, written)
            }
            Err(failure) => {
                // Half a bundle is none; that it stays where it cannot be removed is harmless.
                drop(std::fs::remove_file(&path));
                Err(failure)
            }
        }
    }

    /// Sizes of the notes that were given, by log.
    fn held(&self) -> Result<Vec<(String, u64)>, Failure> {
        let mut held = Vec::new();
        for path in &self.checkpoint {
            let notes = command::notes(path).map_err(Failure::input)?;
            held.extend(notes.iter().map(|note| (note.log().to_owned(), note.size)));
        }
        Ok(held)
    }

    fn write(
        &self,
        held: &[(String, u64)],
        mut out: impl Write,
    ) -> Result<Option<Written>, Failure> {
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            let held: Vec<_> = held.iter().map(|(log, size)| format!("{log}:{size}")).collect();
            let path = format!("/api/v1/incidents/{}/evidence", self.incident);
            remote.copy(&path, &[("held", held.join(","))], &mut out)?;
            return Ok(None);
        }
        let opened = existing(&self.data)?.open(false)?;
        let (store, clock) = (&opened.store, Arc::new(SystemClock));
        let desk = Desk::open(
            store,
            crate::respond::playbooks::Playbooks::default(),
            custos_respond::Limits::default(),
            clock,
        )?;
        let export = begin(store, &desk, &operator(), self.incident, held.iter().cloned());
        let export = export.map_err(|error| match error {
            DeskError::Rejected(rejection) => Failure::usage(rejection),
            DeskError::Failed(error) => Failure::store(error),
        })?;
        let written = export.write(out).map_err(Failure::store)?;
        if export.missing > 0 {
            eprintln!("custos: {} records could not be read and are not in it", export.missing);
        }
        store.close()?;
        Ok(Some(written))
    }

    fn tell(&self, path: &Path, written: Option<Written>) -> CommandResult {
        let mut output = Output::new();
        let (records, sha256) = match written {
            Some(written) => (Some(written.records), Some(written.sha256)),
            None => (None, None),
        };
        if self.json {
            output.json(&json!({
                "incident": self.incident, "file": path, "records": records, "sha256": sha256,
            }))?;
        } else {
            eprintln!("{}: {} written", self.incident, path.display());
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

/// The verifier that is also a program of its own: `custos-verify-evidence`.
#[derive(Args)]
pub(super) struct VerifyEvidence {
    /// The bundle, or the proof of one record; - for standard input.
    bundle: PathBuf,
    /// The public key, or a file of keys, as `custos log key` prints them.
    #[arg(long, value_name = "PUB")]
    key: String,
    /// Signed notes that you kept: the log must continue them.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The verdict as one JSON value.
    #[arg(long)]
    json: bool,
}

impl VerifyEvidence {
    pub(super) fn run(self) -> CommandResult {
        let ask = Ask { bundle: self.bundle, key: self.key, checkpoints: self.checkpoint };
        let report = command::check(&ask).map_err(|error| match error.exit_code() {
            2 => Failure::usage(error),
            _ => Failure::input(error),
        })?;
        let mut output = Output::new();
        if self.json {
            output.json(&command::json(&report))?;
        } else {
            for line in command::text(&report) {
                output.text(&line)?;
            }
        }
        output.flush()?;
        Ok(Outcome::findings_if(!report.is_ok()))
    }
}
