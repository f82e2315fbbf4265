//! Backups and drills: what there is, what is being done, and asking for more.

use super::{State, blocking, caller::Caller, extract::Json, problem::Problem};
use crate::upkeep::{
    Ask,
    book::{Drilled, Failed, Row},
    listed::Listed,
};
use axum::http::StatusCode;
use custos_event::Timestamp;
use custos_store::{
    StoreError,
    backup::{self, BackupKind, Target},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Backups, the newest first, as the journal knows them.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "what the list is called over the API")]
pub(super) struct Backups {
    /// Where they go; absent where no `[backup]` is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    backups: Vec<Backup>,
    /// What is being done now.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Running>,
    /// The last restore drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<DrillShown>,
    /// What could not be done last, until it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Failure>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Backup {
    id: String,
    /// full, differential, incremental.
    kind: String,
    to: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// Everything up to this commit is in it.
    commit: u64,
    /// What a restore brings back, and what of it this one stores itself.
    bytes: u64,
    stored_bytes: u64,
    millis: u64,
    /// Segments that were damaged already when it was made.
    damaged: usize,
    /// The last check; each part was read back when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Checked {
    #[schema(value_type = String)]
    at: Timestamp,
    ok: bool,
    /// Every record was opened and is in the signed tree.
    proven: bool,
    errors: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Running {
    /// create, verify, drill.
    what: String,
    #[schema(value_type = String)]
    since: Timestamp,
    parts: u64,
    parts_total: u64,
    bytes: u64,
    bytes_total: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DrillShown {
    #[schema(value_type = String)]
    at: Timestamp,
    id: String,
    ok: bool,
    records: u64,
    bytes: u64,
    /// How many answers were held against the server's own.
    compared: u32,
    millis: u64,
    errors: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Failure {
    #[schema(value_type = String)]
    at: Timestamp,
    what: String,
    reason: String,
}

/// Backups as they lie at their place, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Lying {
    listed: Vec<Listed>,
    /// What of a backup does not read.
    damaged: Vec<String>,
}

/// Which kind of backup.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBackup {
    /// full, differential, incremental.
    #[schema(value_type = String)]
    kind: BackupKind,
}

/// Which backup.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichBackup {
    /// Without it, all.
    id: Option<String>,
}

/// It was taken in hand; GET /backups tells how it goes.
#[derive(Serialize, ToSchema)]
pub(super) struct Asked {
    asked: bool,
}

impl Backup {
    fn of(id: &str, row: &Row) -> Self {
        let checked = row.checked.as_ref().map(|checked| Checked {
            at: checked.at,
            ok: checked.ok,
            proven: checked.proven,
            errors: checked.errors.clone(),
        });
        Self {
            id: id.to_owned(),
            kind: row.kind.clone(),
            to: row.to.clone(),
            created_at: row.created_at,
            commit: row.commit.0,
            bytes: row.bytes,
            stored_bytes: row.stored_bytes,
            millis: row.millis,
            damaged: row.damaged,
            checked,
        }
    }
}

impl DrillShown {
    fn of(drilled: &Drilled) -> Self {
        let Drilled { at, id, ok, records, bytes, compared, millis, errors } = drilled.clone();
        Self { at, id, ok, records, bytes, compared, millis, errors }
    }
}

impl Failure {
    fn of(failed: &Failed) -> Self {
        Self { at: failed.at, what: failed.what.clone(), reason: failed.reason.clone() }
    }
}

pub(super) async fn list(state: State) -> Json<Backups> {
    let running = state.upkeep.running().map(|running| Running {
        what: running.what.to_owned(),
        since: running.since,
        parts: running.progress.parts,
        parts_total: running.progress.parts_total,
        bytes: running.progress.bytes,
        bytes_total: running.progress.bytes_total,
    });
    let book = state.upkeep.book();
    Json(Backups {
        to: state.upkeep.config().map(|config| config.to.clone()),
        backups: book.backups.iter().rev().map(|(id, row)| Backup::of(id, row)).collect(),
        running,
        drill: book.drilled.as_ref().map(DrillShown::of),
        failed: book.failed.as_ref().map(Failure::of),
    })
}

/// Reads every manifest at the place where backups go.
pub(super) async fn listed(state: State) -> Result<Json<Lying>, Problem> {
    let config = state.upkeep.config().cloned().ok_or_else(no_place)?;
    blocking(move || {
        let failed = |error: StoreError| Problem::failed(&anyhow::Error::new(error));
        let target = Target::open(&config.to, &config.s3, false).map_err(failed)?;
        let (mut listed, mut damaged) = (Vec::new(), Vec::new());
        for found in backup::list(&target).map_err(failed)? {
            match found {
                Ok(manifest) => listed.push(Listed::of(&manifest)),
                Err(error) => damaged.push(error.to_string()),
            }
        }
        Ok(Json(Lying { listed, damaged }))
    })
    .await
}

pub(super) async fn create(
    state: State,
    caller: Caller,
    Json(new): Json<NewBackup>,
) -> Result<Json<Asked>, Problem> {
    ask(&state, caller, Ask::Backup(new.kind))
}

pub(super) async fn verify(
    state: State,
    caller: Caller,
    Json(which): Json<WhichBackup>,
) -> Result<Json<Asked>, Problem> {
    if let Some(id) = &which.id
        && !state.upkeep.book().backups.contains_key(id)
    {
        return Err(Problem::not_found(format!("there is no backup {id}")));
    }
    ask(&state, caller, Ask::Verify(which.id))
}

pub(super) async fn drill(state: State, caller: Caller) -> Result<Json<Asked>, Problem> {
    ask(&state, caller, Ask::Drill)
}

fn no_place() -> Problem {
    let detail =
        "no place for backups is configured; write [backup] to = \"…\" into the configuration";
    Problem::new(StatusCode::CONFLICT, detail)
}

fn ask(state: &State, caller: Caller, ask: Ask) -> Result<Json<Asked>, Problem> {
    if state.upkeep.config().is_none() {
        return Err(no_place());
    }
    if state.upkeep.ask(ask, caller.actor) {
        return Ok(Json(Asked { asked: true }));
    }
    Err(Problem::too_many("too many backups and checks are waiting already", 30))
}
