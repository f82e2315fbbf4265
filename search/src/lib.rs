//! The log becomes searchable: tantivy splits by time, block filters, the query language.
//!
//! Read in this order: [`query`] (what a question means), [`schema`] and [`filter`] (what is kept of an
//! event), [`writer`] (how it gets there), [`plan`], [`candidates`], [`fetch`] and [`search`] (how an
//! answer is found). docs/search.md says the same to users.

mod candidates;
mod error;
mod fetch;
mod filter;
mod index;
mod plan;
mod query;
mod schema;
mod search;
mod split;
mod steady;
mod writer;

pub use error::{QueryError, SearchError};
pub use index::{Index, IndexOptions};
pub use query::{Matcher, Query};
pub use search::{Hit, Results, SearchRequest, SearchStats};
pub use writer::IndexWriter;
