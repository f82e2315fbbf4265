//! Recovery tasks: the board, and what people do with them.

use super::{
    State,
    caller::Caller,
    extract::{Json, Path, Query},
    problem::Problem,
    respond::{ask, id, name},
};
use crate::respond::{Command, Desk, state::TaskEntry};
use custos_event::{TaskId, Timestamp};
use custos_respond::task::Command as Change;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub(super) struct Task {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    incident: String,
    run: Option<String>,
    /// `open`, `started`, `verifying`, `not_clean`, `done` or `signed_off`.
    status: &'static str,
    owner: Option<String>,
    #[schema(value_type = String)]
    opened_at: Timestamp,
    #[schema(value_type = String)]
    due: Timestamp,
    rto_secs: Option<u64>,
    /// The read that shows it clean.
    #[schema(value_type = Option<Object>)]
    probe: Option<Value>,
    /// What it said last.
    probed: Option<String>,
    done_by: Option<String>,
    #[schema(value_type = Option<String>)]
    done_at: Option<Timestamp>,
    signed_off_by: Option<String>,
    #[schema(value_type = Option<String>)]
    signed_off_at: Option<Timestamp>,
}

impl Task {
    pub(super) fn new(id: TaskId, entry: &TaskEntry) -> Self {
        let task = &entry.task;
        let opened = task.opened.as_ref();
        let order = opened.map(|opened| &opened.order);
        Self {
            id: id.to_string(),
            title: order.map(|order| order.title.clone()).unwrap_or_default(),
            title_zh: order.map(|order| order.title_zh.clone()).unwrap_or_default(),
            incident: opened.map(|opened| opened.incident.to_string()).unwrap_or_default(),
            run: opened.and_then(|opened| Some(opened.run.as_ref()?.0.to_string())),
            status: task.status.name(),
            owner: task.owner.clone(),
            opened_at: entry.opened_at,
            due: opened.map(|opened| opened.due).unwrap_or_default(),
            rto_secs: order.and_then(|order| order.rto_secs),
            probe: order.and_then(|order| order.probe.as_ref()).map(|probe| json!(probe)),
            probed: task.probe.clone(),
            done_by: task.done_by.as_ref().map(name),
            done_at: entry.done_at,
            signed_off_by: task.signed_off_by.as_ref().map(name),
            signed_off_at: entry.signed_off_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// `open` (not signed off) or `all`.
    status: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// What was done, or looked at.
    note: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskOwner {
    owner: String,
}

pub(super) async fn list(state: State, Query(asked): Query<Asked>) -> Result<Json<Tasks>, Problem> {
    let all = match asked.status.as_deref() {
        None | Some("open") => false,
        Some("all") => true,
        Some(_) => return Err(Problem::wrong("status is open or all")),
    };
    let limit = asked.limit.unwrap_or(200).min(1_000);
    let tasks = state.desk.read(|desk| {
        let found = desk.tasks.iter().rev().filter(|(_, entry)| all || entry.task.is_open());
        found.take(limit).map(|(id, entry)| Task::new(*id, entry)).collect()
    });
    Ok(Json(Tasks { tasks }))
}

async fn change(
    state: State,
    caller: Caller,
    text: &str,
    change: Change,
) -> Result<Json<Task>, Problem> {
    let id: TaskId = id(text)?;
    let shown =
        move |desk: &Desk| desk.read(|s| s.tasks.get(&id).map(|entry| Task::new(id, entry)));
    let now = move |desk: &Desk| shown(desk).map_or(Value::Null, |task| json!(task));
    ask(&state, &caller, Command::Task(id, change), now).await?;
    shown(&state.desk).map(Json).ok_or_else(|| Problem::not_found(format!("there is no {id}")))
}

pub(super) async fn start(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<Task>, Problem> {
    let by = caller.actor.clone();
    change(state, caller, &text, Change::Start { by }).await
}

pub(super) async fn done(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Note { note }): Json<Note>,
) -> Result<Json<Task>, Problem> {
    let by = caller.actor.clone();
    change(state, caller, &text, Change::Done { by, note }).await
}

pub(super) async fn sign_off(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Note { note }): Json<Note>,
) -> Result<Json<Task>, Problem> {
    let by = caller.actor.clone();
    change(state, caller, &text, Change::SignOff { by, note }).await
}

pub(super) async fn assign(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(TaskOwner { owner }): Json<TaskOwner>,
) -> Result<Json<Task>, Problem> {
    let owner = if owner == "me" { name(&caller.actor) } else { owner };
    change(state, caller, &text, Change::Assign { owner }).await
}
