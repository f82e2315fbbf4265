//! What one event gives to correlations: its group, its time, the values that are counted. Depends on
//! the event alone, so it may be found on any thread.

use super::{AHEAD, link::Feed};
use crate::{
    entity, fields,
    logsource::EventSource,
    rule::pattern::fold,
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::{Entity, EntityKind, ParsedEvent, Timestamp, ValueRef};
use sha2::{Digest, Sha256};
use std::{cell::Cell, fmt::Write as _};

/// A value of a group or a counted one is kept up to here; of a longer one, its start and a digest.
const VALUE_CHARS_MAX: usize = 200;

/// Counted values of one event; of a longer list the first.
const COUNTED_MAX: usize = 16;

/// What one event may be to correlations that stand on others: at some 300 bytes each 75 KB an event. Two ways on
/// seven levels are 254. What is left out is counted as dropped by the correlation that it would have come from.
pub(crate) const CHAINED_MAX: usize = 256;

/// An event that a correlation counts.
#[derive(Clone, Debug, PartialEq)]
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
    /// Numbers, where these are measured.
    pub(crate) numbers: Vec<f64>,
    /// What the event is to other correlations if it makes this one hold.
    pub(crate) chained: Vec<Hit>,
    /// How many of these found no room.
    pub(crate) cut: u64,
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
    if matched.iter().all(|rule| links.feeds(*rule).is_empty()) {
        return;
    }
    let source = ruleset.deciding().source(event);
    let left = Cell::new(CHAINED_MAX);
    let reading = Reading { event, ruleset, source: &source, left };
    for rule in matched {
        for hit in reading.hits(*rule) {
            add(hits, first, hit);
        }
    }
}

/// The first value of each of these Sigma fields in one text, in folded case; `None` where the event lacks one.
pub(crate) fn key(ruleset: &Ruleset, event: &ParsedEvent, fields: &[String]) -> Option<String> {
    Some(joined(&group(ruleset, event, fields)?))
}

/// The first value of each of these Sigma fields; `None` where the event lacks one.
pub(crate) fn group(
    ruleset: &Ruleset,
    event: &ParsedEvent,
    fields: &[String],
) -> Option<Vec<String>> {
    let source = ruleset.deciding().source(event);
    Reading { event, ruleset, source: &source, left: Cell::new(0) }.group(fields)
}

/// The first number that a value of this Sigma field is or spells.
pub(crate) fn number(ruleset: &Ruleset, event: &ParsedEvent, field: &str) -> Option<f64> {
    let source = ruleset.deciding().source(event);
    let reading = Reading { event, ruleset, source: &source, left: Cell::new(0) };
    reading.numbers(field).into_iter().next()
}

fn joined(group: &[String]) -> String {
    group.iter().map(|value| fold(value)).collect::<Vec<_>>().join("\0")
}

/// An event counts once for a correlation and group, whichever of its rules matched.
fn add(hits: &mut Vec<Hit>, first: usize, hit: Hit) {
    let mut own = hits.iter_mut().skip(first);
    match own.find(|it| it.correlation == hit.correlation && it.key == hit.key) {
        None => hits.push(hit),
        Some(known) => {
            known.rules |= hit.rules;
            for number in hit.numbers {
                if !known.numbers.iter().any(|it| it.to_bits() == number.to_bits()) {
                    known.numbers.push(number);
                }
            }
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
    ruleset: &'e Ruleset,
    source: &'e EventSource,
    /// Room for chained hits.
    left: Cell<usize>,
}

impl Reading<'_> {
    /// What the event is to the correlations that count `rule`, and through them to others: rows of
    /// correlations have an end (`link`).
    fn hits(&self, rule: RuleIndex) -> Vec<Hit> {
        let feeds = self.ruleset.links().feeds(rule);
        feeds.iter().filter_map(|feed| self.hit(feed)).collect()
    }

    /// What the event is to others if it makes the correlation `rule` hold; and how much of that found no room.
    fn chained(&self, rule: RuleIndex) -> (Vec<Hit>, u64) {
        let (mut chained, mut cut) = (Vec::new(), 0);
        for feed in self.ruleset.links().feeds(rule) {
            let Some(left) = self.left.get().checked_sub(1) else {
                cut += 1;
                continue;
            };
            self.left.set(left);
            chained.extend(self.hit(feed));
        }
        (chained, cut)
    }

    fn hit(&self, feed: &Feed) -> Option<Hit> {
        let group = self.group(&feed.group)?;
        let (counted, numbers) = match feed.counted.as_slice() {
            [] => (Vec::new(), Vec::new()),
            [field] if feed.is_of_numbers => (Vec::new(), self.numbers(field)),
            [field] => (self.all(field), Vec::new()),
            // Several fields are one value, of the first that each has.
            fields => (vec![self.group(fields)?.join(", ")], Vec::new()),
        };
        if !feed.counted.is_empty() && counted.is_empty() && numbers.is_empty() {
            return None;
        }
        let (time, received) = (self.event.header.time, self.event.header.received);
        let running = self.ruleset.links().running.get(feed.correlation as usize);
        let (chained, cut) = running.map_or((Vec::new(), 0), |rule| self.chained(*rule));
        Some(Hit {
            correlation: feed.correlation,
            rules: feed.rule,
            key: joined(&group),
            group,
            counted_kind: counted.first().and_then(|value| kind(self.event, value)),
            counted: counted.iter().map(|value| Counted::new(value)).collect(),
            numbers,
            chained,
            cut,
            time: time.min(Timestamp(received.0.saturating_add(AHEAD))),
        })
    }

    /// The first value of each field; `None` where one has none.
    fn group(&self, fields: &[String]) -> Option<Vec<String>> {
        fields.iter().map(|field| self.all(field).into_iter().next()).collect()
    }

    /// The numbers that values of a Sigma field are or spell.
    fn numbers(&self, field: &str) -> Vec<f64> {
        let spelled = self.all(field).into_iter().filter_map(|text| text.trim().parse().ok());
        spelled.filter(|number: &f64| number.is_finite()).collect()
    }

    /// The values of a Sigma field, the likeliest name first.
    fn all(&self, field: &str) -> Vec<String> {
        let paths = fields::paths(self.source, field);
        let mut found = Vec::new();
        for path in &paths.names {
            if path.contains('*') {
                let named = |id| fields::is_at(&self.ruleset.table().name(id), path);
                let values = self.event.iter().filter(|(id, _)| named(*id)).map(|(_, value)| value);
                take(&mut found, values);
            } else if let Some(id) = self.ruleset.table().get(path) {
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
