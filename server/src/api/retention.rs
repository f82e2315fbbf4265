//! How long events are kept, what was let go, and what legal holds keep from going; scrub and repair.

use super::{
    State, blocking,
    caller::Caller,
    extract::{Json, Path},
    problem::Problem,
    respond::name,
};
use crate::{
    respond::Desk,
    upkeep::{
        Ask,
        classes::Class,
        kept::{Damage, Drop, Hold, Scrubbed},
        policy::Retention as Policy,
        tending::HoldError,
    },
};
use axum::http::StatusCode;
use custos_event::{HoldScope, IncidentId, LogId, Partition, Timestamp};
use custos_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = RetentionShown)]
pub(super) struct Retention {
    /// As configured: `365d`; absent where events are kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<String>,
    /// As configured: `500GiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    logs: Vec<LogKept>,
    /// All that was ever let go.
    dropped_bytes: u64,
    /// The newest first.
    dropped: Vec<Dropped>,
    /// The newest first, lifted ones behind those that hold.
    holds: Vec<HoldShown>,
}

/// What there is of one log of events.
#[derive(Serialize, ToSchema)]
struct LogKept {
    log: String,
    /// The retention class that it keeps; absent for the log of all sources that are in none, and for one whose
    /// class is not configured any more, of which nothing is let go.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ClassShown>,
    /// Sealed ones; what is newer than these is not let go.
    segments: usize,
    bytes: u64,
    /// When the oldest event that is there was received, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    oldest: Option<Timestamp>,
}

/// Sources that are kept alike, apart from others.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionClass)]
struct ClassShown {
    name: String,
    /// As configured: a source, or how a source's name begins with a `*` behind.
    sources: Vec<String>,
    /// As configured: `365d`; absent where they are kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<String>,
    /// As configured: `500GiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DroppedRecords)]
struct Dropped {
    log: String,
    first: u64,
    last: u64,
    bytes: u64,
    /// When the newest of them was received.
    #[schema(value_type = String)]
    through: Timestamp,
    #[schema(value_type = String)]
    at: Timestamp,
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LegalHold)]
pub(super) struct HoldShown {
    hold: String,
    scope: Scope,
    reason: String,
    by: String,
    #[schema(value_type = String)]
    at: Timestamp,
    /// What would have gone without it, as of the last look.
    held_segments: u64,
    held_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted: Option<LiftedShown>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LiftedHold)]
struct LiftedShown {
    by: String,
    #[schema(value_type = String)]
    at: Timestamp,
    reason: String,
}

/// What a hold covers; `kind` says which of the others are there.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = HoldScope)]
pub(super) enum Scope {
    /// The events that the incident's alerts were raised by, and those attached to it.
    Incident { incident: String },
    /// Everything that one source sent.
    Source { source: String },
    /// Everything received from one time to another, the latter left out.
    Received {
        #[schema(value_type = String)]
        from: Timestamp,
        #[schema(value_type = String)]
        to: Timestamp,
    },
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    scope: Scope,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftHold {
    reason: String,
}

/// It was taken in hand.
#[derive(Serialize, ToSchema)]
#[schema(as = TakenInHand)]
pub(super) struct Asked {
    asked: bool,
}

/// Damage that was found, and the last scrub.
#[derive(Serialize, ToSchema)]
#[schema(as = ScrubShown)]
pub(super) struct Scrub {
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastScrub>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Running>,
    /// Where a backup is configured to repair from.
    repairable: bool,
    /// The newest first.
    damages: Vec<DamageShown>,
}

#[derive(Serialize, ToSchema)]
struct LastScrub {
    #[schema(value_type = String)]
    at: Timestamp,
    segments: u64,
    bytes: u64,
    damaged: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ScrubRunning)]
struct Running {
    segments: u64,
    segments_total: u64,
    bytes: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DamagedRange)]
struct DamageShown {
    log: String,
    first: u64,
    last: u64,
    reason: String,
    #[schema(value_type = String)]
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<RepairShown>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RepairedFrom)]
struct RepairShown {
    #[schema(value_type = String)]
    at: Timestamp,
    backup: String,
}

