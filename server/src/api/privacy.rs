//! Privacy: erasures by two people, and the reading of sealed values.

use super::{
    State, blocking,
    caller::Caller,
    event::read,
    extract::{Json, Path},
    problem::Problem,
};
use crate::privacy::{cases::CaseError, reveal as reveal_fields};
use axum::http::StatusCode;
use custos_event::{
    Actor, Erasure as Case, ErasureStage, Fact, LogId, Partition, Position, Seq, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The erasures there are, by subject.
#[derive(Serialize, ToSchema)]
pub(super) struct Erasures {
    erasures: Vec<Erasure>,
    /// People who have a key.
    subjects: usize,
}

/// The newest erasure of one person.
#[derive(Serialize, ToSchema)]
pub(super) struct Erasure {
    /// The person's name as a keyed hash.
    subject: String,
    /// `requested`, `approved`, `denied` or `erased`.
    #[schema(value_type = String)]
    stage: ErasureStage,
    reason: String,
    requested_by: Option<String>,
    #[schema(value_type = Option<String>)]
    requested_at: Option<Timestamp>,
    /// Who approved or denied it.
    answered_by: Option<String>,
    #[schema(value_type = Option<String>)]
    answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    erased_at: Option<Timestamp>,
}

impl Erasure {
    fn new(subject: String, case: Case) -> Self {
        let (requested_at, requested_by) = told(case.requested);
        let (answered_at, answered_by) = told(case.answered);
        Self {
            subject,
            stage: case.stage,
            reason: case.reason,
            requested_by,
            requested_at,
            answered_by,
            answered_at,
            erased_at: case.erased_at,
        }
    }
}

fn told(word: Option<(Timestamp, Actor)>) -> (Option<Timestamp>, Option<String>) {
    word.map_or((None, None), |(at, actor)| (Some(at), Some(actor.name().to_owned())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewErasure {
    /// The person as the events name them: the value of the field that the source's policy takes for it. It
    /// is hashed at once, and kept nowhere.
    subject: String,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyNot {
    reason: String,
}

pub(super) async fn list(state: State) -> Result<Json<Erasures>, Problem> {
    let of = |(subject, case)| Erasure::new(subject, case);
    let erasures = state.cases.list().into_iter().map(of).collect();
    let subjects = state.opened.store.keyring().subjects_count();
    Ok(Json(Erasures { erasures, subjects }))
}

pub(super) async fn request(
    state: State,
    caller: Caller,
    Json(new): Json<NewErasure>,
) -> Result<(StatusCode, Json<Erasure>), Problem> {
    if new.subject.is_empty() {
        return Err(Problem::wrong("subject is empty; name the person as the events do"));
    }
    blocking(move || {
        let requested = state.cases.request(&caller.actor, &new.subject, new.reason);
        let (subject, case) = requested.map_err(problem)?;
        Ok((StatusCode::CREATED, Json(Erasure::new(subject, case))))
    })
    .await
}

pub(super) async fn approve(
    state: State,
    caller: Caller,
    Path(subject): Path<String>,
) -> Result<Json<Erasure>, Problem> {
    blocking(move || {
        let case = state.cases.approve(&caller.actor, &subject).map_err(problem)?;
        Ok(Json(Erasure::new(subject, case)))
    })
    .await
}

pub(super) async fn deny(
    state: State,
    caller: Caller,
    Path(subject): Path<String>,
    Json(why): Json<WhyNot>,
) -> Result<Json<Erasure>, Problem> {
    blocking(move || {
        let case = state.cases.deny(&caller.actor, &subject, why.reason).map_err(problem)?;
        Ok(Json(Erasure::new(subject, case)))
    })
    .await
}

fn problem(error: CaseError) -> Problem {
    match error {
        CaseError::Rejected(rejection) => Problem::new(StatusCode::CONFLICT, rejection.to_string()),
        CaseError::Failed(error) => Problem::failed(&error),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reveal {
    /// Why: it stands in the log, with who asked.
    reason: String,
}

/// The sealed values of one event.
#[derive(Serialize, ToSchema)]
pub(super) struct Revealed {
    fields: Vec<RevealedField>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RevealedField {
    field: String,
    sealed: String,
    /// Absent where its key is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Words for a person to read.
const REASON_CHARS_MAX: usize = 1_000;

pub(super) async fn reveal(
    state: State,
    caller: Caller,
    Path((log, partition, seq)): Path<(LogId, u16, u64)>,
    Json(asked): Json<Reveal>,
) -> Result<Json<Revealed>, Problem> {
    let words = asked.reason.trim().chars().count();
    if !(1..=REASON_CHARS_MAX).contains(&words) {
        return Err(Problem::wrong(
            "say why, in up to 1,000 characters: the reason stands in the log",
        ));
    }
    let position = Position { log, partition: Partition(partition), seq: Seq(seq) };
    blocking(move || {
        let there = log.is_telemetry().then(|| read(&state, position)).transpose()?.flatten();
        let event = there.ok_or_else(|| Problem::no_record(&state.opened.store, position))?;
        let found = reveal_fields(&state.opened.store, &event, &state.opened.table);
        let mut names: Vec<_> = found.iter().map(|(field, ..)| field.clone()).collect();
        names.sort();
        names.dedup();
        let fact = |field| Fact::FieldRevealed { position, field, reason: asked.reason.clone() };
        // Nothing is shown that was not written down first.
        if !names.is_empty() {
            state.record(&caller, names.into_iter().map(fact).collect())?;
        }
        let of = |(field, sealed, value)| RevealedField { field, sealed, value };
        Ok(Json(Revealed { fields: found.into_iter().map(of).collect() }))
    })
    .await
}
