//! `custos rules list` and `custos rules move`: the life of rules, each step a fact with who and why.

use super::place::{At, views};
use crate::{
    api::rules,
    exit::{CommandResult, Failure, Outcome},
    folder::operator,
    output::Output,
    pipeline::rulebook::Registrar,
};
use anyhow::Context as _;
use clap::Args;
use custos_detect::rulebook::Move;
use custos_event::{RuleId, RuleStage};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    at: At,
    /// One JSON value a line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(in crate::cli) struct MoveRule {
    #[command(flatten)]
    at: At,
    /// The rule's id; or --file with a new version's text.
    #[arg(value_name = "ID", required_unless_present = "file")]
    rule: Option<String>,
    /// A rule file whose text is the version that is moved.
    #[arg(long, value_name = "FILE", conflicts_with = "version")]
    file: Option<PathBuf>,
    /// draft, shadow, live or retired.
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    to: RuleStage,
    /// Which of the rule's versions, where it has several.
    #[arg(long, value_name = "SHA256")]
    version: Option<String>,
    /// Why: it stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// For the command line.
pub(super) fn stage(text: &str) -> Result<RuleStage, String> {
    let named = RuleStage::ALL.into_iter().find(|stage| stage.name() == text);
    named.ok_or_else(|| "one of draft, shadow, live, retired is expected".to_owned())
}

impl List {
    pub(super) fn run(self) -> CommandResult {
        let rules = if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let answer = remote.send("GET", "/api/v1/rules", &Value::Null)?;
            answer["rules"].as_array().cloned().unwrap_or_default()
        } else {
            let opened = self.at.open()?;
            let rules = rules::shown(&views(&opened)?);
            opened.store.close()?;
            rules.iter().map(|rule| serde_json::to_value(rule).unwrap_or_default()).collect()
        };
        let mut output = Output::new();
        for rule in &rules {
            if self.json {
                output.json(rule)?;
            } else {
                let word = |name: &str| rule[name].as_str().unwrap_or("-").to_owned();
                let (stage, id, title) = (word("stage"), word("id"), word("title"));
                output.text(&format!("{stage:8} {:>7} {id} {title}", rule["hits"]))?;
            }
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

impl MoveRule {
    pub(super) fn run(self) -> CommandResult {
        let read = |path: &PathBuf| {
            let cannot = || format!("cannot read {}", path.display());
            std::fs::read_to_string(path).with_context(cannot).map_err(Failure::input)
        };
        let text = self.file.as_ref().map(read).transpose()?;
        let moved = if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let mut body = json!({"to": self.to, "reason": self.reason});
            for (name, value) in [("rule", &self.rule), ("version", &self.version), ("text", &text)]
            {
                if let Some(value) = value {
                    body[name] = json!(value);
                }
            }
            let answer = remote.send("POST", "/api/v1/rules/move", &body)?;
            answer["changed"] == true
        } else {
            let opened = self.at.open()?;
            let rule = self.rule.map(|rule| RuleId(rule.into()));
            let (to, version, reason) = (self.to, self.version, self.reason);
            let wanted = Move { rule, to, version, text, reason };
            let registrar = Registrar::open(&opened.store, &opened.journal()?);
            let registrar = registrar.map_err(Failure::store)?;
            let moved = registrar.move_rules(&operator(), vec![wanted]).map_err(Failure::store)?;
            opened.store.close()?;
            let moved = moved.into_iter().next().transpose().map_err(Failure::usage)?;
            moved.flatten().is_some()
        };
        eprintln!("{}", if moved { "moved" } else { "it was so already" });
        Ok(Outcome::Done)
    }
}
