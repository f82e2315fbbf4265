//! Asks one event what a query says.

use super::{
    FieldOf, Node, Query,
    test::{Kind, Leaf, Target, Test, comparable, has_words, passes},
};
use custos_event::{FieldId, FieldTable, Flags, ParsedEvent, Shape, Timestamp, ValueRef};
use std::sync::Arc;

/// A query with the numbers of its field names.
#[derive(Debug)]
pub struct Matcher<'q> {
    query: &'q Query,
    table: Arc<FieldTable>,
    /// One a leaf. A name that nothing has had yet is asked for again at the next event.
    fields: Vec<Option<FieldId>>,
}

impl<'q> Matcher<'q> {
    pub(crate) fn new(query: &'q Query, table: Arc<FieldTable>) -> Self {
        Self { query, table, fields: vec![None; query.leaves.len()] }
    }

    /// The same answer as [`Query::matches`].
    pub fn matches(&mut self, event: &ParsedEvent) -> bool {
        for (field, leaf) in self.fields.iter_mut().zip(&self.query.leaves) {
            if let (None, Target::Field { name, .. }) = (&field, &leaf.target) {
                *field = self.table.get(name);
            }
        }
        let fields = &self.fields;
        matches(self.query, event, &|at, _| fields.get(at).copied().flatten())
    }
}

pub(super) fn matches(query: &Query, event: &ParsedEvent, field_of: FieldOf<'_>) -> bool {
    if event.header.flags.has(Flags::REJECTED) && !query.sees_rejected {
        return false;
    }
    holds(&query.root, query, event, field_of)
}

fn holds(node: &Node, query: &Query, event: &ParsedEvent, field_of: FieldOf<'_>) -> bool {
    match node {
        Node::All => true,
        Node::And(nodes) => nodes.iter().all(|node| holds(node, query, event, field_of)),
        Node::Or(nodes) => nodes.iter().any(|node| holds(node, query, event, field_of)),
        Node::Not(node) => !holds(node, query, event, field_of),
        Node::Leaf(at) => {
            query.leaves.get(*at).is_some_and(|leaf| answers(*at, leaf, event, field_of))
        }
    }
}

fn answers(at: usize, leaf: &Leaf, event: &ParsedEvent, field_of: FieldOf<'_>) -> bool {
    match &leaf.target {
        Target::Text => text_answers(&leaf.test, event),
        Target::Time => time_answers(&leaf.test, event.header.time),
        Target::Received => time_answers(&leaf.test, event.header.received),
        Target::Source => passes(&leaf.test, Kind::Value, ValueRef::Str(&event.header.source)),
        Target::Field { kind, .. } => field_of(at, leaf).is_some_and(|field| {
            let mut values = event.all(field).filter(|value| *value != ValueRef::Null);
            values.any(|value| passes(&leaf.test, *kind, value))
        }),
    }
}

fn time_answers(test: &Test, time: Timestamp) -> bool {
    match test {
        Test::Exists => true,
        Test::At(instant) => time == *instant,
        Test::Compare(bound, super::test::Limit::Time(limit)) => bound.holds(time.cmp(limit)),
        Test::Compare(..) | Test::Equal { .. } | Test::Like(_) | Test::Words(_) => false,
    }
}

/// Free text: every value on its own; and, where the raw bytes have no structure, they too.
fn text_answers(test: &Test, event: &ParsedEvent) -> bool {
    let Test::Words(words) = test else { return false };
    texts(event, &mut |text| !has_words(text, words))
}

/// Calls `each` with every text that free text looks at, until it returns false; says whether it did.
pub(crate) fn texts(event: &ParsedEvent, each: &mut dyn FnMut(&str) -> bool) -> bool {
    for (_, value) in event.iter() {
        if value != ValueRef::Null && !each(&comparable(Kind::Value, value)) {
            return true;
        }
    }
    event.header.shape == Shape::Text && !each(&event.raw_text())
}
