//! `custos playbook check DIR…`: one verdict a file, its cases run.

use super::report;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    respond::playbooks::{self, PlaybookFile},
};
use clap::Args;
use custos_event::yaml::{Place, Problem};
use custos_respond::rehearse::{self, Verdict};
use serde::Serialize;
use serde_json::json;
use std::{fs, path::PathBuf};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// One JSON value a file on stdout.
    #[arg(long)]
    json: bool,
    /// Playbooks, or folders of them; the cases of `a.yml` lie beside it in `a.cases.yml`.
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Line<'l> {
    file: String,
    playbook: Option<&'l str>,
    ok: bool,
    cases: usize,
    errors: Vec<Error<'l>>,
}

#[derive(Serialize)]
struct Error<'l> {
    line: u32,
    column: u32,
    message: &'l str,
}

impl Check {
    pub(super) fn run(self) -> CommandResult {
        let files = playbooks::read(&self.roots).map_err(Failure::usage)?;
        let mut output = Output::new();
        let mut rejected = 0;
        for file in &files {
            let (cases, problems) = judge(file)?;
            rejected += usize::from(!problems.is_empty());
            if self.json {
                output.json(&line(file, cases, &problems))?;
            } else {
                report(&file.path, &problems);
            }
        }
        let accepted = files.len() - rejected;
        if self.json {
            let sum = json!({"files": files.len(), "accepted": accepted, "rejected": rejected});
            output.json(&sum)?;
        }
        output.flush()?;
        eprintln!("{} playbooks, {accepted} accepted, {rejected} rejected", files.len());
        Ok(Outcome::findings_if(rejected > 0))
    }
}

fn line<'l>(file: &'l PlaybookFile, cases: usize, problems: &'l [Problem]) -> Line<'l> {
    let error = |Problem { line, column, message }: &'l Problem| Error {
        line: *line,
        column: *column,
        message,
    };
    Line {
        file: file.path.display().to_string(),
        playbook: file.read.as_ref().ok().map(|playbook| playbook.plan.playbook.as_str()),
        ok: problems.is_empty(),
        cases,
        errors: problems.iter().map(error).collect(),
    }
}

/// The playbook's own problems, else those of its cases.
fn judge(file: &PlaybookFile) -> Result<(usize, Vec<Problem>), Failure> {
    let playbook = match &file.read {
        Ok(playbook) => playbook,
        Err(problems) => return Ok((0, problems.clone())),
    };
    let path = file.path.with_extension("cases.yml");
    if !path.exists() {
        return Ok((0, Vec::new()));
    }
    let text = fs::read_to_string(&path)?;
    let cases = match rehearse::cases(&text) {
        Ok(cases) => cases,
        Err(problems) => return Ok((0, problems)),
    };
    let failed = cases.iter().filter_map(|case| match rehearse::run(playbook, case) {
        Verdict::Holds => None,
        Verdict::Differs(why) => {
            let at = Place { line: case.line, column: 1 };
            Some(at.problem(format!("case '{}' (in its cases file): {why}", case.name)))
        }
    });
    Ok((cases.len(), failed.collect()))
}
