//! `custos rules import`: a public checkout of Sigma rules, or an archive of one, becomes drafts or rules in shadow, with a
//! report on each file.

use super::{
    gather::{Gathered, gather},
    life::stage,
    place::At,
};
use crate::{
    exit::{CommandResult, Failure, Outcome},
    folder::{Opened, operator},
    output::Output,
    pipeline::rulebook::Registrar,
    remote::Remote,
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use custos_detect::{
    lint::lint,
    rule::{Parsed, Problem},
    rulebook::{Move, version},
};
use custos_event::{FieldTable, RuleId, RuleStage};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

#[derive(Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    at: At,
    /// draft or shadow.
    #[arg(long, value_name = "STAGE", default_value = "draft", value_parser = stage)]
    to: RuleStage,
    /// Why: it stands in the log with each rule [default: where they come from].
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only say what would be taken.
    #[arg(long)]
    dry_run: bool,
    /// One JSON value a file, and the sums last.
    #[arg(long)]
    json: bool,
    /// A folder of rules, or a ZIP archive of one.
    #[arg(value_name = "DIR|ZIP")]
    from: PathBuf,
}

/// What becomes of one file.
#[derive(Serialize)]
struct Verdict {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// `taken`, `known` (it was there in this stage already), `refused`.
    #[serde(rename = "verdict")]
    word: &'static str,
    problems: Vec<Place>,
    warnings: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    line: u32,
    column: u32,
    message: String,
}

#[derive(Default, Serialize)]
struct Sums {
    files: usize,
    taken: usize,
    known: usize,
    refused: usize,
    with_warnings: usize,
}

struct Candidate {
    verdict: Verdict,
    text: Option<String>,
}

fn places(problems: Vec<Problem>) -> Vec<Place> {
    let place = |Problem { line, column, message }| Place { line, column, message };
    problems.into_iter().map(place).collect()
}

fn refused(reason: String) -> Vec<Place> {
    vec![Place { line: 1, column: 1, message: reason }]
}

impl Import {
    /// Exit code 1 where a file was refused.
    pub(super) fn run(self) -> CommandResult {
        if !matches!(self.to, RuleStage::Draft | RuleStage::Shadow) {
            return Err(Failure::usage(anyhow!("--to: an import begins as draft or in shadow")));
        }
        let cannot = || format!("cannot import {}", self.from.display());
        let files = gather(&self.from).with_context(cannot).map_err(Failure::input)?;
        let mut candidates = read(files);
        if !self.dry_run {
            if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
                self.send(&remote, &mut candidates);
            } else {
                let opened = self.at.open()?;
                self.write(&opened, &mut candidates)?;
                opened.store.close()?;
            }
        }
        let sums = self.report(&candidates)?;
        Ok(Outcome::findings_if(sums.refused > 0))
    }

    fn reason(&self) -> String {
        let name = self.from.file_name().unwrap_or(self.from.as_os_str()).to_string_lossy();
        self.reason.clone().unwrap_or_else(|| format!("imported from {name}"))
    }

    fn write(&self, opened: &Opened, candidates: &mut [Candidate]) -> Result<(), Failure> {
        let registrar =
            Registrar::open(&opened.store, &opened.journal()?).map_err(Failure::store)?;
        let (mut taken, mut wanted) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let Some(text) = candidate.text.clone() else { continue };
            let (rule, to, version, text) = (None, self.to, None, Some(text));
            wanted.push(Move { rule, to, version, text, reason: self.reason() });
            taken.push(&mut candidate.verdict);
        }
        let moved = registrar.move_rules(&operator(), wanted).map_err(Failure::store)?;
        for (verdict, moved) in taken.into_iter().zip(moved) {
            match moved {
                Ok(Some(_)) => {}
                Ok(None) => verdict.word = "known",
                Err(refusal) => verdict.refuse(refusal.to_string()),
            }
        }
        Ok(())
    }

    fn send(&self, remote: &Remote<'_>, candidates: &mut [Candidate]) {
        for candidate in candidates {
            let Some(text) = &candidate.text else { continue };
            let body = json!({"to": self.to, "text": text, "reason": self.reason()});
            match remote.send("POST", "/api/v1/rules/move", &body) {
                Ok(answer) if answer["changed"] == true => {}
                Ok(_) => candidate.verdict.word = "known",
                Err(failure) => candidate.verdict.refuse(format!("{:#}", failure.into_error())),
            }
        }
    }

    fn report(&self, candidates: &[Candidate]) -> Result<Sums, Failure> {
        let mut output = Output::new();
        let mut sums = Sums { files: candidates.len(), ..Sums::default() };
        for Candidate { verdict, .. } in candidates {
            let count = match verdict.word {
                "taken" => &mut sums.taken,
                "known" => &mut sums.known,
                _ => &mut sums.refused,
            };
            *count += 1;
            sums.with_warnings += usize::from(!verdict.warnings.is_empty());
            if self.json {
                output.json(verdict)?;
                continue;
            }
            let told = verdict.problems.iter().map(|it| ("refused", it));
            for (kind, at) in told.chain(verdict.warnings.iter().map(|it| ("warning", it))) {
                let Place { line, column, message } = at;
                let file = &verdict.file;
                output.text(&format!("{kind}: {file}, line {line}, column {column}: {message}"))?;
            }
        }
        if self.json {
            output.json(&sums)?;
        }
        output.flush()?;
        let Sums { files, taken, known, refused, with_warnings } = &sums;
        let word = if self.dry_run { "would be taken" } else { "taken" };
        eprintln!(
            "{files} files: {taken} {word} as {}, {known} known, {refused} refused, {with_warnings} with warnings",
            self.to.name()
        );
        Ok(sums)
    }
}

