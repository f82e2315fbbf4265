//! Incidents: the list, one with its timeline, and what people do to them.

use super::{
    State, blocking,
    caller::Caller,
    extract::{Json, Path, Query},
    problem::Problem,
    respond::{ask, id, name},
    runs::Run,
    tasks::Task,
};
use crate::respond::{
    Command, Desk,
    state::{IncidentEntry, State as DeskState},
};
use anyhow::Context as _;
use axum::http::StatusCode;
use custos_event::{
    Alert, AlertId, Entity, Envelope, Fact, IncidentId, Position, Timestamp,
    respond::{AlertRef, Evidence},
};
use custos_respond::incident::{Command as Change, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

/// Facts of one incident that a timeline shows; the newest.
const TIMELINE_MAX: usize = 2_000;
const ALERTS_MAX: usize = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// `open`, `contained`, `closed` or `all`; everything that is not closed where it is left out.
    status: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Incidents {
    incidents: Vec<IncidentSummary>,
    /// Before the limit.
    total: usize,
}

#[derive(Serialize, ToSchema)]
pub(super) struct IncidentSummary {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    level: String,
    status: &'static str,
    owner: Option<String>,
    #[schema(value_type = String)]
    opened_at: Timestamp,
    #[schema(value_type = Option<String>)]
    contained_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    closed_at: Option<Timestamp>,
    alerts: usize,
    #[schema(value_type = Vec<Object>)]
    entities: Vec<Entity>,
    open_tasks: usize,
    /// Runs that wait for somebody.
    waiting_runs: usize,
    open_effects: usize,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Incident {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    level: String,
    status: &'static str,
    owner: Option<String>,
    #[schema(value_type = String)]
    opened_at: Timestamp,
    #[schema(value_type = Option<String>)]
    contained_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    closed_at: Option<Timestamp>,
    #[schema(value_type = Vec<Object>)]
    entities: Vec<Entity>,
    #[schema(value_type = Vec<Object>)]
    alerts: Vec<AlertRef>,
    /// How many there are; `alerts` holds the newest.
    alerts_total: usize,
    /// `{at, actor, kind, position, incident|run|task, …}`: the facts, oldest first.
    #[schema(value_type = Vec<Object>)]
    timeline: Vec<Value>,
    tasks: Vec<Task>,
    runs: Vec<Run>,
    #[schema(value_type = Vec<Object>)]
    evidence: Vec<Evidence>,
    comments: u32,
    /// What is still open; empty where it may be closed without a reason.
    left_open: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIncident {
    title: String,
    /// Ids of alerts that belong to no incident.
    #[serde(default)]
    alerts: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Owner {
    owner: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    text: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewStatus {
    /// `open`, `contained` or `closed`.
    status: String,
    /// Needed to close while something is open.
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoreAlerts {
    alerts: Vec<String>,
}

pub(super) async fn list(
    state: State,
    Query(asked): Query<Asked>,
) -> Result<Json<Incidents>, Problem> {
    let wanted = asked.status.as_deref();
    if wanted.is_some_and(|status| !["open", "contained", "closed", "all"].contains(&status)) {
        return Err(Problem::wrong("status is open, contained, closed or all"));
    }
    let fits = |entry: &IncidentEntry| match wanted {
        None => entry.incident.status != Status::Closed,
        Some("all") => true,
        Some(status) => entry.incident.status.name() == status,
    };
    let limit = asked.limit.unwrap_or(100).min(1_000);
    Ok(Json(state.desk.read(|desk| {
        let found = || desk.incidents.iter().rev().filter(|(_, entry)| fits(entry));
        let total = found().count();
        let incidents = found().take(limit).map(|(id, entry)| summary(desk, *id, entry)).collect();
        Incidents { incidents, total }
    })))
}

fn summary(desk: &DeskState, id: IncidentId, entry: &IncidentEntry) -> IncidentSummary {
    let incident = &entry.incident;
    let runs = || incident.runs.iter().filter_map(|run| Some(&desk.runs.get(run)?.run));
    let tasks = incident.tasks.iter().filter_map(|task| desk.tasks.get(task));
    let waits = |run: &&custos_respond::Run| {
        use custos_respond::run::Status::{Asks, Waiting};
        matches!(run.status(), Waiting | Asks)
    };
    IncidentSummary {
        id: id.to_string(),
        title: incident.title.clone(),
        title_zh: incident.title_zh.clone(),
        level: incident.level.clone(),
        status: incident.status.name(),
        owner: incident.owner.clone(),
        opened_at: entry.opened_at,
        contained_at: entry.contained_at,
        closed_at: entry.closed_at,
        alerts: incident.alerts.len(),
        entities: incident.entities.iter().cloned().collect(),
        open_tasks: tasks.filter(|entry| entry.task.is_open()).count(),
        waiting_runs: runs().filter(waits).count(),
        open_effects: runs().flat_map(|run| &run.steps).filter(|s| s.undo.is_open()).count(),
    }
}

pub(super) async fn one(state: State, Path(text): Path<String>) -> Result<Json<Incident>, Problem> {
    let (desk, id) = (state.desk.clone(), id(&text)?);
    blocking(move || shown(&desk, id)).await.map(Json)
}

/// The incident as it is now, its timeline from the log.
fn shown(desk: &Desk, id: IncidentId) -> Result<Incident, Problem> {
    let found = desk.read(|state| {
        let entry = state.incidents.get(&id)?;
        let incident = &entry.incident;
        let skipped = entry.facts.len().saturating_sub(TIMELINE_MAX);
        let runs =
            incident.runs.iter().filter_map(|run| Some(Run::new(*run, state.runs.get(run)?)));
        let tasks = incident.tasks.iter().filter_map(|t| Some(Task::new(*t, state.tasks.get(t)?)));
        let places: Vec<Position> = entry.facts.iter().skip(skipped).copied().collect();
        let answer = Incident {
            id: id.to_string(),
            title: incident.title.clone(),
            title_zh: incident.title_zh.clone(),
            level: incident.level.clone(),
            status: incident.status.name(),
            owner: incident.owner.clone(),
            opened_at: entry.opened_at,
            contained_at: entry.contained_at,
            closed_at: entry.closed_at,
            entities: incident.entities.iter().cloned().collect(),
            alerts: incident.alerts.iter().rev().take(ALERTS_MAX).cloned().collect(),
            alerts_total: incident.alerts.len(),
            timeline: Vec::new(),
            tasks: tasks.collect(),
            runs: runs.collect(),
            evidence: incident.evidence.clone(),
            comments: incident.comments,
            left_open: state.left_open(id),
        };
        Some((answer, places))
    });
    let Some((mut answer, places)) = found else {
        return Err(Problem::not_found(format!("there is no {id}")));
    };
    for at in places {
        if let Some(envelope) = desk.fact(at)? {
            answer.timeline.push(moment(at, &envelope)?);
        }
    }
    Ok(answer)
}

/// One fact as a line of the timeline.
fn moment(at: Position, envelope: &Envelope) -> anyhow::Result<Value> {
    let (of, id, event) = if let Fact::Incident { incident, event } = &envelope.fact {
        ("incident", incident.to_string(), json!(event))
    } else if let Fact::Run { run, event } = &envelope.fact {
        ("run", run.to_string(), json!(event))
    } else if let Fact::Task { task, event } = &envelope.fact {
        ("task", task.to_string(), json!(event))
    } else if let Fact::EvidenceExported { incident, records, .. } = &envelope.fact {
        let event = json!({"kind": "evidence_exported", "records": records});
        ("incident", incident.to_string(), event)
    } else {
        anyhow::bail!("{at} is in a timeline and tells of no incident, run or task");
    };
    let mut line = if let Value::Object(fields) = event { fields } else { Map::new() };
    // The plan of a run is shown with the run, not each time it is named.
    line.remove("plan");
    line.insert("at".into(), json!(envelope.at));
    line.insert("actor".into(), json!(envelope.actor));
    line.insert("position".into(), json!(at));
    line.insert("cause".into(), json!(envelope.cause));
    line.insert("of".into(), of.into());
    line.insert(of.into(), id.into());
    Ok(line.into())
}

/// The alerts of these ids with their places.
async fn alerts(state: &State, ids: &[String]) -> Result<Vec<(Position, Alert)>, Problem> {
    let read =
        |text: &String| text.parse::<AlertId>().map_err(|error| Problem::wrong(error.to_string()));
    let ids: Vec<AlertId> = ids.iter().map(read).collect::<Result<_, _>>()?;
    if ids.len() > ALERTS_MAX {
        return Err(Problem::wrong(format!("at most {ALERTS_MAX} alerts at once")));
    }
    let journal = state.journal.clone();
    let wanted = ids.clone();
    let found = blocking(move || {
        journal.catch_up()?;
        Ok(journal.find_alerts(&wanted).context("cannot look up alerts")?)
    });
    let found = found.await?;
    match ids.iter().find(|id| found.iter().all(|(_, alert)| alert.id != **id)) {
        Some(missing) => Err(Problem::not_found(format!("there is no alert {missing}"))),
        None => Ok(found),
    }
}

pub(super) async fn open(
    state: State,
    caller: Caller,
    Json(new): Json<NewIncident>,
) -> Result<(StatusCode, Json<Incident>), Problem> {
    let alerts = alerts(&state, &new.alerts).await?;
    let command = Command::OpenIncident { title: new.title, alerts };
    let facts = ask(&state, &caller, command, |_| Value::Null).await?;
    let opened = facts.iter().find_map(|(_, fact)| {
        if let Fact::Incident { incident, .. } = fact { Some(*incident) } else { None }
    });
    let id = opened.context("an incident was opened without a fact")?;
    let desk = state.desk.clone();
    let incident = blocking(move || shown(&desk, id)).await?;
    Ok((StatusCode::CREATED, Json(incident)))
}

/// Does it, and shows what the incident is then.
async fn change(
    state: State,
    caller: Caller,
    text: &str,
    command: impl FnOnce(IncidentId) -> Command,
) -> Result<Json<Incident>, Problem> {
    let id = id(text)?;
    let now = move |desk: &Desk| {
        desk.read(|state| {
            let entry = state.incidents.get(&id);
            json!({
                "id": id,
                "status": entry.map(|entry| entry.incident.status.name()),
                "owner": entry.map(|entry| entry.incident.owner.clone()),
                "left_open": state.left_open(id),
            })
        })
    };
    ask(&state, &caller, command(id), now).await?;
    let desk = state.desk.clone();
    blocking(move || shown(&desk, id)).await.map(Json)
}

pub(super) async fn assign(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Owner { owner }): Json<Owner>,
) -> Result<Json<Incident>, Problem> {
    let owner = if owner == "me" { name(&caller.actor) } else { owner };
    change(state, caller, &text, |id| Command::Incident(id, Change::Assign { owner })).await
}

pub(super) async fn comment(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(Comment { text: said }): Json<Comment>,
) -> Result<Json<Incident>, Problem> {
    change(state, caller, &text, |id| Command::Incident(id, Change::Comment { text: said })).await
}

pub(super) async fn set_status(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(NewStatus { status, reason }): Json<NewStatus>,
) -> Result<Json<Incident>, Problem> {
    change(state, caller, &text, |id| Command::SetStatus(id, status, reason)).await
}

pub(super) async fn add_alerts(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Json(more): Json<MoreAlerts>,
) -> Result<Json<Incident>, Problem> {
    let alerts = alerts(&state, &more.alerts).await?;
    change(state, caller, &text, |id| Command::AddAlerts(id, alerts)).await
}
