//! `custos doctor`: looks the data folder and the machine over, and says what to mend.

use super::Data;
use crate::{
    clock::Stopwatch,
    exit::{CommandResult, Failure, Outcome},
    folder::Folder,
    output::Output,
};
use clap::Args;
use custos_store::{VerifyOptions, keys::KeySource, verify};
use serde::Serialize;
use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    data: Data,
    /// One JSON value a check.
    #[arg(long)]
    json: bool,
}

/// Below this the log soon stands still: one busy hour at 15,000 events/s, sealed, takes about 4 GiB.
const FREE_BYTES_MIN: u64 = 4 << 30;
/// Slower than this, acknowledgements take long enough to be felt; disks we measured take 4 ms.
const SYNC_MILLIS_MAX: f64 = 50.0;

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Bad,
}

#[derive(Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    verdict: Verdict,
    message: String,
}

impl Doctor {
    pub(super) fn run(self) -> CommandResult {
        let folder = self.data.folder();
        let checks = examine(&folder);
        let mut output = Output::new();
        for check in &checks {
            if self.json {
                output.json(check)?;
                continue;
            }
            let mark = match check.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Bad => "bad    ",
            };
            output.text(&format!("{mark} {:<8} {}", check.name, check.message))?;
        }
        output.flush()?;
        Ok(Outcome::findings_if(checks.iter().any(|check| check.verdict == Verdict::Bad)))
    }
}

fn examine(folder: &Folder) -> Vec<Check> {
    let path = folder.path();
    if !path.is_dir() {
        let message = format!("there is none at {}; 'custos serve' makes it", path.display());
        return vec![Check { name: "folder", verdict: Verdict::Bad, message }];
    }
    vec![space(path), sync(path), keys(folder), log(folder), store(folder)]
}

fn space(path: &Path) -> Check {
    let name = "space";
    match rustix::fs::statvfs(path) {
        Err(error) => Check { name, verdict: Verdict::Bad, message: error.to_string() },
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let verdict = if free < FREE_BYTES_MIN { Verdict::Warning } else { Verdict::Ok };
            Check { name, verdict, message: format!("{} MiB free", free >> 20) }
        }
    }
}

/// How long the disk takes to make one page durable.
fn sync(path: &Path) -> Check {
    let name = "sync";
    let file = path.join(".doctor");
    let timed = fs::File::create(&file).and_then(|mut probe| {
        probe.write_all(&[0; 4_096])?;
        let watch = Stopwatch::start();
        probe.sync_data()?;
        Ok(watch.secs() * 1e3)
    });
    let removed = fs::remove_file(&file);
    match timed.and_then(|millis| removed.map(|()| millis)) {
        Err(error) => Check { name, verdict: Verdict::Bad, message: error.to_string() },
        Ok(millis) => {
            let verdict = if millis > SYNC_MILLIS_MAX { Verdict::Warning } else { Verdict::Ok };
            Check { name, verdict, message: format!("a sync takes {millis:.1} ms") }
        }
    }
}

/// Whoever reads the master key reads everything.
fn keys(folder: &Folder) -> Check {
    let name = "keys";
    let key = match folder.key() {
        Ok(None) => folder.path().join("keys/master.key"),
        Ok(Some(KeySource::File(path))) => path,
        Ok(Some(source @ KeySource::Command(_))) => {
            let message = format!("the master key comes from {}", source.name().display());
            return Check { name, verdict: Verdict::Ok, message };
        }
        Err(failure) => {
            let message = format!("{:#}", failure.into_error());
            return Check { name, verdict: Verdict::Bad, message };
        }
    };
    match fs::metadata(&key) {
        Err(_) => {
            let message = format!("no master key at {}", key.display());
            Check { name, verdict: Verdict::Warning, message }
        }
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let message = format!("others may read {0}; mend: chmod 600 {0}", key.display());
            Check { name, verdict: Verdict::Bad, message }
        }
        Ok(_) => Check {
            name,
            verdict: Verdict::Ok,
            message: "the master key is its owner's only; keep a copy elsewhere".into(),
        },
    }
}

fn log(folder: &Folder) -> Check {
    let name = "log";
    let master_key = match folder.key() {
        Ok(key) => key,
        Err(failure) => {
            let message = format!("{:#}", failure.into_error());
            return Check { name, verdict: Verdict::Bad, message };
        }
    };
    let options = VerifyOptions { master_key, ..VerifyOptions::default() };
    match verify(folder.path(), &options) {
        Err(error) => Check { name, verdict: Verdict::Bad, message: error.to_string() },
        Ok(reports) => {
            let whole = reports.iter().all(custos_store::LogReport::is_ok);
            let lines = reports.iter().map(super::log::text_of).collect::<Vec<_>>();
            let verdict = if whole { Verdict::Ok } else { Verdict::Bad };
            Check { name, verdict, message: lines.join("; ") }
        }
    }
}

/// Opens the store as a server would, and sees how far the index is.
fn store(folder: &Folder) -> Check {
    let name = "index";
    let looked = || -> Result<String, Failure> {
        let opened = folder.open(false)?;
        let index = opened.open_index()?;
        let (indexed, last) = (index.cursor().commit(), opened.store.last_commit());
        opened.store.close()?;
        Ok(format!("indexed up to commit {indexed} of {last}"))
    };
    match looked() {
        Ok(message) => Check { name, verdict: Verdict::Ok, message },
        Err(failure) => {
            let message = format!("{:#}", failure.into_error());
            Check { name, verdict: Verdict::Warning, message }
        }
    }
}
