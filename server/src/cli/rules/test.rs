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
    rule::{Problem, Rule},
    rulebook::needed,
};
use custos_event::{FieldTable, Flags, LogId, Partition, Position, RuleId, Seq};
use custos_ingest::decode::{DecodeOptions, Decoder, Mappings};
use serde::Serialize;
use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// One JSON value a rule file, and the sums last.
    #[arg(long)]
    json: bool,
    /// A rule without cases fails too.
    #[arg(long)]
    strict: bool,
    /// Folders of mappings, which describe more formats; repeatable.
    #[arg(long, value_name = "DIR")]
    mappings: Vec<PathBuf>,
    /// Rule files, or folders of them.
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
}

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

impl Test {
    /// Exit code 1 where a rule does not hold, or stands its cases otherwise.
    pub(super) fn run(self) -> CommandResult {
        let files = rulefiles::read(&self.roots).map_err(Failure::usage)?;
        let mappings = crate::mappingfiles::read(&self.mappings).map_err(Failure::usage)?;
        let all: Vec<Rule> = files.iter().flat_map(|file| file.parsed.rules.clone()).collect();
        let (mut sums, mut output) = (Sums::default(), Output::new());
        for file in &files {
            let verdict = verdict(file, &all, &mappings)?;
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
    let Ok(source) = mappings.source_type(source) else {
        return vec![(1, format!("unknown source '{}'", cases.source))];
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
        if let Some(message) = try_one(case, decoder, Watch::new(Arc::clone(&ruleset)), &ids) {
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
    own: &BTreeSet<&RuleId>,
) -> Option<String> {
    let (mut fired, mut memory) = (Vec::new(), Memory::default());
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
    }
    let last = case.events.len() as u64;
    match (case.fires, &fired[..]) {
        (true, [only]) if *only == last => None,
        (false, []) => None,
        (true, []) => Some("it does not fire".to_owned()),
        (true, some) => {
            Some(format!("it fires on events {some:?}, not on the last one ({last}) alone"))
        }
        (false, some) => Some(format!("a near miss, but it fires on events {some:?}")),
    }
}
