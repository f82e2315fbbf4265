//! `custos rules backtest` and `custos rules diff`: rules over what is stored, with the code that runs live.

use super::{
    place::{At, views},
    report,
};
use crate::{
    api::rulebench::{BacktestResult, Over, RuleDiff, raised},
    clock::SystemClock,
    exit::{CommandResult, Failure, Outcome},
    folder::Opened,
    output::Output,
    pipeline::backtest::{self, Found, Reading, Trial},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use custos_detect::rule::{Rule, parse};
use custos_event::Clock as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Args)]
struct Stretch {
    /// Events received from this time on: RFC 3339, or -24h.
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Events received before this time.
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// The newest N events at most.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    events: u64,
}

impl Stretch {
    fn over(&self) -> Over {
        let (from, to) = (self.from.clone(), self.to.clone());
        Over { from, to, events: Some(self.events) }
    }
}

#[derive(Args)]
pub(in crate::cli) struct Backtest {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    stretch: Stretch,
    /// The whole answer as JSON.
    #[arg(long)]
    json: bool,
    /// The rule file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct Diff {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    stretch: Stretch,
    /// The whole answer as JSON.
    #[arg(long)]
    json: bool,
    /// The version there is.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The version there might be.
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

/// On the command line nobody waits for an answer to begin.
const SECS_MAX: f64 = f64::INFINITY;

fn text_of(path: &Path) -> Result<String, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    std::fs::read_to_string(path).with_context(cannot).map_err(Failure::input)
}

fn rules_of(path: &Path) -> Result<Vec<Rule>, Failure> {
    let parsed = parse(&text_of(path)?, "");
    report(path, &parsed.errors, "error");
    if parsed.errors.is_empty() {
        Ok(parsed.rules)
    } else {
        Err(Failure::usage(anyhow!("the rule does not hold")))
    }
}

/// Shows the stored events to each of `versions`.
fn tried(
    opened: &Opened,
    versions: &[Vec<Rule>],
    stretch: &Stretch,
) -> Result<(Reading, Vec<Found>), Failure> {
    let stretch = stretch.over().stretch(SystemClock.now(), SECS_MAX).map_err(Failure::usage)?;
    let live = views(opened)?.read().rulebook.live();
    let trial = |rules: &Vec<Rule>| Trial::new(rules, live.clone(), &opened.table);
    let mut trials: Vec<Trial> = versions.iter().map(trial).collect();
    let reading = backtest::run(&opened.store, &opened.table, &mut trials, stretch);
    let reading = reading.map_err(Failure::store)?;
    Ok((reading, trials.into_iter().map(|trial| trial.found).collect()))
}

impl Backtest {
    pub(super) fn run(self) -> CommandResult {
        let answer = if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let body = json!({"text": text_of(&self.file)?, "over": self.stretch.over()});
            remote.send("POST", "/api/v1/rules/backtest", &body)?
        } else {
            let rules = rules_of(&self.file)?;
            let opened = self.at.open()?;
            let (reading, found) = tried(&opened, &[rules], &self.stretch)?;
            opened.store.close()?;
            let result = found.first().map(|found| BacktestResult::new(&reading, found));
            serde_json::to_value(result).map_err(Failure::store)?
        };
        let mut output = Output::new();
        if self.json {
            output.json(&answer)?;
        } else {
            output.text(&read_line(&answer["read"]))?;
            for day in answer["days"].as_array().into_iter().flatten() {
                let word = |name: &str| day[name].as_str().unwrap_or_default().to_owned();
                output.text(&format!("{} {:>8} {}", word("day"), day["matches"], word("rule")))?;
            }
            for sample in answer["samples"].as_array().into_iter().flatten() {
                output.text(&sample_line(sample))?;
            }
            output.text(&format!("{} matches", answer["matches"]))?;
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

fn read_line(read: &Value) -> String {
    let place = |name: &str| read[name].as_str().unwrap_or("-").to_owned();
    let whole = if read["complete"] == true { "" } else { ", broken off for time" };
    format!(
        "{} events read, {} to {}, in {:.1} s{whole}; {} entries damaged",
        read["events"],
        place("first"),
        place("last"),
        read["seconds"].as_f64().unwrap_or(0.0),
        read["damaged"]
    )
}

fn sample_line(sample: &Value) -> String {
    let word = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let last = sample["events"].as_array().and_then(|events| events.last()).cloned();
    let matched = sample["matched"].as_array().into_iter().flatten();
    let why = matched
        .map(|it| format!("{} {} {}", word(it, "field"), word(it, "pattern"), word(it, "value")));
    let why = why.collect::<Vec<_>>().join("; ");
    let at = last.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    format!("{} {at}: {why}", word(sample, "time"))
}

impl Diff {
    pub(super) fn run(self) -> CommandResult {
        let answer = if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let (old, new) = (text_of(&self.old)?, text_of(&self.new)?);
            let body = json!({"old": old, "new": new, "over": self.stretch.over()});
            remote.send("POST", "/api/v1/rules/diff", &body)?
        } else {
            let versions = [rules_of(&self.old)?, rules_of(&self.new)?];
            let opened = self.at.open()?;
            let (reading, found) = tried(&opened, &versions, &self.stretch)?;
            let ids = versions.iter().flatten().map(|rule| rule.id.clone()).collect();
            let raised = raised(views(&opened)?.read().board.newest(), &ids);
            opened.store.close()?;
            let diff = match found.as_slice() {
                [old, new] => Some(RuleDiff::new(&reading, old, new, &raised)),
                _ => None,
            };
            serde_json::to_value(diff).map_err(Failure::store)?
        };
        let mut output = Output::new();
        if self.json {
            output.json(&answer)?;
        } else {
            output.text(&read_line(&answer["read"]))?;
            for (sign, name) in [("-", "lost_shown"), ("+", "gained_shown")] {
                for it in answer[name].as_array().into_iter().flatten() {
                    let word = |name: &str| it[name].as_str().unwrap_or("-").to_owned();
                    let last = it["events"].as_array().and_then(|events| events.last()).cloned();
                    let at = last.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                    let (time, alert, verdict) = (word("time"), word("alert"), word("verdict"));
                    output.text(&format!("{sign} {time} {at} alert {alert} verdict {verdict}"))?;
                }
            }
            let (same, gained, lost) = (&answer["same"], &answer["gained"], &answer["lost"]);
            output.text(&format!("{same} found by both, {gained} gained, {lost} lost"))?;
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}
