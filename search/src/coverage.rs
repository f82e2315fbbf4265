//! Which fields the newest events of an answer have, and their most frequent values.

use crate::{
    Index, Query, SearchError,
    query::test::Kind,
    search::{SearchRequest, SearchStats, Stop},
    tally::{Tally, ValueCount},
};
use custos_event::{FieldId, ParsedEvent, ValueRef, commit::LogReader};
use std::collections::HashMap;

/// Different values that are held for all fields together: at some 200 bytes each 20 MiB, at the widest
/// 150 MiB. Further ones are left out, and their field says so.
const VALUES_MAX: usize = 100_000;

/// Fields over a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Most frequent first.
    pub fields: Vec<FieldCoverage>,
    /// How many events were looked at: the newest.
    pub sampled: u64,
    /// There are no others.
    pub exact: bool,
    pub stats: SearchStats,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCoverage {
    pub name: String,
    /// Events that have it.
    pub count: u64,
    /// How many different values were seen.
    pub distinct: usize,
    pub top: Vec<ValueCount>,
    /// Every value was counted.
    pub top_exact: bool,
}

#[derive(Default)]
struct Seen {
    count: u64,
    last: u64,
    tally: Tally,
}

impl Index {
    /// Looks at the newest `request.limit` events that `query` finds; `top` values of each field.
    pub fn coverage(
        &self,
        query: &Query,
        request: &SearchRequest,
        top: usize,
        stop: Stop<'_>,
        log: &dyn LogReader,
    ) -> Result<Coverage, SearchError> {
        self.ask(query, request, log, |mut answer| {
            let table = self.0.table.clone();
            let (mut seen, mut room, mut sampled) = (HashMap::new(), VALUES_MAX, 0);
            let mut kinds = HashMap::new();
            // One more than the sample tells whether it is all there is.
            let (limit, mut more) = (request.limit as u64, false);
            let wanted = if limit == 0 { 0 } else { request.limit.saturating_add(1) };
            let rest = answer.newest_first(None, wanted, stop, &mut |hit| {
                if limit != 0 && sampled == limit {
                    more = true;
                    return false;
                }
                sampled += 1;
                let kind =
                    &mut |field| *kinds.entry(field).or_insert_with(|| kind(&table.name(field)));
                look(&hit.event, sampled, &mut seen, kind, &mut room);
                true
            })?;
            let name = |field: Option<FieldId>| {
                field.map_or_else(
                    || "custos.source".to_owned(),
                    |field| table.name(field).to_string(),
                )
            };
            let mut fields: Vec<_> =
                seen.into_iter().map(|(field, seen)| finish(name(field), seen, top)).collect();
            fields.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
            Ok(Coverage { fields, sampled, exact: rest.is_none() && !more, stats: answer.finish() })
        })
    }
}

/// Texts are shown whole, not as words.
fn kind(name: &str) -> Kind {
    match Kind::of(name) {
        Kind::Address => Kind::Address,
        Kind::Value | Kind::Prose => Kind::Value,
    }
}

fn look(
    event: &ParsedEvent,
    nth: u64,
    seen: &mut HashMap<Option<FieldId>, Seen>,
    kind: &mut dyn FnMut(FieldId) -> Kind,
    room: &mut usize,
) {
    let mut add = |field, kind, value| {
        let seen = seen.entry(field).or_default();
        seen.count += u64::from(seen.last != nth);
        seen.last = nth;
        seen.tally.add(kind, value, nth, room);
    };
    add(None, Kind::Value, ValueRef::Str(&event.header.source));
    for (field, value) in event.iter().filter(|(_, value)| *value != ValueRef::Null) {
        add(Some(field), kind(field), value);
    }
}

fn finish(name: String, seen: Seen, top: usize) -> FieldCoverage {
    let (distinct, top_exact) = (seen.tally.distinct(), !seen.tally.left_out);
    FieldCoverage { name, count: seen.count, distinct, top: seen.tally.top(top), top_exact }
}
