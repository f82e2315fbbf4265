//! Evidence over the API: the proof of one event, and an incident's bundle as a download.

use super::{
    State, blocking,
    caller::Caller,
    events::position,
    extract::{Json, Path, Query},
    problem::Problem,
    respond::{id, problem},
};
use crate::evidence::{
    export::begin,
    prove::{EventProof, prove},
};
use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use custos_event::{Fact, IncidentId};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use std::{
    convert::Infallible,
    io::{self, BufWriter, Write},
};
use tokio::sync::mpsc;
use tracing::error;
use utoipa::{IntoParams, ToSchema};

/// 16 parts of 64 KiB wait for a slow reader.
const PARTS_MAX: usize = 16;
const PART_BYTES: usize = 64 << 10;
/// Checkpoints that a bundle is to be linked to.
const HELD_MAX: usize = 64;

pub(super) async fn proof(
    state: State,
    caller: Caller,
    Path(place): Path<(String, u16, u64)>,
) -> Result<Json<EventProof>, Problem> {
    let at = position(place)?;
    blocking(move || {
        let proved = prove(&state.opened.store, at)?;
        let proved = proved.ok_or_else(|| Problem::no_record(&state.opened.store, at))?;
        // Reads go on when the disk is full, so a failure is told, not final.
        if let Err(error) = state.record(&caller, vec![Fact::EventRead { position: at }]) {
            error!(error = format!("{error:#}"), "a read could not be recorded");
        }
        Ok(Json(proved))
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Linked {
    /// Checkpoints held elsewhere that the bundle is to be linked to: `LOG:SIZE`, with commas between.
    held: Option<String>,
}

impl Linked {
    fn sizes(&self) -> Result<Vec<(String, u64)>, Problem> {
        let texts =
            self.held.iter().flat_map(|held| held.split(',')).filter(|text| !text.is_empty());
        let read = |text: &str| {
            let (log, size) = text.rsplit_once(':')?;
            Some((log.to_owned(), size.parse().ok()?))
        };
        let wrong = |text| Problem::wrong(format!("held: '{text}' is no LOG:SIZE"));
        let sizes: Vec<_> =
            texts.map(|text| read(text).ok_or_else(|| wrong(text))).collect::<Result<_, _>>()?;
        if sizes.len() > HELD_MAX {
            return Err(Problem::wrong(format!("held: {HELD_MAX} at most")));
        }
        Ok(sizes)
    }
}

/// One line of a bundle: FORMAT.md has them all.
#[derive(ToSchema)]
#[schema(as = EvidenceLine)]
pub(super) struct BundleLine {
    /// `manifest`, `checkpoint`, `consistency`, `record` or `end`.
    #[schema(rename = "type")]
    #[expect(dead_code, reason = "describes the lines, which the evidence crate writes")]
    kind: String,
}

/// The bundle, line by line as it is made. The fact of the export is durable before the first.
pub(super) async fn export(
    state: State,
    caller: Caller,
    Path(text): Path<String>,
    Query(linked): Query<Linked>,
) -> Result<Response, Problem> {
    let incident: IncidentId = id(&text)?;
    let mut held = linked.sizes()?;
    let export = blocking(move || {
        held.extend(state.witnesses.sizes());
        begin(&state.opened.store, &state.desk, &caller.actor, incident, held)
            .map_err(|error| problem(error, || serde_json::Value::Null))
    })
    .await?;
    let (parts, mut sent) = mpsc::channel::<Bytes>(PARTS_MAX);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = export.write(BufWriter::with_capacity(PART_BYTES, Parts(parts))) {
            let error = format!("{error:#}");
            error!(%incident, error, "a bundle of evidence breaks off");
        }
    });
    let parts = stream::poll_fn(move |context| sent.poll_recv(context));
    let body = Body::from_stream(parts.map(Ok::<_, Infallible>));
    let named = format!("attachment; filename=\"{incident}.evidence.jsonl\"");
    let headers =
        [("content-type", "application/x-ndjson"), ("content-disposition", named.as_str())];
    Ok((headers, body).into_response())
}

/// Where the bundle is written to: the answer's body.
struct Parts(mpsc::Sender<Bytes>);

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
