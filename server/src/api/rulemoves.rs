//! Rules are kept, tried in shadow, put live, taken out of service: each a fact with who and why.

use super::{State, blocking, caller::Caller, extract::Json, problem::Problem};
use custos_detect::rulebook::{Move, Refusal};
use custos_event::{RuleId, RuleStage};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// Which rule goes where. Either a version that it has, or a new text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveAsked {
    /// Its `key`; may be left out with a text that has an id.
    rule: Option<String>,
    /// `draft`, `shadow`, `live`, `retired`.
    #[schema(value_type = String)]
    to: RuleStage,
    /// One of its `versions`; may be left out where there is one only.
    version: Option<String>,
    /// A new version's text.
    text: Option<String>,
    reason: String,
}

/// The rule as it was moved.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleMoved {
    /// False: it was so already.
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

pub(super) async fn move_rule(
    state: State,
    caller: Caller,
    Json(asked): Json<MoveAsked>,
) -> Result<Json<RuleMoved>, Problem> {
    let MoveAsked { rule, to, version, text, reason } = asked;
    let rule = rule.map(|rule| RuleId(rule.into()));
    let wanted = Move { rule, to, version, text, reason };
    let registrar = state.registrar.clone();
    let moved = blocking(move || {
        let moved = registrar.move_rules(&caller.actor, vec![wanted])?;
        moved.into_iter().next().transpose().map_err(|refusal| problem(&refusal))
    })
    .await?;
    // Who asks next sees it.
    state.views.reach(state.opened.store.last_commit()).await;
    let rule = moved.flatten().map(|rule| rule.to_string());
    Ok(Json(RuleMoved { changed: rule.is_some(), rule }))
}

fn problem(refusal: &Refusal) -> Problem {
    let text = refusal.to_string();
    match refusal {
        Refusal::Unknown(_) => Problem::not_found(text),
        Refusal::Conflict(_) => Problem::conflict(text, json!({})),
        Refusal::Wrong(_) | Refusal::Invalid(_) => Problem::wrong(text),
    }
}
