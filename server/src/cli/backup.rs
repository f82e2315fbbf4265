//! `custos backup`: make, list, check, restore and let go of backups, on a folder that nobody writes to or on a
//! running server.

mod create;
mod list;
mod prune;
mod remote;
mod restore;
mod verify;

pub(crate) use create::event as created;

use crate::{
    clock::Stopwatch,
    exit::{CommandResult, Failure},
    remote::Server,
};
use clap::{Args, Subcommand};
use custos_store::{
    StoreError,
    backup::{LogState, Progress, S3Options, Target},
};
use std::{io::IsTerminal as _, path::PathBuf};

#[derive(Subcommand)]
pub(super) enum Backup {
    /// Make a backup and read it back; prints one line a log.
    Create(create::Create),
    /// The backups at a place, the oldest first.
    List(list::List),
    /// Read backups and check every byte; exit code 1 if any is not what was written.
    Verify(verify::Verify),
    /// Make a new data folder from a backup, whole or as it was at a point in time.
    Restore(restore::Restore),
    /// Remove old backups, and never one that a kept one needs.
    Prune(prune::Prune),
}

impl Backup {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Restore(command) => command.run(),
            Self::Prune(command) => command.run(),
        }
    }
}

/// Where backups lie; none where a server is asked, which knows.
#[derive(Args)]
struct FromOrServer {
    /// `file:///PATH`, a path, or `s3://BUCKET/PREFIX` (keys and endpoint from `AWS_*`).
    #[arg(
        long,
        visible_alias = "to",
        value_name = "URL",
        required_unless_present = "server",
        conflicts_with = "server"
    )]
    from: Option<String>,
    #[command(flatten)]
    data: super::Data,
    #[command(flatten)]
    server: Server,
}

impl FromOrServer {
    fn target(&self) -> Result<Target, Failure> {
        let from = self.from.as_deref().unwrap_or_default();
        Target::open(from, &S3Options::default(), false).map_err(failure)
    }
}

/// Where backups lie.
#[derive(Args)]
struct From {
    /// `file:///PATH`, a path, or `s3://BUCKET/PREFIX` (keys and endpoint from `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_REGION`).
    #[arg(long, visible_alias = "to", value_name = "URL")]
    from: String,
}

impl From {
    fn target(&self) -> Result<Target, Failure> {
        Target::open(&self.from, &S3Options::default(), false).map_err(failure)
    }
}

/// What a check of signatures and records needs.
#[derive(Args)]
struct Keys {
    /// The master key's file [default: the backup's own, else where it lay when the backup was made].
    #[arg(long, value_name = "FILE")]
    master_key: Option<PathBuf>,
    /// The public key that must have signed the backup ('custos log key'), or a file that holds it.
    #[arg(long, value_name = "PUB")]
    key: Option<String>,
}

impl Keys {
    fn public_key(&self) -> Result<Option<String>, Failure> {
        let Some(key) = &self.key else { return Ok(None) };
        let path = std::path::Path::new(key);
        if !path.exists() {
            return Ok(Some(key.clone()));
        }
        std::fs::read_to_string(path).map(Some).map_err(Failure::input)
    }
}

/// The exit code for what a backup command ran into.
fn failure(error: StoreError) -> Failure {
    if matches!(error, StoreError::Refused(_)) {
        Failure::usage(error)
    } else if matches!(error, StoreError::Target { .. }) {
        Failure::input(error)
    } else {
        Failure::store(error)
    }
}

pub(crate) fn log_name(log: &LogState) -> String {
    match log.partition {
        0 => log.log.to_string(),
        partition => format!("{}/{partition}", log.log),
    }
}

/// Tells on stderr how far a long command has come: on a terminal in one line, elsewhere a line now and then.
struct Teller {
    what: &'static str,
    terminal: bool,
    watch: Stopwatch,
    told: f64,
}

/// Often enough to see it move.
const TELL_SECS: f64 = 0.2;
/// In a file of a scheduler's output.
const TELL_SECS_PLAIN: f64 = 5.0;

impl Teller {
    fn new(what: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { what, terminal, watch: Stopwatch::start(), told: 0.0 }
    }

    fn tell(&mut self, progress: Progress) -> bool {
        let now = self.watch.secs();
        let done = progress.parts >= progress.parts_total;
        let pause = if self.terminal { TELL_SECS } else { TELL_SECS_PLAIN };
        if !done && now - self.told < pause {
            return true;
        }
        self.told = now;
        let text = format!(
            "{}: {} of {} parts, {} of {}, {} moved, {now:.1} s",
            self.what,
            progress.parts,
            progress.parts_total,
            size(progress.bytes),
            size(progress.bytes_total),
            size(progress.moved),
        );
        if self.terminal {
            eprint!("\r{text}\x1b[K{}", if done { "\n" } else { "" });
        } else {
            eprintln!("{text}");
        }
        true
    }
}

/// Bytes for people.
#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    for unit in UNITS {
        value /= 1_000.0;
        if value < 1_000.0 || unit == "TB" {
            return format!("{value:.1} {unit}");
        }
    }
    String::new()
}
