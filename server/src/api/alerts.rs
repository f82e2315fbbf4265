//! Alerts: the queue, one of them, and what people say of them.

use super::{
    State,
    alertfilter::{Filter, Key, group_key},
    asking::{remember, within},
    blocking,
    caller::Caller,
    event::{Event, read},
    extract::{Json, Path, Query as Parameters},
    problem::Problem,
};
use crate::projection::board::{Row, Status, Suppressed};
use anyhow::Context as _;
use axum::response::IntoResponse;
use custos_event::{
    Alert as AlertFact, AlertId, Envelope, Fact, LogId, Partition, Position, Seq, Timestamp,
    respond::Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

const LIMIT_MAX: usize = 1_000;
/// Groups that are shown; more are counted in `total`.
const GROUPS_MAX: usize = 1_000;
/// Events that come with one alert; its `events` name all.
const EVENTS_MAX: usize = 50;

/// An alert in a list of something else.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertSummary {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    level: String,
    rule: String,
    #[schema(value_type = String)]
    time: Timestamp,
    #[schema(value_type = String)]
    status: Status,
}

impl From<&Row> for AlertSummary {
    fn from(row: &Row) -> Self {
        Self {
            id: row.id.to_string(),
            title: row.title.to_string(),
            title_zh: row.title_zh.to_string(),
            level: row.level.to_string(),
            rule: row.rule.to_string(),
            time: row.time,
            status: row.status(),
        }
    }
}

/// An alert as the journal has it, and what became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alert {
    /// Its place in the journal.
    seq: u64,
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    rule: String,
    rule_version: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    level: String,
    tags: Vec<String>,
    /// Event time of the last event.
    #[schema(value_type = String)]
    time: Timestamp,
    #[schema(value_type = String)]
    raised_at: Timestamp,
    /// The events that made it up, as `telemetry/0/42`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    matched: Vec<Matched>,
    entities: Vec<Entity>,
    #[schema(value_type = String)]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who judged it, or else took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    by_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<String>,
    /// Alike matches that it holds back, as its rule says.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<AlertSuppressed>,
}

/// Matches that raised no alert of their own.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertSuppressed {
    matches: u64,
    /// Event time of the newest.
    #[schema(value_type = String)]
    last: Timestamp,
    /// Some of the newest events, as `telemetry/0/42`.
    samples: Vec<String>,
}

impl AlertSuppressed {
    fn of(row: &Row) -> Option<Self> {
        let Suppressed { matches, last, samples } = &row.suppressed;
        let samples = samples.iter().map(ToString::to_string).collect();
        (*matches > 0).then_some(Self { matches: *matches, last: *last, samples })
    }
}

/// One value that the rule asked for and found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Matched {
    selection: String,
    field: String,
    pattern: String,
    value: String,
}

/// Who or what it is about.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entity {
    /// `user`, `address`, `host`, `door`, `credential`, `card` or `customer`.
    #[schema(value_type = String)]
    kind: custos_event::EntityKind,
    value: String,
}

impl Entity {
    pub(super) fn new(of: custos_event::Entity) -> Self {
        Self { kind: of.kind, value: of.value }
    }
}

impl Alert {
    pub(crate) fn new(row: &Row, fact: AlertFact) -> Self {
        let taken = row.acknowledged.as_ref().map(|(at, by)| (*at, by));
        let last = row.judged.as_ref().map(|judged| (judged.at, &judged.by)).or(taken);
        let matched = |of: custos_event::Matched| Matched {
            selection: of.selection,
            field: of.field,
            pattern: of.pattern,
            value: of.value,
        };
        Self {
            seq: row.seq.0,
            id: fact.id.to_string(),
            rule: fact.rule.to_string(),
            rule_version: fact.rule_version,
            title: fact.title,
            title_zh: fact.title_zh,
            level: fact.level,
            tags: fact.tags,
            time: fact.time,
            raised_at: row.raised_at,
            events: fact.events.iter().map(ToString::to_string).collect(),
            matched: fact.matched.into_iter().map(matched).collect(),
            entities: fact.entities.into_iter().map(Entity::new).collect(),
            status: row.status(),
            verdict: row.judged.as_ref().map(|judged| judged.verdict),
            reason: row.judged.as_ref().map(|judged| judged.reason.to_string()),
            by: last.map(|(_, by)| by.name().to_owned()),
            by_at: last.map(|(at, _)| at),
            incident: row.incident.map(|incident| incident.to_string()),
            suppressed: AlertSuppressed::of(row),
        }
    }
}

