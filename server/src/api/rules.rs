//! The rules: what each says, what is wrong with it, how far it is in its life, how often it hit.

use super::{
    State, blocking,
    extract::{Json, Path},
    problem::Problem,
    respond::name,
};
use crate::{
    projection::{board::Row, follower::Views, hits::RuleHits},
    rulefiles::RuleFile,
};
use custos_detect::{
    Rulebook, parse,
    rule::{Problem as Fault, Rule as Parsed},
    rulebook::{Entry, Text},
};
use custos_event::{CommitNo, Position, RuleId, RuleStage, Timestamp};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// Rules as they were read.
#[derive(Clone)]
pub(crate) struct Shelf {
    rules: Arc<Vec<ShelfRule>>,
    by_id: Arc<HashMap<RuleId, usize>>,
}

/// A rule, or a file that gave none.
pub(crate) struct ShelfRule {
    pub(super) id: RuleId,
    /// The rulebook's name for the text it stands in; none of a file that does not hold.
    pub(super) key: Option<RuleId>,
    path: String,
    text: Arc<str>,
    pub(super) rule: Option<Parsed>,
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
    entry: Entry,
}

impl Shelf {
    fn new(rules: Vec<ShelfRule>) -> Self {
        let mut by_id = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            by_id.entry(rule.id.clone()).or_insert(at);
        }
        Self { rules: Arc::new(rules), by_id: Arc::new(by_id) }
    }

    /// The rules of a rulebook.
    pub(crate) fn of(book: &Rulebook) -> Self {
        let present = book.entries().filter_map(|(key, entry)| {
            let text = entry.texts().next()?;
            Some(of_text(key, entry, text))
        });
        let mut shelf: Vec<ShelfRule> = present.flatten().collect();
        let rules: Vec<Parsed> = shelf.iter().filter_map(|it| it.rule.clone()).collect();
        let of_rule = custos_detect::unfilled(&rules).into_iter();
        let unfilled: Vec<(RuleId, Fault)> = of_rule
            .filter_map(|(place, problem)| Some((rules.get(place)?.id.clone(), problem)))
            .collect();
        for (rule, problem) in unfilled {
            let own = |it: &&mut ShelfRule| it.rule.as_ref().is_some_and(|it| it.id == rule);
            if let Some(own) = shelf.iter_mut().find(own) {
                own.warnings.push(problem);
            }
        }
        Self::new(shelf)
    }

    /// The files that give no rule, for as long as the process runs.
    pub(crate) fn broken(files: &[RuleFile]) -> Self {
        let broken = files.iter().filter(|file| !file.accepted()).map(|file| {
            let path = file.path.display().to_string();
            ShelfRule {
                id: RuleId(path.as_str().into()),
                key: None,
                path,
                text: file.text.as_str().into(),
                rule: file.parsed.rules.first().cloned(),
                errors: file.parsed.errors.clone(),
                warnings: file.parsed.warnings.clone(),
                entry: Entry::default(),
            }
        });
        Self::new(broken.collect())
    }

    pub(crate) fn get(&self, id: &RuleId) -> Option<&ShelfRule> {
        self.rules.get(*self.by_id.get(id)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ShelfRule> {
        self.rules.iter()
    }
}

fn of_text(key: &RuleId, entry: &Entry, text: &Text) -> Vec<ShelfRule> {
    let parsed = parse(&text.text, &text.path);
    // Only its life and its name are asked of it, and these are small.
    let mut life = entry.clone();
    life.history.clear();
    let shelf = |rule: &Parsed| ShelfRule {
        id: rule.id.clone(),
        key: Some(key.clone()),
        path: text.path.to_string(),
        text: Arc::clone(&text.text),
        rule: Some(rule.clone()),
        errors: parsed.errors.clone(),
        warnings: parsed.warnings.clone(),
        entry: life.clone(),
    };
    let mut rules: Vec<ShelfRule> = parsed.rules.iter().map(shelf).collect();
    // A second file with the same first id is found by its own name.
    if let Some(first) = rules.first_mut().filter(|first| key.0.starts_with(&*first.id.0)) {
        first.id = key.clone();
    }
    rules
}

impl ShelfRule {
    pub(super) fn stage(&self) -> Option<RuleStage> {
        self.entry.stage()
    }

    pub(super) fn live(&self) -> Option<&Text> {
        self.entry.live()
    }

    /// The last commit before the live version ran.
    pub(super) fn live_after(&self) -> CommitNo {
        self.entry.live_after
    }

    pub(super) fn title(&self) -> String {
        self.rule.as_ref().map_or_else(|| self.path.clone(), |rule| rule.title.clone())
    }
}

/// One rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rule {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    description: String,
    /// In Chinese; empty where nobody wrote one.
    description_zh: String,
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
    /// It holds.
    valid: bool,
    problems: Vec<RuleProblem>,
    /// How far it is: `draft`, `shadow`, `live`, `retired`; absent where it is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    stage: Option<RuleStage>,
    /// Where another version of it is tried in shadow, or is only kept: these too.
    #[schema(value_type = Vec<String>)]
    also: Vec<RuleStage>,
    /// A person's word stands; its file decides nothing.
    moved: bool,
    /// What the version in shadow matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowShown>,
}

