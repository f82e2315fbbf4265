//! `custos rules run --rules DIR… FILE…`: which events of the files trip which rules.

use super::{report, report_unlinked};
use crate::{
    clock::{Stopwatch, SystemClock},
    exit::{CommandResult, Failure, Outcome},
    memory,
    output::{Output, visible},
    rulefiles::{self, RuleFile},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use custos_detect::{Correlator, Engine, Hit, RuleIndex, Ruleset, correlate::hit::hits};
use custos_event::{
    Clock as _, FieldTable, Flags, LogId, ParsedEvent, Partition, Position, Seq, Timestamp,
};
use custos_ingest::{
    decode::{DecodeOptions, Decoder},
    file::{self, Unit},
};
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

#[derive(Args)]
pub(in crate::cli) struct Run {
    /// Rule files, or folders of them; several may follow.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// What the lines are, a type of Custos or the name of a mapping; `auto` decides for each.
    #[arg(long, value_name = "TYPE", default_value = "auto")]
    source: String,
    /// Folders of mappings, which describe more formats; repeatable.
    #[arg(long, value_name = "DIR")]
    mappings: Vec<PathBuf>,
    /// Threads that evaluate; the output is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// End with one line of figures on stderr.
    #[arg(long)]
    stats: bool,
    /// Exit with 1 when a rule is invalid.
    #[arg(long)]
    strict: bool,
    /// The same output; machine output is all there is.
    #[arg(long)]
    json: bool,
    /// The files; gzip is recognised, `-` is stdin.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// `--rules DIR… FILE…` without an option between reads as folders all along: what stands at the end and
/// cannot hold rules is a file of events.
fn part_files(rules: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) {
    let holds_rules = |path: &PathBuf| {
        let yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
        yaml || path.is_dir()
    };
    if files.is_empty() {
        let end = rules.iter().rposition(holds_rules).map_or(0, |last| last + 1);
        *files = rules.split_off(end);
    }
}

/// Events handed to a thread at once: about half a millisecond of work, and few enough bytes to stay in the
/// second-level cache from reading to matching.
const CHUNK_UNITS: usize = 64;

/// A correlation's events are addressed by the number of their file.
const FILES_MAX: usize = 1 << 16;

#[derive(Default, Serialize)]
struct Stats {
    events: u64,
    seconds: f64,
    events_per_second: f64,
    bytes: u64,
    rules: usize,
    rules_rejected: usize,
    matches: u64,
    undecodable: u64,
    load_seconds: f64,
    rss_peak_bytes: u64,
}

#[derive(Serialize)]
struct Line<'r> {
    file: &'r str,
    event: u64,
    rule: &'r str,
    title: &'r str,
    level: &'r str,
    /// For a correlation: the lines of its events, the last one's included.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Place<'r>>>,
}

/// One of a correlation's events: its line, with the file where that is another than the last event's.
#[derive(Serialize)]
#[serde(untagged)]
enum Place<'r> {
    Here(u64),
    There { file: &'r str, event: u64 },
}

/// Lines of one file that stand together.
struct Chunk {
    file: usize,
    units: Vec<Unit>,
}

/// What came of a chunk.
#[derive(Default)]
struct Found {
    file: usize,
    events: u64,
    bytes: u64,
    /// Line and rule.
    matches: Vec<(u64, RuleIndex)>,
    /// Line, and what it is to a correlation.
    hits: Vec<(u64, Hit)>,
    /// Line and reason.
    undecodable: Vec<(u64, String)>,
}

/// One thread's means: decoder and engine.
struct Worker {
    decoder: Decoder,
    engine: Engine,
    ruleset: Arc<Ruleset>,
    received: Timestamp,
}

impl Worker {
    fn new(
        options: DecodeOptions,
        table: &Arc<FieldTable>,
        ruleset: &Arc<Ruleset>,
        received: Timestamp,
    ) -> Self {
        Self {
            decoder: Decoder::new(Arc::clone(table), options),
            engine: Engine::new(Arc::clone(ruleset)),
            ruleset: Arc::clone(ruleset),
            received,
        }
    }

    fn work(&mut self, chunk: Chunk) -> Found {
        let mut found = Found { file: chunk.file, ..Found::default() };
        for unit in chunk.units {
            let line = unit.line - 1;
            found.events += 1;
            found.bytes += unit.bytes.len() as u64 + 1;
            if unit.whole.is_none() && self.scan(line, &unit.bytes, &mut found) {
                continue;
            }
            let event = self.decoder.decode_unit(unit, self.received);
            if event.header.flags.has(Flags::REJECTED) {
                let reason = event.header.rejection.as_deref().unwrap_or("undecodable");
                found.undecodable.push((line, reason.to_owned()));
                continue;
            }
            self.evaluate(line, &event, &mut found);
        }
        found
    }

    /// The quick way, which raises nothing to ECS: false where rules need the whole event, and where
    /// correlations count it.
    fn scan(&mut self, line: u64, raw: &[u8], found: &mut Found) -> bool {
        let Self { decoder, engine, ruleset, .. } = self;
        let Some(event) = decoder.scan(raw) else { return false };
        let Some(matched) = engine.evaluate_scanned(&event) else { return false };
        if !matched.is_empty() && ruleset.correlates() {
            return false;
        }
        let aloud = matched.iter().filter(|rule| ruleset.is_aloud(**rule));
        found.matches.extend(aloud.map(|rule| (line, *rule)));
        true
    }

    fn evaluate(&mut self, line: u64, event: &ParsedEvent, found: &mut Found) {
        let Self { engine, ruleset, .. } = self;
        let matched = engine.evaluate(event);
        let aloud = matched.iter().filter(|rule| ruleset.is_aloud(**rule));
        found.matches.extend(aloud.map(|rule| (line, *rule)));
        if !ruleset.correlates() {
            return;
        }
        let mut own = Vec::new();
        hits(ruleset, event, matched, &mut own);
        found.hits.extend(own.into_iter().map(|hit| (line, hit)));
    }
}

impl Run {
    pub(super) fn run(mut self) -> CommandResult {
        part_files(&mut self.rules, &mut self.files);
        if self.files.is_empty() || self.rules.is_empty() {
            let error = anyhow!("name both rules and files: custos rules run --rules DIR… FILE…");
            return Err(Failure::usage(error));
        }
        if self.files.len() > FILES_MAX {
            return Err(Failure::usage(anyhow!("more than {FILES_MAX} files")));
        }
        if self.threads == 0 {
            return Err(Failure::usage(anyhow!("--threads 0: at least one is needed")));
        }
        let loading = Stopwatch::start();
        let mappings = crate::mappingfiles::read(&self.mappings).map_err(Failure::usage)?;
        let source = mappings.source_type(&self.source).map_err(Failure::usage)?;
        let options = DecodeOptions::new(source, "rules run".into());
        let options = options.without_protection().with_mappings(mappings);
        let files = rulefiles::read(&self.rules).map_err(Failure::usage)?;
        let rejected: Vec<&RuleFile> = files.iter().filter(|file| !file.accepted()).collect();
        for file in &rejected {
            report(&file.path, &file.parsed.errors, "error");
        }
        let invalid = rejected.len();
        report_unlinked(&files);
        let table = Arc::new(FieldTable::new());
        let ruleset = Arc::new(Ruleset::compile(&rulefiles::accepted(files), &table));
        ruleset.prepare();
        let mut stats = Stats {
            rules: ruleset.len(),
            rules_rejected: invalid,
            load_seconds: loading.secs(),
            ..Stats::default()
        };
        let running = Stopwatch::start();
        let mut sink = Sink {
            output: Output::new(),
            run: &self,
            correlator: Correlator::new(Arc::clone(&ruleset)),
            ruleset: &ruleset,
            received: SystemClock.now(),
            stats: &mut stats,
        };
        let read = if self.threads == 1 {
            self.run_here(options, &table, &mut sink)
        } else {
            self.run_on_threads(&options, &table, &mut sink)
        };
        sink.output.flush()?;
        sink.say_incomplete();
        stats.seconds = running.secs();
        read?;
        if self.stats {
            say_stats(stats)?;
        }
        Ok(Outcome::findings_if(self.strict && invalid > 0))
    }

    fn run_here(
        &self,
        options: DecodeOptions,
        table: &Arc<FieldTable>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Failure> {
        let mut worker = Worker::new(options, table, sink.ruleset, sink.received);
        self.each_chunk(|chunk| sink.take(&worker.work(chunk)))
    }

    /// Chunk n goes to thread n modulo N and is fetched from there again, which keeps the order.
    fn run_on_threads(
        &self,
        options: &DecodeOptions,
        table: &Arc<FieldTable>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Failure> {
        std::thread::scope(|scope| {
            let (ruleset, received) = (Arc::clone(sink.ruleset), sink.received);
            let mut lanes = Vec::with_capacity(self.threads);
            for _ in 0..self.threads {
                // Two chunks waiting on each side keep a thread busy while the order is awaited.
                let (give, take) = mpsc::sync_channel::<Chunk>(2);
                let (answer, answers) = mpsc::sync_channel::<Found>(2);
                let mut worker = Worker::new(options.clone(), table, &ruleset, received);
                scope.spawn(move || {
                    let mut found = take.into_iter().map(|chunk| worker.work(chunk));
                    found.try_for_each(|found| answer.send(found))
                });
                lanes.push((give, answers));
            }
            let sink = Mutex::new(sink);
            let (mut given, mut fetched) = (0_usize, 0_usize);
            let read = self.each_chunk(|chunk| {
                if given - fetched >= 3 * lanes.len() {
                    fetch(&lanes, &mut fetched, &sink)?;
                }
                let (give, _) = &lanes[given % lanes.len()];
                given += 1;
                give.send(chunk).map_err(|_| Failure::input(anyhow!("a worker thread ended")))
            });
            while fetched < given {
                fetch(&lanes, &mut fetched, &sink)?;
            }
            read
        })
    }

    /// Calls `each` with the lines of all files, in order. A file that breaks off ends the walk after its
    /// intact lines.
    fn each_chunk(
        &self,
        mut each: impl FnMut(Chunk) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for (number, path) in self.files.iter().enumerate() {
            let cannot = || format!("cannot read {}", path.display());
            let mut units = Vec::with_capacity(CHUNK_UNITS);
            for unit in file::open(path).with_context(cannot).map_err(Failure::input)? {
                match unit {
                    Ok(unit) => units.push(unit),
                    Err(error) => {
                        each(Chunk { file: number, units: std::mem::take(&mut units) })?;
                        return Err(Failure::input(anyhow::Error::new(error).context(cannot())));
                    }
                }
                if units.len() == CHUNK_UNITS {
                    let full = std::mem::replace(&mut units, Vec::with_capacity(CHUNK_UNITS));
                    each(Chunk { file: number, units: full })?;
                }
            }
            each(Chunk { file: number, units })?;
        }
        Ok(())
    }
}

type Lane = (mpsc::SyncSender<Chunk>, mpsc::Receiver<Found>);

fn fetch(lanes: &[Lane], fetched: &mut usize, sink: &Mutex<&mut Sink<'_>>) -> Result<(), Failure> {
    let (_, answers) = &lanes[*fetched % lanes.len()];
    *fetched += 1;
    let found = answers.recv().map_err(|_| Failure::input(anyhow!("a worker thread ended")))?;
    sink.lock().unwrap_or_else(PoisonError::into_inner).take(&found)
}

/// Where results go, in order; here, where all events pass in order, correlations count.
struct Sink<'r> {
    output: Output,
    run: &'r Run,
    ruleset: &'r Arc<Ruleset>,
    correlator: Correlator,
    received: Timestamp,
    stats: &'r mut Stats,
}

impl Sink<'_> {
    fn take(&mut self, found: &Found) -> Result<(), Failure> {
        let file = self.run.files[found.file].to_string_lossy();
        for (line, reason) in &found.undecodable {
            eprintln!("{}", visible(&format!("{file}, line {}: {reason}", line + 1)));
        }
        let matches = found.matches.iter().map(|(line, rule)| (*line, *rule, None));
        let mut all: Vec<(u64, RuleIndex, Option<Vec<Position>>)> = matches.collect();
        for (line, hit) in &found.hits {
            let partition = Partition(u16::try_from(found.file).unwrap_or(u16::MAX));
            let position = Position { log: LogId::TELEMETRY, partition, seq: Seq(*line) };
            let mut fired = Vec::new();
            self.correlator.take(hit, position, self.received, &mut fired);
            all.extend(fired.into_iter().map(|fired| (*line, fired.rule, Some(fired.events))));
        }
        if !found.hits.is_empty() {
            all.sort_by_key(|(line, rule, _)| (*line, *rule));
        }
        for (line, rule, events) in &all {
            self.line(found.file, *line, *rule, events.as_deref())?;
        }
        self.stats.events += found.events;
        self.stats.bytes += found.bytes;
        self.stats.matches += all.len() as u64;
        self.stats.undecodable += found.undecodable.len() as u64;
        Ok(())
    }

    fn line(
        &mut self,
        file: usize,
        line: u64,
        rule: RuleIndex,
        events: Option<&[Position]>,
    ) -> Result<(), Failure> {
        let names: Vec<_> = match events {
            Some(_) => self.run.files.iter().map(|file| file.to_string_lossy()).collect(),
            None => Vec::new(),
        };
        let place = |at: &Position| {
            let (number, event) = (usize::from(at.partition.0), at.seq.0);
            match names.get(number).filter(|_| number != file) {
                None => Place::Here(event),
                Some(file) => Place::There { file, event },
            }
        };
        let rule = self.ruleset.rule(rule);
        let line = Line {
            file: &self.run.files[file].to_string_lossy(),
            event: line,
            rule: &rule.id.0,
            title: &rule.title,
            level: &rule.level,
            events: events.map(|events| events.iter().map(place).collect()),
        };
        self.output.json(&line)?;
        Ok(())
    }

    /// Files are read long after their events: that these are late says nothing here.
    fn say_incomplete(&mut self) {
        for lost in self.correlator.incomplete().iter().filter(|lost| lost.dropped > 0) {
            let (rule, dropped) = (&lost.rule, lost.dropped);
            let text = format!(
                "warning: rule {rule}: too many events at once, {dropped} were not counted"
            );
            eprintln!("{}", visible(&text));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn say_stats(mut stats: Stats) -> Result<(), Failure> {
    stats.events_per_second = (stats.events as f64 / stats.seconds.max(1e-9)).round();
    stats.rss_peak_bytes = memory::resident_peak().unwrap_or(0);
    eprintln!("{}", serde_json::to_string(&stats).map_err(Failure::input)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_follow_the_folders_are_files() {
        let check = |given: &[&str], rules: &[&str], files: &[&str]| {
            let paths = |texts: &[&str]| texts.iter().map(PathBuf::from).collect::<Vec<_>>();
            let (mut all, mut rest) = (paths(given), Vec::new());
            part_files(&mut all, &mut rest);
            assert_eq!((all, rest), (paths(rules), paths(files)));
        };
        check(&["/", "a.jsonl", "-"], &["/"], &["a.jsonl", "-"]);
        check(&["a.yml", "b.jsonl.gz"], &["a.yml"], &["b.jsonl.gz"]);
        check(&["/", "a.yaml"], &["/", "a.yaml"], &[]);
    }
}
