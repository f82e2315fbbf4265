//! Sources: what each sent, and what of it could not be read.

use super::{
    State,
    asking::within,
    caller::Caller,
    events::{EventPage, page},
    extract::{Json, Query as Parameters},
    problem::Problem,
};
use crate::{
    projection::sources::Counts,
    silence::Silence,
    snippets::{self, Page, Snippet},
    sourcebook::Pause,
};
use custos_event::Timestamp;
use custos_ingest::{
    health::{Ailment, Condition, Health},
    kafka::Lags,
};
use custos_search::{SearchRequest, quoted};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// What the process knows of its ways in.
#[derive(Default)]
pub(crate) struct Inlets {
    /// How far behind its cluster each source is that is read from one.
    pub(crate) lags: Arc<Lags>,
    pub(crate) silence: Silence,
    /// How the connectors to customer systems are.
    pub(crate) crm: Arc<Health>,
    /// The ports that shippers write to.
    pub(crate) open: Vec<Inlet>,
}

impl Inlets {
    /// For a moment that is over.
    pub(super) fn of_past(&self) -> Self {
        let (silence, open) = (self.silence.clone(), self.open.clone());
        Self { lags: Arc::default(), silence, crm: Arc::default(), open }
    }
}

/// A port that is open to shippers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Inlet {
    /// The source of its events; with tokens, each has a source of its own.
    pub(crate) source: String,
    /// `syslog`, `gelf`, `fluent`, `beats`, `http`, `kafka`.
    pub(crate) protocol: String,
    /// `udp`, `tcp`, `tls`.
    pub(crate) transport: String,
    pub(crate) address: String,
    /// Who sends has to show a token; of `kafka`, to log in.
    pub(crate) tokens: bool,
}

const MINUTES: i64 = 60;

/// All sources. received = stored + rejected, for each and in all.
#[derive(Serialize, ToSchema)]
#[schema(as = Sources)]
pub(crate) struct SourceList {
    sources: Vec<Source>,
    /// The customer systems and the Kafka cluster that Custos asks, also those that have not given anything yet, and the
    /// topics that it publishes to.
    connectors: Vec<Connector>,
    /// What of Kafka is not read for now, as people said.
    paused: Vec<PausedSource>,
    received: u64,
    stored: u64,
    rejected: u64,
    /// The commit up to which this holds.
    as_of: u64,
}

/// One source.
#[derive(Serialize, ToSchema)]
pub(crate) struct Source {
    name: String,
    /// The way it comes by: `kafka`, `listener`, `http`, `file`, `syslog`, `elasticsearch`, `splunk`, `otlp`, `gelf`, `fluent`, `beats`, `webhook`, `crm`.
    kind: String,
    received: u64,
    stored: u64,
    rejected: u64,
    #[schema(value_type = String)]
    last_seen: Timestamp,
    /// Received in each of the last sixty minutes, the oldest first.
    per_minute: Vec<u64>,
    /// Of these, rejected.
    rejected_per_minute: Vec<u64>,
    silent: bool,
    /// When the journal said so; it says so once, and once that the source was heard again.
    #[schema(value_type = Option<String>)]
    silent_told: Option<Timestamp>,
    /// Records that the cluster holds and Custos has not read; none where the source sends to Custos itself, which
    /// answers when they are stored.
    lag: Option<u64>,
}

impl Source {
    fn new(name: &str, counts: &Counts, now: Timestamp, inlets: &Inlets) -> Self {
        Self {
            name: name.to_owned(),
            kind: name.split_once(':').map_or("", |(kind, _)| kind).to_owned(),
            received: counts.received(),
            stored: counts.stored,
            rejected: counts.rejected,
            last_seen: counts.last_seen,
            per_minute: counts.per_minute(now, MINUTES),
            rejected_per_minute: counts.rejected_per_minute(now, MINUTES),
            silent: inlets.silence.is_silent(name, counts.last_seen, now),
            silent_told: counts.silent_told,
            lag: inlets.lags.of(name),
        }
    }
}