/// What a rule would have raised.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleInShadow)]
struct ShadowShown {
    matches: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last: Option<Timestamp>,
    /// Some of the newest events.
    #[schema(value_type = Vec<String>)]
    samples: Vec<Position>,
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
        let stage = shelf.stage();
        let of = |part: fn(&Parsed) -> &str| rule.map(part).unwrap_or_default().to_owned();
        Self {
            id: shelf.id.to_string(),
            title: rule.map_or_else(|| shelf.path.clone(), |rule| rule.title.clone()),
            title_zh: of(|rule| &rule.title_zh),
            description: of(|rule| rule.description.trim_end()),
            description_zh: of(|rule| rule.description_zh.trim_end()),
            level: of(|rule| &rule.level),
            status: of(|rule| &rule.status),
            path: shelf.path.clone(),
            tags: rule.map(|rule| rule.tags.clone()).unwrap_or_default(),
            logsource: rule.map(logsource).unwrap_or_default(),
            hits: hits.hits,
            last_hit: (hits.hits > 0).then_some(hits.last),
            valid: shelf.errors.is_empty(),
            problems,
            stage,
            also: shelf.also(),
            moved: shelf.entry.is_moved,
            shadow: shelf.entry.shadow.as_ref().map(|text| in_shadow(shelf, text, hits)),
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
            description: String::new(),
            description_zh: String::new(),
            stage: None,
            also: Vec::new(),
            moved: false,
            shadow: None,
        }
    }
}

/// What was counted of the very version that is in shadow now.
fn in_shadow(shelf: &ShelfRule, text: &Text, hits: &RuleHits) -> ShadowShown {
    let counted = Some(&hits.shadow).filter(|counted| {
        let is_it = |rule: &Parsed| rule.version == counted.version;
        text.rules().iter().any(is_it) && shelf.rule.is_some()
    });
    ShadowShown {
        matches: counted.map_or(0, |it| it.matches),
        last: counted.map(|it| it.last),
        samples: counted.map(|it| it.samples.clone()).unwrap_or_default(),
    }
}

impl ShelfRule {
    fn also(&self) -> Vec<RuleStage> {
        let own = self.stage();
        let kept = [
            (RuleStage::Shadow, self.entry.shadow.is_some()),
            (RuleStage::Draft, self.entry.draft.is_some()),
        ];
        let other = kept.into_iter().filter(|(stage, is_there)| *is_there && Some(*stage) != own);
        other.map(|(stage, _)| stage).collect()
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
        let mut rules = shown(&state.views);
        let none = RuleHits::default();
        rules.extend(state.broken_rules.iter().map(|rule| Rule::new(rule, &none)));
        Ok(Json(RuleList { rules }))
    })
    .await
}

