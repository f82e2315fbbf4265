//! Which values a field has among the events that a query finds, and how often: completion and top values.

use crate::{
    Index, Query, SearchError,
    candidates::{Candidate, Found},
    query::{test::Kind, words::fold},
    schema::{Class, Core, core},
    search::{Answer, SearchRequest, SearchStats, Stop},
    tally::{Tally, ValueCount, key, shown},
};
use custos_event::{ParsedEvent, Position, ValueRef, commit::LogReader};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};
use tantivy::{DocSet, SegmentReader, TERMINATED, schema::IndexRecordOption};

/// Different values that are counted: 100,000 × 512 bytes is 50 MiB at the widest. With more, the counts of
/// those that came first are told, and that they are not all.
const VALUES_MAX: usize = 100_000;

/// Terms between two looks at `stop`.
const STOP_EVERY: usize = 1_024;

/// Whose values, and how many.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub field: String,
    /// Only values that begin so, without regard to case; empty: all.
    pub prefix: String,
    /// At most so many values.
    pub limit: usize,
    /// Where the dictionary does not have the answer, at most so many of the newest events are looked at;
    /// 0: all.
    pub events_max: usize,
}

/// The most frequent values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Most frequent first; the text as one of the events has it.
    pub values: Vec<ValueCount>,
    /// How many different ones were seen.
    pub distinct: usize,
    /// Every event was counted; else only the newest ones were.
    pub exact: bool,
    pub stats: SearchStats,
}

impl Index {
    /// Counts the values of one field over what `query` finds: from the dictionary where it knows both,
    /// else by reading the newest events.
    pub fn values(
        &self,
        query: &Query,
        request: &SearchRequest,
        ask: &Ask,
        stop: Stop<'_>,
        log: &dyn LogReader,
    ) -> Result<Values, SearchError> {
        self.ask(query, request, log, |mut answer| {
            let core = core(&ask.field).filter(|core| core.class != Class::Prose);
            if let Some(core) = core.filter(|_| answer.stats.by_dictionary)
                && !self.has_long_values(core)?
            {
                return by_dictionary(&mut answer, core, ask, stop);
            }
            by_reading(&mut answer, ask, stop)
        })
    }

    /// Whether some value of the field was too long for the dictionary.
    fn has_long_values(&self, core: Core) -> Result<bool, SearchError> {
        let searcher = self.0.reader.searcher();
        let events = searcher.doc_freq(&self.0.fields.long_term(core));
        Ok(events.map_err(|error| self.wrong("search", error))? > 0)
    }
}

/// A term's events so far, and one of them.
struct Counted {
    count: u64,
    example: Candidate,
}

fn by_dictionary(
    answer: &mut Answer<'_>,
    core: Core,
    ask: &Ask,
    stop: Stop<'_>,
) -> Result<Values, SearchError> {
    let mut counts = HashMap::new();
    let mut exact = true;
    let head = char::from(core.number).to_string() + &fold(&ask.prefix);
    let index = answer.index;
    answer.candidates.found(&mut |found| {
        let counted = count_terms(answer.index, &found, &head, &mut counts, stop);
        exact &= counted.map_err(|error| index.wrong("search", error))?;
        Ok(())
    })?;
    let distinct = counts.len();
    let mut top: Vec<(String, Counted)> = counts.into_iter().collect();
    top.sort_unstable_by(|(a, x), (b, y)| (Reverse(x.count), a).cmp(&(Reverse(y.count), b)));
    top.truncate(ask.limit);
    answer.stats.hits = top.iter().map(|(_, of)| of.count).sum();
    let values = spelled(answer, core, top)?;
    Ok(Values { values, distinct, exact, stats: answer.finish() })
}

