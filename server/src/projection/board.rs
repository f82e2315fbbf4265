//! The board: each alert with what people said of it.

use custos_event::{
    Actor, Alert, AlertId, Entity, Envelope, Fact, Position, RuleId, Seq, Timestamp,
    respond::{AlertRef, IncidentEvent, IncidentId, Verdict},
};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// At some 400 bytes each 80 MB. Older ones are in the log, and counted as forgotten here.
const ALERTS_MAX: usize = 200_000;
/// Events of an alert by which it is found; the alert in the log names all.
const EVENTS_MAX: usize = 32;
/// Matches that an alert held back and names.
const SAMPLES_MAX: usize = 20;
/// Words for a person to read; the whole reason is in the log.
const REASON_CHARS_MAX: usize = 1_000;

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its place in the journal.
    pub(crate) seq: Seq,
    pub(crate) id: AlertId,
    pub(crate) rule: RuleId,
    pub(crate) title: Box<str>,
    #[serde(default)]
    pub(crate) title_zh: Box<str>,
    pub(crate) level: Box<str>,
    #[serde(default)]
    pub(crate) risk: Option<u32>,
    pub(crate) time: Timestamp,
    pub(crate) raised_at: Timestamp,
    pub(crate) entities: Box<[Entity]>,
    /// The first of them.
    pub(crate) events: Box<[Position]>,
    pub(crate) acknowledged: Option<(Timestamp, Actor)>,
    pub(crate) judged: Option<Judged>,
    pub(crate) incident: Option<IncidentId>,
    #[serde(default)]
    pub(crate) suppressed: Suppressed,
}

/// Matches that this alert holds back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suppressed {
    pub(crate) matches: u64,
    /// Event time of the newest.
    pub(crate) last: Timestamp,
    /// Some of the newest; the facts name more.
    pub(crate) samples: VecDeque<Position>,
}

/// The newest verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Box<str>,
}

/// What is left to do with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Open,
    Acknowledged,
    /// Judged.
    Closed,
}

impl Row {
    pub(crate) fn raised(seq: Seq, raised_at: Timestamp, alert: &Alert) -> Self {
        Self {
            seq,
            id: alert.id,
            rule: alert.rule.clone(),
            title: alert.title.as_str().into(),
            title_zh: alert.title_zh.as_str().into(),
            level: alert.level.as_str().into(),
            risk: alert.risk,
            time: alert.time,
            raised_at,
            entities: alert.entities.clone().into(),
            events: alert.events.iter().take(EVENTS_MAX).copied().collect(),
            acknowledged: None,
            judged: None,
            incident: None,
            suppressed: Suppressed::default(),
        }
    }

    pub(crate) fn status(&self) -> Status {
        match (&self.judged, &self.acknowledged) {
            (Some(_), _) => Status::Closed,
            (None, Some(_)) => Status::Acknowledged,
            (None, None) => Status::Open,
        }
    }
}

/// All alerts, in the order of the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Board {
    rows: VecDeque<Row>,
    by_id: HashMap<AlertId, Seq>,
    /// Older ones that found no room.
    pub(crate) forgotten: u64,
}

/// What one fact changed here, for who saves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) rows: Vec<Seq>,
    pub(crate) dropped: Vec<Seq>,
}

impl Board {
    pub(crate) fn load(rows: impl Iterator<Item = Row>, forgotten: u64) -> Self {
        let rows: VecDeque<Row> = rows.collect();
        let by_id = rows.iter().map(|row| (row.id, row.seq)).collect();
        Self { rows, by_id, forgotten }
    }

