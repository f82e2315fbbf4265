//! `custos key`: the keys of a data folder that no server has open. No key is ever printed.

use super::Data;
use crate::{
    clock::SystemClock,
    exit::{CommandResult, Failure, Outcome},
    folder::{Folder, key_command, operator},
    output::Output,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use custos_event::Clock as _;
use custos_store::keys::{self, BackupError, BackupKey, KeySource};
use serde_json::json;
use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

#[derive(Subcommand)]
pub(super) enum Key {
    /// List what the keyring holds, by name.
    List {
        #[command(flatten)]
        data: Data,
        /// One JSON value a key.
        #[arg(long)]
        json: bool,
    },
    /// Put the keyring under a new master key. No segment is touched; the old key is kept, wrapped, for those
    /// of before.
    Rotate(Rotate),
    /// Write a copy of the keyring that expires.
    Backup {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        under: Under,
        /// The file to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// For how many days it is worth something: 1 to 30.
        #[arg(long, value_name = "DAYS")]
        expires: u32,
    },
    /// Put the keys of a copy that has not expired into a data folder without a keyring.
    Restore {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        under: Under,
        /// The copy.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    data: Data,
    /// The new master key's file, made if it is absent [default: the present key's file, with a fresh key].
    #[arg(long, value_name = "FILE", conflicts_with = "new_key_command")]
    new_key_file: Option<PathBuf>,
    /// The command that prints the new master key: a JSON list of words.
    #[arg(long, value_name = "ARGV")]
    new_key_command: Option<String>,
}

/// What a copy is under.
#[derive(Args)]
pub(super) struct Under {
    /// A key file of its own (64 hex digits, made if it is absent) [default: the master key].
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Under {
    fn key(self) -> BackupKey {
        self.key_file.map_or(BackupKey::Master, BackupKey::File)
    }
}

impl Key {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::List { data, json } => list(&data.folder(), json),
            Self::Rotate(rotate) => rotate.run(),
            Self::Backup { data, under, to, expires } => {
                backup(&data.folder(), &under.key(), &to, expires)
            }
            Self::Restore { data, under, from } => restore(&data.folder(), &under.key(), &from),
        }
    }
}

fn list(folder: &Folder, json: bool) -> CommandResult {
    let opened = folder.open(false)?;
    let keyring = opened.store.keyring();
    let mut output = Output::new();
    let (master, _) = keyring.master_ids();
    let first = [("master (present)".to_owned(), master)];
    for (kind, name) in first.into_iter().chain(keyring.names()) {
        if json {
            output.json(&json!({"kind": kind, "name": name}))?;
        } else {
            output.text(&format!("{kind} {name}"))?;
        }
    }
    let people = keyring.subjects_count();
    if json {
        output.json(&json!({"kind": "subject", "count": people}))?;
    } else {
        output.text(&format!("subject keys: {people}"))?;
    }
    output.flush()?;
    opened.store.close()?;
    Ok(Outcome::Done)
}

impl Rotate {
    fn run(self) -> CommandResult {
        let folder = self.data.folder();
        let to = match (self.new_key_file, self.new_key_command) {
            (Some(path), _) => Some(KeySource::File(path)),
            (None, Some(text)) => {
                let argv =
                    key_command(&text).context("--new-key-command").map_err(Failure::usage)?;
                Some(KeySource::Command(argv))
            }
            (None, None) => None,
        };
        // A change of before that a crash kept from the journal is told first.
        tell(&folder)?;
        let from = folder.key()?;
        let rotated = keys::rotate(folder.path(), from.as_ref(), to.as_ref())?;
        tell(&folder.with_key(to.clone().or(from)))?;
        eprintln!("the keyring is under master key {} now, no longer {}", rotated.to, rotated.from);
        if let Some(to) = to {
            eprintln!(
                "from now on it comes from {}: say so in [keys] of the configuration or in \
                 CUSTOS_KEY_FILE or CUSTOS_KEY_COMMAND",
                to.name().display()
            );
        }
        eprintln!("copies of the keyring from before open under the old key: make new ones");
        Ok(Outcome::Done)
    }
}

fn tell(folder: &Folder) -> Result<(), Failure> {
    let opened = folder.open(false)?;
    opened.record_rotation(&operator())?;
    Ok(opened.store.close()?)
}

fn backup(folder: &Folder, under: &BackupKey, to: &Path, days: u32) -> CommandResult {
    let opened = folder.open(false)?;
    let copy = opened.store.keyring().backup(under, SystemClock.now(), days);
    let copy = copy.map_err(failure)?;
    write_new(to, &copy)
        .with_context(|| format!("cannot write {}", to.display()))
        .map_err(Failure::input)?;
    opened.store.close()?;
    eprintln!("{}: worth something for {days} days; destroy it after that", to.display());
    Ok(Outcome::Done)
}

/// Durable, and readable by nobody else.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn restore(folder: &Folder, under: &BackupKey, from: &Path) -> CommandResult {
    let key = folder.key()?;
    let now = SystemClock.now();
    let restored = keys::restore(folder.path(), from, under, key.as_ref(), now).map_err(failure)?;
    eprintln!(
        "{}: the keys of {}, {} of people; those of people erased since then go at the next start",
        folder.path().display(),
        restored.made,
        restored.subjects
    );
    Ok(Outcome::Done)
}

fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::Days(_) | BackupError::Present(_) | BackupError::OtherKey { .. } => {
            Failure::usage(error)
        }
        BackupError::Expired { .. } | BackupError::Unreadable { .. } => Failure::input(error),
        BackupError::Store(error) => Failure::usage(anyhow!(error)),
    }
}