/// The alert that stands at this place of the journal.
fn fact_at(state: &State, seq: Seq) -> anyhow::Result<AlertFact> {
    let at = Position { log: LogId::JOURNAL, partition: Partition::default(), seq };
    let bytes = state.opened.store.read(at)?.with_context(|| format!("{at} is gone"))?;
    let envelope = Envelope::decode(&bytes).with_context(|| at.to_string())?;
    let Fact::AlertRaised(alert) = envelope.fact else { anyhow::bail!("{at} is no alert") };
    Ok(alert)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// `open`, `acknowledged`, `closed` or `all`.
    status: Option<String>,
    /// One or more, with commas between: `high,critical`.
    level: Option<String>,
    rule: Option<String>,
    /// A value, or kind and value: `user:alice`.
    entity: Option<String>,
    /// Words of the title, the rule or an entity; all must occur.
    query: Option<String>,
    /// `rule` or `entity`: then groups come, not alerts.
    group: Option<String>,
    /// Up to 1,000.
    #[serde(default = "fifty")]
    limit: usize,
    /// `next` of the page before.
    after: Option<u64>,
}

fn fifty() -> usize {
    50
}

/// A page of the queue, newest first; or all of it in groups.
#[derive(Serialize, ToSchema)]
#[schema(as = Alerts)]
pub(super) struct Queue {
    alerts: Vec<Alert>,
    /// Hand it back as `after`; null where nothing older is left.
    next: Option<u64>,
    /// All that the filter lets through, and all that it leaves out.
    total: usize,
    hidden: usize,
    /// Older ones that are in the log only.
    forgotten: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group>>,
    /// The commit up to which this holds; `GET /stream?after=` goes on from there.
    as_of: u64,
}

/// The alerts of one rule, or about one entity.
#[derive(Serialize, ToSchema)]
pub(super) struct Group {
    key: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    /// The highest among them.
    level: String,
    count: usize,
    open: usize,
    #[schema(value_type = String)]
    newest: Timestamp,
    #[schema(value_type = String)]
    oldest: Timestamp,
}

pub(super) async fn list(
    state: State,
    Parameters(ask): Parameters<List>,
) -> Result<Json<Queue>, Problem> {
    let limit = within("limit", ask.limit, LIMIT_MAX)?;
    let group = ask.group.as_deref().map(str::parse::<Key>).transpose().map_err(Problem::wrong)?;
    let filter = Filter {
        status: ask.status,
        level: ask.level,
        rule: ask.rule,
        entity: ask.entity,
        query: ask.query,
    };
    let filter = filter.read()?;
    state.views.reach(state.opened.store.last_commit()).await;
    blocking(move || {
        let folded = state.views.read();
        let board = &folded.board;
        let passing = || board.newest().filter(|row| filter.passes(row));
        let total = passing().count();
        let (hidden, as_of) = (board.len() - total, folded.commit.0);
        let mut answer = Queue {
            alerts: Vec::new(),
            next: None,
            total,
            hidden,
            forgotten: board.forgotten,
            groups: group.map(|key| groups(passing(), key)),
            as_of,
        };
        if answer.groups.is_some() {
            return Ok(Json(answer));
        }
        let below = |row: &&Row| ask.after.is_none_or(|after| row.seq.0 < after);
        let mut page: Vec<Row> = passing().filter(below).take(limit + 1).cloned().collect();
        // The log is read without the views in hand: their follower must not wait for the disk.
        drop(folded);
        if page.len() > limit {
            page.truncate(limit);
            answer.next = page.last().map(|row| row.seq.0);
        }
        for row in page {
            answer.alerts.push(Alert::new(&row, fact_at(&state, row.seq)?));
        }
        Ok(Json(answer))
    })
    .await
}

