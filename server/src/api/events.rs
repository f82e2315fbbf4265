//! Events: pages of a search, what it adds up to, and one event with what stands around it.

use super::{
    State,
    alerts::AlertSummary,
    asking::{Patience, failed, notes, query, remember, span, within},
    blocking,
    caller::Caller,
    event::{Event, read},
    extract::{Json, Path, Query as Parameters},
    problem::Problem,
};
use crate::pipeline::tolerant::Tolerant;
use custos_event::{
    Fact, LogId, Parser, Partition, Position, Seq, Timestamp, commit::LogReader as _, record,
};
use custos_search::{Ask, Buckets, FieldType, Mark, SearchRequest, ValueCount, field_type};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};
use utoipa::{IntoParams, ToSchema};

/// What one page of the console waits for at most; a rarer answer goes on with `next`.
const SECS_MAX: f64 = 10.0;
/// Completion that comes later is of no use.
const VALUES_SECS_MAX: f64 = 2.0;
const LIMIT_MAX: usize = 1_000;
const SAMPLE_MAX: usize = 5_000;
/// What values and coverage show of a field.
const TOP: usize = 10;

fn all() -> String {
    "*".into()
}

fn fifty() -> usize {
    50
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// In Custos' query language; `*` finds everything.
    #[serde(default = "all")]
    query: String,
    /// RFC 3339, or so long ago: `-24h`.
    from: Option<String>,
    /// The same; itself not included.
    to: Option<String>,
    /// How many at most, up to 1,000.
    #[serde(default = "fifty")]
    limit: usize,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of a search.
#[derive(Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventPage {
    /// Newest first.
    events: Vec<Event>,
    /// Hand it back as `after` to go on; null where nothing older is left.
    next: Option<String>,
    took_ms: u64,
    /// Events read from the log to find these.
    read: u64,
    /// The search took too long and ended before the page was full; it goes on with `next`.
    partial: bool,
    /// What to know of the answer: that a part of a sealed value is not found, for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

pub(super) async fn list(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<List>,
) -> Result<Json<EventPage>, Problem> {
    let limit = within("limit", ask.limit, LIMIT_MAX)?;
    let request = span(ask.from.as_deref(), ask.to.as_deref(), state.clock.now(), limit)?;
    page(state, caller, ask.query, request, ask.after).await
}

/// One page of any search, written down as such.
pub(super) async fn page(
    state: State,
    caller: Caller,
    text: String,
    request: SearchRequest,
    after: Option<String>,
) -> Result<Json<EventPage>, Problem> {
    let query = query(&state, &text)?;
    let after = after.map(|after| after.parse::<Mark>()).transpose();
    let after = after.map_err(|error| Problem::wrong(format!("after: {error}")))?;
    let (_waiting, patience) = Patience::new(SECS_MAX);
    blocking(move || {
        let log = Tolerant::new(&state.opened.store);
        let stop = || patience.is_over();
        let page = state.index.page(&query, &request, after, &stop, &log).map_err(failed)?;
        let table = &state.opened.table;
        let events: Vec<_> =
            page.hits.iter().map(|hit| Event::new(hit.position, &hit.event, table)).collect();
        remember(&state, &caller, Fact::Searched { query: text, results: events.len() as u64 });
        Ok(Json(EventPage {
            events,
            next: page.next.map(|next| next.to_string()),
            took_ms: patience.took_ms(),
            read: page.stats.events_read,
            partial: page.stopped,
            notes: notes(&state, &query, request.from),
        }))
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Over {
    #[serde(default = "all")]
    query: String,
    from: Option<String>,
    to: Option<String>,
    /// About how many, up to 500.
    #[serde(default = "sixty")]
    buckets: usize,
}

fn sixty() -> usize {
    60
}

/// Counts over time.
#[derive(Serialize, ToSchema)]
pub(super) struct Histogram {
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    to: Timestamp,
    bucket_secs: i64,
    total: u64,
    /// False where counting took too long: then the counts are too low.
    exact: bool,
    buckets: Vec<Bucket>,
    took_ms: u64,
    read: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Bucket {
    /// Its beginning.
    #[schema(value_type = String)]
    time: Timestamp,
    count: u64,
}

pub(super) async fn histogram(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<Over>,
) -> Result<Json<Histogram>, Problem> {
    let most = within("buckets", ask.buckets, 500)?;
    let request = span(ask.from.as_deref(), ask.to.as_deref(), state.clock.now(), 0)?;
    let query = query(&state, &ask.query)?;
    let (_waiting, patience) = Patience::new(SECS_MAX);
    blocking(move || {
        let (from, to) = ends(&state, &request)?;
        let buckets = Buckets::covering(from, to, most);
        let log = Tolerant::new(&state.opened.store);
        let stop = || patience.is_over();
        let counted = state.index.histogram(&query, &request, &buckets, &stop, &log);
        let counted = counted.map_err(failed)?;
        remember(&state, &caller, Fact::Searched { query: ask.query, results: counted.total() });
        let bucket =
            |(nth, count): (usize, &u64)| Bucket { time: buckets.start(nth), count: *count };
        Ok(Json(Histogram {
            from,
            to,
            bucket_secs: buckets.width_nanos / custos_event::time::NANOS_PER_SEC,
            total: counted.total(),
            exact: counted.exact,
            buckets: counted.counts.iter().enumerate().map(bucket).collect(),
            took_ms: patience.took_ms(),
            read: counted.stats.events_read,
        }))
    })
    .await
}

/// What was asked, or else the first and last event there is.
fn ends(state: &State, request: &SearchRequest) -> Result<(Timestamp, Timestamp), Problem> {
    let now = state.clock.now();
    let (first, last) = state.index.times().map_err(failed)?.unwrap_or((now, now));
    let to = request.to.unwrap_or(Timestamp(last.0.saturating_add(1)));
    let from = request.from.unwrap_or(first.min(to));
    Ok((from, to.max(from)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfSample {
    #[serde(default = "all")]
    query: String,
    from: Option<String>,
    to: Option<String>,
    /// How many of the newest events to look at, up to 5,000.
    #[serde(default = "five_hundred")]
    sample: usize,
}

fn five_hundred() -> usize {
    500
}

/// Which fields the events have.
#[derive(Serialize, ToSchema)]
#[schema(as = Fields)]
pub(super) struct FieldList {
    /// All events that the query finds.
    total: u64,
    sampled: u64,
    /// Every event was looked at; else the counts are of the newest `sampled`.
    exact: bool,
    fields: Vec<Field>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Field {
    name: String,
    /// Events that have it.
    count: u64,
    distinct: usize,
    top: Vec<ValueCounted>,
}

/// A value, and how many events have it.
#[derive(Serialize, ToSchema)]
pub(super) struct ValueCounted {
    value: String,
    count: u64,
}

impl From<ValueCount> for ValueCounted {
    fn from(ValueCount { value, count }: ValueCount) -> Self {
        Self { value, count }
    }
}

pub(super) async fn fields(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<OfSample>,
) -> Result<Json<FieldList>, Problem> {
    let sample = within("sample", ask.sample, SAMPLE_MAX)?;
    let request = span(ask.from.as_deref(), ask.to.as_deref(), state.clock.now(), sample)?;
    let query = query(&state, &ask.query)?;
    let (_waiting, patience) = Patience::new(SECS_MAX);
    blocking(move || {
        let log = Tolerant::new(&state.opened.store);
        let stop = || patience.is_over();
        let coverage = state.index.coverage(&query, &request, TOP, &stop, &log).map_err(failed)?;
        let total = if coverage.exact {
            coverage.sampled
        } else {
            let one = Buckets { from: Timestamp(0), width_nanos: 1, count: 1 };
            let all = state.index.histogram(&query, &request, &one, &stop, &log);
            all.map_err(failed)?.total()
        };
        remember(&state, &caller, Fact::Searched { query: ask.query, results: coverage.sampled });
        let field = |of: custos_search::FieldCoverage| Field {
            name: of.name,
            count: of.count,
            distinct: of.distinct,
            top: of.top.into_iter().map(Into::into).collect(),
        };
        let fields = coverage.fields.into_iter().map(field).collect();
        Ok(Json(FieldList { total, sampled: coverage.sampled, exact: coverage.exact, fields }))
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfField {
    field: String,
    /// What the values begin with, in any case.
    #[serde(default)]
    prefix: String,
    #[serde(default = "all")]
    query: String,
    from: Option<String>,
    to: Option<String>,
    /// How many values at most, up to 1,000.
    #[serde(default = "twenty")]
    limit: usize,
}

fn twenty() -> usize {
    20
}

/// The most frequent values of a field.
#[derive(Serialize, ToSchema)]
#[schema(as = Values)]
pub(super) struct ValueList {
    values: Vec<ValueCounted>,
    /// Every event was counted; else the newest 5,000 were, or fewer where that took too long.
    exact: bool,
}

pub(super) async fn values(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<OfField>,
) -> Result<Json<ValueList>, Problem> {
    let limit = within("limit", ask.limit, LIMIT_MAX)?;
    let request = span(ask.from.as_deref(), ask.to.as_deref(), state.clock.now(), 0)?;
    let query = query(&state, &ask.query)?;
    let (_waiting, patience) = Patience::new(VALUES_SECS_MAX);
    blocking(move || {
        let log = Tolerant::new(&state.opened.store);
        let stop = || patience.is_over();
        let read = format!("{} | values of {} from '{}'", ask.query, ask.field, ask.prefix);
        let of = Ask { field: ask.field, prefix: ask.prefix, limit, events_max: SAMPLE_MAX };
        let found = state.index.values(&query, &request, &of, &stop, &log).map_err(failed)?;
        let results = found.values.len() as u64;
        remember(&state, &caller, Fact::Searched { query: read, results });
        let values = found.values.into_iter().map(Into::into).collect();
        Ok(Json(ValueList { values, exact: found.exact }))
    })
    .await
}

/// Names for completion.
#[derive(Serialize, ToSchema)]
#[schema(as = Names)]
pub(super) struct NameList {
    fields: Vec<Known>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FieldName)]
pub(super) struct Known {
    name: String,
    /// `keyword`, `number`, `address`, `text` or `time`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Queries on it are answered without reading events.
    quick: bool,
}

/// Every name that is known: ECS, and what this process has met in events and rules.
pub(super) async fn names(state: State) -> Result<Json<NameList>, Problem> {
    blocking(move || {
        let table = &state.opened.table;
        let known = (0..table.len()).filter_map(|at| u32::try_from(at).ok());
        let known = known.map(|at| table.name(custos_event::FieldId(at)).to_string());
        let header = ["@timestamp", "event.ingested", "custos.source"].map(str::to_owned);
        let mut names: Vec<String> = header.into_iter().chain(known).collect();
        names.sort_unstable();
        names.dedup();
        let name = |name: String| {
            let (kind, quick) = field_type(&name);
            let kind = match kind {
                FieldType::Keyword => "keyword",
                FieldType::Number => "number",
                FieldType::Address => "address",
                FieldType::Text => "text",
                FieldType::Time => "time",
            };
            Known { name, kind, quick }
        };
        Ok(Json(NameList { fields: names.into_iter().map(name).collect() }))
    })
    .await
}

pub(super) fn position((log, partition, seq): (String, u16, u64)) -> Result<Position, Problem> {
    let none = || Problem::not_found(format!("there is no event {log}/{partition}/{seq}"));
    let log: LogId = log.parse().map_err(|_| none())?;
    if !log.is_telemetry() {
        return Err(none());
    }
    Ok(Position { log, partition: Partition(partition), seq: Seq(seq) })
}

/// One event, and the alerts that it is a part of.
#[derive(Serialize, ToSchema)]
pub(super) struct OneEvent {
    #[serde(flatten)]
    event: Event,
    alerts: Vec<AlertSummary>,
}

pub(super) async fn one(
    state: State,
    caller: Caller,
    Path(place): Path<(String, u16, u64)>,
) -> Result<Json<OneEvent>, Problem> {
    let at = position(place)?;
    blocking(move || {
        let none = || Problem::no_record(&state.opened.store, at);
        let event = read(&state, at)?.ok_or_else(none)?;
        remember(&state, &caller, Fact::EventRead { position: at });
        let folded = state.views.read();
        let with = folded.board.newest().filter(|row| row.events.contains(&at));
        let alerts = with.map(AlertSummary::from).collect();
        Ok(Json(OneEvent { event: Event::new(at, &event, &state.opened.table), alerts }))
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Around {
    /// How many on each side, up to 100.
    #[serde(default = "ten")]
    n: usize,
}

fn ten() -> usize {
    10
}

/// What the same source sent before and after, as it arrived.
#[derive(Serialize, ToSchema)]
pub(super) struct Surrounding {
    /// The nearest last.
    before: Vec<Event>,
    /// The nearest first.
    after: Vec<Event>,
}

/// Places looked at on each side: 2,000 × 20 µs is 40 ms. A source that speaks more rarely shows fewer.
const AROUND_MAX: u64 = 2_000;

pub(super) async fn surrounding(
    state: State,
    caller: Caller,
    Path(place): Path<(String, u16, u64)>,
    Parameters(ask): Parameters<Around>,
) -> Result<Json<Surrounding>, Problem> {
    let at = position(place)?;
    let n = within("n", ask.n, 100)?;
    blocking(move || {
        let none = || Problem::no_record(&state.opened.store, at);
        let source = read(&state, at)?.ok_or_else(none)?.header.source;
        let first = Seq(at.seq.0.saturating_sub(AROUND_MAX));
        let before = of_source(&state, at, (first, at.seq), &source, Keep::Last(n))?;
        let end = at.seq.plus(AROUND_MAX + 1);
        let end = state.then.as_ref().map_or(end, |ends| end.min(ends.of(at.log, at.partition)));
        let after = of_source(&state, at, (at.seq.plus(1), end), &source, Keep::First(n))?;
        let (query, results) = (format!("around {at}"), (before.len() + after.len()) as u64);
        remember(&state, &caller, Fact::Searched { query, results });
        Ok(Json(Surrounding { before, after }))
    })
    .await
}

#[derive(Clone, Copy)]
enum Keep {
    First(usize),
    Last(usize),
}

/// Events of one source between two places of the partition of `at`.
fn of_source(
    state: &State,
    at: Position,
    (from, to): (Seq, Seq),
    source: &str,
    keep: Keep,
) -> Result<Vec<Event>, Problem> {
    let table = &state.opened.table;
    let mut parser = Parser::new(Arc::clone(table));
    let (mut events, mut broken) = (VecDeque::new(), None);
    let mut take = |seq, bytes: bytes::Bytes| {
        let position = Position { seq, ..at };
        match record::header(&bytes, table) {
            Ok((header, _)) if &*header.source != source => {}
            Ok(_) => match record::decode(&bytes, &mut parser) {
                Ok(event) => events.push_back(Event::new(position, &event, table)),
                Err(error) => broken = Some(error),
            },
            Err(error) => broken = Some(error),
        }
        if matches!(keep, Keep::Last(most) if events.len() > most) {
            events.pop_front();
        }
        broken.is_none() && !matches!(keep, Keep::First(most) if events.len() >= most)
    };
    let log = Tolerant::new(&state.opened.store);
    log.scan(at.log, at.partition, from, to, &mut take).map_err(anyhow::Error::new)?;
    match broken {
        Some(error) => Err(Problem::failed(&anyhow::Error::new(error))),
        None => Ok(events.into()),
    }
}
