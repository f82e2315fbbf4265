//! The API under `/api/v1`: what its handlers share, and the router made from the table in `routes`.

mod alertfilter;
pub(crate) mod alerts;
mod asking;
mod backups;
pub(crate) mod caller;
mod cookie;
mod customers;
mod effects;
pub(crate) mod event;
mod events;
mod evidence;
pub(crate) mod extract;
mod guard;
pub(crate) mod headers;
mod incidents;
mod integrity;
mod madesources;
pub(crate) mod openapi;
mod overview;
mod playbooks;
mod privacy;
pub(crate) mod problem;
mod respond;
mod retention;
mod risk;
pub(crate) mod route;
pub(crate) mod routes;
pub(crate) mod rulebench;
pub(crate) mod rulecover;
mod rulemoves;
pub(crate) mod rules;
mod runs;
mod search;
mod session;
pub(crate) mod sources;
pub(crate) mod stream;
mod streamfact;
mod streaming;
mod streamplace;
mod tasks;
#[cfg(test)]
mod tests;
mod users;
mod verdicts;

use crate::{
    auth::Auth,
    folder::{Opened, append_facts},
    pipeline::journal::Journal,
    projection::{
        follower::Views,
        past::{self, Moment, Past, PastError},
    },
};
use anyhow::Context as _;
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use caller::Caller;
use custos_event::{Clock, Ends, Fact, Position, Timestamp};
use custos_search::{Index, Query};
use metrics_exporter_prometheus::PrometheusHandle;
use problem::Problem;
use std::{collections::BTreeSet, convert::Infallible, ops::Deref, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A list of some thousand alert ids is the largest body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Until an answer begins, the reading of the body included; streams may go on after it.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// What the handlers share: `async fn handler(state: State, caller: Caller, …) -> Result<Json<T>, Problem>`.
#[derive(Clone)]
pub(crate) struct State(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) metrics: PrometheusHandle,
    pub(crate) opened: Opened,
    pub(crate) index: Index,
    pub(crate) journal: Journal,
    pub(crate) desk: crate::respond::Desk,
    pub(crate) witnesses: crate::witness::Witnesses,
    pub(crate) verifier: crate::evidence::verification::Verifier,
    pub(crate) cases: crate::privacy::cases::Cases,
    pub(crate) reads: crate::respond::Reads,
    pub(crate) auth: Arc<Auth>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) views: Views,
    pub(crate) inlets: Arc<sources::Inlets>,
    pub(crate) sources: crate::sourcebook::SourceBook,
    /// Files that give no rule.
    pub(crate) broken_rules: rules::Shelf,
    pub(crate) registrar: crate::pipeline::rulebook::Registrar,
    /// One trial of rules over the log at a time: it takes a core.
    pub(crate) trial: Arc<Semaphore>,
    pub(crate) upkeep: crate::upkeep::Upkeep,
    /// Room for the clients of the stream.
    pub(crate) streams: Arc<Semaphore>,
    /// Turns to cancelled when the process is to end.
    pub(crate) stop: CancellationToken,
    pub(crate) past: Past,
    /// Names of fields whose values may be sealed.
    pub(crate) sealed: Arc<BTreeSet<String>>,
    /// Set where everything is to be seen as it was: where the logs ended.
    pub(crate) then: Option<Ends>,
}

