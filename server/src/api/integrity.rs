//! Whether the logs are whole: their heads, who else holds them, the last verification, and others' logs that are
//! witnessed here.

use super::{
    State, blocking,
    caller::Caller,
    extract::Json,
    problem::Problem,
    respond::{name, problem},
};
use crate::{
    evidence::{
        heads::{self, SignedHead},
        known::{Head, Known, Refused, Seen, Verified},
    },
    folder::system,
    respond::Command,
    witness,
};
use custos_event::{Fact, Timestamp};
use custos_evidence::{Checkpoint, hex, note, unhex};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::error;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = IntegrityReport)]
pub(super) struct Integrity {
    logs: Vec<LogState>,
    /// The public keys, a line a log: for whoever holds checkpoints.
    keys: String,
    verification: Verification,
    witnesses: Vec<WitnessState>,
    /// Heads of other nodes' logs that are kept here.
    witnessed: Vec<WitnessedLog>,
    /// Heads that contradict what was witnessed, newest first: those logs were cut or changed.
    refused: Vec<RefusedHead>,
}

#[derive(Serialize, ToSchema)]
struct LogState {
    log: String,
    records: u64,
    /// In hex.
    root: String,
    checkpoint: Option<Kept>,
}

/// The newest checkpoint kept in the data folder.
#[derive(Serialize, ToSchema)]
#[schema(as = KeptCheckpoint)]
struct Kept {
    size: u64,
    #[schema(value_type = String)]
    at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct Verification {
    running: Option<Running>,
    last: Option<Ended>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VerificationRunning)]
struct Running {
    #[schema(value_type = String)]
    since: Timestamp,
    by: String,
    bytes_done: u64,
    bytes_total: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VerificationEnded)]
struct Ended {
    #[schema(value_type = String)]
    at: Timestamp,
    by: String,
    records: u64,
    ok: bool,
    faults: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct WitnessState {
    name: String,
    /// `folder`, `s3`, `mail` or `custos`.
    kind: &'static str,
    logs: Vec<SentTo>,
    /// In a row.
    failures: u32,
    error: Option<String>,
    #[schema(value_type = String)]
    next_at: Timestamp,
}

/// What a witness has of one log.
#[derive(Serialize, ToSchema)]
struct SentTo {
    log: String,
    size: u64,
    /// Records that it does not know of yet.
    lag: u64,
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
struct WitnessedLog {
    origin: String,
    size: u64,
    root: String,
    #[schema(value_type = String)]
    at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct RefusedHead {
    origin: String,
    size: u64,
    witnessed: u64,
    reason: String,
    #[schema(value_type = String)]
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<AcceptedHead>,
}

/// Who vouched for it.
#[derive(Serialize, ToSchema)]
struct AcceptedHead {
    by: String,
    #[schema(value_type = String)]
    at: Timestamp,
    reason: String,
}

/// The newest refused head of this origin and size.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptHead {
    origin: String,
    size: u64,
    /// Why it is right though it contradicts an earlier one; it stands in the log.
    reason: String,
}

pub(super) async fn show(state: State) -> Result<Json<Integrity>, Problem> {
    blocking(move || Ok(Json(integrity(&state)?))).await
}

fn integrity(state: &State) -> anyhow::Result<Integrity> {
    let store = &state.opened.store;
    let mut logs = Vec::new();
    for (log, partition) in store.logs() {
        let Some(prover) = store.prover(log, partition)? else { continue };
        let (records, root) = prover.head();
        let kept = store.last_checkpoint(log, partition);
        let checkpoint = kept.map(|(at, size)| Kept { size, at });
        let log = match partition.0 {
            0 => log.to_string(),
            partition => format!("{log}/{partition}"),
        };
        logs.push(LogState { log, records, root: hex(&root), checkpoint });
    }
    let witnesses = state.witnesses.states().iter().map(|one| witness_state(one, &logs)).collect();
    let running = state.verifier.running().map(|running| {
        let (bytes_done, bytes_total) = running.progress.bytes();
        Running { since: running.at, by: name(&running.by), bytes_done, bytes_total }
    });
    let keys = store.public_keys();
    Ok(state.desk.read(|desk| {
        let Known { heads, refused, verified, .. } = &desk.known;
        let last = verified.as_ref().map(ended);
        Integrity {
            logs,
            keys,
            verification: Verification { running, last },
            witnesses,
            witnessed: heads.iter().map(witnessed).collect(),
            refused: refused.iter().rev().map(refusal).collect(),
        }
    }))
}

fn witness_state(state: &witness::State, logs: &[LogState]) -> WitnessState {
    let sent = |log: &LogState| {
        let sent = state.sent.get(&log.log);
        let size = sent.map_or(0, |sent| sent.size);
        let lag = log.records.saturating_sub(size);
        SentTo { log: log.log.clone(), size, lag, at: sent.map(|sent| sent.at) }
    };
    WitnessState {
        name: state.name.clone(),
        kind: state.kind,
        logs: logs.iter().map(sent).collect(),
        failures: state.failures,
        error: state.error.clone(),
        next_at: state.next_at,
    }
}

fn ended(verified: &Verified) -> Ended {
    let Verified { at, by, records, faults } = verified;
    let ok = faults.is_empty();
    Ended { at: *at, by: name(by), records: *records, ok, faults: faults.clone() }
}

fn witnessed((origin, head): (&String, &Head)) -> WitnessedLog {
    let (origin, root) = (origin.clone(), hex(&head.root));
    WitnessedLog { origin, size: head.size, root, at: head.at }
}

fn refusal(refused: &Refused) -> RefusedHead {
    let Refused { origin, size, witnessed, reason, at, accepted, .. } = refused.clone();
    let accepted = accepted.map(|accepted| AcceptedHead {
        by: name(&accepted.by),
        at: accepted.at,
        reason: accepted.reason,
    });
    RefusedHead { origin, size, witnessed, reason, at, accepted }
}

/// The head of each log, signed now.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedHeads {
    checkpoints: Vec<SignedHead>,
}

pub(super) async fn checkpoints(state: State) -> Result<Json<SignedHeads>, Problem> {
    blocking(move || {
        let signed = heads::sign(&state.opened.store);
        let checkpoints = signed.map_err(|error| Problem::failed(&anyhow::Error::new(error)))?;
        Ok(Json(SignedHeads { checkpoints }))
    })
    .await
}

/// Begins to read every byte of every log, and tells how far it is.
pub(super) async fn verify(state: State, caller: Caller) -> Result<Json<Integrity>, Problem> {
    if !state.verifier.start(&caller.actor) {
        let now = json!({"verification": "running"});
        return Err(Problem::conflict("a verification is under way already; wait for it", now));
    }
    show(state).await
}

/// From then on the log is witnessed as it goes on from there.
pub(super) async fn accept(
    state: State,
    caller: Caller,
    Json(head): Json<AcceptHead>,
) -> Result<Json<Integrity>, Problem> {
    let AcceptHead { origin, size, reason } = head;
    blocking(move || {
        let command = Command::AcceptHead { origin, size, reason };
        let done = state.desk.command(&caller.actor, None, command);
        done.map_err(|error| problem(error, || json!({})))?;
        Ok(Json(integrity(&state)?))
    })
    .await
}

/// The head of another Custos' log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SentHead {
    /// The signed note.
    note: String,
    /// The size that `path` proves from: what this witness has, 0 if nothing.
    old: u64,
    /// The consistency proof (RFC 9162, 2.1.4), in hex.
    path: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WitnessedHead)]
