//! What one event gives to correlations: its group, its time, the values that are counted. Depends on
//! the event alone, so it may be found on any thread.

use super::AHEAD;
use crate::{
    entity, fields,
    logsource::EventSource,
    rule::pattern::fold,
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::{Entity, EntityKind, FieldTable, ParsedEvent, Timestamp, ValueRef};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A value of a group or a counted one is kept up to here; of a longer one, its start and a digest.
const VALUE_CHARS_MAX: usize = 200;

/// Counted values of one event; of a longer list the first.
const COUNTED_MAX: usize = 16;

/// An event that a correlation counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The correlation's place among those that run.
    pub(crate) correlation: u32,
    /// Which of its rules matched, a bit each.
    pub(crate) rules: u64,
    /// The group's values in one text, in folded case.
    pub(crate) key: String,
    /// Group values as the event has them.
    pub(crate) group: Vec<String>,
    /// Counted values; none where events or rules are counted.
    pub(crate) counted: Vec<Counted>,
    /// What the counted values are, where that is known.
    pub(crate) counted_kind: Option<EntityKind>,
    /// The event's time, at most [`AHEAD`] of when it was received.
    pub(crate) time: Timestamp,
}

/// A value that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// In folded case, which tells it from others.
    pub(crate) folded: Box<str>,
    /// As the event has it, where that differs.
    own: Option<Box<str>>,
}

impl Counted {
    fn new(value: &str) -> Self {
        let folded = fold(value);
        Self { own: (folded != value).then(|| value.into()), folded: folded.into() }
    }

    pub(crate) fn own(&self) -> &str {
        self.own.as_ref().unwrap_or(&self.folded)
    }
}

/// Adds to `hits` what `event`, which `matched` rules match, is to the ruleset's correlations: each
/// correlation and group once.
pub fn hits(ruleset: &Ruleset, event: &ParsedEvent, matched: &[RuleIndex], hits: &mut Vec<Hit>) {
    let links = ruleset.links();
    let first = hits.len();
    let mut source = None;
    for rule in matched {
        for feed in links.feeds(*rule) {
            let source = source.get_or_insert_with(|| ruleset.deciding().source(event));
            let reading = Reading { event, table: ruleset.table(), source };
            let Some(group) = reading.group(&feed.group) else { continue };
            let counted = match &feed.counted {
                Some(field) => reading.all(field),
                None => Vec::new(),
            };
            if feed.counted.is_some() && counted.is_empty() {
                continue;
            }
            let hit = Hit {
                correlation: feed.correlation,
                rules: feed.rule,
                key: group.iter().map(|value| fold(value)).collect::<Vec<_>>().join("\0"),
                group,
                counted_kind: counted.first().and_then(|value| kind(event, value)),
                counted: counted.iter().map(|value| Counted::new(value)).collect(),
                time: event
                    .header
                    .time
                    .min(Timestamp(event.header.received.0.saturating_add(AHEAD))),
            };
            add(hits, first, hit);
        }
    }
}

/// An event counts once for a correlation and group, whichever of its rules matched.
fn add(hits: &mut Vec<Hit>, first: usize, hit: Hit) {
    let mut own = hits.iter_mut().skip(first);
    match own.find(|it| it.correlation == hit.correlation && it.key == hit.key) {
        None => hits.push(hit),
        Some(known) => {
            known.rules |= hit.rules;
            for value in hit.counted {
                let other = |it: &Counted| it.folded != value.folded;
                if known.counted.iter().all(other) && known.counted.len() < COUNTED_MAX {
                    known.counted.push(value);
                }
            }
        }
    }
}

/// What `value` is to the event: a user, an address.
pub(crate) fn kind(event: &ParsedEvent, value: &str) -> Option<EntityKind> {
    let named = |entity: &Entity| fold(&entity.value) == fold(value);
    entity::entities(event).into_iter().find(named).map(|entity| entity.kind)
}

struct Reading<'e> {
    event: &'e ParsedEvent,
    table: &'e FieldTable,
    source: &'e EventSource,
}

impl Reading<'_> {
    /// The first value of each field; `None` where one has none.
    fn group(&self, fields: &[String]) -> Option<Vec<String>> {
        fields.iter().map(|field| self.all(field).into_iter().next()).collect()
    }

    /// The values of a Sigma field, the likeliest name first.
    fn all(&self, field: &str) -> Vec<String> {
        let paths = fields::paths(self.source, field);
        let mut found = Vec::new();
        for path in &paths.names {
            if path.contains('*') {
                let named = |id| fields::is_at(&self.table.name(id), path);
                let values = self.event.iter().filter(|(id, _)| named(*id)).map(|(_, value)| value);
                take(&mut found, values);
            } else if let Some(id) = self.table.get(path) {
                take(&mut found, self.event.all(id));
            }
            if paths.first_only && !found.is_empty() {
                break;
            }
        }
        found
    }
}

fn take<'e>(found: &mut Vec<String>, values: impl Iterator<Item = ValueRef<'e>>) {
    for value in values.filter(|value| *value != ValueRef::Null) {
        let value = bounded(value.to_string());
        if found.len() < COUNTED_MAX && !found.contains(&value) {
            found.push(value);
        }
    }
}

fn bounded(value: String) -> String {
    let Some((cut, _)) = value.char_indices().nth(VALUE_CHARS_MAX) else { return value };
    let digest = Sha256::digest(value.as_bytes());
    let mut short = value.get(..cut).unwrap_or_default().to_owned();
    short.push('#');
    for byte in digest.iter().take(16) {
        write!(short, "{byte:02x}").ok();
    }
    short
}