fn groups<'r>(rows: impl Iterator<Item = &'r Row>, key: Key) -> Vec<Group> {
    let mut groups: HashMap<String, Group> = HashMap::new();
    for row in rows {
        let (name, title, title_zh) = group_key(row, key);
        let group = groups.entry(name.clone()).or_insert_with(|| Group {
            key: name,
            title,
            title_zh,
            level: row.level.to_string(),
            count: 0,
            open: 0,
            newest: row.time,
            oldest: row.time,
        });
        group.count += 1;
        group.open += usize::from(row.status() == Status::Open);
        group.newest = group.newest.max(row.time);
        group.oldest = group.oldest.min(row.time);
        if severity(&row.level) > severity(&group.level) {
            group.level = row.level.to_string();
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_unstable_by(|a, b| {
        let by = |group: &Group| (group.open > 0, severity(&group.level), group.newest);
        by(b).cmp(&by(a)).then_with(|| a.key.cmp(&b.key))
    });
    groups.truncate(GROUPS_MAX);
    groups
}

/// Sigma's levels in their order.
pub(super) fn severity(level: &str) -> usize {
    let levels = ["informational", "low", "medium", "high", "critical"];
    levels.iter().position(|known| *known == level).map_or(0, |at| at + 1)
}

/// An alert with all that helps to judge it.
#[derive(Serialize, ToSchema)]
pub(super) struct OneAlert {
    #[serde(flatten)]
    alert: Alert,
    /// The places of all events; the events themselves are in `events`.
    positions: Vec<String>,
    /// The first fifty; empty for who may not read events.
    events: Vec<Event>,
    rule: super::rules::Rule,
    /// What people made of this rule's alerts so far.
    prior: Prior,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Prior {
    true_positive: u64,
    false_positive: u64,
    benign: u64,
}

pub(super) async fn one(
    state: State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<OneAlert>, Problem> {
    let none = || Problem::not_found(format!("there is no alert {id}, or it is too old to show"));
    let parsed: AlertId = id.parse().map_err(|_| none())?;
    let (row, hits) = {
        let folded = state.views.read();
        let row = folded.board.get(parsed).ok_or_else(none)?.clone();
        let hits = folded.hits.get(&row.rule);
        (row, hits)
    };
    blocking(move || {
        let fact = fact_at(&state, row.seq)?;
        let events = if caller.may(crate::auth::Permission::ReadEvents) {
            events_of(&state, &caller, &fact.events)
        } else {
            Vec::new()
        };
        let verdicts = hits.verdicts;
        let prior = Prior {
            true_positive: verdicts.true_positive,
            false_positive: verdicts.false_positive,
            benign: verdicts.benign,
        };
        let shelf = state.views.shelf();
        let rule = shelf.get(&row.rule).map_or_else(
            || super::rules::Rule::gone(&row, &hits),
            |rule| super::rules::Rule::new(rule, &hits),
        );
        let mut alert = Alert::new(&row, fact);
        // Here stand the rule and the events themselves.
        alert.rule.clear();
        let positions = std::mem::take(&mut alert.events);
        Ok(Json(OneAlert { alert, positions, events, rule, prior }))
    })
    .await
}

fn events_of(state: &State, caller: &Caller, at: &[Position]) -> Vec<Event> {
    let mut events = Vec::new();
    for position in at.iter().take(EVENTS_MAX) {
        // One that is damaged or dropped is missed; the alert is shown all the same.
        if let Some(event) = read(state, *position).unwrap_or_default() {
            events.push(Event::new(*position, &event, &state.opened.table));
            remember(state, caller, Fact::EventRead { position: *position });
        }
    }
    events
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    /// How many at most; 0 is all.
    #[serde(default = "fifty")]
    limit: usize,
}

/// One alert, as the journal has it.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
pub(super) struct AlertLine(AlertFact);

/// As `custos alerts` prints them.
pub(super) async fn lines(
    state: State,
    Parameters(newest): Parameters<Newest>,
) -> Result<impl IntoResponse, Problem> {
    let lines = move || {
        let limit = if newest.limit == 0 { usize::MAX } else { newest.limit };
        state.journal.catch_up()?;
        let mut body = Vec::new();
        for alert in state.journal.alerts(limit)? {
            serde_json::to_writer(&mut body, &AlertLine(alert)).context("an alert")?;
            body.push(b'\n');
        }
        Ok(body)
    };
    let body = blocking(lines).await?;
    Ok(([("content-type", "application/x-ndjson")], body))
}
