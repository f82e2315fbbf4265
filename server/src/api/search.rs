//! Searches of a running server, as `custos search` prints them.

use super::{
    State,
    asking::{query, remember},
    blocking,
    caller::Caller,
    extract::{Json, Query as Parameters},
    problem::Problem,
};
use crate::{line::Line, pipeline::tolerant::Tolerant, when};
use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use custos_event::Fact;
use custos_search::{Hit, Query, SearchRequest};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use tokio::sync::mpsc;
use tracing::error;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// In Custos' query language; `*` finds everything.
    query: String,
    /// RFC 3339, or so long ago: `-24h`.
    from: Option<String>,
    /// The same; itself not included.
    to: Option<String>,
    /// How many at most; 0 is all.
    #[serde(default = "limit")]
    limit: usize,
}

fn limit() -> usize {
    50
}

/// Lines of an answer that wait for a slow reader.
const LINES_MAX: usize = 64;

/// How many events a search finds.
#[derive(Serialize, ToSchema)]
pub(super) struct Counted {
    count: u64,
    exact: bool,
}

impl Ask {
    fn read(&self, state: &State) -> Result<(Query, SearchRequest), Problem> {
        let now = state.clock.now();
        let time = |name: &str, text: &Option<String>| {
            let read = text.as_deref().map(|text| when::read(text, now)).transpose();
            read.map_err(|error| Problem::wrong(format!("{name}: {error}")))
        };
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        let query = query(state, &self.query)?;
        Ok((query, SearchRequest { from, to, limit: self.limit }))
    }
}

/// JSON lines, newest first, sent as they are found.
pub(super) async fn search(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<Ask>,
) -> Result<Response, Problem> {
    let (query, request) = ask.read(&state)?;
    let (lines, mut sent) = mpsc::channel::<Bytes>(LINES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut count = 0;
        let mut hand_on = |hit: Hit| {
            count += 1;
            let line = Line::new(&hit, &state.opened.table);
            let line = serde_json::to_vec(&line).map(|mut line| {
                line.push(b'\n');
                lines.blocking_send(line.into()).is_ok()
            });
            line.unwrap_or(false)
        };
        let found = {
            let log = Tolerant::new(&state.opened.store);
            state.index.search_each(&query, &request, &log, &mut hand_on)
        };
        if let Err(error) = found {
            error!(%error, "a search failed");
        }
        remember(&state, &caller, Fact::Searched { query: ask.query, results: count });
    });
    let lines = stream::poll_fn(move |context| sent.poll_recv(context));
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    Ok(([("content-type", "application/x-ndjson")], body).into_response())
}

pub(super) async fn count(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<Ask>,
) -> Result<Json<Counted>, Problem> {
    let (query, request) = ask.read(&state)?;
    let counted = move || {
        let log = Tolerant::new(&state.opened.store);
        let counted = state.index.count(&query, &request, &log);
        let (count, _) = counted.map_err(anyhow::Error::new)?;
        remember(&state, &caller, Fact::Searched { query: ask.query, results: count });
        Ok(Json(Counted { count, exact: true }))
    };
    blocking(counted).await
}
