//! The rules as they were read at the start: what each says, what is wrong with it, how often it hit.

use super::{
    State, blocking,
    extract::{Json, Path},
    problem::Problem,
};
use crate::{
    projection::{board::Row, hits::RuleHits},
    rulefiles::RuleFile,
};
use custos_detect::rule::{Problem as Fault, Rule as Parsed};
use custos_event::{RuleId, Timestamp};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// All rule files, for as long as the process runs: what is shown is what runs.
#[derive(Clone)]
pub(crate) struct Shelf {
    rules: Arc<Vec<ShelfRule>>,
    by_id: Arc<HashMap<RuleId, usize>>,
}

/// A rule, or a file that gave none.
pub(crate) struct ShelfRule {
    id: RuleId,
    path: String,
    text: Arc<str>,
    rule: Option<Parsed>,
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Shelf {
    pub(crate) fn new(files: &[RuleFile]) -> Self {
        let rules: Vec<ShelfRule> = files.iter().flat_map(of_file).collect();
        let mut by_id = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            by_id.entry(rule.id.clone()).or_insert(at);
        }
        Self { rules: Arc::new(rules), by_id: Arc::new(by_id) }
    }

    pub(crate) fn get(&self, id: &RuleId) -> Option<&ShelfRule> {
        self.rules.get(*self.by_id.get(id)?)
    }
}

fn of_file(file: &RuleFile) -> Vec<ShelfRule> {
    let text: Arc<str> = file.text.as_str().into();
    let path = file.path.display().to_string();
    let shelf = |id: RuleId, rule: Option<&Parsed>| ShelfRule {
        id,
        path: path.clone(),
        text: Arc::clone(&text),
        rule: rule.cloned(),
        errors: file.parsed.errors.clone(),
        warnings: file.parsed.warnings.clone(),
    };
    if file.parsed.rules.is_empty() {
        return vec![shelf(RuleId(path.as_str().into()), None)];
    }
    file.parsed.rules.iter().map(|rule| shelf(rule.id.clone(), Some(rule))).collect()
}

/// One rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rule {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    level: String,
    status: String,
    path: String,
    tags: Vec<String>,
    logsource: Logsource,
    hits: u64,
    /// Event time of the newest alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last_hit: Option<Timestamp>,
    /// It runs.
    valid: bool,
    problems: Vec<RuleProblem>,
}

#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Logsource {
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

/// What is wrong or doubtful, and where; counted from 1.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleProblem {
    line: u32,
    column: u32,
    message: String,
    /// `error`: the rule does not run; `warning`: it does.
    severity: &'static str,
}

impl Rule {
    pub(super) fn new(shelf: &ShelfRule, hits: &RuleHits) -> Self {
        let problem = |severity| {
            move |fault: &Fault| RuleProblem {
                line: fault.line,
                column: fault.column,
                message: fault.message.clone(),
                severity,
            }
        };
        let errors = shelf.errors.iter().map(problem("error"));
        let problems = errors.chain(shelf.warnings.iter().map(problem("warning"))).collect();
        let rule = shelf.rule.as_ref();
        let of = |part: fn(&Parsed) -> &str| rule.map(part).unwrap_or_default().to_owned();
        Self {
            id: shelf.id.to_string(),
            title: rule.map_or_else(|| shelf.path.clone(), |rule| rule.title.clone()),
            title_zh: of(|rule| &rule.title_zh),
            level: of(|rule| &rule.level),
            status: of(|rule| &rule.status),
            path: shelf.path.clone(),
            tags: rule.map(|rule| rule.tags.clone()).unwrap_or_default(),
            logsource: rule.map(logsource).unwrap_or_default(),
            hits: hits.hits,
            last_hit: (hits.hits > 0).then_some(hits.last),
            valid: shelf.errors.is_empty(),
            problems,
        }
    }

    /// A rule that raised an alert and is not here any more.
    pub(super) fn gone(row: &Row, hits: &RuleHits) -> Self {
        Self {
            id: row.rule.to_string(),
            title: row.title.to_string(),
            title_zh: row.title_zh.to_string(),
            level: row.level.to_string(),
            status: "removed".into(),
            path: String::new(),
            tags: Vec::new(),
            logsource: Logsource::default(),
            hits: hits.hits,
            last_hit: (hits.hits > 0).then_some(hits.last),
            valid: false,
            problems: Vec::new(),
        }
    }
}

fn logsource(rule: &Parsed) -> Logsource {
    let text = |part: &Option<Arc<str>>| part.as_deref().map(str::to_owned);
    let of = &rule.logsource;
    Logsource {
        product: text(&of.product),
        category: text(&of.category),
        service: text(&of.service),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Rules)]
pub(super) struct RuleList {
    rules: Vec<Rule>,
}

pub(super) async fn list(state: State) -> Result<Json<RuleList>, Problem> {
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || {
        let folded = state.views.read();
        let rule = |shelf: &ShelfRule| Rule::new(shelf, &folded.hits.get(&shelf.id));
        Ok(Json(RuleList { rules: state.rules.rules.iter().map(rule).collect() }))
    })
    .await
}

/// A rule with its file's text.
#[derive(Serialize, ToSchema)]
pub(super) struct OneRule {
    #[serde(flatten)]
    rule: Rule,
    text: String,
}

pub(super) async fn one(state: State, Path(id): Path<String>) -> Result<Json<OneRule>, Problem> {
    let shelf = state.rules.get(&RuleId(id.as_str().into()));
    let shelf = shelf.ok_or_else(|| Problem::not_found(format!("there is no rule {id}")))?;
    let rule = Rule::new(shelf, &state.views.read().hits.get(&shelf.id));
    Ok(Json(OneRule { rule, text: shelf.text.to_string() }))
}
