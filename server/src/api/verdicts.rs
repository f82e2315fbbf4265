//! What people say of alerts: taken in hand, judged; of some, or of all that a filter lets through.

use super::{
    State, alertfilter::Filter, blocking, caller::Caller, extract::Json, problem::Problem,
};
use crate::projection::board::{Row, Status};
use custos_event::{Fact, respond::Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Some alerts, or all that a filter lets through.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    alerts: Option<Vec<String>>,
    filter: Option<Filter>,
}

/// A verdict on some alerts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Judge {
    alerts: Option<Vec<String>>,
    filter: Option<Filter>,
    #[schema(value_type = String)]
    verdict: Verdict,
    /// Needed for a false positive.
    #[serde(default)]
    reason: String,
}

/// How many alerts are other than before.
#[derive(Serialize, ToSchema)]
pub(super) struct Changed {
    changed: usize,
}

pub(super) async fn acknowledge(
    state: State,
    caller: Caller,
    Json(which): Json<Which>,
) -> Result<Json<Changed>, Problem> {
    let rows = which.rows(&state).await?;
    let open = rows.into_iter().filter(|row| row.status() == Status::Open);
    let facts = open.map(|row| Fact::AlertAcknowledged { alert: row.id }).collect();
    say(state, caller, facts).await
}

const REASON_CHARS_MAX: usize = 1_000;

pub(super) async fn judge(
    state: State,
    caller: Caller,
    Json(judge): Json<Judge>,
) -> Result<Json<Changed>, Problem> {
    let Judge { alerts, filter, verdict, reason } = judge;
    let reason = reason.trim().to_owned();
    if reason.is_empty() && verdict == Verdict::FalsePositive {
        return Err(Problem::wrong("a false positive needs a reason: what made the rule match?"));
    }
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(Problem::wrong(format!("reason has more than {REASON_CHARS_MAX} characters")));
    }
    let rows = Which { alerts, filter }.rows(&state).await?;
    let is_other = |row: &Row| {
        let now = row.judged.as_ref().map(|judged| (judged.verdict, &*judged.reason));
        now != Some((verdict, reason.as_str()))
    };
    let other = rows.into_iter().filter(is_other);
    let fact = |row: Row| Fact::AlertJudged { alert: row.id, verdict, reason: reason.clone() };
    let facts = other.map(fact).collect();
    say(state, caller, facts).await
}

impl Which {
    async fn rows(self, state: &State) -> Result<Vec<Row>, Problem> {
        state.views.reach(state.opened.store.last_commit()).await;
        let folded = state.views.read();
        match (self.alerts, self.filter) {
            (Some(ids), None) => ids
                .iter()
                .map(|id| {
                    let row = id.parse().ok().and_then(|id| folded.board.get(id));
                    row.cloned()
                        .ok_or_else(|| Problem::not_found(format!("there is no alert {id}")))
                })
                .collect(),
            (None, Some(filter)) => {
                let filter = filter.read()?;
                Ok(folded.board.newest().filter(|row| filter.passes(row)).cloned().collect())
            }
            _ => Err(Problem::wrong("name either alerts, by their ids, or a filter")),
        }
    }
}

/// Facts of one append; the log takes larger ones, but others wait meanwhile.
const FACTS_MAX: usize = 1_000;

async fn say(state: State, caller: Caller, facts: Vec<Fact>) -> Result<Json<Changed>, Problem> {
    let changed = facts.len();
    let writer = state.clone();
    blocking(move || {
        for some in facts.chunks(FACTS_MAX) {
            writer.record(&caller, some.to_vec())?;
        }
        Ok(())
    })
    .await?;
    // Who asks next sees it.
    state.views.reach(state.opened.store.last_commit()).await;
    Ok(Json(Changed { changed }))
}