pub(super) struct Accepted {
    origin: String,
    size: u64,
}

/// Who sends proves itself by the note's signature. A head that continues the known one is kept in the journal; one
/// that contradicts it is kept there too, as what it is.
pub(super) async fn witness(
    state: State,
    Json(sent): Json<SentHead>,
) -> Result<Json<Accepted>, Problem> {
    let seen = read(&sent)?;
    let stranger = |error| Problem::forbidden(format!("{error}; add its key to [witnessed] keys"));
    seen.note.check(state.witnesses.accepted()).map_err(stranger)?;
    blocking(move || {
        let Checkpoint { origin, size, root, .. } = seen.note.clone();
        let known = || state.desk.read(|desk| desk.known.heads.get(&origin).cloned());
        let command = Command::Witness(Box::new(seen));
        let facts = state.desk.command(&system("witness"), None, command);
        let now = |refused| {
            let size = known().map_or(0, |head| head.size);
            json!({"size": size, "refused": refused})
        };
        let facts = facts.map_err(|error| problem(error, || now(false)))?;
        for (_, fact) in &facts {
            if let Fact::CheckpointRefused { reason, witnessed, .. } = fact {
                metrics::counter!("custos_witnessed_refused_total").increment(1);
                error!(
                    origin,
                    size, witnessed, reason, "a log that is witnessed here was cut or changed"
                );
            }
        }
        if known().is_some_and(|head| (head.size, head.root) == (size, root)) {
            return Ok(Json(Accepted { origin, size }));
        }
        let text = format!("{origin} of {size} records contradicts what was witnessed before");
        Err(Problem::conflict(text, now(true)))
    })
    .await
}

/// A head has 250 bytes; other witnesses' signatures below it have about 150 each.
const NOTE_BYTES_MAX: usize = 4 << 10;

fn read(sent: &SentHead) -> Result<Seen, Problem> {
    if sent.note.len() > NOTE_BYTES_MAX {
        return Err(Problem::wrong(format!("note: longer than {NOTE_BYTES_MAX} bytes")));
    }
    let notes = note::parse_all(&sent.note);
    let notes = notes.map_err(|error| Problem::wrong(format!("note: {error}")))?;
    let Ok([note]) = <[Checkpoint; 1]>::try_from(notes) else {
        return Err(Problem::wrong("note: one at a time"));
    };
    // A tree of 2^64 leaves has a path of 65 hashes.
    let path: Option<Vec<_>> = sent.path.iter().take(66).map(|text| unhex(text)).collect();
    let path = path.ok_or_else(|| Problem::wrong("path: no hash in hex"))?;
    Ok(Seen { note, old: sent.old, path })
}
