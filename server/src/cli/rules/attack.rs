//! `custos rules attack`: what rules look for, as a layer for the ATT&CK Navigator.

use super::place::{At, views};
use crate::{
    api::rulecover::{by_technique, layer},
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    rulefiles,
};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct Attack {
    #[command(flatten)]
    at: At,
    /// The rules of these folders instead of those that are live; needs no store.
    #[arg(long, num_args = 1.., value_name = "DIR", conflicts_with_all = ["data", "server"])]
    rules: Vec<PathBuf>,
}

impl Attack {
    pub(super) fn run(self) -> CommandResult {
        let answer = if !self.rules.is_empty() {
            let files = rulefiles::read(&self.rules).map_err(Failure::usage)?;
            of_rules(&rulefiles::accepted(files))
        } else if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            remote.send("GET", "/api/v1/rules/attack-layer", &Value::Null)?
        } else {
            let opened = self.at.open()?;
            let live = views(&opened)?.read().rulebook.live();
            opened.store.close()?;
            of_rules(&live)
        };
        let mut output = Output::new();
        output.json(&answer)?;
        output.flush()?;
        Ok(Outcome::Done)
    }
}

fn of_rules(rules: &[custos_detect::Rule]) -> Value {
    layer(&by_technique(rules.iter().map(|rule| (&*rule.title, &*rule.tags))))
}
