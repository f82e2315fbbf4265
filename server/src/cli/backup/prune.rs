//! `custos backup prune`.

use super::{From, failure, size};
use crate::{
    clock::SystemClock,
    exit::{CommandResult, Failure, Outcome},
    output::Output,
};
use anyhow::anyhow;
use clap::Args;
use custos_event::Clock as _;
use custos_store::{
    backup::{self, PrunePolicy},
    keys::KeyDays,
};
use serde_json::json;

#[derive(Args)]
pub(in crate::cli) struct Prune {
    #[command(flatten)]
    from: From,
    /// Keep the newest so many.
    #[arg(long, value_name = "N", default_value_t = PrunePolicy::default().last)]
    keep_last: u32,
    /// And the newest of each of so many days that have one.
    #[arg(long, value_name = "N", default_value_t = PrunePolicy::default().daily)]
    keep_daily: u32,
    /// And of so many weeks.
    #[arg(long, value_name = "N", default_value_t = PrunePolicy::default().weekly)]
    keep_weekly: u32,
    /// Let go of copies of the keyring older than so many days where a newer backup has one.
    #[arg(long, value_name = "DAYS", default_value_t = KeyDays::MAX.get())]
    keys_days: u32,
    /// End with one line of JSON on stdout.
    #[arg(long)]
    json: bool,
}

impl Prune {
    pub(super) fn run(self) -> CommandResult {
        let keys_days = KeyDays::new(self.keys_days).ok_or_else(|| {
            let (days, max) = (self.keys_days, KeyDays::MAX.get());
            Failure::usage(anyhow!("--keys-days {days}: 1 to {max} are possible"))
        })?;
        let policy = PrunePolicy {
            last: self.keep_last,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            keys_days,
        };
        let pruned = backup::prune(&self.from.target()?, &policy, SystemClock.now());
        let pruned = pruned.map_err(failure)?;
        eprintln!("removed {} backups, {}", pruned.removed.len(), size(pruned.bytes));
        if self.json {
            let mut output = Output::new();
            output.json(&json!({
                "removed": pruned.removed,
                "bytes": pruned.bytes,
                "needed": pruned.needed,
                "keys_expired": pruned.keys_expired,
            }))?;
            output.flush()?;
        }
        Ok(Outcome::Done)
    }
}
