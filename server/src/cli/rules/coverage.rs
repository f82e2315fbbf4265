//! `custos rules coverage`: of each live rule, which events its version saw, what gaps there are, and its lag.

use super::place::{At, views};
use crate::{
    api::rulecover::all_covered,
    exit::{CommandResult, Failure, Outcome},
    output::Output,
};
use clap::Args;
use serde_json::Value;

#[derive(Args)]
pub(in crate::cli) struct Coverage {
    #[command(flatten)]
    at: At,
    /// One JSON value a line.
    #[arg(long)]
    json: bool,
    /// Only the rule of this id.
    #[arg(value_name = "ID")]
    rule: Option<String>,
}

impl Coverage {
    /// Exit code 1 where there is a gap.
    pub(super) fn run(self) -> CommandResult {
        let answer = if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            remote.send("GET", "/api/v1/rules/coverage", &Value::Null)?
        } else {
            let opened = self.at.open()?;
            let covered = all_covered(&views(&opened)?, &opened.store).map_err(Failure::store)?;
            opened.store.close()?;
            serde_json::to_value(covered).map_err(Failure::store)?
        };
        let mut output = Output::new();
        let mut gaps = false;
        for rule in answer["rules"].as_array().into_iter().flatten() {
            if self.rule.as_deref().is_some_and(|wanted| rule["rule"] != *wanted) {
                continue;
            }
            let missing = rule["gaps"].as_array().map_or(0, Vec::len);
            gaps |= missing > 0;
            if self.json {
                output.json(rule)?;
                continue;
            }
            let word = |name: &str| rule[name].as_str().unwrap_or("-").to_owned();
            let version = word("version").chars().take(12).collect::<String>();
            let stretch = |it: &Value| {
                let end = |name: &str| it[name].as_str().unwrap_or("-").to_owned();
                format!(", {} to {}", end("first"), end("last"))
            };
            let stretches = rule["stretches"].as_array().into_iter().flatten();
            let stretches: String = stretches.map(stretch).collect();
            let (id, events, lag) = (word("rule"), &rule["events"], &rule["lag_events"]);
            output.text(&format!(
                "{id} {version} saw {events} events{stretches}; {missing} gaps, lag {lag}"
            ))?;
        }
        output.flush()?;
        Ok(Outcome::findings_if(gaps))
    }
}
