//! `custos ingest FILE…`: durable on exit, searchable at once.

mod explain;

use super::Data;
use crate::{
    clock::{Stopwatch, SystemClock},
    exit::{CommandResult, Failure, Outcome},
    folder::Opened,
    output::Output,
    pipeline::{
        detector::{self, Detector},
        follow::follow,
        indexer::Indexer,
        intake::{StoreIntake, stored},
    },
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use custos_event::{Clock as _, Cursor, LogId, ParsedEvent};
use custos_ingest::{
    Batch,
    decode::{DecodeOptions, Decoder, SourceType},
    file,
};
use custos_store::Ticket;
use serde::Serialize;
use std::{
    collections::VecDeque,
    io::{self, BufRead as _, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub(super) struct Ingest {
    /// What the lines are, a type of Custos or the name of a mapping; `auto` decides for each.
    #[arg(long, value_name = "TYPE", default_value = "auto")]
    source: String,
    /// Folders of mappings, which describe more formats; repeatable.
    #[arg(long, value_name = "DIR")]
    mappings: Vec<PathBuf>,
    /// The year of times that have none.
    #[arg(long, value_name = "Y")]
    year: Option<i16>,
    /// Run these rules over what is stored; repeatable.
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// The log that keeps them: that of a retention class, as its `log` in the configuration says.
    #[arg(long, value_name = "LOG", default_value_t = LogId::TELEMETRY, value_parser = log_of_events)]
    log: LogId,
    #[command(flatten)]
    data: Data,
    /// End with one line of JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Store nothing; tell what this line is taken for, which field each of its values becomes and what is left over. `-` is
    /// the first line of stdin.
    #[arg(long, value_name = "LINE", conflicts_with_all = ["files", "rules"])]
    explain: Option<String>,
    /// The files; gzip is recognised, `-` is stdin.
    #[arg(required_unless_present = "explain", value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Default, Serialize)]
struct Totals {
    received: u64,
    stored: u64,
    rejected: u64,
    seconds: f64,
}

fn log_of_events(text: &str) -> Result<LogId, String> {
    let log: LogId = text.parse().map_err(|error| format!("{error}"))?;
    if log.is_telemetry() { Ok(log) } else { Err("facts are Custos's own".into()) }
}

/// Events of one commit: enough that a sync costs little for each, few enough to stay under a mebibyte.
const BATCH_EVENTS: usize = 1_000;
/// Four times what an event may have.
const EXPLAINED_BYTES_MAX: u64 = 1 << 20;
/// Bytes of one commit.
const BATCH_BYTES: usize = 1 << 20;

/// Appends on their way: while one is synced the next is decoded.
struct Appends<'t> {
    intake: StoreIntake,
    log: LogId,
    totals: &'t mut Totals,
    /// With each: how many events it has, and how many of them were understood.
    waiting: VecDeque<(Ticket, u64, u64)>,
}

/// Appends on their way at once; together 4 MiB.
const APPENDS_MAX: usize = 4;

impl Appends<'_> {
    fn begin(&mut self, events: Vec<ParsedEvent>) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        let (received, understood) = (events.len() as u64, stored(&events));
        let ticket = self.intake.begin(Batch::new(self.log, events))?;
        self.waiting.push_back((ticket, received, understood));
        self.wait_for(APPENDS_MAX)
    }

    /// Waits until at most `left` are on their way; counts those that are durable.
    fn wait_for(&mut self, left: usize) -> Result<(), Failure> {
        while self.waiting.len() > left {
            let Some((ticket, received, understood)) = self.waiting.pop_front() else { break };
            ticket.wait()?;
            self.totals.received += received;
            self.totals.stored += understood;
            self.totals.rejected += received - understood;
        }
        Ok(())
    }
}

impl Ingest {
    pub(super) fn run(self) -> CommandResult {
        if let Some(line) = &self.explain {
            let mappings = crate::mappingfiles::read(&self.mappings).map_err(Failure::usage)?;
            let source = mappings.source_type(&self.source).map_err(Failure::usage)?;
            let options = DecodeOptions::new(source, "explain".into()).with_year(self.year);
            let options = options.with_mappings(mappings);
            return explain::run(&line_of(line)?, options, self.json);
        }
        let watch = Stopwatch::start();
        let mappings = crate::mappingfiles::read(&self.mappings).map_err(Failure::usage)?;
        let source = mappings.source_type(&self.source).map_err(Failure::usage)?;
        let mut opened = self.data.folder().with_mappings(mappings).open(true)?;
        opened.record_start()?;
        let ruleset = super::rules::compile_or_none(&self.rules, &opened.table)?;
        let mut totals = Totals::default();
        let stop = CancellationToken::new();
        let index = opened.open_index()?;
        let read = std::thread::scope(|scope| -> Result<Result<(), Failure>, Failure> {
            let indexing = scope.spawn(|| index_until(&opened, &index, &stop));
            let read = self.store_all(&opened, source, &mut totals);
            stop.cancel();
            match indexing.join() {
                Ok(indexed) => indexed.map_err(Failure::store)?,
                Err(_) => return Err(Failure::store(anyhow!("the indexer panicked"))),
            }
            Ok(read)
        })?;
        let alerts = match ruleset {
            Some((ruleset, rejected)) => Some(detect(&opened, ruleset, rejected)?),
            None => None,
        };
        // Short runs would otherwise leave a file each that only a server tidies up.
        opened.store.wait_sealed();
        opened.store.close()?;
        totals.seconds = watch.secs();
        self.say(&totals, alerts)?;
        read.map(|()| Outcome::Done)
    }

    /// Stores file after file. One that cannot be read, or not to its end, does not keep the others out;
    /// the last such failure is the answer.
    fn store_all(
        &self,
        opened: &Opened,
        source: SourceType,
        totals: &mut Totals,
    ) -> Result<(), Failure> {
        let intake = StoreIntake::new(opened.store.clone(), Arc::clone(&opened.table));
        let mut appends = Appends { intake, log: self.log, totals, waiting: VecDeque::new() };
        let mut failed: Option<Failure> = None;
        for file in &self.files {
            let unread = self.store(file, opened, source, &mut appends)?;
            if let Some(before) = unread.and_then(|failure| failed.replace(failure)) {
                before.report();
            }
        }
        appends.wait_for(0)?;
        failed.map_or(Ok(()), Err)
    }

    /// `Err` is the store's failure; an input that breaks off is the inner one.
    fn store(
        &self,
        path: &Path,
        opened: &Opened,
        source_type: SourceType,
        appends: &mut Appends<'_>,
    ) -> Result<Option<Failure>, Failure> {
        let unread = |error: anyhow::Error| {
            Ok(Some(Failure::input(error.context(format!("cannot read {}", path.display())))))
        };
        let units = match file::open(path) {
            Ok(units) => units,
            Err(error) => return unread(error.into()),
        };
        let source: Arc<str> = format!("file:{}", path.display()).into();
        let options = opened.decoding(source_type, source)?.with_year(self.year);
        let mut decoder = Decoder::new(Arc::clone(&opened.table), options);
        let mut batch = Vec::with_capacity(BATCH_EVENTS);
        let mut bytes = 0;
        let mut broken = None;
        for unit in units {
            match unit {
                Ok(unit) => {
                    bytes += unit.bytes.len();
                    batch.push(decoder.decode_unit(unit, SystemClock.now()));
                }
                Err(error) => broken = Some(error),
            }
            if batch.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                appends.begin(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        appends.begin(batch)?;
        broken.map_or(Ok(None), |error| unread(error.into()))
    }

    fn say(&self, totals: &Totals, alerts: Option<u64>) -> Result<(), Failure> {
        let Totals { received, stored, rejected, seconds } = totals;
        eprintln!("received {received}, stored {stored}, rejected {rejected} in {seconds:.2} s");
        if let Some(alerts) = alerts {
            eprintln!("{alerts} alerts; see 'custos alerts'");
        }
        if self.json {
            let mut output = Output::new();
            output.json(totals)?;
            output.flush()?;
        }
        Ok(())
    }
}

/// The line that is to be explained.
fn line_of(given: &str) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut line = Vec::new();
    // A longer one is cut as one of a file is.
    let bytes = EXPLAINED_BYTES_MAX;
    io::stdin()
        .lock()
        .take(bytes)
        .read_until(b'\n', &mut line)
        .context("cannot read a line from stdin")
        .map_err(Failure::input)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Runs the rules over what no ruleset has seen yet; how many alerts came of it.
fn detect(opened: &Opened, ruleset: custos_detect::Ruleset, rejected: u32) -> Result<u64, Failure> {
    let journal = opened.journal()?;
    let cursor = journal.evaluated().map_err(Failure::store)?;
    let active = journal.ruleset().map_err(Failure::store)?;
    detector::activate(&opened.store, active, &ruleset, rejected).map_err(Failure::store)?;
    let mut detector =
        Detector::new(opened.store.clone(), Arc::new(ruleset), &journal).map_err(Failure::store)?;
    crate::pipeline::follow::catch_up(&opened.store, &opened.table, &cursor, &mut detector)
        .map_err(Failure::store)?;
    Ok(detector.alerts)
}

fn index_until(
    opened: &Opened,
    index: &custos_search::Index,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let cursor: Cursor = index.cursor();
    let mut indexer = Indexer::new(index, &opened.store)?;
    follow(&opened.store, &opened.table, &cursor, &mut indexer, stop)
}
