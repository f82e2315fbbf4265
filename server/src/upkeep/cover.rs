//! Which segments a legal hold covers. In doubt it does: an hour on either side of a time, a segment that does not
//! read.

use super::kept::{Hold, Kept};
use crate::respond::Desk;
use custos_event::{
    Fact, FieldTable, HoldScope, IncidentId, LogId, Partition, Position, Seq, Timestamp,
    commit::LogReader as _, record,
};
use custos_store::{SegmentInfo, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// When an event was received and when it was appended: seconds apart, minutes on a full disk.
const SLACK_SECS: i64 = 3_600;

/// What a hold keeps from going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldBack {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
}

/// Which sources a segment has events of: it never changes, so it is read once.
pub(super) type SourcesOf = HashMap<(LogId, Partition, u64), BTreeSet<String>>;

pub(super) struct Cover<'a> {
    store: &'a Store,
    table: &'a FieldTable,
    holds: Vec<(String, HoldScope)>,
    /// The events of the incidents that are held.
    events: BTreeMap<String, BTreeSet<Position>>,
    sources: &'a mut SourcesOf,
    pub(super) held: BTreeMap<String, HeldBack>,
}

impl<'a> Cover<'a> {
    pub(super) fn new(
        (store, table, desk): (&'a Store, &'a FieldTable, &Desk),
        kept: &Kept,
        sources: &'a mut SourcesOf,
    ) -> Self {
        let scope = |(name, hold): (&String, &Hold)| (name.clone(), hold.scope.clone());
        let holds: Vec<_> = kept.standing().map(scope).collect();
        let mut events = BTreeMap::new();
        for (name, scope) in &holds {
            if let HoldScope::Incident { incident } = scope {
                events.insert(name.clone(), events_of(desk, *incident));
            }
        }
        Self { store, table, holds, events, sources, held: BTreeMap::new() }
    }

    /// Whether some hold covers the segment; each that does is told.
    pub(super) fn holds(&mut self, id: (LogId, Partition), info: &SegmentInfo) -> bool {
        let mut any = false;
        for (name, scope) in self.holds.clone() {
            let covers = match scope {
                HoldScope::Received { from, to } => meets(info, from, to),
                HoldScope::Incident { .. } => {
                    let place = |seq| Position { log: id.0, partition: id.1, seq };
                    let events = self.events.get(&name);
                    events.is_some_and(|e| e.range(place(info.first)..place(info.end)).count() > 0)
                }
                HoldScope::Source { source } => self.has(id, info, &source),
            };
            if covers {
                let held = self.held.entry(name).or_default();
                held.segments += 1;
                held.bytes += info.bytes;
            }
            any |= covers;
        }
        any
    }

    fn has(&mut self, id: (LogId, Partition), info: &SegmentInfo, source: &str) -> bool {
        let key = (id.0, id.1, info.number);
        if let Some(known) = self.sources.get(&key) {
            return known.contains(source);
        }
        let mut found = BTreeSet::new();
        let mut take = |_: Seq, bytes: bytes::Bytes| {
            if let Ok((header, _)) = record::header(&bytes, self.table)
                && !found.contains(&*header.source)
            {
                found.insert(header.source.to_string());
            }
            true
        };
        if let Err(error) = self.store.scan(id.0, id.1, info.first, info.end, &mut take) {
            tracing::warn!(segment = info.number, %error, "a segment does not read, so it is held");
            return true;
        }
        self.sources.entry(key).or_insert(found).contains(source)
    }
}

fn meets(info: &SegmentInfo, from: Timestamp, to: Timestamp) -> bool {
    from < info.last_at.plus_secs(SLACK_SECS) && info.created_at.plus_secs(-SLACK_SECS) < to
}

/// The events that the incident's alerts were raised by, and those that people attached to it.
fn events_of(desk: &Desk, incident: IncidentId) -> BTreeSet<Position> {
    let (mut events, alerts) = desk.read(|state| {
        let Some(entry) = state.incidents.get(&incident) else { return Default::default() };
        let alerts: Vec<_> = entry.incident.alerts.iter().map(|alert| alert.at).collect();
        let attached = entry.incident.evidence.iter().flat_map(|evidence| evidence.events.clone());
        (attached.collect::<BTreeSet<_>>(), alerts)
    });
    for at in alerts {
        if let Ok(Some(envelope)) = desk.fact(at)
            && let Fact::AlertRaised(alert) = envelope.fact
        {
            events.extend(alert.events);
        }
    }
    events
}
