//! `custos rules`: check rules and run them over files, without server or store; move, try and list those of a
//! data folder or server.

mod attack;
mod check;
mod coverage;
mod gather;
mod import;
mod life;
mod list;
mod place;
mod run;
mod taxii;
mod test;
mod trial;

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
    /// Hold each rule against the cases beside it: what it has to find, and what to leave alone.
    Test(test::Test),
    /// List the rules, and how far each is in its life.
    List(life::List),
    /// Move a rule on in its life: keep it as a draft, try it in shadow, put it live, retire it.
    Move(life::MoveRule),
    /// Say what a rule would have found in the events that are stored.
    Backtest(trial::Backtest),
    /// Say what a rule's new version would gain and lose over the events that are stored.
    Diff(trial::Diff),
    /// Say of each live rule which events it saw, without gaps.
    Coverage(coverage::Coverage),
    /// Print the ATT&CK techniques that rules look for, as a layer for the Navigator.
    Attack(attack::Attack),
    /// Make a list that rules ask for by its name out of a file of values, CSV or STIX 2.1; print it.
    MakeList(list::MakeList),
    /// Take in a folder of Sigma rules, as drafts or in shadow, and report on each file.
    Import(import::Import),
}

impl Rules {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Check(check) => check.run(),
            Self::Run(run) => run.run(),
            Self::Test(test) => test.run(),
            Self::List(list) => list.run(),
            Self::Move(command) => command.run(),
            Self::Backtest(backtest) => backtest.run(),
            Self::Diff(diff) => diff.run(),
            Self::Coverage(coverage) => coverage.run(),
            Self::Attack(attack) => attack.run(),
            Self::MakeList(list) => list.run(),
            Self::Import(import) => import.run(),
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
