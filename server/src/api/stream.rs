//! What happens, as it happens: server-sent events that go on after a lost connection without a gap or a
//! repeat.
//!
//! Each client has a follower of the log of its own, so going on from an older place is the same as being
//! slow: what memory no longer has is read from the disk. `id` is `COMMIT.ENTRY`, the place of one record or
//! fact in the order of everything; a place alone says what was sent and what was not.

use super::{
    State,
    asking::{query, remember},
    caller::Caller,
    extract::Query as Parameters,
    problem::Problem,
    streaming::{Line, Outlet, Worker},
    streamplace::{Place, Topic, Topics},
};
use crate::auth::Permission;
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use custos_event::Fact;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Semaphore, mpsc};
use utoipa::{IntoParams, ToSchema};

/// Clients at a time: each has a thread that mostly waits, and at most some MiB in hand.
const CLIENTS_MAX: usize = 64;
/// Messages that wait for a slow client; at 2 KiB each half a MiB.
const LINES_MAX: usize = 256;

/// Room for so many clients.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CLIENTS_MAX))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// `alerts`, `incidents`, `sources`, `events`, with commas between.
    #[serde(default = "alerts")]
    topics: String,
    /// Of the events only those that it finds.
    #[serde(default)]
    query: String,
    /// Where to go on, where the header `Last-Event-ID` is not sent: an `id`, or `as_of` of another answer.
    after: Option<String>,
}

fn alerts() -> String {
    "alerts".into()
}

/// One message's data; which shape, says its `event`: `alerts` an alert, `alert-changes` what somebody said
/// of one, `incidents` what happened to an incident, run or task, `sources` all counts, `events` an event or
/// `{"skipped": n}`; `reset` and `closed` a reason.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(super) struct Message(#[expect(dead_code, reason = "for the document only")] serde_json::Value);

pub(super) async fn open(
    state: State,
    caller: Caller,
    headers: HeaderMap,
    Parameters(ask): Parameters<Ask>,
) -> Result<Response, Problem> {
    let topics = Topics::read(&ask.topics).map_err(Problem::wrong)?;
    for topic in topics.iter() {
        let permission = needed(topic);
        if !caller.may(permission) {
            return Err(Problem::lacks(permission));
        }
    }
    let query = query(&state, &ask.query)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    // The header is newer: a browser sends it with the address it began with.
    let after = last.filter(|id| !id.is_empty()).or(ask.after.as_deref());
    let after = after.map(str::parse::<Place>).transpose().map_err(Problem::wrong)?;
    let Ok(place) = Arc::clone(&state.streams).try_acquire_owned() else {
        let detail = format!("{CLIENTS_MAX} streams are open already; close some and try again");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let (lines, mut sent) = mpsc::channel::<Line>(LINES_MAX);
    let last_words = Arc::new(Mutex::new(None));
    let outlet = Outlet::new(lines, Arc::clone(&last_words));
    tokio::task::spawn_blocking(move || {
        if topics.has(Topic::Events) {
            let read = format!("live: {}", ask.query);
            remember(&state, &caller, Fact::Searched { query: read, results: 0 });
        }
        Worker::new(state, caller, topics, outlet).run(&query, after);
        drop(place);
    });
    let lines = stream::poll_fn(move |context| {
        sent.poll_recv(context).map(|line| {
            let mut last_words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
            line.or_else(|| last_words.take())
        })
    });
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    let head = [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ];
    Ok((head, body).into_response())
}

fn needed(topic: Topic) -> Permission {
    match topic {
        Topic::Alerts | Topic::Incidents => Permission::ReadAlerts,
        Topic::Sources => Permission::ReadSources,
        Topic::Events => Permission::ReadEvents,
    }
}
