//! Lines over HTTP: `POST /ingest/v1/{source}`, answered when they are durable.
//!
//! The body is lines, JSON objects or plain text, as they are or in gzip. The answer is
//! `{"received","stored","rejected"}`; an error is `{"error","message"}` and, where some lines are durable
//! already, `"lines"`: so many lines of the body need not be sent again. Who may call is `server`'s matter.

use crate::{
    batch::{Batch, Intake, IntakeError},
    counters::Tally,
    decoding::{Decode, Decoders},
    listener::inflation_bound,
};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use custos_event::{Clock, ParsedEvent, Timestamp};
use std::{
    collections::BTreeSet,
    io::{self, Read},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

/// A body that takes longer holds room that others need.
const BODY_LIMIT: Duration = Duration::from_mins(1);

/// An append is closed at 8,192 events or 4 MiB, as at the Kafka listener.
const APPEND_EVENTS_MAX: usize = 8_192;
const APPEND_BYTES_MAX: usize = 4 << 20;

/// Seconds after which a client may try again: a request in flight takes some tens of ms, a full disk
/// longer.
const RETRY_BUSY: &str = "1";
const RETRY_PAUSED: &str = "5";

#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The sources that are taken; `None` takes every well-formed name.
    pub sources: Option<BTreeSet<String>>,
    /// A body at most, as it is sent.
    pub body_bytes_max: usize,
    /// A body at most, inflated.
    pub inflated_bytes_max: usize,
    /// Bodies in flight at most, sent and inflated bytes together.
    pub in_flight_bytes_max: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            sources: None,
            body_bytes_max: 10 << 20,
            inflated_bytes_max: 100 << 20,
            // One body of the largest, or twelve of 10 MiB.
            in_flight_bytes_max: 128 << 20,
        }
    }
}

/// What the route needs.
pub struct HttpIntake<I> {
    config: HttpConfig,
    intake: Arc<I>,
    decoders: Decoders,
    clock: Arc<dyn Clock>,
    room: Arc<Semaphore>,
}

impl<I: Intake> HttpIntake<I> {
    pub fn new(
        config: HttpConfig,
        intake: Arc<I>,
        decoders: Decoders,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(config.in_flight_bytes_max));
        Arc::new(Self { config, intake, decoders, clock, room })
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
    #[error("the body is in {0}; send it as it is or in gzip")]
    Encoding(String),
    #[error("the body is longer than {max} bytes; send it in parts, or raise http.{setting}")]
    TooLarge { max: usize, setting: &'static str },
    #[error("the body is not gzip as its header says: {0}")]
    Gzip(io::Error),
    #[error("the body did not come whole")]
    Cut,
    #[error("the body took longer than {} s", BODY_LIMIT.as_secs())]
    Slow,
    #[error("too much is in flight; try again in a second")]
    Busy,
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
            Self::Encoding(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Gzip(_) => (StatusCode::BAD_REQUEST, "bad_gzip"),
            Self::Cut => (StatusCode::BAD_REQUEST, "body_cut"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "body_slow"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Self::Paused(_) => (StatusCode::SERVICE_UNAVAILABLE, "paused"),
            Self::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_failed"),
            Self::Decoder => (StatusCode::INTERNAL_SERVER_ERROR, "decoder_failed"),
        }
    }

    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Busy => Some(RETRY_BUSY),
            Self::Paused(_) => Some(RETRY_PAUSED),
            Self::Name(_)
            | Self::UnknownSource(_)
            | Self::Encoding(_)
            | Self::TooLarge { .. }
            | Self::Gzip(_)
            | Self::Cut
            | Self::Slow
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
    let gzip = is_gzip(headers)?;
    let (sent, room) = receive(state, body).await?;
    let (lines, _room) = if gzip { inflate(state, sent, room).await? } else { (sent, room) };
    let mut decoder = (state.decoders)(&tally.source);
    let mut rest = lines;
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
        let batch = Batch { events, ..Batch::default() };
        state.intake.submit(batch).await.map_err(|error| match error {
            IntakeError::Paused(reason) => HttpError::Paused(reason),
            IntakeError::Failed(reason) => HttpError::Failed(reason),
        })?;
        part.count();
        tally.add(&part);
    }
    Ok(())
}

fn check_name(config: &HttpConfig, name: &str) -> Result<(), HttpError> {
    let well_formed = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !well_formed {
        // Cut: the name comes from outside and goes into the answer.
        return Err(HttpError::Name(name.chars().take(64).collect()));
    }
    match &config.sources {
        Some(sources) if !sources.contains(name) => Err(HttpError::UnknownSource(name.to_owned())),
        Some(_) | None => Ok(()),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, HttpError> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().unwrap_or_default().trim() {
        "" | "identity" => Ok(false),
        encoding if encoding.eq_ignore_ascii_case("gzip") => Ok(true),
        other => Err(HttpError::Encoding(other.chars().take(64).collect())),
    }
}

/// Room for the whole of what a body may be is taken first, and what it was not is given back.
async fn receive<I>(
    state: &HttpIntake<I>,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), HttpError> {
    let max = state.config.body_bytes_max;
    let too_large = HttpError::TooLarge { max, setting: "body_bytes_max" };
    let stated = body.size_hint().exact();
    let expected = match stated.map(usize::try_from) {
        None => max,
        Some(Ok(stated)) if stated <= max => stated,
        Some(_) => return Err(too_large),
    };
    let room = reserve(state, expected)?;
    let whole = axum::body::to_bytes(body, expected);
    match timeout(BODY_LIMIT, whole).await {
        Err(_) => Err(HttpError::Slow),
        Ok(Err(_)) if stated.is_none() => Err(too_large),
        Ok(Err(_)) => Err(HttpError::Cut),
        Ok(Ok(sent)) => {
            let room = keep(room, sent.len());
            Ok((sent, room))
        }
    }
}

fn reserve<I>(state: &HttpIntake<I>, bytes: usize) -> Result<OwnedSemaphorePermit, HttpError> {
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    Arc::clone(&state.room).try_acquire_many_owned(permits).map_err(|_| HttpError::Busy)
}

fn keep(mut room: OwnedSemaphorePermit, bytes: usize) -> OwnedSemaphorePermit {
    room.split(bytes).unwrap_or(room)
}

async fn inflate<I>(
    state: &HttpIntake<I>,
    sent: Bytes,
    _sent_room: OwnedSemaphorePermit,
) -> Result<(Bytes, OwnedSemaphorePermit), HttpError> {
    let max = inflation_bound(sent.len(), state.config.inflated_bytes_max);
    let room = reserve(state, max)?;
    let inflating = spawn_blocking(move || {
        let mut lines = Vec::with_capacity(sent.len().saturating_mul(4).min(max));
        let mut from = flate2::read::MultiGzDecoder::new(&sent[..]).take(max as u64 + 1);
        from.read_to_end(&mut lines).map(|_| lines)
    });
    let lines = inflating.await.map_err(|_| HttpError::Decoder)?.map_err(HttpError::Gzip)?;
    if lines.len() > max {
        return Err(HttpError::TooLarge { max, setting: "inflated_bytes_max" });
    }
    let room = keep(room, lines.len());
    Ok((lines.into(), room))
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
