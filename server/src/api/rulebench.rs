//! A rule before it runs: what is doubtful about it, what it would have found, what a change of it gains and loses.

use super::{State, blocking, extract::Json, problem::Problem};
use crate::{
    pipeline::backtest::{self, Found, Match, Reading, Stretch, Trial},
    projection::board::Row,
    when,
};
use axum::http::StatusCode;
use custos_detect::{
    lint,
    rule::{Parsed, Problem as Fault, Rule, parse},
};
use custos_event::{Alert, Entity, Matched, Position, RuleId, Timestamp, respond::Verdict};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

/// Room for one trial at a time.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

/// An answer has to begin within a minute.
const SECS_MAX: f64 = 45.0;
const EVENTS_DEFAULT: u64 = 1_000_000;
/// What a difference shows of either side.
const SHOWN_MAX: usize = 50;

/// A rule's text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LintAsked {
    text: String,
}

/// What reading a rule tells.
#[derive(Serialize, ToSchema)]
#[schema(as = LintResult)]
pub(super) struct Linted {
    /// It may run.
    valid: bool,
    errors: Vec<LintProblem>,
    warnings: Vec<LintProblem>,
    rules: Vec<LintedRule>,
    /// SHA-256 of what it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct LintProblem {
    line: u32,
    column: u32,
    message: String,
}

#[derive(Serialize, ToSchema)]
struct LintedRule {
    id: String,
    title: String,
    level: String,
    /// There is such a rule already: this is a version of it.
    known: bool,
}

pub(super) async fn lint_rule(
    state: State,
    Json(asked): Json<LintAsked>,
) -> Result<Json<Linted>, Problem> {
    blocking(move || {
        let shelf = state.views.shelf();
        let live: Vec<Rule> =
            shelf.iter().filter_map(|it| it.live().and(it.rule.clone())).collect();
        let parsed = lint::lint(&asked.text, "", &live, &state.opened.table);
        let known = |rule: &Rule| shelf.get(&rule.id).is_some();
        Ok(Json(Linted {
            valid: parsed.errors.is_empty(),
            errors: parsed.errors.iter().map(shown).collect(),
            warnings: parsed.warnings.iter().map(shown).collect(),
            version: parsed
                .errors
                .is_empty()
                .then(|| custos_detect::rulebook::version(&parsed.rules)),
            rules: parsed
                .rules
                .iter()
                .map(|rule| LintedRule {
                    id: rule.id.to_string(),
                    title: rule.title.clone(),
                    level: rule.level.clone(),
                    known: known(rule),
                })
                .collect(),
        }))
    })
    .await
}

fn shown(fault: &Fault) -> LintProblem {
    LintProblem { line: fault.line, column: fault.column, message: fault.message.clone() }
}

/// A rule's text, and the stretch of the log that it is shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BacktestAsked {
    text: String,
    #[serde(default)]
    over: Over,
}

/// Events by when they were received, and how many at most.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestOver)]
pub(crate) struct Over {
    /// RFC 3339, or so long ago, as in `-24h`.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// The newest so many; a million without it.
    pub(crate) events: Option<u64>,
}

impl Over {
    pub(crate) fn stretch(&self, now: Timestamp, secs_max: f64) -> anyhow::Result<Stretch> {
        let time =
            |text: &Option<String>| text.as_deref().map(|text| when::read(text, now)).transpose();
        Ok(Stretch {
            from: time(&self.from)?,
            to: time(&self.to)?,
            events_max: self.events.unwrap_or(EVENTS_DEFAULT),
            secs_max,
        })
    }
}

fn stretch(state: &State, over: &Over) -> Result<Stretch, Problem> {
    let stretch = over.stretch(state.clock.now(), SECS_MAX);
    stretch.map_err(|error| Problem::wrong(format!("{error:#}")))
}

/// How much of the log was read.
#[derive(Serialize, ToSchema)]
pub(crate) struct BacktestRead {
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    first: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last: Option<Position>,
    /// All that was asked for; else there was no time for what is behind `last`.
    complete: bool,
    damaged: u64,
    /// Sealed values whose key is gone.
    unreadable: u64,
    seconds: f64,
}

impl BacktestRead {
    fn new(reading: &Reading) -> Self {
        let Reading { events, first, last, complete, damaged, unreadable, seconds } =
            reading.clone();
        Self { events, first, last, complete, damaged, unreadable, seconds }
    }
}