    pub(crate) fn apply(&mut self, seq: Seq, envelope: &Envelope) -> Touched {
        let mut touched = Touched::default();
        if let Fact::AlertRaised(alert) = &envelope.fact {
            self.add(Row::raised(seq, envelope.at, alert));
            touched.rows.push(seq);
            touched.dropped = self.forget();
        } else if let Fact::AlertAcknowledged { alert } = &envelope.fact {
            touched.rows.extend(self.change(*alert, |row| {
                row.acknowledged.get_or_insert_with(|| (envelope.at, envelope.actor.clone()));
            }));
        } else if let Fact::AlertJudged { alert, verdict, reason } = &envelope.fact {
            let (at, by) = (envelope.at, envelope.actor.clone());
            let reason = reason.chars().take(REASON_CHARS_MAX).collect::<String>().into();
            let judged = Judged { at, by, verdict: *verdict, reason };
            touched.rows.extend(self.change(*alert, |row| row.judged = Some(judged)));
        } else if let Fact::AlertSuppressed { alert, matches, last, samples, .. } = &envelope.fact {
            touched.rows.extend(self.change(*alert, |row| {
                row.suppressed.matches += matches;
                row.suppressed.last = row.suppressed.last.max(*last);
                row.suppressed.samples.extend(samples);
                let old = row.suppressed.samples.len().saturating_sub(SAMPLES_MAX);
                row.suppressed.samples.drain(..old);
            }));
        } else if let Fact::Incident { incident, event } = &envelope.fact {
            for alert in alerts_of(event) {
                let change = self.change(alert.id, |row| row.incident = Some(*incident));
                touched.rows.extend(change);
            }
        }
        touched
    }

    fn add(&mut self, row: Row) {
        self.by_id.insert(row.id, row.seq);
        self.rows.push_back(row);
    }

    fn forget(&mut self) -> Vec<Seq> {
        let mut dropped = Vec::new();
        while self.rows.len() > ALERTS_MAX {
            let Some(row) = self.rows.pop_front() else { break };
            if self.by_id.get(&row.id) == Some(&row.seq) {
                self.by_id.remove(&row.id);
            }
            self.forgotten += 1;
            dropped.push(row.seq);
        }
        dropped
    }

    fn change(&mut self, id: AlertId, change: impl FnOnce(&mut Row)) -> Option<Seq> {
        let seq = *self.by_id.get(&id)?;
        let at = self.rows.binary_search_by_key(&seq, |row| row.seq).ok()?;
        self.rows.get_mut(at).map(change)?;
        Some(seq)
    }

    pub(crate) fn row(&self, seq: Seq) -> Option<&Row> {
        let at = self.rows.binary_search_by_key(&seq, |row| row.seq).ok()?;
        self.rows.get(at)
    }

    pub(crate) fn get(&self, id: AlertId) -> Option<&Row> {
        self.row(*self.by_id.get(&id)?)
    }

    pub(crate) fn newest(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().rev()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Mean times over the alerts raised since `from`.
    pub(crate) fn means(&self, from: Timestamp) -> Means {
        let mut means = Means::default();
        for row in self.newest().filter(|row| row.raised_at >= from) {
            means.detect.add(row.time, Some(row.raised_at));
            let judged = row.judged.as_ref().map(|judged| judged.at);
            let seen = row.acknowledged.as_ref().map(|(at, _)| *at);
            let first = [seen, judged].into_iter().flatten().min();
            means.acknowledge.add(row.raised_at, first);
            means.resolve.add(row.raised_at, judged);
        }
        means
    }
}

/// The alerts that an incident takes with this event.
fn alerts_of(event: &IncidentEvent) -> &[AlertRef] {
    if let IncidentEvent::Opened { alerts, .. } = event {
        alerts
    } else if let IncidentEvent::AlertAdded { alert } = event {
        std::slice::from_ref(alert)
    } else {
        &[]
    }
}

/// MTTD: from what happened to the alert; MTTA: from the alert until somebody took it or judged it;
/// MTTR: until it was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Means {
    pub(crate) detect: Mean,
    pub(crate) acknowledge: Mean,
    pub(crate) resolve: Mean,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mean {
    nanos: i128,
    count: u32,
}

impl Mean {
    fn add(&mut self, from: Timestamp, to: Option<Timestamp>) {
        let Some(to) = to else { return };
        // A source's clock may be ahead of ours.
        self.nanos += i128::from(to.0.saturating_sub(from.0).max(0));
        self.count += 1;
    }

    /// None where nothing was measured.
    #[expect(clippy::cast_precision_loss, reason = "seconds to read, not to reckon with")]
    pub(crate) fn secs(self) -> Option<f64> {
        (self.count > 0).then(|| self.nanos as f64 / 1e9 / f64::from(self.count))
    }
}
