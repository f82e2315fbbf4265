//! `custos mapping test DIR…`: each mapping over the cases beside it, with the code that runs live.

use crate::{
    exit::{CommandResult, Failure, Outcome},
    mappingfiles,
    output::{Output, visible},
};
use clap::{Args, Subcommand};
use custos_event::yaml::Problem;
use custos_ingest::decode::mapping::{Mappings, cases};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

#[derive(Subcommand)]
pub(super) enum Mapping {
    /// Read mappings and try the cases beside each; exit code 1 where one is read otherwise.
    Test(Test),
}

#[derive(Args)]
pub(super) struct Test {
    /// End with one line of JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Mapping files, or folders of them; they are tried together, as a server has them.
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
}

#[derive(Default, Serialize)]
struct Sums {
    mappings: usize,
    passed: usize,
    failed: usize,
    without_cases: usize,
    cases: usize,
}

impl Mapping {
    pub(super) fn run(self) -> CommandResult {
        let Self::Test(test) = self;
        test.run()
    }
}

impl Test {
    fn run(self) -> CommandResult {
        let mappings = mappingfiles::read(&self.roots).map_err(Failure::usage)?;
        let mut sums = Sums::default();
        for path in mappingfiles::paths(&self.roots).map_err(Failure::usage)? {
            sums.mappings += 1;
            let beside = path.with_extension("cases.yml");
            if !beside.exists() {
                sums.without_cases += 1;
                eprintln!("{}", visible(&format!("no cases: {}", path.display())));
                continue;
            }
            let text = mappingfiles::text(&beside).map_err(Failure::input)?;
            sums.count(&text, &beside.display().to_string(), &mappings);
        }
        let Sums { mappings, passed, failed, without_cases, cases } = sums;
        eprintln!(
            "{mappings} mappings: {passed} passed, {failed} failed, {without_cases} without cases; {cases} cases"
        );
        if self.json {
            let mut output = Output::new();
            output.json(&sums)?;
            output.flush()?;
        }
        Ok(Outcome::findings_if(failed > 0))
    }
}

impl Sums {
    fn count(&mut self, text: &str, name: &str, mappings: &Arc<Mappings>) {
        match cases::check(text, mappings) {
            Ok(cases) => {
                self.passed += 1;
                self.cases += cases;
            }
            Err(problems) => {
                self.failed += 1;
                for Problem { line, column, message } in problems {
                    let told = format!("failed: {name}, line {line}, column {column}: {message}");
                    eprintln!("{}", visible(&told));
                }
            }
        }
    }
}
