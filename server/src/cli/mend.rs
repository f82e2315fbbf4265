//! `custos log scrub` and `custos log repair`: find damage in sealed segments, and mend it from a backup; on a folder
//! that nobody writes to, or on a running server.

use super::{Data, backup::size, log::existing};
use crate::{
    clock::Stopwatch,
    exit::{CommandResult, Failure, Outcome},
    folder::{append_facts, operator},
    output::Output,
    remote::Server,
    upkeep::tending::repaired_event,
};
use clap::Args;
use custos_event::{Fact, UpkeepEvent};
use custos_store::{
    StoreError,
    backup::{S3Options, Target},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub(super) struct Scrub {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// Read at most so many MiB a second [default: as fast as it goes].
    #[arg(long, value_name = "MIB")]
    rate: Option<u32>,
    /// One JSON value a damaged segment, the last line a summary.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Repair {
    /// `file:///PATH`, a path, or `s3://BUCKET/PREFIX`; a running server takes its own.
    #[arg(long, value_name = "URL", required_unless_present = "server")]
    from: Option<String>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// One JSON value a range.
    #[arg(long)]
    json: bool,
}

impl Scrub {
    pub(super) fn run(self) -> CommandResult {
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            remote.send("POST", "/api/v1/retention/scrub", &json!({}))?;
            eprintln!("the server reads its sealed segments now; see the page Retention");
            return Ok(Outcome::Done);
        }
        let mut opened = existing(&self.data)?.open_for_upkeep()?;
        if !opened.recovery.is_empty() {
            opened.record_start()?;
        }
        let watch = Stopwatch::start();
        let rate = self.rate.filter(|mib| *mib > 0).map_or(u64::MAX, |mib| u64::from(mib) << 20);
        let stop = CancellationToken::new();
        let report = opened.store.scrub(&mut |progress| watch.pace(progress.bytes, rate, &stop))?;
        let damaged = report.damaged.len() as u64;
        let (segments, bytes) = (report.segments, report.bytes);
        let event = UpkeepEvent::ScrubCompleted { segments, bytes, damaged };
        let facts = report.facts.into_iter().chain([Fact::Upkeep { event }]).collect();
        append_facts(&opened.store, &operator(), facts)?;
        opened.store.recorded()?;
        opened.store.close()?;
        let mut output = Output::new();
        for one in &report.damaged {
            if self.json {
                output.json(&json!({
                    "log": one.log.to_string(),
                    "segment": one.segment,
                    "first": one.first,
                    "last": one.last,
                    "reason": one.reason,
                }))?;
            } else {
                let text = format!(
                    "{}/{}: records {} to {} are damaged: {}; mend them with 'custos log repair'",
                    one.log, one.segment, one.first, one.last, one.reason
                );
                output.text(&text)?;
            }
        }
        let secs = watch.secs();
        if self.json {
            let line =
                json!({"segments": segments, "bytes": bytes, "damaged": damaged, "seconds": secs});
            output.json(&line)?;
        } else {
            output.text(&format!(
                "{segments} sealed segments read, {} in {secs:.1} s, {damaged} damaged",
                size(bytes)
            ))?;
        }
        output.flush()?;
        Ok(Outcome::findings_if(damaged > 0))
    }
}

impl Repair {
    pub(super) fn run(self) -> CommandResult {
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            remote.send("POST", "/api/v1/retention/repair", &json!({}))?;
            eprintln!("the server mends from its backup now; see the page Retention");
            return Ok(Outcome::Done);
        }
        let from = self.from.clone().unwrap_or_default();
        let target = Target::open(&from, &S3Options::default(), false).map_err(failure)?;
        let mut opened = existing(&self.data)?.open_for_upkeep()?;
        if !opened.recovery.is_empty() {
            opened.record_start()?;
        }
        let report = opened.store.repair(&target, &mut |repaired| {
            let fact = Fact::Upkeep { event: repaired_event(&from, repaired) };
            let told = append_facts(&opened.store, &operator(), vec![fact]);
            told.map_err(|error| StoreError::Failed(format!("{:#}", error.into_error()).into()))
        });
        let report = report.map_err(failure)?;
        opened.store.close()?;
        let mut output = Output::new();
        let repaired = report.repaired.iter().map(|one| {
            let text =
                format!("records {} to {} mended from backup {}", one.first, one.last, one.backup);
            (one.log, text, json!({"first": one.first, "last": one.last, "backup": one.backup}))
        });
        let left = report.left.iter().map(|one| {
            let text = format!("records {} to {} NOT mended: {}", one.first, one.last, one.reason);
            (one.log, text, json!({"first": one.first, "last": one.last, "reason": one.reason}))
        });
        let mut count = 0;
        for (log, text, mut line) in repaired.chain(left) {
            count += 1;
            if self.json {
                line["log"] = Value::from(log.to_string());
                output.json(&line)?;
            } else {
                output.text(&format!("{log}: {text}"))?;
            }
        }
        if count == 0 && !self.json {
            output.text("nothing is in quarantine; 'custos log scrub' looks for damage")?;
        }
        output.flush()?;
        Ok(Outcome::findings_if(!report.left.is_empty()))
    }
}

fn failure(error: StoreError) -> Failure {
    if matches!(error, StoreError::Target { .. }) {
        Failure::input(error)
    } else if matches!(error, StoreError::Refused(_)) {
        Failure::usage(error)
    } else {
        Failure::store(error)
    }
}
