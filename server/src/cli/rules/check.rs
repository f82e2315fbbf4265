//! `custos rules check DIR…`: one verdict a file.

use super::report;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    rulefiles::{self, RuleFile},
};
use clap::Args;
use custos_detect::rule::Problem;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct Check {
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
        let rejected = files.iter().filter(|file| !file.accepted()).count();
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
        eprintln!("{} files, {accepted} accepted, {rejected} rejected", files.len());
        Ok(Outcome::findings_if(rejected > 0))
    }
}
