//! `custos rules`: check rules, and run them over files without server or store.

mod check;
mod run;

use crate::{
    exit::{CommandResult, Failure},
    output::visible,
    rulefiles::{self, RuleFile},
};
use clap::Subcommand;
use custos_detect::{Ruleset, rule::Problem};
use custos_event::FieldTable;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Subcommand)]
pub(super) enum Rules {
    /// Say of each rule file whether it holds, and why not.
    Check(check::Check),
    /// Run rules over the events of files.
    Run(run::Run),
}

impl Rules {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Check(check) => check.run(),
            Self::Run(run) => run.run(),
        }
    }
}

/// Says problems for people: `error: rule a.yml, line 14, column 3: unknown modifier …`.
pub(super) fn report(path: &Path, problems: &[Problem], kind: &str) {
    for problem in problems {
        let Problem { line, column, message } = problem;
        let text =
            format!("{kind}: rule {}, line {line}, column {column}: {message}", path.display());
        eprintln!("{}", visible(&text));
    }
}

/// Says which correlations do not run.
pub(crate) fn report_unlinked(files: &[RuleFile]) {
    for (file, problem) in rulefiles::unlinked(files) {
        if let Some(file) = files.get(file) {
            report(&file.path, &[problem], "warning");
        }
    }
}

/// The ruleset of `roots` and how many files were rejected; `None` when no folder was named.
pub(super) fn compile_or_none(
    roots: &[PathBuf],
    table: &Arc<FieldTable>,
) -> Result<Option<(Ruleset, u32)>, Failure> {
    if roots.is_empty() {
        return Ok(None);
    }
    let files = rulefiles::read(roots).map_err(Failure::usage)?;
    report_unlinked(&files);
    let mut rejected = 0;
    for file in files.iter().filter(|file| !file.accepted()) {
        report(&file.path, &file.parsed.errors, "error");
        rejected += 1;
    }
    let rules = rulefiles::accepted(files);
    Ok(Some((Ruleset::compile(&rules, table), rejected)))
}