impl SourceList {
    /// As the views have them now.
    pub(crate) fn now(state: &State) -> Self {
        let now = state.clock.now();
        let folded = state.views.read();
        let of = |(name, counts): (&str, &Counts)| Source::new(name, counts, now, &state.inlets);
        let sources: Vec<Source> = folded.sources.iter().map(of).collect();
        let sum = |of: fn(&Source) -> u64| sources.iter().map(of).sum();
        Self {
            received: sum(|source| source.received),
            stored: sum(|source| source.stored),
            rejected: sum(|source| source.rejected),
            as_of: folded.commit.0,
            connectors: connectors(&state.inlets.crm),
            paused: paused(state),
            sources,
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn totals(&self) -> SourceTotals {
        SourceTotals {
            total: self.sources.len(),
            silent: self.sources.iter().filter(|source| source.silent).count(),
            received: self.received,
            stored: self.stored,
            rejected: self.rejected,
        }
    }

    /// All received in each of the last sixty minutes.
    pub(super) fn per_minute(&self) -> Vec<u64> {
        let size = usize::try_from(MINUTES).unwrap_or_default();
        self.sources.iter().fold(vec![0; size], |mut all, source| {
            all.iter_mut().zip(&source.per_minute).for_each(|(all, one)| *all += one);
            all
        })
    }
}

/// A customer system, or the Kafka cluster, that Custos asks; or a topic that it publishes to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connector {
    /// Of its events; of a topic that is published to, `kafka.publish:` and its name.
    source: String,
    /// `zoho`, `fxiaoke`, `kafka`, `kafka-publish`.
    system: &'static str,
    /// Everything before this time is stored; none before the first round, and of Kafka, whose offsets are counted.
    #[schema(value_type = Option<String>)]
    read_up_to: Option<Timestamp>,
    /// When it was last read.
    #[schema(value_type = Option<String>)]
    read_at: Option<Timestamp>,
    /// Facts that are not published to it yet; none where nothing is.
    behind: Option<u64>,
    /// What is wrong with it now.
    trouble: Option<ConnectorTrouble>,
}

/// What is wrong with a connector.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectorTrouble {
    /// `refused` and `quota` need somebody to act; `throttled`, `unreachable`, `odd`, `paused` are tried again.
    kind: &'static str,
    text: String,
    #[schema(value_type = String)]
    since: Timestamp,
    /// When it is tried again.
    #[schema(value_type = String)]
    until: Timestamp,
}

fn connectors(health: &Health) -> Vec<Connector> {
    let trouble =
        |Ailment { kind, text, since, until }| ConnectorTrouble { kind, text, since, until };
    let one = |(source, condition): (Arc<str>, Condition)| Connector {
        source: source.to_string(),
        system: condition.system,
        read_up_to: condition.read_up_to,
        read_at: condition.read_at,
        behind: condition.behind,
        trouble: condition.ailment.map(trouble),
    };
    health.all().into_iter().map(one).collect()
}

/// A source that is not read until somebody resumes it.
#[derive(Serialize, ToSchema)]
pub(crate) struct PausedSource {
    /// `kafka` is all of Kafka.
    source: String,
    #[schema(value_type = String)]
    since: Timestamp,
    by: String,
    reason: String,
}

/// Of a moment that is over nothing is known.
fn paused(state: &State) -> Vec<PausedSource> {
    if state.then.is_some() {
        return Vec::new();
    }
    let one = |(source, pause): (String, Pause)| PausedSource {
        source,
        since: pause.at,
        by: pause.by.name().to_owned(),
        reason: pause.reason,
    };
    state.sources.pauses().into_iter().map(one).collect()
}

#[derive(Serialize, ToSchema)]
pub(super) struct SourceTotals {
    total: usize,
    silent: usize,
    received: u64,
    stored: u64,
    rejected: u64,
}

pub(super) async fn list(state: State) -> Result<Json<SourceList>, Problem> {
    state.views.reach(state.opened.store.last_commit()).await;
    Ok(Json(SourceList::now(&state)))
}

/// How shippers are connected: the ports that are open, and what to copy.
#[derive(Serialize, ToSchema)]
#[schema(as = Shippers)]
pub(super) struct ShipperList {
    open: Vec<Inlet>,
    pages: Vec<ShipperPage>,
}

/// One family of shippers.
#[derive(Serialize, ToSchema)]
pub(super) struct ShipperPage {
    title: &'static str,
    /// Of the port that takes it.
    protocol: &'static str,
    /// For Custos' own configuration.
    config: &'static str,
    snippets: Vec<ShipperSnippet>,
}

/// What to copy into one shipper.
#[derive(Serialize, ToSchema)]
pub(super) struct ShipperSnippet {
    shipper: &'static str,
    text: &'static str,
}

pub(super) async fn shippers(state: State) -> Result<Json<ShipperList>, Problem> {
    let snippet = |one: Snippet| ShipperSnippet { shipper: one.shipper, text: one.text };
    let page = |page: Page| ShipperPage {
        title: page.title,
        protocol: page.protocol,
        config: page.config,
        snippets: page.snippets.into_iter().map(snippet).collect(),
    };
    let pages = snippets::pages().into_iter().map(page).collect();
    Ok(Json(ShipperList { open: state.inlets.open.clone(), pages }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejected {
    /// The name of one source; all without it.
    source: Option<String>,
    /// Up to 1,000.
    #[serde(default = "fifty")]
    limit: usize,
    /// `next` of the page before.
    after: Option<String>,
}

fn fifty() -> usize {
    50
}

pub(super) async fn rejected(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<Rejected>,
) -> Result<Json<EventPage>, Problem> {
    let limit = within("limit", ask.limit, 1_000)?;
    let of = ask.source.map(|source| format!(" and custos.source:{}", quoted(&source)));
    let query = format!("event.kind:pipeline_error{}", of.unwrap_or_default());
    page(state, caller, query, SearchRequest { limit, ..SearchRequest::default() }, ask.after).await
}