/// Adds what one split has; false where some values are left out.
fn count_terms(
    index: &Index,
    found: &Found<'_>,
    head: &str,
    counts: &mut HashMap<String, Counted>,
    stop: Stop<'_>,
) -> tantivy::Result<bool> {
    let split: &SegmentReader = found.reader();
    let inverted = split.inverted_index(index.0.fields.terms())?;
    let mut terms = inverted.terms().range().ge(head).into_stream()?;
    let (mut exact, mut nth) = (true, 0_usize);
    while terms.advance() && terms.key().starts_with(head.as_bytes()) {
        nth += 1;
        if nth.is_multiple_of(STOP_EVERY) && stop() {
            return Ok(false);
        }
        let mut events =
            inverted.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
        let (mut count, mut example) = (0, TERMINATED);
        while events.doc() != TERMINATED {
            if found.events.contains(events.doc()) {
                count += 1;
                example = events.doc();
            }
            events.advance();
        }
        if count == 0 {
            continue;
        }
        let text = std::str::from_utf8(terms.key()).unwrap_or_default();
        let text = text.get(1..).unwrap_or_default();
        if let Some(counted) = counts.get_mut(text) {
            counted.count += count;
        } else if counts.len() < VALUES_MAX {
            let example = found.candidate(example);
            counts.insert(text.to_owned(), Counted { count, example });
        } else {
            exact = false;
        }
    }
    Ok(exact)
}

/// The values as their events write them: the dictionary knows them folded only.
fn spelled(
    answer: &mut Answer<'_>,
    core: Core,
    top: Vec<(String, Counted)>,
) -> Result<Vec<ValueCount>, SearchError> {
    let mut wanted: BTreeMap<Position, Vec<usize>> = BTreeMap::new();
    for (at, (_, counted)) in top.iter().enumerate() {
        wanted.entry(counted.example.position()).or_default().push(at);
    }
    let mut examples: Vec<_> = top.iter().map(|(_, counted)| counted.example).collect();
    examples.sort_unstable_by_key(|example| example.position());
    examples.dedup_by_key(|example| example.position());
    let kind = Kind::of(core.name);
    let (table, mut texts) = (answer.index.0.table.clone(), HashMap::new());
    answer.fetcher.read(&examples, &mut |position, event| {
        for at in wanted.get(&position).into_iter().flatten() {
            let Some((folded, _)) = top.get(*at) else { continue };
            each_value(&event, core.name, table.get(core.name), &mut |value| {
                if key(kind, value) == *folded {
                    texts.entry(*at).or_insert_with(|| shown(kind, value));
                }
            });
        }
    })?;
    let spell = |(at, (folded, counted)): (usize, (String, Counted))| ValueCount {
        value: texts.remove(&at).unwrap_or(folded),
        count: counted.count,
    };
    Ok(top.into_iter().enumerate().map(spell).collect())
}

fn by_reading(answer: &mut Answer<'_>, ask: &Ask, stop: Stop<'_>) -> Result<Values, SearchError> {
    let (kind, prefix) = (Kind::of(&ask.field), fold(&ask.prefix).into_owned());
    let kind = if kind == Kind::Prose { Kind::Value } else { kind };
    let (table, mut field) = (answer.index.0.table.clone(), None);
    let (mut tally, mut room, mut nth) = (Tally::default(), VALUES_MAX, 0);
    let rest = answer.newest_first(None, ask.events_max, stop, &mut |hit| {
        nth += 1;
        field = field.or_else(|| table.get(&ask.field));
        each_value(&hit.event, &ask.field, field, &mut |value| {
            if prefix.is_empty() || key(kind, value).starts_with(&prefix) {
                tally.add(kind, value, nth, &mut room);
            }
        });
        true
    })?;
    let (distinct, exact) = (tally.distinct(), rest.is_none() && !tally.left_out);
    Ok(Values { values: tally.top(ask.limit), distinct, exact, stats: answer.finish() })
}

/// Calls `each` with the values of a field that are not null.
fn each_value(
    event: &ParsedEvent,
    name: &str,
    field: Option<custos_event::FieldId>,
    each: &mut dyn FnMut(ValueRef<'_>),
) {
    if name == "custos.source" {
        each(ValueRef::Str(&event.header.source));
    }
    if let Some(field) = field {
        event.all(field).filter(|value| *value != ValueRef::Null).for_each(each);
    }
}