impl From<&HoldScope> for Scope {
    fn from(scope: &HoldScope) -> Self {
        match scope {
            HoldScope::Incident { incident } => Self::Incident { incident: incident.to_string() },
            HoldScope::Source { source } => Self::Source { source: source.clone() },
            HoldScope::Received { from, to } => Self::Received { from: *from, to: *to },
        }
    }
}

impl Scope {
    fn read(self, desk: &Desk) -> Result<HoldScope, Problem> {
        Ok(match self {
            Self::Incident { incident } => {
                let unknown = || Problem::not_found(format!("there is no {incident}"));
                let id: IncidentId = incident.parse().map_err(|_| unknown())?;
                if !desk.read(|state| state.incidents.contains_key(&id)) {
                    return Err(unknown());
                }
                HoldScope::Incident { incident: id }
            }
            Self::Source { source } => HoldScope::Source { source },
            Self::Received { from, to } => HoldScope::Received { from, to },
        })
    }
}

impl From<&Drop> for Dropped {
    fn from(drop: &Drop) -> Self {
        Self {
            log: drop.log.to_string(),
            first: drop.first.0,
            last: drop.last.0,
            bytes: drop.bytes,
            through: drop.through,
            at: drop.at,
            reason: drop.reason.clone(),
        }
    }
}

impl From<&Damage> for DamageShown {
    fn from(damage: &Damage) -> Self {
        let repaired = damage.repaired.clone();
        Self {
            log: damage.log.to_string(),
            first: damage.first.0,
            last: damage.last.0,
            reason: damage.reason.clone(),
            at: damage.at,
            repaired: repaired.map(|(at, backup)| RepairShown { at, backup }),
        }
    }
}

pub(super) async fn show(state: State) -> Result<Json<Retention>, Problem> {
    blocking(move || Ok(Json(retention(&state)?))).await
}

fn retention(state: &State) -> anyhow::Result<Retention> {
    let policy = state.upkeep.keeping().retention.as_ref();
    let logs = logs(&state.opened.store, policy)?;
    let limits = policy.map(|policy| policy.limits.clone()).unwrap_or_default();
    let kept = state.upkeep.kept();
    let mut holds: Vec<_> =
        kept.holds.iter().rev().map(|(hold, one)| shown(state, hold, one)).collect();
    holds.sort_by_key(|hold| hold.lifted.is_some());
    Ok(Retention {
        keep: limits.keep.map(|(text, _)| text),
        max: limits.max.map(|(text, _)| text),
        logs,
        dropped_bytes: kept.dropped_bytes,
        dropped: kept.drops.iter().rev().map(Dropped::from).collect(),
        holds,
    })
}

/// Those that hold something, and those that a class is to fill.
fn logs(store: &Store, policy: Option<&Policy>) -> anyhow::Result<Vec<LogKept>> {
    let partition = Partition::default();
    let classes = policy.into_iter().flat_map(|policy| policy.classes.iter());
    let classes: BTreeMap<_, _> = classes.map(|class| ((class.log, partition), class)).collect();
    let there = store.logs().into_iter().filter(|(log, _)| log.is_telemetry());
    let all: BTreeSet<_> = there.chain(classes.keys().copied()).collect();
    let kept = |id: (LogId, Partition)| {
        let segments = store.sealed_segments(id.0, id.1)?;
        Ok(LogKept {
            log: id.0.to_string(),
            class: classes.get(&id).map(|class| ClassShown::from(*class)),
            segments: segments.len(),
            bytes: segments.iter().map(|info| info.bytes).sum(),
            oldest: segments.first().map(|info| info.created_at),
        })
    };
    all.into_iter().map(kept).collect()
}

impl From<&Class> for ClassShown {
    fn from(class: &Class) -> Self {
        Self {
            name: class.name.clone(),
            sources: class.sources.iter().map(ToString::to_string).collect(),
            keep: class.limits.keep.as_ref().map(|(text, _)| text.clone()),
            max: class.limits.max.as_ref().map(|(text, _)| text.clone()),
        }
    }
}

