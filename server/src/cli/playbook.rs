//! `custos playbook`: check playbooks with their cases, and walk through one without acting.

mod check;
mod dry_run;

use crate::{exit::CommandResult, output::visible};
use clap::Subcommand;
use custos_event::yaml::Problem;
use std::path::Path;

#[derive(Subcommand)]
pub(super) enum Playbook {
    /// Say of each playbook whether it and its cases hold, and why not.
    Check(check::Check),
    /// Print what a playbook would do with these inputs; nothing is done.
    DryRun(dry_run::DryRun),
}

impl Playbook {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Check(check) => check.run(),
            Self::DryRun(run) => run.run(),
        }
    }
}

/// Says problems for people: `error: playbook a.yml, line 14, column 3: …`.
pub(super) fn report(path: &Path, problems: &[Problem]) {
    for Problem { line, column, message } in problems {
        let place = format!("playbook {}, line {line}, column {column}", path.display());
        eprintln!("{}", visible(&format!("error: {place}: {message}")));
    }
}
