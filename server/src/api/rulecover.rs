//! What is covered: which events a rule saw, and which ATT&CK techniques the live rules look for.

use super::{
    State, blocking,
    extract::Json,
    problem::Problem,
    rules::{Shelf, ShelfRule},
};
use crate::projection::{follower::Views, seen::Certificate};
use custos_event::{CommitNo, Position, RuleStage};
use custos_store::Store;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// "This version of this rule saw every event of these stretches."
#[derive(Serialize, ToSchema)]
#[schema(as = RuleCoverage)]
pub(crate) struct Coverage {
    /// SHA-256 of what the live text means.
    version: String,
    /// How many events.
    events: u64,
    /// One of each log of telemetry; none where no event came yet.
    stretches: Vec<CoveredStretch>,
    /// What in them it did not see; usually nothing.
    gaps: Vec<String>,
    /// Events that wait to be evaluated.
    lag_events: u64,
}

/// Both ends included.
#[derive(Serialize, ToSchema)]
struct CoveredStretch {
    #[schema(value_type = String)]
    first: Position,
    #[schema(value_type = String)]
    last: Position,
}

/// Of a rule that is live.
pub(super) fn of(state: &State, rule: &ShelfRule) -> Result<Option<Coverage>, Problem> {
    let Some((version, after)) = rule.live_since() else { return Ok(None) };
    let seen = state.views.read().seen.clone();
    let certificate = seen.certificate(&state.opened.store, after);
    let certificate = certificate.map_err(|error| Problem::failed(&error))?;
    Ok(Some(Coverage::new(version, certificate)))
}

/// One live rule's.
#[derive(Serialize, ToSchema)]
struct RuleCovered {
    rule: String,
    title: String,
    #[serde(flatten)]
    coverage: Coverage,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RulesCoverage)]
pub(crate) struct AllCovered {
    rules: Vec<RuleCovered>,
}

pub(super) async fn all(state: State) -> Result<Json<AllCovered>, Problem> {
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || Ok(Json(all_covered(&state.views, &state.opened.store)?))).await
}

/// Every rule that is live.
pub(crate) fn all_covered(views: &Views, store: &Store) -> anyhow::Result<AllCovered> {
    let shelf = views.shelf();
    let seen = views.read().seen.clone();
    // Most rules are live since the same commit.
    let mut by_start: BTreeMap<CommitNo, Certificate> = BTreeMap::new();
    let mut rules = Vec::new();
    for rule in shelf.iter() {
        let Some((version, after)) = rule.live_since() else { continue };
        let certificate = match by_start.get(&after) {
            Some(known) => known.clone(),
            None => seen.certificate(store, after)?,
        };
        by_start.insert(after, certificate.clone());
        let (id, title) = (rule.own_id().to_string(), rule.title());
        rules.push(RuleCovered { rule: id, title, coverage: Coverage::new(version, certificate) });
    }
    Ok(AllCovered { rules })
}

impl Coverage {
    fn new(version: String, certificate: Certificate) -> Self {
        let Certificate { events, gaps, lag: lag_events } = certificate;
        let stretches = events.into_iter().map(|(first, last)| CoveredStretch { first, last });
        let stretches: Vec<_> = stretches.collect();
        let events = stretches.iter().map(|it| it.last.seq.0 - it.first.seq.0 + 1).sum();
        Self { version, events, stretches, gaps, lag_events }
    }
}

/// A layer for the ATT&CK Navigator.
#[derive(Serialize, ToSchema)]
#[schema(as = NavigatorLayer, value_type = Object)]
pub(super) struct Layer(Value);

pub(super) async fn attack(state: State) -> Result<Json<Layer>, Problem> {
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || Ok(Json(Layer(layer(&techniques(&state.views.shelf())))))).await
}

/// By technique the titles of the live rules that look for it.
fn techniques(shelf: &Shelf) -> BTreeMap<String, Vec<String>> {
    let live = shelf.iter().filter(|rule| rule.stage() == Some(RuleStage::Live));
    let of = live.filter_map(|rule| rule.rule.as_ref()).map(|rule| (&*rule.title, &*rule.tags));
    by_technique(of)
}

pub(crate) fn by_technique<'r>(
    rules: impl Iterator<Item = (&'r str, &'r [String])>,
) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (title, tags) in rules {
        for id in tags.iter().filter_map(|tag| technique(tag)) {
            found.entry(id).or_default().push(title.to_owned());
        }
    }
    found
}

/// `attack.t1059.001` is T1059.001.
fn technique(tag: &str) -> Option<String> {
    let id = tag.to_ascii_lowercase().strip_prefix("attack.t")?.to_owned();
    let (main, sub) = id.split_once('.').unwrap_or((&id, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (main.len() == 4 && digits(main) && digits(sub)).then(|| format!("T{id}"))
}

/// In the Navigator's format 4.5; a technique's score is how many live rules look for it.
pub(crate) fn layer(techniques: &BTreeMap<String, Vec<String>>) -> Value {
    /// Titles that a technique's comment names.
    const TITLES_MAX: usize = 20;
    let most = techniques.values().map(Vec::len).max().unwrap_or(1);
    let technique = |(id, titles): (&String, &Vec<String>)| {
        let named = titles.iter().take(TITLES_MAX).cloned().collect::<Vec<_>>().join("\n");
        json!({"techniqueID": id, "score": titles.len(), "comment": named, "enabled": true})
    };
    json!({
        "name": "Custos: live rules",
        "versions": {"layer": "4.5", "navigator": "5.1.0"},
        "domain": "enterprise-attack",
        "description": "How many live rules look for each technique.",
        "techniques": techniques.iter().map(technique).collect::<Vec<_>>(),
        "gradient": {"colors": ["#d9ecff", "#1c7ed6"], "minValue": 0, "maxValue": most},
        "hideDisabled": false,
    })
}

impl ShelfRule {
    /// The live version of its text, and since when it runs.
    fn live_since(&self) -> Option<(String, CommitNo)> {
        let text = self.live()?;
        Some((text.version.to_string(), self.live_after()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_counts_the_rules_of_each_technique() {
        let tags = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (one, other) = (tags("attack.t1059.001 attack.execution"), tags("attack.T1059.001"));
        let strange = tags("attack.t12 attack.txxxx cve.2024-1 attack.t1003");
        let all = [("a", &*one), ("b", &*other), ("c", &*strange)];
        let layer = layer(&by_technique(all.into_iter()));
        assert_eq!(layer["techniques"][0]["techniqueID"], "T1003");
        assert_eq!(layer["techniques"][1]["techniqueID"], "T1059.001");
        assert_eq!(layer["techniques"][1]["score"], 2);
        assert_eq!(layer["techniques"][1]["comment"], "a\nb");
        assert_eq!(layer["techniques"].as_array().unwrap().len(), 2);
        assert_eq!(layer["gradient"]["maxValue"], 2);
    }
}