/// Every rule of the rulebook.
pub(crate) fn shown(views: &Views) -> Vec<Rule> {
    let shelf = views.shelf();
    let folded = views.read();
    let hits: Vec<_> = shelf.iter().map(|rule| folded.hits.get(&rule.own_id())).collect();
    drop(folded);
    shelf.iter().zip(&hits).map(|(rule, hits)| Rule::new(rule, hits)).collect()
}

/// A rule with its text and its life.
#[derive(Serialize, ToSchema)]
pub(super) struct OneRule {
    #[serde(flatten)]
    rule: Rule,
    text: String,
    /// What its text is called where it is moved; a text may hold several rules, which move together.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Every version at hand, the one that counts most first.
    versions: Vec<RuleVersion>,
    /// Who moved it, the newest first; the last fifty.
    history: Vec<RuleMove>,
    /// Which events its live version saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<super::rulecover::Coverage>,
}

/// A version of a rule.
#[derive(Serialize, ToSchema)]
struct RuleVersion {
    /// SHA-256 of what it means.
    version: String,
    /// `live`, `shadow`, `draft`, `retired`; `file` where its file has it.
    stages: Vec<&'static str>,
    text: String,
}

/// That somebody moved a rule.
#[derive(Serialize, ToSchema)]
struct RuleMove {
    #[schema(value_type = String)]
    at: Timestamp,
    by: String,
    #[schema(value_type = String)]
    to: RuleStage,
    version: String,
    reason: String,
}

fn versions(entry: &Entry) -> Vec<RuleVersion> {
    let slots = [
        ("live", entry.live()),
        ("shadow", entry.shadow.as_ref()),
        ("draft", entry.draft.as_ref()),
        ("retired", entry.retired.as_ref()),
        ("file", entry.file.as_ref()),
    ];
    let mut versions: Vec<RuleVersion> = Vec::new();
    for (stage, text) in slots {
        let Some(text) = text else { continue };
        match versions.iter_mut().find(|it| *it.version == *text.version) {
            Some(known) => known.stages.push(stage),
            None => versions.push(RuleVersion {
                version: text.version.to_string(),
                stages: vec![stage],
                text: text.text.to_string(),
            }),
        }
    }
    versions
}

pub(super) async fn one(state: State, Path(id): Path<String>) -> Result<Json<OneRule>, Problem> {
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || {
        let id = RuleId(id.as_str().into());
        let shelf = state.views.shelf();
        let found = shelf.get(&id).or_else(|| state.broken_rules.get(&id));
        let found = found.ok_or_else(|| Problem::not_found(format!("there is no rule {id}")))?;
        let coverage = super::rulecover::of(&state, found)?;
        let folded = state.views.read();
        let rule = Rule::new(found, &folded.hits.get(&found.own_id()));
        let entry = found.key.as_ref().and_then(|key| folded.rulebook.get(key));
        let history = entry.map_or(&[][..], |entry| &entry.history).iter().rev();
        let shown = |moved: &custos_detect::rulebook::Moved| RuleMove {
            at: moved.at,
            by: name(&moved.by),
            to: moved.to,
            version: moved.version.to_string(),
            reason: moved.reason.to_string(),
        };
        Ok(Json(OneRule {
            rule,
            text: found.text.to_string(),
            key: found.key.as_ref().map(RuleId::to_string),
            versions: entry.map(versions).unwrap_or_default(),
            history: history.map(shown).collect(),
            coverage,
        }))
    })
    .await
}

impl ShelfRule {
    /// The id that its alerts have.
    pub(super) fn own_id(&self) -> RuleId {
        self.rule.as_ref().map_or_else(|| self.id.clone(), |rule| rule.id.clone())
    }
}
