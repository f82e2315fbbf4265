//! Sources in people's hands while Custos runs: a name and a token for a shipper; what of Kafka is not read for now.

use super::{
    State, blocking,
    caller::Caller,
    extract::{Json, Path},
    problem::Problem,
    sources::{self, SourceList},
};
use crate::sourcebook::{BookError, Made};
use axum::http::StatusCode;
use custos_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The sources that people made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeSources {
    sources: Vec<MadeSource>,
    /// What a source's events may be said to be.
    types: Vec<String>,
}

/// One source that somebody made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeSource {
    /// Its events come as `elasticsearch:NAME`, `splunk:NAME`, `otlp:NAME` or `gelf:NAME`.
    name: String,
    #[serde(rename = "type")]
    kind: String,
    /// Its token holds.
    open: bool,
    /// Of its newest token, or its end.
    #[schema(value_type = String)]
    changed_at: Timestamp,
    changed_by: String,
    /// Why it was closed.
    reason: Option<String>,
}

impl MadeSource {
    fn new(name: String, made: Made) -> Self {
        let open = made.is_open();
        let changed_by = made.by.name().to_owned();
        let Made { kind, at: changed_at, reason, .. } = made;
        Self { name, kind, open, changed_at, changed_by, reason }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSource {
    /// 1 to 64 of a-z A-Z 0-9 . _ -
    name: String,
    /// One of `types`.
    #[serde(rename = "type", default = "auto")]
    kind: String,
}

fn auto() -> String {
    "auto".into()
}

/// What its shipper has to show. It is told this once and kept nowhere.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuedToken {
    name: String,
    token: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseSource {
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseSource {
    reason: String,
}

pub(super) async fn list(state: State) -> Result<Json<MadeSources>, Problem> {
    let all = state.sources.list().into_iter();
    let sources = all.map(|(name, made)| MadeSource::new(name, made)).collect();
    Ok(Json(MadeSources { sources, types: state.sources.kinds() }))
}

pub(super) async fn make(
    state: State,
    caller: Caller,
    Json(new): Json<NewSource>,
) -> Result<(StatusCode, Json<IssuedToken>), Problem> {
    blocking(move || {
        let token = state.sources.make(&caller.actor, &new.name, &new.kind).map_err(problem)?;
        let issued = IssuedToken { name: new.name, token: token.reveal().clone() };
        Ok((StatusCode::CREATED, Json(issued)))
    })
    .await
}

pub(super) async fn renew(
    state: State,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<IssuedToken>, Problem> {
    blocking(move || {
        let token = state.sources.renew(&caller.actor, &name).map_err(problem)?;
        Ok(Json(IssuedToken { name, token: token.reveal().clone() }))
    })
    .await
}

pub(super) async fn close(
    state: State,
    caller: Caller,
    Path(name): Path<String>,
    Json(why): Json<CloseSource>,
) -> Result<Json<MadeSources>, Problem> {
    let of = state.clone();
    blocking(move || of.sources.close(&caller.actor, &name, &why.reason).map_err(problem)).await?;
    list(state).await
}

/// `name`: `kafka:TOPIC`, or `kafka` for all that is read from there.
pub(super) async fn pause(
    state: State,
    caller: Caller,
    Path(name): Path<String>,
    Json(why): Json<PauseSource>,
) -> Result<Json<SourceList>, Problem> {
    let of = state.clone();
    blocking(move || of.sources.pause(&caller.actor, &name, &why.reason).map_err(problem)).await?;
    sources::list(state).await
}

pub(super) async fn resume(
    state: State,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<SourceList>, Problem> {
    let of = state.clone();
    blocking(move || of.sources.resume(&caller.actor, &name).map_err(problem)).await?;
    sources::list(state).await
}

fn problem(error: BookError) -> Problem {
    let detail = error.to_string();
    match error {
        BookError::Name(_) | BookError::Kind(_) | BookError::Reason => Problem::wrong(detail),
        BookError::Unknown(_) | BookError::NotRead(_) => Problem::not_found(detail),
        BookError::Exists(_)
        | BookError::Paused(_)
        | BookError::NotPaused(_)
        | BookError::AllPaused
        | BookError::Configured(_)
        | BookError::Closed(_)
        | BookError::TooMany => Problem::new(StatusCode::CONFLICT, detail),
        BookError::Failed(failed) => Problem::failed(&failed),
    }
}