/// What the clock showed.
#[derive(Debug)]
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl State {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The same server as it was: what `text` says, a commit or a time.
    async fn as_of(&self, text: String) -> Result<Self, Problem> {
        let store = self.opened.store.clone();
        let read = blocking(move || past::read(&store, &text).map_err(gone)).await?;
        let now = (&self.views, &self.desk);
        let moment = self.past.moment(&self.opened.store, &self.opened.table, now, read.commit);
        let Moment { views, desk, ends, .. } = moment.await.map_err(gone)?;
        Ok(Self::new(Shared {
            metrics: self.metrics.clone(),
            opened: self.opened.clone(),
            index: self.index.clone(),
            journal: self.journal.clone(),
            desk,
            witnesses: self.witnesses.clone(),
            verifier: self.verifier.clone(),
            upkeep: self.upkeep.clone(),
            cases: self.cases.clone(),
            reads: self.reads.clone(),
            auth: Arc::clone(&self.auth),
            clock: Arc::new(Stopped(read.at)),
            views,
            // The lag is of now: the log does not hold it.
            inlets: Arc::new(self.inlets.of_past()),
            sources: self.sources.clone(),
            broken_rules: self.broken_rules.clone(),
            registrar: self.registrar.clone(),
            trial: Arc::clone(&self.trial),
            streams: Arc::clone(&self.streams),
            stop: self.stop.clone(),
            past: self.past.clone(),
            sealed: Arc::clone(&self.sealed),
            then: Some(ends),
        }))
    }

    /// Events that there are, or were.
    pub(crate) fn events_total(&self) -> u64 {
        self.then.as_ref().map_or_else(|| self.opened.store.ends().events(), Ends::events)
    }

    /// Whether an event was in the log at the moment that is seen.
    pub(crate) fn was_there(&self, at: Position) -> bool {
        self.then.as_ref().is_none_or(|ends| at.log.is_telemetry() && ends.hold(at))
    }

    /// A query as it is asked here: it finds sealed values by what they are equal to, and of the past only
    /// what was there.
    pub(crate) fn prepare(&self, query: Query) -> Query {
        let keyring = self.opened.store.keyring();
        query.with_sealed(|value| keyring.find_value(value)).before(self.then.clone())
    }

    /// Nobody's value is written down because somebody searched for it.
    fn sealed(&self, fact: Fact) -> Fact {
        if let Fact::Searched { query, results } = fact {
            let query = crate::privacy::recorded(&self.opened.store, &query);
            return Fact::Searched { query, results };
        }
        fact
    }

    /// Writes down what somebody did, and waits until it is durable. It blocks: call it inside [`blocking`].
    pub(crate) fn record(&self, caller: &Caller, facts: Vec<Fact>) -> anyhow::Result<()> {
        let facts = facts.into_iter().map(|fact| self.sealed(fact)).collect();
        append_facts(&self.opened.store, &caller.actor, facts)
            .map_err(crate::exit::Failure::into_error)
    }
}

impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRequestParts<Self> for State {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Self) -> Result<Self, Infallible> {
        let past = parts.extensions.get::<AsOf>().map(|as_of| as_of.0.clone());
        Ok(past.unwrap_or_else(|| state.clone()))
    }
}

/// Put into a request by the guard: the server as it was.
#[derive(Clone)]
struct AsOf(State);

fn gone(error: PastError) -> Problem {
    match error {
        PastError::Wrong(reason) => Problem::wrong(reason),
        busy @ PastError::Busy { .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string())
        }
        PastError::Failed(error) => Problem::failed(&error),
    }
}

/// Work that waits for the disk or computes, off the async threads. A `?` on an `anyhow::Error` inside it
/// becomes a 500 whose cause is in the log.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.context("a request's work was lost").map_err(|error| Problem::failed(&error))?
}

async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long")
            .into_response(),
    }
}

pub(crate) use rulebench::places as trial_places;

/// The router of everything in the table, each route behind its guard.
pub(crate) fn router(state: &State) -> Router {
    let mut router = Router::new();
    for route in routes::table() {
        let guard =
            guard::Guard { state: state.clone(), access: route.access, has_past: route.has_past };
        let handler = route.handler.layer(from_fn_with_state(guard, guard::check));
        router = router.route(route.path, handler);
    }
    let unknown = || async { Problem::not_found("there is no such route; see openapi.json") };
    let wrong_method = || async {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Problem::new(status, "this route does not take this method; see openapi.json")
    };
    let router = router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(within_time));
    Router::new().nest(openapi::BASE, router.with_state(state.clone()))
}
