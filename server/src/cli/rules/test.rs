//! `custos rules test DIR…`: each rule over the cases beside it, with the code that runs live.

use super::report;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::{Output, visible},
    rulefiles::{self, RuleFile},
};
use anyhow::Context as _;
use clap::Args;
use custos_detect::{
    Memory, Ruleset, Seen, Watch,
    cases::{Case, Cases},
    explain, naive,
    rule::{Problem, Rule},
    rulebook::needed,
    why_not,
};
use custos_event::{
    FieldTable, Flags, LogId, Matched, ParsedEvent, Partition, Position, RuleId, Seq,
};
use custos_ingest::decode::{DecodeOptions, Decoder, Mappings};
use serde::Serialize;
use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// One JSON value a rule file, and the sums last.
    #[arg(long)]
    json: bool,
    /// A rule fails too that has no cases, no case that fires, or fewer than two near misses.
    #[arg(long)]
    strict: bool,
    /// Folders of mappings, which describe more formats; repeatable.
    #[arg(long, value_name = "DIR")]
    mappings: Vec<PathBuf>,
    /// Rule files, or folders of them.
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
}

/// Each breaks another part of the condition.
const NEAR_MISSES_MIN: usize = 2;

/// How a rule file stood its cases.
#[derive(Serialize)]
struct Verdict {
    file: String,
    rule: Option<String>,
    fires: usize,
    near_misses: usize,
    ok: bool,
    faults: Vec<Fault>,
}

/// What went otherwise, and where that case or mistake stands.
#[derive(Serialize)]
struct Fault {
    file: String,
    line: u32,
    message: String,
}

#[derive(Default, Serialize)]
struct Sums {
    files: usize,
    passed: usize,
    failed: usize,
    without_cases: usize,
    cases: usize,
}

impl Verdict {
    /// What a rule of our own has at least, where it has cases at all.
    fn ask_for_enough(&mut self) {
        let (fires, near_misses) = (self.fires, self.near_misses);
        if fires + near_misses > 0 && (fires == 0 || near_misses < NEAR_MISSES_MIN) {
            let message = format!(
                "{fires} that fire and {near_misses} near misses; at least 1 and {NEAR_MISSES_MIN} are asked for"
            );
            self.faults.push(Fault { file: self.file.clone(), line: 1, message });
            self.ok = false;
        }
    }
}

impl Test {
    /// Exit code 1 where a rule does not hold, or stands its cases otherwise.
    pub(super) fn run(self) -> CommandResult {
        let files = rulefiles::read(&self.roots).map_err(Failure::usage)?;
        let mappings = crate::mappingfiles::read(&self.mappings).map_err(Failure::usage)?;
        let all: Vec<Rule> = files.iter().flat_map(|file| file.parsed.rules.clone()).collect();
        let (mut sums, mut output) = (Sums::default(), Output::new());
        for file in &files {
            let mut verdict = verdict(file, &all, &mappings)?;
            if self.strict {
                verdict.ask_for_enough();
            }
            sums.files += 1;
            let cases = verdict.fires + verdict.near_misses;
            sums.cases += cases;
            let count = match (verdict.ok, cases) {
                (false, _) => &mut sums.failed,
                (true, 0) => &mut sums.without_cases,
                (true, _) => &mut sums.passed,
            };
            *count += 1;
            if self.json {
                output.json(&verdict)?;
            } else {
                say(file, &verdict);
            }
        }
        if self.json {
            output.json(&sums)?;
        }
        output.flush()?;
        let Sums { files, passed, failed, without_cases, cases } = sums;
        eprintln!(
            "{files} rule files: {passed} passed, {failed} failed, {without_cases} without cases; {cases} cases"
        );
        Ok(Outcome::findings_if(failed > 0 || self.strict && without_cases > 0))
    }
}

fn say(file: &RuleFile, verdict: &Verdict) {
    report(&file.path, &file.parsed.errors, "error");
    for Fault { file, line, message } in verdict.faults.iter().filter(|_| file.accepted()) {
        eprintln!("{}", visible(&format!("failed: {file}, line {line}: {message}")));
    }
    if verdict.ok && verdict.fires + verdict.near_misses == 0 {
        eprintln!("{}", visible(&format!("no cases: {}", verdict.file)));
    }
}

fn verdict(file: &RuleFile, all: &[Rule], mappings: &Arc<Mappings>) -> Result<Verdict, Failure> {
    let own = &file.parsed.rules;
    let mut verdict = Verdict {
        file: file.path.display().to_string(),
        rule: own.first().map(|rule| rule.id.to_string()),
        fires: 0,
        near_misses: 0,
        ok: false,
        faults: Vec::new(),
    };
    let fault = |file: &str, problem: &Problem| {
        let Problem { line, column, message } = problem;
        let message = format!("column {column}: {message}");
        Fault { file: file.to_owned(), line: *line, message }
    };
    verdict.faults.extend(file.parsed.errors.iter().map(|it| fault(&verdict.file, it)));
    let beside = file.path.with_extension("cases.yml");
    if file.accepted() && beside.exists() {
        let cannot = || format!("cannot read the cases {}", beside.display());
        let text = fs::read_to_string(&beside).with_context(cannot).map_err(Failure::input)?;
        let name = beside.display().to_string();
        match Cases::parse(&text) {
            Err(problems) => verdict.faults.extend(problems.iter().map(|it| fault(&name, it))),
            Ok(cases) => {
                verdict.fires = cases.cases.iter().filter(|case| case.fires).count();
                verdict.near_misses = cases.cases.len() - verdict.fires;
                for (line, message) in try_all(own, all, &cases, mappings) {
                    verdict.faults.push(Fault { file: name.clone(), line, message });
                }
            }
        }
    }
    verdict.ok = verdict.faults.is_empty();
    Ok(verdict)
}

