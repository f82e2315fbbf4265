//! Lines over HTTP: `POST /ingest/v1/{source}`, answered when they are durable.
//!
//! The body is lines, JSON objects or plain text, as they are or in gzip. The answer is
//! `{"received","stored","rejected"}`; an error is `{"error","message"}` and, where some lines are durable
//! already, `"lines"`: so many lines of the body need not be sent again. Who may call is `server`'s matter.

use crate::{
    batch::{Batch, Intake, IntakeError},
    body::{Bodies, BodyError, BodyLimits},
    counters::Tally,
    decoding::{Decode, Decoders},
    gate::{APPEND_BYTES_MAX, APPEND_EVENTS_MAX},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use custos_event::{Clock, ParsedEvent, Timestamp};
use std::{collections::BTreeSet, sync::Arc};
use tokio::task::spawn_blocking;

/// Seconds after which a client may try again: a request in flight takes some tens of ms, a full disk
/// longer.
pub(crate) const RETRY_BUSY: &str = "1";
pub(crate) const RETRY_PAUSED: &str = "5";

#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// The sources that are taken; `None` takes every well-formed name.
    pub sources: Option<BTreeSet<String>>,
    pub limits: BodyLimits,
}

/// What the route needs.
pub struct HttpIntake<I> {
    config: HttpConfig,
    intake: Arc<I>,
    decoders: Decoders,
    clock: Arc<dyn Clock>,
    bodies: Bodies,
}

impl<I: Intake> HttpIntake<I> {
    pub fn new(
        config: HttpConfig,
        intake: Arc<I>,
        decoders: Decoders,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let bodies = Bodies::new(config.limits.clone());
        Arc::new(Self { config, intake, decoders, clock, bodies })
    }
}

/// The route, to be merged into the server's.
pub fn router<I: Intake>(intake: Arc<HttpIntake<I>>) -> Router {
    Router::new().route("/ingest/v1/{source}", post(ingest::<I>)).with_state(intake)
}

/// Why a body was not taken, or not whole.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("'{0}' is no name of a source; use 1 to 64 of a-z A-Z 0-9 . _ -")]
    Name(String),
    #[error("source '{0}' is not configured; name it in http.sources")]
    UnknownSource(String),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("{0}")]
    Paused(Arc<str>),
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
    #[error("a decoder failed: a fault of Custos, please report it")]
    Decoder,
}

impl HttpError {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Name(_) => (StatusCode::BAD_REQUEST, "bad_source_name"),
            Self::UnknownSource(_) => (StatusCode::NOT_FOUND, "unknown_source"),
            Self::Body(error) => error.kind(),
            Self::Paused(_) => (StatusCode::SERVICE_UNAVAILABLE, "paused"),
            Self::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_failed"),
            Self::Decoder => (StatusCode::INTERNAL_SERVER_ERROR, "decoder_failed"),
        }
    }

    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Body(BodyError::Busy) => Some(RETRY_BUSY),
            Self::Paused(_) => Some(RETRY_PAUSED),
            Self::Name(_)
            | Self::UnknownSource(_)
            | Self::Body(_)
            | Self::Failed(_)
            | Self::Decoder => None,
        }
    }
}

async fn ingest<I: Intake>(
    State(state): State<Arc<HttpIntake<I>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut tally = Tally { source: format!("http:{name}").into(), stored: 0, rejected: 0 };
    match take(&state, &name, &headers, body, &mut tally).await {
        Ok(()) => {
            let Tally { stored, rejected, .. } = tally;
            let answer = serde_json::json!({
                "received": stored + rejected, "stored": stored, "rejected": rejected,
            });
            json(StatusCode::OK, &answer)
        }
        Err(error) => {
            let (status, kind) = error.kind();
            metrics::counter!("custos_http_refused_total", "error" => kind).increment(1);
            let mut answer = serde_json::json!({ "error": kind, "message": error.to_string() });
            if tally.received() > 0
                && let Some(answer) = answer.as_object_mut()
            {
                answer.insert("lines".into(), tally.received().into());
            }
            let mut response = json(status, &answer);
            if let Some(secs) = error.retry_after() {
                let value = header::HeaderValue::from_static(secs);
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
    }
}

fn json(status: StatusCode, answer: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{answer}\n")).into_response()
}

/// Takes a body in; `tally` counts what is durable so far, also when it ends in an error.
async fn take<I: Intake>(
    state: &HttpIntake<I>,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    tally: &mut Tally,
) -> Result<(), HttpError> {
    check_name(&state.config, name)?;
    let taken = state.bodies.take(headers, body).await?;
    let mut decoder = (state.decoders)(&tally.source);
    let mut rest = taken.bytes.clone();
    let received = state.clock.now();
    while !rest.is_empty() {
        let source = Arc::clone(&tally.source);
        let read = move || {
            let (events, after) = read_lines(&mut *decoder, rest, &source, received);
            (decoder, events, after)
        };
        let (back, events, after) = spawn_blocking(read).await.map_err(|_| HttpError::Decoder)?;
        (decoder, rest) = (back, after);
        let part = Tally::of(Arc::clone(&tally.source), &events);
        if events.is_empty() {
            continue;
        }
        let batch = Batch::new(state.intake.log_of(&tally.source), events);
        state.intake.submit(batch).await.map_err(|error| match error {
            IntakeError::Paused(reason) => HttpError::Paused(reason),
            IntakeError::Failed(reason) => HttpError::Failed(reason),
        })?;
        part.count();
        tally.add(&part);
    }
    Ok(())
}

/// 1 to 64 of a-z A-Z 0-9 . _ -
pub fn is_source_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn check_name(config: &HttpConfig, name: &str) -> Result<(), HttpError> {
    if !is_source_name(name) {
        // Cut: the name comes from outside and goes into the answer.
        return Err(HttpError::Name(name.chars().take(64).collect()));
    }
    match &config.sources {
        Some(sources) if !sources.contains(name) => Err(HttpError::UnknownSource(name.to_owned())),
        Some(_) | None => Ok(()),
    }
}

/// The events of the first lines, as many as go into one append, and what follows them.
fn read_lines(
    decoder: &mut dyn Decode,
    mut lines: Bytes,
    source: &Arc<str>,
    received: Timestamp,
) -> (Vec<ParsedEvent>, Bytes) {
    let (mut events, mut bytes) = (Vec::new(), 0);
    while !lines.is_empty() && events.len() < APPEND_EVENTS_MAX && bytes < APPEND_BYTES_MAX {
        let mut line = match memchr::memchr(b'\n', &lines) {
            Some(at) => lines.split_to(at + 1),
            None => std::mem::take(&mut lines),
        };
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.truncate(line.len() - 1);
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        bytes += line.len();
        let mut event = decoder.decode(line, received);
        event.header.source = Arc::clone(source);
        events.push(event);
    }
    (events, lines)
}

#[cfg(test)]
mod tests;
