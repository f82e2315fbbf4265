//! `custos playbook dry-run FILE`: what it would do with these inputs, step by step.

use super::report;
use crate::{
    config::Config,
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    respond::{plan, playbooks},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use custos_event::{Actor, Alert, IncidentId, RunId};
use custos_respond::{Limits, input, run::Opened};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

#[derive(Args)]
pub(in crate::cli) struct DryRun {
    /// The playbook.
    file: PathBuf,
    /// An input, as in `--input address=203.0.113.7`.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// An alert, as `custos alerts` prints it, that inputs are taken from.
    #[arg(long, value_name = "FILE")]
    alert: Option<PathBuf>,
    /// With it prechecks are asked at the configured endpoints, and its limits hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON value a step on stdout.
    #[arg(long)]
    json: bool,
}

impl DryRun {
    pub(super) fn run(self) -> CommandResult {
        let playbook = match playbooks::read_file(&self.file).map_err(Failure::usage)? {
            Ok(playbook) => playbook,
            Err(problems) => {
                report(&self.file, &problems);
                return Ok(Outcome::Findings);
            }
        };
        let alert = self.alert().map_err(Failure::input)?;
        let given = self.given().map_err(Failure::usage)?;
        let inputs =
            input::fill(&playbook.inputs, &given, alert.as_ref()).map_err(Failure::usage)?;
        let config =
            self.config.as_deref().map(Config::read).transpose().map_err(Failure::usage)?;
        let world = config.as_ref().map(|config| config.respond.world()).transpose();
        let world = world.map_err(Failure::usage)?;
        let limits = config.map_or_else(Limits::default, |config| config.respond.limits);
        let opened = Opened {
            id: RunId(0),
            incident: IncidentId(0),
            incident_title: "dry run".into(),
            plan: playbook.plan,
            inputs,
            requester: Actor::Operator { name: "dry-run".into() },
            alert: None,
        };
        let steps = plan::walk(opened, &limits, world.as_ref(), None);
        let mut output = Output::new();
        let stopped = steps.iter().any(|step| step.refused.is_some());
        for step in &steps {
            if self.json {
                output.json(step)?;
            } else {
                step.lines().iter().try_for_each(|line| output.text(line))?;
            }
        }
        output.flush()?;
        Ok(Outcome::findings_if(stopped))
    }

    fn alert(&self) -> anyhow::Result<Option<Alert>> {
        let Some(path) = &self.alert else { return Ok(None) };
        let cannot = || format!("cannot read the alert in {}", path.display());
        let text = fs::read_to_string(path).with_context(cannot)?;
        let first = text.lines().next().unwrap_or_default();
        serde_json::from_str(first).with_context(cannot).map(Some)
    }

    fn given(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let read = |text: &String| {
            let (name, value) =
                text.split_once('=').ok_or_else(|| anyhow!("--input {text} is not NAME=VALUE"))?;
            Ok((name.to_owned(), Value::String(value.to_owned())))
        };
        self.inputs.iter().map(read).collect()
    }
}