/// The cases that went otherwise, by their lines.
fn try_all(
    own: &[Rule],
    all: &[Rule],
    cases: &Cases,
    mappings: &Arc<Mappings>,
) -> Vec<(u32, String)> {
    let source = if cases.source.is_empty() { "auto" } else { &cases.source };
    let source = match mappings.source_type(source) {
        Ok(source) => source,
        Err(error) => return vec![(1, format!("source: {error:#}"))],
    };
    let ids: BTreeSet<&RuleId> = own.iter().map(|rule| &rule.id).collect();
    let others = all.iter().filter(|rule| !ids.contains(&rule.id)).cloned().collect();
    let mut rules = needed(own, others);
    rules.extend(own.iter().cloned());
    let table = Arc::new(FieldTable::new());
    let ruleset = Arc::new(Ruleset::compile(&rules, &table));
    let mut faults = Vec::new();
    for case in &cases.cases {
        let options = DecodeOptions::new(source, "rules test".into()).without_protection();
        let options = options.with_mappings(Arc::clone(mappings));
        let decoder = Decoder::new(Arc::clone(&table), options);
        let watch = Watch::new(Arc::clone(&ruleset));
        if let Some(message) = try_one(case, decoder, watch, (own, &ids), &table) {
            faults.push((case.line, message));
        }
    }
    faults
}

/// What is wrong with how one case went.
fn try_one(
    case: &Case,
    mut decoder: Decoder,
    mut watch: Watch,
    (rules, own): (&[Rule], &BTreeSet<&RuleId>),
    table: &FieldTable,
) -> Option<String> {
    let (mut fired, mut memory, mut reasons) = (Vec::new(), Memory::default(), Reasons::new(rules));
    for (number, event) in (0_u64..).zip(&case.events) {
        let read = decoder.decode(event.text.clone().into(), event.received);
        if read.header.flags.has(Flags::REJECTED) {
            let reason = read.header.rejection.as_deref().unwrap_or("undecodable");
            return Some(format!("event {} cannot be read: {reason}", number + 1));
        }
        let position =
            Position { log: LogId::TELEMETRY, partition: Partition::default(), seq: Seq(number) };
        let mut alerts = Vec::new();
        watch.see(&Seen::new(position, event.received, &read), &mut memory, &mut alerts);
        if alerts.iter().any(|alert| own.contains(&alert.rule)) {
            fired.push(number + 1);
        }
        reasons.see(number + 1, &read, table);
    }
    let last = case.events.len() as u64;
    match (case.fires, &fired[..]) {
        (true, [only]) if *only == last => None,
        (false, []) => None,
        (true, []) => Some(format!("it does not fire{}", reasons.of_silence())),
        (true, some) => {
            Some(format!("it fires on events {some:?}, not on the last one ({last}) alone"))
        }
        (false, some) => {
            Some(format!("a near miss, but it fires on events {some:?}{}", reasons.of_firing()))
        }
    }
}

/// What the events of one case are to the rules of a file, one by one, without what is counted.
struct Reasons<'r> {
    rules: &'r [Rule],
    matched: usize,
    events: u64,
    /// Of the last event that no rule matched, and the last that one did.
    silent: Option<(u64, String)>,
    firing: Option<String>,
}

impl<'r> Reasons<'r> {
    fn new(rules: &'r [Rule]) -> Self {
        Self { rules, matched: 0, events: 0, silent: None, firing: None }
    }

    fn see(&mut self, number: u64, event: &ParsedEvent, table: &FieldTable) {
        let detections = || self.rules.iter().filter(|rule| rule.is_detection());
        let found = detections().find(|rule| naive::matches(rule, event, table));
        self.events = number;
        if let Some(rule) = found {
            self.matched += 1;
            let by = explain(rule, event, table).into_iter().map(|it| {
                let Matched { selection, field, pattern, value } = it;
                format!("'{selection}': {field} {pattern} by '{value}'")
            });
            self.firing = Some(by.collect::<Vec<_>>().join("; "));
        } else {
            let reasons = detections().filter_map(|rule| why_not(rule, event, table));
            self.silent = reasons.last().map(|reason| (number, reason));
        }
    }

    fn of_silence(&self) -> String {
        let Self { matched, events, .. } = self;
        let counted = if *events > 1 || *matched > 0 {
            format!(": {matched} of its {events} events match by themselves")
        } else {
            String::new()
        };
        let Some((number, reason)) = &self.silent else { return counted };
        let place = if *events > 1 { format!("; event {number} does not: ") } else { ": ".into() };
        format!("{counted}{place}{reason}")
    }

    fn of_firing(&self) -> String {
        self.firing.as_ref().map_or_else(String::new, |by| format!(": {by}"))
    }
}
