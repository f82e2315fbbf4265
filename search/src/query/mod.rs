//! The query language (docs/search.md): what a query says about one event.
//!
//! [`Query::matches`] is the definition. The index may only ever be a quicker way to the same answer.

mod lex;
pub(crate) mod matcher;
mod parse;
pub(crate) mod pattern;
pub(crate) mod test;
pub(crate) mod words;

use crate::error::QueryError;
use custos_event::{Ends, FieldId, FieldTable, ParsedEvent};
pub use matcher::Matcher;
use pattern::{Pattern, Sign};
use std::sync::Arc;
use test::{Leaf, Target, Test};

/// `text` as a value in a query, whatever is in it.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A query, read and understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub(crate) root: Node,
    /// Every condition on a field or on text, in the order written; [`Node::Leaf`] points here.
    pub(crate) leaves: Vec<Leaf>,
    /// Set when the query names `event.kind` or `error.message`: only then it sees rejected events.
    pub(crate) sees_rejected: bool,
    /// The index hands on only events that were there when logs ended here.
    pub(crate) before: Option<Ends>,
}

/// How conditions are joined.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    All,
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Leaf(usize),
}

impl Node {
    /// Where leaf `at` is asked, leaf `also` may answer as well.
    fn widen(&mut self, at: usize, also: usize) {
        match self {
            Self::And(nodes) | Self::Or(nodes) => {
                for node in nodes {
                    node.widen(at, also);
                }
            }
            Self::Not(node) => node.widen(at, also),
            Self::Leaf(leaf) if *leaf == at => {
                *self = Self::Or(vec![Self::Leaf(at), Self::Leaf(also)]);
            }
            Self::All | Self::Leaf(_) => {}
        }
    }
}

/// The number of the field that a leaf, by its place and itself, looks at.
type FieldOf<'a> = &'a dyn Fn(usize, &Leaf) -> Option<FieldId>;

impl Query {
    /// Reads a query. An empty one, and `*`, finds everything.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::parse(text)
    }

    /// Whether `event` is found: the definition of every answer. Who asks about many events makes a
    /// [`Matcher`] once.
    pub fn matches(&self, event: &ParsedEvent, table: &FieldTable) -> bool {
        matcher::matches(self, event, &|_, leaf| match &leaf.target {
            Target::Field { name, .. } => table.get(name),
            Target::Text | Target::Time | Target::Received | Target::Source => None,
        })
    }

    /// The same question, with field names looked up once.
    pub fn matcher(&self, table: Arc<FieldTable>) -> Matcher<'_> {
        Matcher::new(self, table)
    }

    /// The same question to the logs as they were when they ended there.
    #[must_use]
    pub fn before(mut self, before: Option<Ends>) -> Self {
        self.before = before;
        self
    }

    /// The same question where values may be sealed: a field that is to equal a value may also begin with one
    /// of the texts that `stems` gives for it, in lower case.
    #[must_use]
    pub fn with_sealed(mut self, stems: impl Fn(&str) -> Vec<String>) -> Self {
        let mut more = Vec::new();
        for (at, leaf) in self.leaves.iter().enumerate() {
            let (Target::Field { .. }, Test::Equal { texts, .. }) = (&leaf.target, &leaf.test)
            else {
                continue;
            };
            for stem in texts.iter().flat_map(|text| stems(text)) {
                let signs: Vec<Sign> = stem.chars().map(Sign::Char).chain([Sign::Any]).collect();
                let test = Test::Like(Pattern::new(&signs));
                more.push((at, Leaf { target: leaf.target.clone(), test }));
            }
        }
        for (at, leaf) in more {
            self.leaves.push(leaf);
            let added = self.leaves.len() - 1;
            self.root.widen(at, added);
        }
        self
    }

    /// The fields of which the query asks for a part of a value, an order or a pattern: what a sealed value
    /// cannot answer.
    pub fn partly_asked(&self) -> impl Iterator<Item = &str> {
        self.leaves.iter().filter_map(|leaf| match (&leaf.target, &leaf.test) {
            (Target::Field { name, .. }, Test::Like(pattern)) if !pattern.is_anything() => {
                Some(&**name)
            }
            (Target::Field { name, .. }, Test::Compare(..) | Test::Words(_)) => Some(&**name),
            _ => None,
        })
    }

    /// The field names that the query mentions, so that a caller can warn of those nothing has ever had.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.leaves.iter().filter_map(|leaf| match &leaf.target {
            Target::Field { name, .. } => Some(&**name),
            Target::Text | Target::Time | Target::Received | Target::Source => None,
        })
    }
}