impl Verdict {
    fn refuse(&mut self, reason: String) {
        self.word = "refused";
        self.problems = refused(reason);
    }
}

/// Reads each file. A field counts as known if the schema or three files of the import have it: what one or two
/// name alone is rather a slip than a source that this Custos has not met.
fn read(files: Vec<Gathered>) -> Vec<Candidate> {
    let table = FieldTable::new();
    for field in common(&files) {
        table.intern(&field);
    }
    let mut seen: BTreeMap<RuleId, String> = BTreeMap::new();
    files.into_iter().map(|file| one(file, &table, &mut seen)).collect()
}

const COMMON_MIN: usize = 3;

fn common(files: &[Gathered]) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for text in files.iter().filter_map(|file| file.text.as_ref().ok()) {
        for field in custos_detect::lint::names(text) {
            *counts.entry(field).or_default() += 1;
        }
    }
    counts.into_iter().filter(|(_, count)| *count >= COMMON_MIN).map(|(field, _)| field).collect()
}

fn one(file: Gathered, table: &FieldTable, seen: &mut BTreeMap<RuleId, String>) -> Candidate {
    let Gathered { name, text } = file;
    let mut verdict = Verdict {
        file: name.clone(),
        rule: None,
        word: "taken",
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let text = match text {
        Ok(text) => text,
        Err(reason) => {
            verdict.refuse(reason);
            return Candidate { verdict, text: None };
        }
    };
    let Parsed { rules, errors, warnings } = lint(&text, "", &[], table);
    verdict.warnings = places(warnings);
    let first = rules.first().filter(|rule| !rule.id.0.is_empty());
    verdict.rule = first.map(|rule| rule.id.to_string());
    if !errors.is_empty() {
        verdict.word = "refused";
        verdict.problems = places(errors);
        return Candidate { verdict, text: None };
    }
    let Some(first) = first else {
        verdict.refuse("the rule has no id, by which it would be known".into());
        return Candidate { verdict, text: None };
    };
    let version = version(&rules);
    if let Some(other) = seen.get(&first.id) {
        verdict.refuse(format!("{other} has the same id"));
        return Candidate { verdict, text: None };
    }
    seen.insert(first.id.clone(), format!("{name} ({})", version.get(..12).unwrap_or_default()));
    Candidate { verdict, text: Some(text) }
}
