//! `custos backup restore`.

use super::{From, Keys, Teller, failure, size};
use crate::{
    clock::{Stopwatch, SystemClock},
    exit::{CommandResult, Failure, Outcome},
    folder::operator,
    hex::hex,
    output::Output,
    unrecorded, when,
};
use clap::Args;
use custos_event::{Clock as _, CommitNo, Fact, UpkeepEvent};
use custos_store::backup::{self, RestoreOptions, Restored, Until};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct Restore {
    #[command(flatten)]
    from: From,
    /// The backup; without it the newest, or the first that reaches the point in time.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Restore as it was then: RFC 3339, so long ago (-2h), or a commit's number.
    #[arg(long, value_name = "TIME|COMMIT", allow_hyphen_values = true)]
    at: Option<String>,
    /// The new data folder: absent or empty.
    #[arg(long, value_name = "NEW")]
    data: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// Take people's keys that are older than 30 days: who was erased since then has to be erased again.
    #[arg(long)]
    expired_keys: bool,
    /// One JSON value a log, which is what it prints anyway.
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) fn run(self) -> CommandResult {
        let watch = Stopwatch::start();
        let until = self.at.as_deref().map(point).transpose()?;
        let fact = Fact::Upkeep {
            event: UpkeepEvent::Restored {
                from: self.from.from.clone(),
                id: self.id.clone().unwrap_or_else(|| "newest".into()),
                until: until.map(|until| until.to_string()),
            },
        };
        let options = RestoreOptions {
            id: self.id.clone(),
            until,
            master_key: self.keys.master_key.clone(),
            public_key: self.keys.public_key()?,
            now: SystemClock.now(),
            expired_keys: self.expired_keys,
            beside: vec![(unrecorded::FILE.into(), unrecorded::line(operator(), fact)?)],
        };
        let mut teller = Teller::new("restore");
        let target = self.from.target()?;
        let restored =
            backup::restore(&target, &options, &self.data, &mut |progress| teller.tell(progress));
        let restored = restored.map_err(failure)?;
        let findings = say(&restored)?;
        let bytes: u64 = restored.manifest.files.iter().map(|file| file.bytes).sum();
        eprintln!(
            "restored {} of {} into {}, verified, in {:.1} s; 'custos rebuild' or a start makes the index anew",
            size(bytes),
            restored.manifest.id,
            self.data.display(),
            watch.secs()
        );
        Ok(Outcome::findings_if(findings))
    }
}

fn point(text: &str) -> Result<Until, Failure> {
    if let Ok(commit) = text.parse() {
        return Ok(Until::Commit(CommitNo(commit)));
    }
    when::read(text, SystemClock.now()).map(Until::Time).map_err(Failure::usage)
}

/// True where the backup itself was of a damaged store.
fn say(restored: &Restored) -> Result<bool, Failure> {
    let mut output = Output::new();
    let mut findings = false;
    for log in &restored.logs {
        findings |= !log.is_ok();
        let name = match log.partition.0 {
            0 => log.log.to_string(),
            partition => format!("{}/{partition}", log.log),
        };
        output.json(&json!({
            "id": restored.manifest.id,
            "kind": restored.manifest.kind,
            "log": name,
            "records": log.records,
            "first": log.first,
            "last": log.last,
            "root": hex(&log.root),
            "ok": log.is_ok(),
        }))?;
    }
    output.flush()?;
    Ok(findings)
}