/// What a rule would have found.
#[derive(Serialize, ToSchema)]
pub(crate) struct BacktestResult {
    read: BacktestRead,
    /// What would have been raised.
    matches: u64,
    /// Matches that an alert before them holds back, as the rule says.
    suppressed: u64,
    days: Vec<BacktestDay>,
    /// The first few of each rule, with what matched.
    samples: Vec<BacktestSample>,
}

#[derive(Serialize, ToSchema)]
struct BacktestDay {
    /// In UTC, by event time.
    day: String,
    rule: String,
    matches: u64,
}

#[derive(Serialize, ToSchema)]
struct BacktestSample {
    rule: String,
    title: String,
    #[schema(value_type = String)]
    time: Timestamp,
    #[schema(value_type = Vec<String>)]
    events: Vec<Position>,
    #[schema(value_type = Vec<Object>)]
    matched: Vec<Matched>,
    #[schema(value_type = Vec<Object>)]
    entities: Vec<Entity>,
}

impl BacktestSample {
    fn new(alert: &Alert) -> Self {
        Self {
            rule: alert.rule.to_string(),
            title: alert.title.clone(),
            time: alert.time,
            events: alert.events.clone(),
            matched: alert.matched.clone(),
            entities: alert.entities.clone(),
        }
    }
}

impl BacktestResult {
    pub(crate) fn new(reading: &Reading, found: &Found) -> Self {
        let day = |((rule, day), matches): (&(RuleId, i64), &u64)| BacktestDay {
            day: Timestamp::from_secs(day * 86_400).to_string().chars().take(10).collect(),
            rule: rule.to_string(),
            matches: *matches,
        };
        Self {
            read: BacktestRead::new(reading),
            matches: found.matches,
            suppressed: found.suppressed,
            days: found.days.iter().map(day).collect(),
            samples: found.samples.iter().map(BacktestSample::new).collect(),
        }
    }
}

/// The rules of a text that holds.
fn held(text: &str, what: &str) -> Result<Vec<Rule>, Problem> {
    let Parsed { rules, errors, .. } = parse(text, what);
    match errors.first() {
        None => Ok(rules),
        Some(Fault { line, column, message }) => {
            let message =
                format!("the rule does not hold: line {line}, column {column}: {message}");
            Err(Problem::wrong(message))
        }
    }
}

fn turn(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&state.trial).try_acquire_owned().map_err(|_| {
        let text = "another rule is being tried over the log; ask again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, text)
    })
}

pub(super) async fn backtest(
    state: State,
    Json(asked): Json<BacktestAsked>,
) -> Result<Json<BacktestResult>, Problem> {
    let rules = held(&asked.text, "")?;
    let stretch = stretch(&state, &asked.over)?;
    let turn = turn(&state)?;
    blocking(move || {
        let _turn = turn;
        let live = live(&state);
        let mut trials = [Trial::new(&rules, live, &state.opened.table)];
        let store = &state.opened.store;
        let reading = backtest::run(store, &state.opened.table, &mut trials, stretch)?;
        let [trial] = trials;
        Ok(Json(BacktestResult::new(&reading, &trial.found)))
    })
    .await
}

fn live(state: &State) -> Vec<Rule> {
    let shelf = state.views.shelf();
    shelf.iter().filter_map(|it| it.live().and(it.rule.clone())).collect()
}

/// Two versions of a rule. Without `old`: the one that is live.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffAsked {
    new: String,
    old: Option<String>,
    #[serde(default)]
    over: Over,
}

/// What another version gains and loses.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleDiff {
    read: BacktestRead,
    /// Found by both.
    same: u64,
    gained: u64,
    lost: u64,
    /// More matches than are compared; the counts are of those that are.
    truncated: bool,
    /// What people said of the alerts that were raised for what both find, and for what would be lost.
    same_verdicts: DiffVerdicts,
    lost_verdicts: DiffVerdicts,
    /// The newest of each.
    gained_shown: Vec<DiffMatch>,
    lost_shown: Vec<DiffMatch>,
}

#[derive(Default, Serialize, ToSchema)]
struct DiffVerdicts {
    true_positive: u64,
    false_positive: u64,
    benign: u64,
    unjudged: u64,
    /// No alert of it is at hand.
    not_raised: u64,
}

/// A match of one version only.
#[derive(Serialize, ToSchema)]
struct DiffMatch {
    rule: String,
    #[schema(value_type = String)]
    time: Timestamp,
    /// The first event and the one that made it hold.
    #[schema(value_type = Vec<String>)]
    events: Vec<Position>,
    /// The alert that was raised for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    verdict: Option<Verdict>,
}

/// Alerts by the rule and first event.
pub(crate) type Raised = HashMap<(RuleId, Position), (String, Option<Verdict>)>;