fn shown(state: &State, hold: &str, one: &Hold) -> HoldShown {
    let back = state.upkeep.held().get(hold).copied().unwrap_or_default();
    let lifted = one.lifted.as_ref().map(|lifted| LiftedShown {
        by: name(&lifted.by),
        at: lifted.at,
        reason: lifted.reason.clone(),
    });
    HoldShown {
        hold: hold.to_owned(),
        scope: (&one.scope).into(),
        reason: one.reason.clone(),
        by: name(&one.by),
        at: one.at,
        held_segments: back.segments,
        held_bytes: back.bytes,
        lifted,
    }
}

pub(super) async fn place(
    state: State,
    caller: Caller,
    Json(new): Json<NewHold>,
) -> Result<Json<HoldShown>, Problem> {
    let scope = new.scope.read(&state.desk)?;
    blocking(move || {
        let (store, actor) = (&state.opened.store, &caller.actor);
        let placed = state.upkeep.place(store, actor, scope, new.reason);
        let hold = placed.map_err(|error| problem(&state, error))?;
        one(&state, &hold)
    })
    .await
}

pub(super) async fn lift(
    state: State,
    caller: Caller,
    Path(hold): Path<String>,
    Json(lift): Json<LiftHold>,
) -> Result<Json<HoldShown>, Problem> {
    blocking(move || {
        let (store, actor) = (&state.opened.store, &caller.actor);
        let lifted = state.upkeep.lift(store, actor, &hold, lift.reason);
        lifted.map_err(|error| problem(&state, error))?;
        one(&state, &hold)
    })
    .await
}

fn one(state: &State, hold: &str) -> Result<Json<HoldShown>, Problem> {
    let found = state.upkeep.kept().holds.get(hold).map(|one| shown(state, hold, one));
    found.map(Json).ok_or_else(|| Problem::not_found(format!("there is no hold {hold}")))
}

fn problem(state: &State, error: HoldError) -> Problem {
    match error {
        HoldError::Failed(error) => Problem::failed(&error),
        HoldError::Wrong(text) => Problem::wrong(text),
        HoldError::Unknown(_) => Problem::not_found(error.to_string()),
        HoldError::Lifted(hold) => {
            let now = state.upkeep.kept().holds.get(&hold).map(|one| shown(state, &hold, one));
            Problem::conflict(format!("{hold} was lifted already"), json!({"hold": now}))
        }
    }
}

/// Looks now what the policy lets go, instead of at the next hour.
pub(super) async fn run(state: State, caller: Caller) -> Result<Json<Asked>, Problem> {
    if state.upkeep.keeping().retention.is_none() {
        let detail = "nothing is let go: write [retention] keep = \"365d\" into the configuration";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    ask(&state, caller, Ask::Retain)
}

pub(super) async fn scrub_state(state: State) -> Json<Scrub> {
    Json(scrub_shown(&state))
}

fn scrub_shown(state: &State) -> Scrub {
    let kept = state.upkeep.kept();
    let last = kept.scrubbed.map(|Scrubbed { at, segments, bytes, damaged }| LastScrub {
        at,
        segments,
        bytes,
        damaged,
    });
    let running = state.upkeep.scrubbing().map(|progress| Running {
        segments: progress.segments,
        segments_total: progress.segments_total,
        bytes: progress.bytes,
    });
    Scrub {
        last,
        running,
        repairable: state.upkeep.config().is_some(),
        damages: kept.damages.iter().rev().map(DamageShown::from).collect(),
    }
}

pub(super) async fn scrub(state: State, caller: Caller) -> Json<Scrub> {
    state.upkeep.ask_scrub_by(caller.actor);
    Json(scrub_shown(&state))
}

pub(super) async fn repair(state: State, caller: Caller) -> Result<Json<Asked>, Problem> {
    if state.upkeep.config().is_none() {
        let detail = "no place for backups is configured to repair from; write [backup] to = \"…\" \
                      into the configuration";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    ask(&state, caller, Ask::Repair)
}

fn ask(state: &State, caller: Caller, ask: Ask) -> Result<Json<Asked>, Problem> {
    if state.upkeep.ask(ask, caller.actor) {
        return Ok(Json(Asked { asked: true }));
    }
    Err(Problem::too_many("too much is waiting already", 30))
}
