//! `custos rules check DIR…`: one verdict a file.

use super::report;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    rulefiles::{self, RuleFile},
};
use clap::Args;
use custos_detect::{
    cases::Cases,
    lint,
    rule::{Problem, Rule},
};
use custos_event::FieldTable;
use custos_ingest::decode::{DecodeOptions, Decoder, SourceType};
use serde::Serialize;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// Also say what is doubtful: unknown fields and logsources, conditions that nothing meets, rules that find the
    /// same, what a rule lacks. Warnings then count as findings.
    #[arg(long)]
    strict: bool,
    /// One JSON value a file on stdout.
    #[arg(long)]
    json: bool,
    /// Rule files, or folders of them.
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Verdict<'f> {
    file: String,
    rule: Option<&'f str>,
    ok: bool,
    errors: Vec<Place<'f>>,
    warnings: Vec<Place<'f>>,
}

#[derive(Serialize)]
struct Place<'f> {
    line: u32,
    column: u32,
    message: &'f str,
}

fn places(problems: &[Problem]) -> Vec<Place<'_>> {
    problems
        .iter()
        .map(|Problem { line, column, message }| Place { line: *line, column: *column, message })
        .collect()
}

impl<'f> Verdict<'f> {
    fn new(file: &'f RuleFile) -> Self {
        Self {
            file: file.path.display().to_string(),
            rule: file.parsed.rules.first().map(|rule| &*rule.id.0),
            ok: file.accepted(),
            errors: places(&file.parsed.errors),
            warnings: places(&file.parsed.warnings),
        }
    }
}

impl Check {
    pub(super) fn run(self) -> CommandResult {
        let mut files = rulefiles::read(&self.roots).map_err(Failure::usage)?;
        for (file, problem) in rulefiles::unlinked(&files) {
            files[file].parsed.warnings.push(problem);
        }
        if self.strict {
            doubt(&mut files);
        }
        let rejected = files.iter().filter(|file| !file.accepted()).count();
        let warned = files.iter().filter(|file| !file.parsed.warnings.is_empty()).count();
        let mut output = Output::new();
        for file in &files {
            if self.json {
                output.json(&Verdict::new(file))?;
            } else {
                report(&file.path, &file.parsed.errors, "error");
                report(&file.path, &file.parsed.warnings, "warning");
            }
        }
        let accepted = files.len() - rejected;
        if self.json {
            output
                .json(&json!({"files": files.len(), "accepted": accepted, "rejected": rejected}))?;
        }
        output.flush()?;
        let with = if self.strict { format!(", {warned} with warnings") } else { String::new() };
        eprintln!("{} files, {accepted} accepted, {rejected} rejected{with}", files.len());
        Ok(Outcome::findings_if(rejected > 0 || self.strict && warned > 0))
    }
}

/// Puts with each file's warnings what the editor of rules would say of it, and what it lacks. Fields are known that the
/// events of some rule's cases have.
fn doubt(files: &mut [RuleFile]) {
    let all: Vec<Rule> = files.iter().flat_map(|file| file.parsed.rules.clone()).collect();
    let counted = |rule: &Rule| all.iter().any(|other| other.counts(rule));
    // What is only counted tells nobody.
    let live: Vec<Rule> = all.iter().filter(|rule| !counted(rule)).cloned().collect();
    let table = Arc::new(FieldTable::new());
    for file in files.iter() {
        meet(&file.path.with_extension("cases.yml"), &table);
    }
    for file in files.iter_mut().filter(|file| file.accepted()) {
        file.parsed.warnings = lint::lint(&file.text, &file.name, &live, &table).warnings;
        file.parsed.warnings.extend(lint::lacks(&file.text, &file.parsed.rules));
    }
}

/// Lets `table` know the fields of a file's cases. What is wrong with them, `rules test` says.
fn meet(cases: &Path, table: &Arc<FieldTable>) {
    let Ok(text) = fs::read_to_string(cases) else { return };
    let Ok(cases) = Cases::parse(&text) else { return };
    let source = cases.source.parse().unwrap_or(SourceType::Auto);
    let options = DecodeOptions::new(source, "rules check".into()).without_protection();
    let mut decoder = Decoder::new(Arc::clone(table), options);
    for event in cases.cases.iter().flat_map(|case| &case.events) {
        decoder.decode(event.text.clone().into(), event.received);
    }
}
