//! Runs of playbooks: start, plan, approve, deny, undo, and settle what nobody knows.

use super::{
    State,
    asking::remember,
    blocking,
    caller::Caller,
    extract::{Json, Path, Query},
    problem::Problem,
    respond::{ask, id, name, refusal, roles},
};
use crate::respond::{
    Command, Desk,
    plan::{self, Planned},
    state::RunEntry,
};
use anyhow::Context as _;
use axum::http::StatusCode;
use custos_event::{
    Fact, IncidentId, RunId, Timestamp,
    respond::{EffectClass, Phase, Resolution},
};
use custos_respond::{
    input,
    run::{Command as Change, Stage, StepState},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub(super) struct Run {
    pub(super) id: String,
    playbook: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    /// SHA-256 of the playbook's text.
    version: String,
    incident: String,
    /// `running`, `waiting`, `needs_person`, `done` or `stopped`.
    status: &'static str,
    requested_by: String,
    alert: Option<String>,
    #[schema(value_type = String)]
    opened_at: Timestamp,
    #[schema(value_type = Option<String>)]
    finished_at: Option<Timestamp>,
    #[schema(value_type = Object)]
    inputs: BTreeMap<String, Value>,
    steps: Vec<Step>,
}

#[derive(Serialize, ToSchema)]
struct Step {
    name: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    /// With look-ups filled in once an approval was asked.
    #[schema(value_type = Object)]
    action: Value,
    /// `read`, `reversible` or `irreversible`.
    effect: &'static str,
    status: &'static str,
    target: String,
    condition: Option<String>,
    #[schema(value_type = Object)]
    output: Value,
    /// Why it failed, was refused or denied, or is not known.
    detail: String,
    attempts: u32,
    #[schema(value_type = Option<String>)]
    intent_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    result_at: Option<Timestamp>,
    approver: Option<String>,
    /// Of the arguments that wait for approval, or were approved.
    hash: Option<String>,
    /// Who may approve.
    roles: Vec<String>,
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// `none`, `open`, `undoing`, `undone`, `failed` or `unknown`.
    undo: &'static str,
    /// What the undo does.
    #[schema(value_type = Option<Object>)]
    undo_action: Option<Value>,
    undo_after_secs: Option<u64>,
    #[schema(value_type = Option<String>)]
    undo_due: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    undone_at: Option<Timestamp>,
}

impl Run {
    pub(super) fn new(id: RunId, entry: &RunEntry) -> Self {
        let run = &entry.run;
        let opened = run.opened.as_ref();
        let text =
            |of: fn(&custos_respond::run::Opened) -> String| opened.map(of).unwrap_or_default();
        Self {
            id: id.to_string(),
            playbook: text(|opened| opened.plan.playbook.clone()),
            title: text(|opened| opened.plan.title.clone()),
            title_zh: text(|opened| opened.plan.title_zh.clone()),
            version: text(|opened| opened.plan.version.clone()),
            incident: text(|opened| opened.incident.to_string()),
            status: match run.status().name() {
                "waiting_approval" => "waiting",
                other => other,
            },
            requested_by: text(|opened| name(&opened.requester)),
            alert: opened.and_then(|opened| Some(opened.alert?.to_string())),
            opened_at: entry.opened_at,
            finished_at: entry.finished_at,
            inputs: opened.map(inputs).unwrap_or_default(),
            steps: run.steps.iter().map(|step| Step::new(step, entry)).collect(),
        }
    }
}

fn inputs(opened: &custos_respond::run::Opened) -> BTreeMap<String, Value> {
    opened.inputs.iter().map(|(name, value)| (name.clone(), input::json(value))).collect()
}

impl Step {
    fn new(state: &StepState, entry: &RunEntry) -> Self {
        let step = &state.step;
        let times = entry.times.get(&step.name).cloned().unwrap_or_default();
        let filled = state.actioned.as_ref();
        let answer = [Phase::Undo, Phase::Verify, Phase::Act, Phase::Precheck]
            .iter()
            .find_map(|phase| state.answers.get(phase).filter(|answer| !answer.detail.is_empty()));
        let (roles, expires_at) = if let Stage::Approving { roles, expires_at } = &state.stage {
            (roles.clone(), Some(*expires_at))
        } else {
            (step.approval.as_ref().map(|a| a.roles.clone()).unwrap_or_default(), None)
        };
        let detail = match answer {
            _ if !state.reason.is_empty() => state.reason.clone(),
            Some(answer) => answer.detail.clone(),
            None => String::new(),
        };
        let undo = filled.map_or(step.undo.as_ref(), |filled| filled.undo.as_ref());
        Self {
            name: step.name.clone(),
            title: step.title.clone(),
            title_zh: step.title_zh.clone(),
            action: json!(filled.map_or(&step.action, |filled| &filled.action)),
            effect: effect(step.effect),
            status: match state.stage.name() {
                "waiting" => "pending",
                other => other,
            },
            target: filled.map_or(&step.target, |filled| &filled.target).clone(),
            condition: step.condition.clone(),
            output: state.output().clone(),
            detail,
            attempts: state.attempts.get(&Phase::Act).copied().unwrap_or(0),
            intent_at: times.intent_at,
            result_at: times.result_at,
            approver: state.approver.as_ref().map(name),
            hash: Some(state.hash.clone()).filter(|hash| !hash.is_empty()),
            roles,
            expires_at,
            undo: state.undo.name(),
            undo_action: undo.map(|undo| json!(undo)),
            undo_after_secs: filled.and_then(|filled| filled.undo_after_secs),
            undo_due: state.undo.due(),
            undone_at: times.undone_at,
        }
    }
}

pub(super) fn effect(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Read => "read",
        EffectClass::Reversible => "reversible",
        EffectClass::Irreversible => "irreversible",
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRun {
    playbook: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: BTreeMap<String, Value>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    step: String,
    /// Of the arguments that were shown: others are not approved by this.
    hash: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Denial {
    step: String,
    hash: String,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepName {
    step: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settled {
    step: String,
    /// `done`, `not_done` or `retry`.
    #[schema(value_type = String)]
    outcome: Resolution,
    note: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Plan {
    steps: Vec<Planned>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Runs {
    runs: Vec<Run>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// `waiting` (somebody has to approve or settle something), `active` or `all`.
    status: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(state: State, Query(asked): Query<Asked>) -> Result<Json<Runs>, Problem> {
    use custos_respond::run::Status;
    let status = asked.status.unwrap_or_else(|| "active".into());
    let fits = |run: &custos_respond::Run| match status.as_str() {
        "waiting" => matches!(run.status(), Status::Waiting | Status::Asks),
        "active" => run.finished.is_none(),
        _ => true,
    };
    if !["waiting", "active", "all"].contains(&status.as_str()) {
        return Err(Problem::wrong("status is waiting, active or all"));
    }
    let limit = asked.limit.unwrap_or(100).min(1_000);
    let runs = state.desk.read(|desk| {
        let found = desk.runs.iter().rev().filter(|(_, entry)| fits(&entry.run)).take(limit);
        found.map(|(id, entry)| Run::new(*id, entry)).collect()
    });
    Ok(Json(Runs { runs }))
}

fn shown(desk: &Desk, id: RunId) -> Result<Run, Problem> {
    let found = desk.read(|state| state.runs.get(&id).map(|entry| Run::new(id, entry)));
    found.ok_or_else(|| Problem::not_found(format!("there is no {id}")))
}

pub(super) async fn one(state: State, Path(text): Path<String>) -> Result<Json<Run>, Problem> {
    shown(&state.desk, id(&text)?).map(Json)
}

pub(super) async fn start(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(new): Json<NewRun>,
) -> Result<(StatusCode, Json<Run>), Problem> {
    let incident = id(&text)?;
    let command = Command::StartRun { incident, playbook: new.playbook, inputs: new.inputs };
    let facts = ask(&state, &caller, command, |_| Value::Null).await?;
    let opened = facts
        .iter()
        .find_map(|(_, fact)| if let Fact::Run { run, .. } = fact { Some(*run) } else { None });
    let id = opened.context("a run was opened without a fact")?;
    Ok((StatusCode::CREATED, Json(shown(&state.desk, id)?)))
}

/// Reads only; its searches are told like any other.
pub(super) async fn planned(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(new): Json<NewRun>,
) -> Result<Json<Plan>, Problem> {
    let incident: IncidentId = id(&text)?;
    blocking(move || {
        let desk = &state.desk;
        let opened = desk
            .planned(&caller.actor, incident, &new.playbook, &new.inputs)
            .map_err(|rejection| refusal(&rejection, || Value::Null))?;
        let reads = &state.reads;
        let steps = plan::walk(opened, desk.limits(), Some(&reads.world), Some(&reads.searcher));
        let searched = |step: &Planned| {
            let (query, results) = step.searched.clone()?;
            Some(Fact::Searched { query, results })
        };
        steps.iter().filter_map(searched).for_each(|fact| remember(&state, &caller, fact));
        Ok(Json(Plan { steps }))
    })
    .await
}

/// Does it, and shows what the run is then; after a conflict that is told as what is true now.
async fn change(
    state: State,
    caller: Caller,
    text: &str,
    change: Change,
) -> Result<Json<Run>, Problem> {
    let id = id(text)?;
    let now = move |desk: &Desk| shown(desk, id).map_or(Value::Null, |run| json!(run));
    ask(&state, &caller, Command::Run(id, change), now).await?;
    shown(&state.desk, id).map(Json)
}

pub(super) async fn approve(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Approval { step, hash }): Json<Approval>,
) -> Result<Json<Run>, Problem> {
    let (by, roles, at) = (caller.actor.clone(), roles(&caller), state.clock.now());
    change(state, caller, &text, Change::Approve { step, hash, by, roles, at }).await
}

pub(super) async fn deny(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Denial { step, hash, reason }): Json<Denial>,
) -> Result<Json<Run>, Problem> {
    let (by, roles) = (caller.actor.clone(), roles(&caller));
    change(state, caller, &text, Change::Deny { step, hash, by, roles, reason }).await
}

pub(super) async fn undo(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(StepName { step }): Json<StepName>,
) -> Result<Json<Run>, Problem> {
    let by = caller.actor.clone();
    change(state, caller, &text, Change::Undo { step, by }).await
}

pub(super) async fn resolve(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Settled { step, outcome, note }): Json<Settled>,
) -> Result<Json<Run>, Problem> {
    let (by, at) = (caller.actor.clone(), state.clock.now());
    let resolution = outcome;
    change(state, caller, &text, Change::Resolve { step, resolution, by, note, at }).await
}
