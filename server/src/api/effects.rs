//! The ledger of effects: what is blocked or disabled now, by which run, until when, and how to end it.

use super::{
    State,
    extract::{Json, Query},
    problem::Problem,
    respond::name,
};
use crate::respond::state::RunEntry;
use custos_event::{RunId, Timestamp, respond::Action};
use custos_respond::run::{StepState, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only those in force; the standard.
    open: Option<bool>,
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Effects {
    effects: Vec<Effect>,
}

#[derive(Serialize, ToSchema)]
struct Effect {
    run: String,
    step: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    /// `http` or `kafka`.
    kind: &'static str,
    target: String,
    #[schema(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// When it ends by itself.
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
    /// Who approved it, else who asked for the run.
    by: String,
    incident: String,
    /// `open`, `undoing`, `undone`, `failed` or `unknown`.
    undo: &'static str,
    #[schema(value_type = Option<Object>)]
    undo_action: Option<Value>,
    #[schema(value_type = Option<String>)]
    undone_at: Option<Timestamp>,
}

pub(super) async fn list(
    state: State,
    Query(asked): Query<Asked>,
) -> Result<Json<Effects>, Problem> {
    let open = asked.open.unwrap_or(true);
    let limit = asked.limit.unwrap_or(500).min(5_000);
    let fits = |step: &StepState| {
        if open { step.undo.is_open() } else { step.undo != Undo::None }
    };
    let effects = state.desk.read(|desk| {
        let runs = desk.runs.iter().rev();
        let steps =
            runs.flat_map(|(id, entry)| entry.run.steps.iter().map(move |s| (*id, entry, s)));
        let found = steps.filter(|(_, _, step)| fits(step)).take(limit);
        found.filter_map(|(id, entry, step)| effect(id, entry, step)).collect()
    });
    Ok(Json(Effects { effects }))
}

fn effect(id: RunId, entry: &RunEntry, state: &StepState) -> Option<Effect> {
    let opened = entry.run.opened.as_ref()?;
    let times = entry.times.get(&state.step.name).cloned().unwrap_or_default();
    let filled = state.actioned.as_ref();
    Some(Effect {
        run: id.to_string(),
        step: state.step.name.clone(),
        title: state.step.title.clone(),
        title_zh: state.step.title_zh.clone(),
        kind: match state.step.action {
            Action::Http(_) => "http",
            Action::Kafka(_) => "kafka",
            Action::Email(_) => "email",
            Action::Query(_) => "query",
            Action::Task(_) => "task",
        },
        target: filled.map_or(&state.step.target, |filled| &filled.target).clone(),
        since: times.result_at.or(times.intent_at),
        until: state.undo.due(),
        by: name(state.approver.as_ref().unwrap_or(&opened.requester)),
        incident: opened.incident.to_string(),
        undo: state.undo.name(),
        undo_action: filled.and_then(|filled| filled.undo.as_ref()).map(|undo| json!(undo)),
        undone_at: times.undone_at,
    })
}
