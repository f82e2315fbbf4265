//! `custos backup create`.

use super::{Teller, failure, remote, size};
use crate::{
    clock::Stopwatch,
    exit::{CommandResult, Failure, Outcome},
    folder::operator,
    output::Output,
    remote::Server,
    unrecorded,
    upkeep::listed::Listed,
};
use anyhow::Context as _;
use clap::Args;
use custos_event::{Fact, UpkeepEvent};
use custos_store::backup::{BackupKind, CreateOptions, Manifest, S3Options, Target};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct Create {
    /// Where to: `file:///PATH`, a path, or `s3://BUCKET/PREFIX`. A server knows where its own go.
    #[arg(long, value_name = "URL", required_unless_present = "server", conflicts_with = "server")]
    to: Option<String>,
    /// full: everything; differential: what is new since the last full one; incremental: since the last one.
    #[arg(long, value_name = "KIND", default_value = "full",
        value_parser = ["full", "incremental", "differential"])]
    kind: String,
    /// A configuration file to take along; it is encrypted.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    config: Option<PathBuf>,
    /// Put the master key into the backup: whoever holds the backup can then read it.
    #[arg(long, conflicts_with = "server")]
    with_master_key: bool,
    #[command(flatten)]
    data: crate::cli::Data,
    #[command(flatten)]
    server: Server,
    /// One JSON value a log, which is what it prints anyway.
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(super) fn run(self) -> CommandResult {
        if let Some(server) = self.server.chosen(&self.data.folder())? {
            return remote::create(&server, &self.kind);
        }
        let watch = Stopwatch::start();
        let kind: BackupKind = self.kind.parse().map_err(failure)?;
        let config = self.config.as_ref().map(|path| {
            let read = std::fs::read(path);
            read.with_context(|| format!("cannot read {}", path.display())).map_err(Failure::input)
        });
        let config = config.transpose()?;
        let folder = self.data.folder();
        let mut opened = folder.open_for_upkeep()?;
        if !opened.recovery.is_empty() {
            opened.record_start()?;
        }
        let to = self.to.unwrap_or_default();
        let target = Target::open(&to, &S3Options::default(), true).map_err(failure)?;
        let options = CreateOptions { kind, config, with_master_key: self.with_master_key };
        let mut teller = Teller::new("backup");
        let made = opened.store.backup(&target, &options, &mut |progress| teller.tell(progress));
        let manifest = made.map_err(failure)?;
        opened.store.close()?;
        if manifest.kind != kind {
            eprintln!("{to} holds no full backup yet, so this is one");
        }
        let fact = Fact::Upkeep { event: event(&to, &manifest, watch.secs()) };
        unrecorded::leave(&folder, operator(), fact)?;
        say(&manifest)?;
        let (stored, others) = manifest.bytes();
        eprintln!(
            "backup {} up to commit {}: {} stored, {} in earlier ones, in {:.1} s",
            manifest.id,
            manifest.commit,
            size(stored),
            size(others),
            watch.secs()
        );
        let mut damaged = manifest.damaged().peekable();
        let findings = damaged.peek().is_some();
        damaged.for_each(|path| eprintln!("{path} is damaged and was taken as it is"));
        Ok(Outcome::findings_if(findings))
    }
}

fn say(manifest: &Manifest) -> Result<(), Failure> {
    let mut output = Output::new();
    for log in &Listed::of(manifest).logs {
        output.json(log)?;
    }
    Ok(output.flush()?)
}

/// What the journal keeps of it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration in ms")]
pub(crate) fn event(to: &str, manifest: &Manifest, secs: f64) -> UpkeepEvent {
    let (stored_bytes, others) = manifest.bytes();
    UpkeepEvent::BackupCreated {
        to: to.into(),
        id: manifest.id.clone(),
        kind: manifest.kind.as_str().into(),
        commit: manifest.commit,
        bytes: stored_bytes + others,
        stored_bytes,
        millis: (secs * 1e3) as u64,
        damaged: manifest.damaged().map(str::to_owned).collect(),
    }
}
