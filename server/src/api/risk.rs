//! Who is at risk, and by what.

use super::{
    State, alertfilter,
    alerts::Entity,
    asking::within,
    blocking,
    extract::{Json, Query as Parameters},
    problem::Problem,
};
use crate::projection::risk::{self, HALF_LIFE_SECS, Risk, RuleShare};
use custos_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const LIMIT_MAX: usize = 1_000;
/// Rules that are named of each entity.
const RULES_MAX: usize = 10;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// How many, those at the highest risk first; up to 1,000.
    #[serde(default = "fifty")]
    limit: usize,
    /// A value, or kind and value: `user:alice`.
    entity: Option<String>,
}

fn fifty() -> usize {
    50
}

/// What the alerts about each add up to.
#[derive(Serialize, ToSchema)]
#[schema(as = EntityRisks)]
pub(super) struct Risks {
    entities: Vec<EntityRisk>,
    /// How many there are.
    total: usize,
    /// After so long an alert weighs half.
    half_life_secs: i64,
    /// The commit up to which this holds.
    as_of: u64,
}

#[derive(Serialize, ToSchema)]
struct EntityRisk {
    #[serde(flatten)]
    entity: Entity,
    /// 100 is what a critical alert weighs when it is raised.
    score: f64,
    /// `low`, `medium` from 15, `high` from 37.5, `critical` from 75.
    level: &'static str,
    alerts: usize,
    #[schema(value_type = String)]
    newest: Timestamp,
    /// What weighs most.
    rules: Vec<RiskShare>,
}

#[derive(Serialize, ToSchema)]
struct RiskShare {
    rule: String,
    title: String,
    title_zh: String,
    score: f64,
    alerts: usize,
    /// The one that weighs most.
    alert: String,
}

/// One decimal is more than a score knows.
fn rounded(score: f64) -> f64 {
    (score * 10.0).round() / 10.0
}

impl EntityRisk {
    fn new(risk: Risk) -> Self {
        let share = |it: &RuleShare| RiskShare {
            rule: it.rule.to_string(),
            title: it.title.to_string(),
            title_zh: it.title_zh.to_string(),
            score: rounded(it.score),
            alerts: it.alerts,
            alert: it.alert.to_string(),
        };
        Self {
            score: rounded(risk.score),
            level: risk.level(),
            alerts: risk.alerts,
            newest: risk.newest,
            rules: risk.rules.iter().take(RULES_MAX).map(share).collect(),
            entity: Entity::new(risk.entity),
        }
    }
}

pub(super) async fn list(
    state: State,
    Parameters(ask): Parameters<Ask>,
) -> Result<Json<Risks>, Problem> {
    let limit = within("limit", ask.limit, LIMIT_MAX)?;
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || {
        let wanted = ask.entity.as_deref().map(alertfilter::entity);
        let folded = state.views.read();
        let mut risks = risk::scores(&folded.board, state.clock.now());
        if let Some((kind, value)) = wanted {
            risks.retain(|it| {
                kind.is_none_or(|kind| it.entity.kind == kind)
                    && it.entity.value.to_lowercase() == value
            });
        }
        let total = risks.len();
        Ok(Json(Risks {
            entities: risks.into_iter().take(limit).map(EntityRisk::new).collect(),
            total,
            half_life_secs: HALF_LIFE_SECS,
            as_of: folded.commit.0,
        }))
    })
    .await
}