pub(crate) fn raised<'r>(rows: impl Iterator<Item = &'r Row>, rules: &BTreeSet<RuleId>) -> Raised {
    let of = rows.filter(|row| rules.contains(&row.rule));
    let known = of.filter_map(|row| {
        let verdict = row.judged.as_ref().map(|judged| judged.verdict);
        Some(((row.rule.clone(), *row.events.first()?), (row.id.to_string(), verdict)))
    });
    known.collect()
}

impl RuleDiff {
    pub(crate) fn new(reading: &Reading, old: &Found, new: &Found, raised: &Raised) -> Self {
        let key = |it: &Match| (it.rule.clone(), it.first, it.last);
        let by_key = |found: &Found| -> BTreeMap<_, Match> {
            found.kept.iter().map(|it| (key(it), it.clone())).collect()
        };
        let (before, after) = (by_key(old), by_key(new));
        let lost: Vec<&Match> =
            before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, it)| it).collect();
        let gained: Vec<&Match> =
            after.iter().filter(|(key, _)| !before.contains_key(*key)).map(|(_, it)| it).collect();
        let same: Vec<&Match> =
            before.iter().filter(|(key, _)| after.contains_key(*key)).map(|(_, it)| it).collect();
        Self {
            read: BacktestRead::new(reading),
            same: same.len() as u64,
            gained: gained.len() as u64,
            lost: lost.len() as u64,
            truncated: [old, new].iter().any(|it| it.matches > it.kept.len() as u64),
            same_verdicts: verdicts(&same, raised),
            lost_verdicts: verdicts(&lost, raised),
            gained_shown: newest(gained, raised),
            lost_shown: newest(lost, raised),
        }
    }
}

fn verdicts(matches: &[&Match], raised: &Raised) -> DiffVerdicts {
    let mut counts = DiffVerdicts::default();
    for found in matches {
        let count = match raised.get(&(found.rule.clone(), found.first)) {
            None => &mut counts.not_raised,
            Some((_, None)) => &mut counts.unjudged,
            Some((_, Some(Verdict::TruePositive))) => &mut counts.true_positive,
            Some((_, Some(Verdict::FalsePositive))) => &mut counts.false_positive,
            Some((_, Some(Verdict::Benign))) => &mut counts.benign,
        };
        *count += 1;
    }
    counts
}

fn newest(mut matches: Vec<&Match>, raised: &Raised) -> Vec<DiffMatch> {
    matches.sort_by_key(|it| std::cmp::Reverse((it.time, it.last)));
    let shown = matches.into_iter().take(SHOWN_MAX).map(|it| {
        let known = raised.get(&(it.rule.clone(), it.first));
        let mut events = vec![it.first, it.last];
        events.dedup();
        DiffMatch {
            rule: it.rule.to_string(),
            time: it.time,
            events,
            alert: known.map(|(alert, _)| alert.clone()),
            verdict: known.and_then(|(_, verdict)| *verdict),
        }
    });
    shown.collect()
}

pub(super) async fn diff(
    state: State,
    Json(asked): Json<DiffAsked>,
) -> Result<Json<RuleDiff>, Problem> {
    let new = held(&asked.new, "")?;
    let stretch = stretch(&state, &asked.over)?;
    let turn = turn(&state)?;
    blocking(move || {
        let _turn = turn;
        let old = match &asked.old {
            Some(text) => held(text, "")?,
            None => live_version(&state, &new)?,
        };
        let live = live(&state);
        let table = &state.opened.table;
        let mut trials = [Trial::new(&old, live.clone(), table), Trial::new(&new, live, table)];
        let reading = backtest::run(&state.opened.store, table, &mut trials, stretch)?;
        let [before, after] = trials;
        let rules: BTreeSet<RuleId> = old.iter().chain(&new).map(|rule| rule.id.clone()).collect();
        let raised = raised(state.views.read().board.newest(), &rules);
        Ok(Json(RuleDiff::new(&reading, &before.found, &after.found, &raised)))
    })
    .await
}

fn live_version(state: &State, new: &[Rule]) -> Result<Vec<Rule>, Problem> {
    let first = new.first().map(|rule| rule.id.clone());
    let shelf = state.views.shelf();
    let known = first.as_ref().and_then(|id| shelf.get(id));
    let text = known.and_then(|rule| rule.live());
    text.map(custos_detect::rulebook::Text::rules).ok_or_else(|| {
        Problem::wrong("no version of this rule is live; give the old version's text as 'old'")
    })
}
