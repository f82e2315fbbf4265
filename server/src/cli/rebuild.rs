//! `custos rebuild`: throws the projections away and makes them anew from the log; with rules, also shows
//! that a replay raises the very alerts that the journal holds.

use super::Data;
use crate::{
    clock::Stopwatch,
    exit::{CommandResult, Failure, Outcome},
    folder::{Folder, Opened},
    output::Output,
    pipeline::{follow::catch_up, indexer::Indexer, replay},
};
use clap::Args;
use custos_event::Cursor;
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

#[derive(Args)]
pub(super) struct Rebuild {
    /// Replay these rules over the log and compare with the alerts in the journal; repeatable.
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Replay the rules that ran, as the journal itself has them, wherever they changed, and compare.
    #[arg(long, conflicts_with = "rules")]
    replay: bool,
    #[command(flatten)]
    data: Data,
    /// End with one line of JSON on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    events: u64,
    alerts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<replay::Comparison>,
    seconds: f64,
}

impl Rebuild {
    pub(super) fn run(self) -> CommandResult {
        let watch = Stopwatch::start();
        let folder = self.data.folder();
        let opened = folder.open(false)?;
        remove_projections(&folder)?;
        let index = opened.open_index()?;
        let mut indexer = Indexer::new(&index, &opened.store).map_err(Failure::store)?;
        catch_up(&opened.store, &opened.table, &Cursor::default(), &mut indexer)
            .map_err(Failure::store)?;
        let alerts = opened.journal()?.alerts_count().map_err(Failure::store)?;
        let replay = self.replay(&opened)?;
        let differs = replay.as_ref().is_some_and(replay::Comparison::differs);
        let logs = opened.store.logs().into_iter().filter(|(log, _)| log.is_telemetry());
        let events = logs.map(|(log, part)| opened.store.next_seq(log, part).0).sum();
        opened.store.close()?;
        let report = Report { events, alerts, replay, seconds: watch.secs() };
        eprintln!("{events} events indexed, {alerts} alerts, in {:.1} s", report.seconds);
        if self.json {
            let mut output = Output::new();
            output.json(&report)?;
            output.flush()?;
        }
        Ok(Outcome::findings_if(differs))
    }

    fn replay(&self, opened: &Opened) -> Result<Option<replay::Comparison>, Failure> {
        let fixed = super::rules::compile_or_none(&self.rules, &opened.table)?;
        if fixed.is_none() && !self.replay {
            return Ok(None);
        }
        let fixed = fixed.map(|(ruleset, _)| Arc::new(ruleset));
        let compared = replay::compare(opened, fixed).map_err(Failure::store)?;
        if compared.evaluated_by_others > 0 {
            eprintln!(
                "{} commits were evaluated by other rules and are not compared",
                compared.evaluated_by_others
            );
        }
        for alert in compared.missing.iter().take(10) {
            eprintln!("in the journal, not in the replay: alert {alert}");
        }
        for alert in compared.extra.iter().take(10) {
            eprintln!("in the replay, not in the journal: alert {alert}");
        }
        Ok(Some(compared))
    }
}

fn remove_projections(folder: &Folder) -> Result<(), Failure> {
    for dir in [folder.index(), folder.catalog()] {
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
    }
    Ok(())
}
