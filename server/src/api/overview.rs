//! The overview: what is to do now, whether everything comes in, and how quick people were.

use super::{State, alerts::severity, blocking, extract::Json, problem::Problem, sources};
use crate::{projection::board::Status, respond::state::State as Desk};
use custos_event::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Over how long the mean times are taken.
const MEANS_DAYS: i64 = 30;

#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    alerts: AlertCounts,
    incidents: IncidentCounts,
    runs: RunCounts,
    /// What is blocked or disabled now and can be undone.
    open_effects: usize,
    open_tasks: usize,
    events: EventCounts,
    sources: sources::SourceTotals,
    /// Mean seconds over the alerts of the last thirty days: from what happened to the alert; from the alert
    /// until somebody took it; until it was judged. Absent where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    mttd_secs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtta_secs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mttr_secs: Option<f64>,
    /// Of now: absent in what was.
    #[serde(skip_serializing_if = "Option::is_none")]
    integrity: Option<Integrity>,
    /// Since when nothing is taken in because room on the disk is short; absent while all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    intake_paused_since: Option<Timestamp>,
    /// The commit up to which this holds.
    as_of: u64,
}

#[derive(Default, Serialize, ToSchema)]
struct AlertCounts {
    open: usize,
    acknowledged: usize,
    closed: usize,
    /// Open ones by level.
    by_level: BTreeMap<String, usize>,
    /// The highest level that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    highest: Option<String>,
}

#[derive(Default, Serialize, ToSchema)]
struct IncidentCounts {
    open: usize,
    contained: usize,
    closed: usize,
}

#[derive(Default, Serialize, ToSchema)]
struct RunCounts {
    /// That go on once somebody approves or settles something.
    waiting: usize,
    running: usize,
}

#[derive(Serialize, ToSchema)]
struct EventCounts {
    total: u64,
    last_minute: u64,
    /// Received in each of the last sixty minutes, the oldest first.
    per_minute: Vec<u64>,
}

/// How far signed checkpoints vouch for the logs of events; the time is that of the oldest of the newest ones.
#[derive(Serialize, ToSchema)]
struct Integrity {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last_checkpoint: Option<Timestamp>,
    /// So many events are signed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

pub(super) async fn show(state: State) -> Result<Json<Overview>, Problem> {
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || {
        let sources = sources::SourceList::now(&state);
        let per_minute = sources.per_minute();
        let folded = state.views.read();
        let from = state.clock.now().plus_secs(-MEANS_DAYS * 86_400);
        let means = folded.board.means(from);
        let mut alerts = AlertCounts::default();
        for row in folded.board.newest() {
            match row.status() {
                Status::Open => {
                    alerts.open += 1;
                    *alerts.by_level.entry(row.level.to_string()).or_default() += 1;
                }
                Status::Acknowledged => alerts.acknowledged += 1,
                Status::Closed => alerts.closed += 1,
            }
        }
        alerts.highest = alerts.by_level.keys().max_by_key(|level| severity(level)).cloned();
        let (incidents, runs) = state.desk.read(|desk| (incidents(desk), runs(desk)));
        let (open_effects, open_tasks) = state.desk.read(|desk| {
            let steps = desk.runs.values().flat_map(|entry| &entry.run.steps);
            let tasks = desk.tasks.values().filter(|entry| entry.task.is_open());
            (steps.filter(|step| step.undo.is_open()).count(), tasks.count())
        });
        let total = state.events_total();
        let last_minute = per_minute.last().copied().unwrap_or(0);
        Ok(Json(Overview {
            alerts,
            incidents,
            runs,
            open_effects,
            open_tasks,
            events: EventCounts { total, last_minute, per_minute },
            sources: sources.totals(),
            mttd_secs: means.detect.secs(),
            mtta_secs: means.acknowledge.secs(),
            mttr_secs: means.resolve.secs(),
            integrity: state.then.is_none().then(|| integrity(&state)),
            intake_paused_since: paused_since(&state),
            as_of: folded.commit.0,
        }))
    })
    .await
}

fn incidents(desk: &Desk) -> IncidentCounts {
    use custos_respond::incident::Status;
    let mut incidents = IncidentCounts::default();
    for entry in desk.incidents.values() {
        match entry.incident.status {
            Status::Open => incidents.open += 1,
            Status::Contained => incidents.contained += 1,
            Status::Closed => incidents.closed += 1,
        }
    }
    incidents
}

fn runs(desk: &Desk) -> RunCounts {
    use custos_respond::run::Status;
    let mut runs = RunCounts::default();
    for entry in desk.runs.values() {
        match entry.run.status() {
            Status::Waiting | Status::Asks => runs.waiting += 1,
            Status::Running => runs.running += 1,
            Status::Done | Status::Stopped => {}
        }
    }
    runs
}

/// Of now: nothing is told of it in what was.
fn paused_since(state: &State) -> Option<Timestamp> {
    let pause = state.then.is_none().then(|| state.opened.store.paused()).flatten();
    pause.map(|pause| pause.since)
}

fn integrity(state: &State) -> Integrity {
    let store = &state.opened.store;
    let logs = store.logs().into_iter().filter(|(log, _)| log.is_telemetry());
    let signed: Vec<_> = logs.filter_map(|(log, part)| store.last_checkpoint(log, part)).collect();
    Integrity {
        last_checkpoint: signed.iter().map(|(at, _)| *at).min(),
        size: (!signed.is_empty()).then(|| signed.iter().map(|(_, size)| size).sum()),
    }
}
