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
use custos_event::{FieldId, FieldTable, ParsedEvent};
pub use matcher::Matcher;
use std::sync::Arc;
use test::{Leaf, Target};

/// A query, read and understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub(crate) root: Node,
    /// Every condition on a field or on text, in the order written; [`Node::Leaf`] points here.
    pub(crate) leaves: Vec<Leaf>,
    /// Set when the query names `event.kind` or `error.message`: only then it sees rejected events.
    pub(crate) sees_rejected: bool,
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

    /// The field names that the query mentions, so that a caller can warn of those nothing has ever had.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.leaves.iter().filter_map(|leaf| match &leaf.target {
            Target::Field { name, .. } => Some(&**name),
            Target::Text | Target::Time | Target::Received | Target::Source => None,
        })
    }
}
