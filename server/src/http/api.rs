//! Searches and alerts of a running server, as `custos search` and `custos alerts` print them.

use super::State;
use crate::{
    clock::SystemClock,
    folder::{append_facts, operator},
    line::Line,
    pipeline::tolerant::Tolerant,
    when,
};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{self, Query as Parameters},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use custos_event::{Clock as _, Fact};
use custos_search::{Hit, Query, SearchRequest};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use tokio::sync::mpsc;
use tracing::error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    query: String,
    from: Option<String>,
    to: Option<String>,
    #[serde(default = "limit")]
    limit: usize,
}

fn limit() -> usize {
    50
}

/// Lines of an answer that wait for a slow reader.
const LINES_MAX: usize = 64;

pub(super) fn refusal(status: StatusCode, text: &str) -> impl IntoResponse {
    (status, Json(json!({"error": text})))
}

fn bad_request(error: impl std::fmt::Display) -> Response {
    refusal(StatusCode::BAD_REQUEST, &error.to_string()).into_response()
}

/// Details go to Custos' own log, not to who asks.
fn failed(error: &dyn std::fmt::Display) -> Response {
    error!(%error, "a request failed");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "the server could not answer; its log says why")
        .into_response()
}

impl Ask {
    fn read(&self) -> Result<(Query, SearchRequest), String> {
        let now = SystemClock.now();
        let time =
            |text: &Option<String>| text.as_deref().map(|text| when::read(text, now)).transpose();
        let request = SearchRequest {
            from: time(&self.from).map_err(|error| format!("from: {error}"))?,
            to: time(&self.to).map_err(|error| format!("to: {error}"))?,
            limit: self.limit,
        };
        Ok((Query::parse(&self.query).map_err(|error| error.to_string())?, request))
    }
}

/// JSON lines, newest first, sent as they are found.
pub(super) async fn search(
    extract::State(state): extract::State<State>,
    Parameters(ask): Parameters<Ask>,
) -> Response {
    let (query, request) = match ask.read() {
        Ok(read) => read,
        Err(error) => return bad_request(error),
    };
    let (lines, mut sent) = mpsc::channel::<Bytes>(LINES_MAX);
    tokio::task::spawn_blocking(move || {
        let table = &state.0.opened.table;
        let mut count = 0;
        let mut hand_on = |hit: Hit| {
            count += 1;
            let line = serde_json::to_vec(&Line::new(&hit, table)).map(|mut line| {
                line.push(b'\n');
                lines.blocking_send(line.into()).is_ok()
            });
            line.unwrap_or(false)
        };
        let found = {
            let log = Tolerant::new(&state.0.opened.store);
            state.0.index.search_each(&query, &request, &log, &mut hand_on)
        };
        if let Err(error) = found {
            error!(%error, "a search failed");
        }
        remember(&state, ask.query, count);
    });
    let lines = stream::poll_fn(move |context| sent.poll_recv(context));
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    ([("content-type", "application/x-ndjson")], body).into_response()
}

pub(super) async fn count(
    extract::State(state): extract::State<State>,
    Parameters(ask): Parameters<Ask>,
) -> Response {
    let (query, request) = match ask.read() {
        Ok(read) => read,
        Err(error) => return bad_request(error),
    };
    let counted = tokio::task::spawn_blocking(move || {
        let log = Tolerant::new(&state.0.opened.store);
        let counted = state.0.index.count(&query, &request, &log);
        if let Ok((count, _)) = &counted {
            remember(&state, ask.query, *count);
        }
        counted
    });
    match counted.await {
        Ok(Ok((count, _))) => Json(json!({"count": count, "exact": true})).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// A read of events is a fact. Reads go on when the disk is full, so a failure is told, not final.
fn remember(state: &State, query: String, results: u64) {
    let searched = Fact::Searched { query, results };
    if let Err(failure) = append_facts(&state.0.opened.store, &operator(), vec![searched]) {
        error!(error = format!("{:#}", failure.into_error()), "a search could not be recorded");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    #[serde(default = "limit")]
    limit: usize,
}

pub(super) async fn alerts(
    extract::State(state): extract::State<State>,
    Parameters(newest): Parameters<Newest>,
) -> Response {
    let listed = tokio::task::spawn_blocking(move || {
        let limit = if newest.limit == 0 { usize::MAX } else { newest.limit };
        state.0.journal.catch_up()?;
        state.0.journal.alerts(limit)
    });
    let alerts = match listed.await {
        Ok(Ok(alerts)) => alerts,
        Ok(Err(error)) => return failed(&error),
        Err(error) => return failed(&error),
    };
    let mut body = Vec::new();
    for alert in alerts {
        if let Err(error) = serde_json::to_writer(&mut body, &alert) {
            return failed(&error);
        }
        body.push(b'\n');
    }
    ([("content-type", "application/x-ndjson")], body).into_response()
}
